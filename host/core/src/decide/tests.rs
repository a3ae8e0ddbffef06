//! Each stage by itself, as a table: a service, a wish, and what the rule makes of it.

use jiff::SignedDuration;

use super::stages::{Draft, Ruling, STAGES};
use super::*;
use crate::reason::Firing;
use crate::{Blueprint, Directions, Instance, Objection, Operator, Phase, Ports, Rule, UnitTemplate};
use Phase::{Running, Starting, Stopping};

fn now() -> Timestamp {
    Timestamp::from_second(1_000).unwrap()
}

fn spec(min: u32, max: Option<u32>, directions: Directions) -> ServiceSpec {
    let blueprint = Blueprint { text: String::new(), hash: String::new() };
    let module = ModuleUse {
        policy: "asked".into(),
        directions,
        windows: Vec::new(),
        interval: SignedDuration::from_secs(10),
        cooldown: SignedDuration::from_secs(60),
    };
    ServiceSpec {
        id: "web".into(),
        kind: "web".into(),
        unit: UnitTemplate { file: "web@.service".to_owned(), blueprint: blueprint.into() },
        attached: Vec::new(),
        bounds: Bounds { min, max },
        ports: Ports { base: 1, per_instance: 1 },
        depends_on: Vec::new(),
        policies: vec![PolicyUse::Module(module)],
    }
}

/// A service in some state; what a test does not care about is as it usually is.
struct Service {
    spec: ServiceSpec,
    population: Population,
    wanted: u32,
    last: BTreeMap<PolicyId, Vote>,
    rests: Rests,
    waits_for: Option<ServiceId>,
}

impl Service {
    /// With instances in slots 1, 2, 3, … in these phases.
    fn with(phases: &[Phase]) -> Self {
        let mut population = Population::default();
        for (slot, phase) in (1..).zip(phases) {
            population.put(Slot(slot), Instance::new(*phase, now()));
        }
        let (wanted, rests) = (population.count(), Rests::new());
        let spec = spec(1, Some(4), Directions::Both);
        Self { spec, population, wanted, last: BTreeMap::new(), rests, waits_for: None }
    }

    fn bounded(mut self, min: u32, max: Option<u32>) -> Self {
        self.spec.bounds = Bounds { min, max };
        self
    }

    fn hears(mut self, policy: &str, wish: Wish) -> Self {
        let vote = Vote { wish, ..Vote::none_yet(policy.into(), now()) };
        self.last.insert(policy.into(), vote);
        self
    }

