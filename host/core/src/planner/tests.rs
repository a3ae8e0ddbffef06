//! What the planner makes of what it is told: inputs go in, orders come out.

mod modules;
mod pairs;
mod recovery;
mod signals;
mod specification;
mod thresholds;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::{
    Blueprint, Bounds, Claim, Deed, Directions, KeptSignal, ModuleUse, Operator, Order, PolicyUse, Ports,
    SeriesId, ServiceSpec, SignalSpec, Slot, Task, ThresholdRule, ThresholdUse, UnitTemplate, Verdict,
    WindowSpec,
};

pub(super) const BASE: i64 = 1_438_089_350;
pub(super) const TWO: [&str; 2] = ["web@8080.service", "web@8082.service"];
pub(super) const THREE: [&str; 3] = ["web@8080.service", "web@8082.service", "web@8084.service"];
pub(super) const NOTHING: [&str; 0] = [];

pub(super) fn at(second: i64) -> Timestamp {
    at_ms(second * 1_000)
}

pub(super) fn at_ms(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(BASE * 1_000 + ms).unwrap()
}

pub(super) fn template(file: &str) -> UnitTemplate {
    let (text, hash) = (format!("[\"{file}\"]"), format!("hash of {file}"));
    UnitTemplate { file: file.to_owned(), blueprint: Blueprint { text, hash }.into() }
}

pub(super) fn signal() -> SignalSpec {
    SignalSpec { service_type: "web".into(), metric: "cpu".into(), aggregated: false }
}

/// What a test cares about, in seconds.
#[derive(Clone, Copy, Default)]
pub(super) struct Given {
    pub(super) period: i64,
    pub(super) cooldown: i64,
}

fn threshold(
    policy: &str,
    direction: Direction,
    operator: Operator,
    threshold: f64,
    given: Given,
) -> PolicyUse {
    let (period, cooldown) =
        (SignedDuration::from_secs(given.period), SignedDuration::from_secs(given.cooldown));
    let rule = ThresholdRule { operator, threshold, period, cooldown };
    PolicyUse::Threshold(ThresholdUse { policy: policy.into(), direction, signal: signal(), rule })
}

/// A policy that is asked, with a window of a minute over `cpu`, or without one if it is called `clock`.
pub(super) fn asked(policy: &str, directions: Directions, cooldown: i64) -> PolicyUse {
    let window = WindowSpec { signal: signal(), unit: "".into(), span: SignedDuration::from_mins(1) };
    PolicyUse::Module(ModuleUse {
        policy: policy.into(),
        directions,
        windows: if policy == "clock" { Vec::new() } else { vec![window] },
        interval: SignedDuration::from_secs(10),
        cooldown: SignedDuration::from_secs(cooldown),
    })
}

/// A service with one instance and nothing else.
pub(super) fn service(name: &str) -> ServiceSpec {
    ServiceSpec {
        id: name.into(),
        kind: name.into(),
        unit: template(&format!("{name}@.service")),
        attached: Vec::new(),
        bounds: Bounds { min: 1, max: Some(1) },
        ports: Ports { base: 1, per_instance: 1 },
        depends_on: Vec::new(),
        policies: Vec::new(),
    }
}

/// `web`, 2 to 4 instances from 8080 with `log` attached, scaled up above 90 and down below 10.
pub(super) fn web(given: Given) -> ServiceSpec {
    ServiceSpec {
        attached: vec![template("log@.service")],
        bounds: Bounds { min: 2, max: Some(4) },
        ports: Ports { base: 8080, per_instance: 2 },
        policies: vec![
            threshold("hot", Direction::Up, Operator::Greater, 90.0, given),
            threshold("cold", Direction::Down, Operator::Less, 10.0, given),
        ],
        ..service("web")
    }
}

/// These services, with all that is read kept for a minute.
pub(super) fn spec(services: &[ServiceSpec]) -> Spec {
    let services = services.iter().map(|service| (service.id.clone(), service.clone())).collect();
    Spec { services, signals: vec![KeptSignal { signal: signal(), span: SignedDuration::from_mins(1) }] }
}

/// A state with these instances of `web`.
pub(super) fn stored(units: &[&str]) -> Stored {
    let mut stored = Stored::default();
    stored
        .instances
        .insert("web".into(), units.iter().map(|unit| ((*unit).to_owned(), Vec::new())).collect());
    stored
}

/// A look that finds these units up, and no others.
pub(super) fn up(units: &[&str]) -> Look {
    Look(units.iter().map(|unit| ((*unit).into(), Health::Up)).collect())
}

/// What is done, in words.
pub(super) fn name(order: &Order) -> String {
    let unit = &order.plan.instance.name;
    match &order.task {
        Task::Start { .. } => format!("start {unit}"),
        Task::Stop { .. } => format!("stop {unit}"),
        Task::Mend { unit } => format!("mend {}", unit.name),
    }
}

pub(super) fn names(effects: &Effects) -> Vec<String> {
    effects.orders.iter().map(name).collect()
}

/// A planner with what it was told, and what it wants done.
pub(super) struct Fixture {
    pub(super) planner: Planner,
    series: Vec<String>,
    /// The orders that have not ended.
    pub(super) orders: Vec<Order>,
    pub(super) events: Vec<Event>,
}

impl Fixture {
    /// One that has taken over these instances of `web`, all of them up, and has read that there are no samples.
    pub(super) fn new(spec: Spec, units: &[&str]) -> Self {
        let mut fixture = Self::recovering(spec, stored(units), units);
        assert_eq!(fixture.orders, []);
        fixture.go_live();
        fixture
    }

    /// One that has just taken over.
    pub(super) fn recovering(spec: Spec, stored: Stored, units: &[&str]) -> Self {
        let (series, orders, events) = (Vec::new(), Vec::new(), Vec::new());
        let mut fixture = Self { planner: Planner::default(), series, orders, events };
        fixture.take(Input::Spec(spec), 0);
        fixture.take(Input::Stored(stored), 0);
        fixture.take(Input::Look(up(units)), 0);
        fixture
    }

    pub(super) fn go_live(&mut self) {
        self.take(Input::Registrations(vec![RegistrationChange::Cleared, RegistrationChange::Complete]), 0);
        self.take(Input::Samples(batch(Stretch::SnapshotEnd)), 0);
    }

    /// Tells it something at a millisecond, and returns what is done.
    pub(super) fn take(&mut self, input: Input, ms: i64) -> Vec<String> {
        let effects = self.planner.take(input, at_ms(ms));
        let done = names(&effects);
        self.orders.extend(effects.orders);
        self.events.extend(effects.events);
        done
    }

    /// A sample of an instance, which comes when it was measured.
    pub(super) fn sample(&mut self, id: &str, second: i64, value: f64) -> Vec<String> {
        self.sample_at(id, second * 1_000, value)
    }

    pub(super) fn sample_at(&mut self, id: &str, ms: i64, value: f64) -> Vec<String> {
        let mut batch = batch(Stretch::Live);
        let series = self.series(id, ms, &mut batch);
        batch.readings.push(Reading { series, at: at_ms(ms), value });
        self.take(Input::Samples(batch), ms)
    }

    /// The series of an instance, opened if it is new.
    pub(super) fn series(&mut self, id: &str, ms: i64, batch: &mut SampleBatch) -> SeriesId {
        let known = self.series.iter().position(|known| known == id);
        let place = u32::try_from(known.unwrap_or(self.series.len())).unwrap();
        let series = SeriesId { place, life: 0 };
        if known.is_none() {
            self.series.push(id.to_owned());
            batch.opened.push(Opened { series, signal: signal(), instance: id.to_owned(), at: at_ms(ms) });
        }
        series
    }

    pub(super) fn register(&mut self, id: &str, unit: &str) {
        let (kind, id, unit) = ("web".to_owned(), id.to_owned(), unit.to_owned());
        self.take(Input::Registrations(vec![RegistrationChange::Registered { kind, id, unit }]), 0);
    }

    /// Ends the first order that is called so, and returns what follows.
    pub(super) fn end(&mut self, order: &str, outcome: Outcome, ms: i64) -> Vec<String> {
        let index = self.orders.iter().position(|known| name(known) == order);
        let order = self.orders.remove(index.unwrap_or_else(|| panic!("no order {order}")));
        self.take(Input::Ended(order.id, outcome), ms)
    }

    /// The phases of the instances of `web`, by slot.
    pub(super) fn phases(&self) -> Vec<(u32, super::super::Phase)> {
        let population = self.planner.service("web").unwrap().population();
        population.iter().map(|(slot, instance)| (slot.0, instance.phase)).collect()
    }
}

/// Nothing, at a place in the stream.
pub(super) fn batch(stretch: Stretch) -> SampleBatch {
    SampleBatch { stretch, opened: Vec::new(), readings: Vec::new(), skipped: Vec::new() }
}

#[test]
fn a_planner_that_was_told_nothing_does_nothing() {
    let mut planner = Planner::default();
    assert_eq!(planner.take(Input::Tick, at(0)), Effects::default());
    assert_eq!((planner.next_due(), planner.is_live(), planner.is_settled()), (None, false, false));
    let effects = planner.take(Input::Ended(an_action(), Outcome::Started), at(0));
    assert_eq!(effects, Effects::default(), "an action of another term is nobody's");
}

fn an_action() -> ActionId {
    ActionId { decision: DecisionId { term: 0, number: 1 }, index: 0 }
}

#[test]
fn a_command_scales_within_the_bounds_whatever_policies_want() {
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &TWO);
    let scale = |fixture: &mut Fixture, to| {
        fixture.take(Input::Command(Command::Scale { service: "web".into(), to }), 0)
    };
    assert_eq!(scale(&mut fixture, 9), ["start web@8084.service", "start web@8086.service"]);
    let Some(Event::Decided(decision)) = fixture.events.last() else { panic!("a decision") };
    assert_eq!(decision.stages[0].rule, crate::Rule::Bounds);
    assert_eq!(decision.actions[0].reason.to_string(), "told to have 9");
    assert_eq!(decision.actions[0].deed, Deed::Start);
    assert_eq!((decision.actions[1].slot, decision.spent.is_none()), (Some(Slot(8086)), true));
    assert_eq!(scale(&mut fixture, 4), NOTHING);
    let Some(Order { task: Task::Start { claim, .. }, .. }) = fixture.orders.first() else { panic!() };
    assert_eq!(*claim, Claim::New);
}

/// What a policy says.
pub(super) fn verdict(proposal: crate::Proposal) -> Verdict {
    Verdict { proposal, reason: "so".to_owned(), state: vec![7], wake_at: None }
}