    fn decide<T>(&self, look: impl FnOnce(&ServiceView<'_>) -> T) -> T {
        let attempts = Attempts::default();
        let view = ServiceView {
            spec: &self.spec,
            population: &self.population,
            wanted: self.wanted,
            last: &self.last,
            rests: &self.rests,
            waits_for: self.waits_for.as_ref(),
            attempts: &attempts,
        };
        look(&view)
    }

    /// What one rule makes of a vote.
    fn rule(&self, rule: Rule, vote: &Vote) -> Ruling {
        let (_, stage) = STAGES.into_iter().find(|(known, _)| *known == rule).unwrap();
        self.decide(|view| stage(view, &mut Draft::of_vote(view, vote, now())))
    }
}

/// What a policy that is asked wants.
fn asked(wish: Wish) -> Vote {
    let grounds = Grounds::Words { text: "so".into(), has_data: true };
    Vote { policy: "asked".into(), at: now(), wish, grounds }
}

/// What a threshold wants.
fn fired(wish: Wish) -> Vote {
    let firing = Firing {
        policy: "hot".into(),
        metric: "cpu".into(),
        instance: None,
        value: 95.0,
        operator: Operator::Greater,
        threshold: 90.0,
        lasted: SignedDuration::ZERO,
        at: now(),
    };
    Vote { policy: "hot".into(), at: now(), wish, grounds: Grounds::Threshold(Box::new(firing)) }
}

fn less(by: u32) -> Wish {
    Wish::Less { by, who: Victims::Highest }
}

fn unit(slot: u32) -> String {
    format!("web@{slot}.service")
}

#[test]
fn bounds_trim_what_is_asked_and_stop_a_threshold() {
    let two = || Service::with(&[Running, Running]);
    let maximum = Reason::AtMaximum { count: 2, max: 4 };
    assert_eq!(two().rule(Rule::Bounds, &asked(Wish::To(9))), Ruling::Trims(4, maximum));
    assert_eq!(two().rule(Rule::Bounds, &asked(Wish::To(4))), Ruling::Passes);
    let minimum = Reason::AtMinimum { count: 2, min: 1 };
    assert_eq!(two().rule(Rule::Bounds, &asked(Wish::To(0))), Ruling::Trims(1, minimum));
    assert_eq!(two().rule(Rule::Bounds, &fired(Wish::More(1))), Ruling::Passes);
    let full = two().bounded(1, Some(2));
    assert_eq!(
        full.rule(Rule::Bounds, &fired(Wish::More(1))),
        Ruling::Stops(Reason::AtMaximum { count: 2, max: 2 })
    );
    let wanted = Service { wanted: 4, ..two() };
    let stopped = Ruling::Stops(Reason::AtMaximum { count: 2, max: 4 });
    assert_eq!(wanted.rule(Rule::Bounds, &fired(Wish::More(1))), stopped, "two more are to come");
    assert_eq!(two().bounded(1, None).rule(Rule::Bounds, &asked(Wish::To(9))), Ruling::Passes);
}

#[test]
fn a_policy_for_one_direction_stays_in_the_other() {
    let mut one_way = Service::with(&[Running, Running]);
    one_way.spec = spec(1, Some(4), Directions::Up);
    assert_eq!(one_way.rule(Rule::Direction, &asked(less(1))), Ruling::Trims(2, Reason::OneWay));
    assert_eq!(one_way.rule(Rule::Direction, &asked(Wish::More(1))), Ruling::Passes);
    assert_eq!(one_way.rule(Rule::Direction, &fired(less(1))), Ruling::Passes, "a threshold has but one");
}

#[test]
fn without_data_nothing_goes() {
    let two = Service::with(&[Running, Running]);
    let blind = |wish| {
        let grounds = Grounds::Words { text: "".into(), has_data: false };
        Vote { grounds, ..asked(wish) }
    };
    assert_eq!(two.rule(Rule::Data, &blind(less(1))), Ruling::Trims(2, Reason::NoData));
    assert_eq!(two.rule(Rule::Data, &blind(Wish::More(1))), Ruling::Passes);
    assert_eq!(two.rule(Rule::Data, &asked(less(1))), Ruling::Passes);
}

#[test]
fn nothing_is_done_before_what_must_run_first() {
    let mut two = Service::with(&[Running, Running]);
    assert_eq!(two.rule(Rule::Dependencies, &fired(Wish::More(1))), Ruling::Passes);
    two.waits_for = Some("db".into());
    let waits = Ruling::Stops(Reason::WaitingFor { service: "db".into() });
    assert_eq!(two.rule(Rule::Dependencies, &fired(Wish::More(1))), waits);
}

#[test]
fn a_policy_rests_in_the_direction_in_which_it_scaled() {
    let mut two = Service::with(&[Running, Running]);
    let until = Timestamp::from_second(1_001).unwrap();
    two.rests.insert(("asked".into(), Direction::Up), Cooldown { fired_at: now(), until });
    let rests = Ruling::Stops(Reason::CoolingDown { policy: "asked".into(), until });
    assert_eq!(two.rule(Rule::Rest, &asked(Wish::More(1))), rests);
    assert_eq!(two.rule(Rule::Rest, &asked(less(1))), Ruling::Passes);
    two.rests.insert(("asked".into(), Direction::Up), Cooldown { fired_at: now(), until: now() });
    assert_eq!(two.rule(Rule::Rest, &asked(Wish::More(1))), Ruling::Passes, "its rest is over");
}

#[test]
fn the_largest_count_wins_and_who_cannot_say_objects() {
    let five = || Service::with(&[Running; 5]).bounded(1, None);
    let rule = |service: Service| service.rule(Rule::Objections, &asked(Wish::To(2)));
    assert_eq!(rule(five()), Ruling::Passes);
    assert_eq!(
        rule(five().hears("asked", Wish::To(5))),
        Ruling::Passes,
        "what it said before itself is no matter"
    );
    assert_eq!(rule(five().hears("b", Wish::Abstain(Abstention::OneWay))), Ruling::Passes);
    assert_eq!(rule(five().hears("b", Wish::To(1))), Ruling::Passes);
    let objected = |policy: &str, wish: Wish| Reason::Objected(Objection { policy: policy.into(), wish });
    let wants_three = objected("b", Wish::To(3));
    assert_eq!(rule(five().hears("b", Wish::To(3)).hears("c", Wish::To(1))), Ruling::Trims(3, wants_three));
    for wish in [
        Wish::Stay,
        Wish::To(5),
        Wish::To(7),
        Wish::Abstain(Abstention::NoData),
        Wish::Abstain(Abstention::Failed),
    ] {
        assert_eq!(rule(five().hears("b", wish.clone())), Ruling::Stops(objected("b", wish)));
    }
    let up = five().hears("b", Wish::Stay).rule(Rule::Objections, &asked(Wish::More(1)));
    assert_eq!(up, Ruling::Passes, "nobody keeps instances from coming");
    let threshold = five().hears("b", Wish::Stay).rule(Rule::Objections, &fired(less(1)));
    assert_eq!(threshold, Ruling::Stops(objected("b", Wish::Stay)));
}

#[test]
fn the_minimum_stays_up_and_what_is_starting_serves_nobody_yet() {
    let rule = |service: Service| service.rule(Rule::Starting, &fired(less(1)));
    assert_eq!(rule(Service::with(&[Running, Running])), Ruling::Passes);
    let minimum = Ruling::Stops(Reason::AtMinimum { count: 2, min: 2 });
    assert_eq!(rule(Service::with(&[Running, Running]).bounded(2, Some(5))), minimum);
    let starting = |slot| Ruling::Stops(Reason::StillStarting { unit: unit(slot) });
    assert_eq!(rule(Service::with(&[Running, Starting])), starting(2));
    assert_eq!(rule(Service::with(&[Starting]).bounded(0, Some(5))), starting(1));
    let going = Service { wanted: 1, ..Service::with(&[Running, Stopping]) };
    assert_eq!(rule(going), Ruling::Stops(Reason::AtMinimum { count: 1, min: 1 }));
}

/// Which slots go, or why none does.
fn victims(phases: &[Phase], vote: &Vote) -> Result<Vec<u32>, Reason> {
    Service::with(phases).decide(|view| {
        let mut draft = Draft::of_vote(view, vote, now());
        let (_, stage) = STAGES.into_iter().find(|(rule, _)| *rule == Rule::Victims).unwrap();
        match stage(view, &mut draft) {
            Ruling::Stops(reason) => Err(reason),
            Ruling::Passes | Ruling::Trims(..) => Ok(draft.leaving.iter().map(|slot| slot.0).collect()),
        }
    })
}

#[test]
fn the_named_instance_goes_else_the_highest() {
    let prefer = |slot| fired(Wish::Less { by: 1, who: Victims::Prefer(Slot(slot)) });
    let three = [Running; 3];
    assert_eq!(victims(&three, &prefer(2)), Ok(vec![2]));
    assert_eq!(victims(&three, &prefer(9)), Ok(vec![3]), "there is none in that slot");
    assert_eq!(victims(&three, &fired(less(1))), Ok(vec![3]));
    let going = [Running, Running, Stopping];
    assert_eq!(victims(&going, &prefer(3)), Err(Reason::AlreadyStopping { unit: unit(3) }));
    assert_eq!(victims(&going, &fired(less(1))), Ok(vec![2]));
    let coming = [Running, Running, Starting];
    assert_eq!(victims(&coming, &fired(less(1))), Err(Reason::StillStarting { unit: unit(3) }));
}

#[test]
fn of_several_those_go_that_can_and_the_minimum_stays() {
    let exactly = |slots: &[u32]| {
        let by = u32::try_from(slots.len()).unwrap();
        asked(Wish::Less { by, who: Victims::Exactly(slots.iter().map(|slot| Slot(*slot)).collect()) })
    };
    let four = [Running, Running, Running, Starting];
    assert_eq!(victims(&four, &exactly(&[4, 1])), Ok(vec![1]));
    assert_eq!(victims(&four, &exactly(&[3, 2, 1])), Ok(vec![3, 2]), "one stays up");
    assert_eq!(victims(&four, &exactly(&[4])), Err(Reason::StillStarting { unit: unit(4) }));
    assert_eq!(victims(&four, &asked(Wish::To(2))), Ok(vec![3]));
    assert_eq!(victims(&[Running; 4], &asked(Wish::To(2))), Ok(vec![4, 3]));
}

#[test]
fn new_instances_get_the_lowest_free_slots() {
    let slots = |service: Service, vote: &Vote| {
        service.decide(|view| {
            let mut draft = Draft::of_vote(view, vote, now());
            let (_, stage) = STAGES.into_iter().find(|(rule, _)| *rule == Rule::Slots).unwrap();
            let ruling = stage(view, &mut draft);
            (ruling, draft.starting.iter().map(|slot| slot.0).collect::<Vec<_>>())
        })
    };
    let mut two = Service::with(&[Running, Stopping]);
    two.population.see([Slot(3)].into());
    assert_eq!(slots(two, &asked(Wish::More(2))), (Ruling::Passes, vec![4, 5]));
    let crowded = || Service { wanted: 3, ..Service::with(&[Running, Running]) };
    let trimmed = Ruling::Trims(3, Reason::AtMaximum { count: 2, max: 4 });
    assert_eq!(slots(crowded(), &asked(Wish::To(4))), (trimmed, vec![3]), "one is to come already");
    let full = Service { wanted: 4, ..Service::with(&[Running, Running]) };
    let maximum = Ruling::Stops(Reason::AtMaximum { count: 2, max: 4 });
    assert_eq!(slots(full, &asked(Wish::To(4))), (maximum, vec![]));
    let mut last = Service::with(&[]).bounded(0, None);
    last.spec.ports = Ports { base: 65_535, per_instance: 1 };
    last.population.take(Slot(65_535));
    assert_eq!(slots(last, &asked(Wish::To(1))), (Ruling::Stops(Reason::NoFreeNumber), vec![]));
}

#[test]
fn what_is_said_and_recorded_is_the_count_that_is_made() {
    let mut service = Service::with(&[]).bounded(0, None);
    service.spec.ports = Ports { base: 65_534, per_instance: 1 };
    let id = DecisionId { term: 1, number: 1 };
    let decision = service.decide(|view| decide(view, &Cause::Vote(asked(Wish::To(5))), id, now()));
    let words = "web: up web@65534.service: asked: so (wants 5, gets 2)";
    assert!(decision.to_string().starts_with(words), "{decision}");
    assert_eq!(decision.spent.map(|spent| (spent.before, spent.after)), Some((0, 2)));
    assert_eq!((decision.wanted, decision.heard), ((0, 2), Some(Wish::To(5))), "others hear what it wants");
}

#[test]
fn a_decision_says_everything() {
    let service = Service::with(&[Running, Running]).hears("other", Wish::Stay);
    let id = DecisionId { term: 1, number: 2 };
    let decision = service.decide(|view| decide(view, &Cause::Vote(asked(Wish::To(9))), id, now()));
    assert_eq!(
        decision.to_string(),
        "web: up web@3.service: asked: so (wants 9, gets 4)\n\
        web: up web@4.service: asked: so (wants 9, gets 4)"
    );
    assert_eq!((decision.count, decision.wanted, decision.heard), (2, (2, 4), Some(Wish::To(4))));
    assert_eq!(
        decision.stages.iter().map(|stage| (stage.rule, stage.after)).collect::<Vec<_>>(),
        [(Rule::Bounds, 4)]
    );
    assert_eq!(decision.last.len(), 1);
    let spent = decision.spent.unwrap();
    assert_eq!((spent.direction, spent.before, spent.after), (Direction::Up, 2, 4));
    assert_eq!(spent.cooldown.until, Timestamp::from_second(1_060).unwrap());
    let held = service.decide(|view| decide(view, &Cause::Vote(asked(less(1))), id, now()));
    assert_eq!(held.to_string(), "web: hold: other wants no fewer");
    assert_eq!((held.heard, held.spent.is_none(), held.wanted), (Some(Wish::To(1)), true, (2, 2)));
    let waits = "db".into();
    for waits_for in [None, Some(&waits)] {
        let review =
            |view: &ServiceView<'_>| decide(&ServiceView { waits_for, ..*view }, &Cause::Review, id, now());
        assert!(service.decide(review).is_idle(), "as many as are wanted: nobody waits");
    }
}
