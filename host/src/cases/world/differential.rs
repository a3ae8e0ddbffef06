//! The daemon's loop, on simulated etcd and fleet, and the world of cases are given the same random services, policies,
//! samples and losses, and decide alike.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynamite_core::{
    Answer, Bounds, Cause, Decision, Health, Input, InstanceState, Look, Observation, Operator, Ports,
    Proposal, Sample, ThresholdRule, Usage, Verdict,
};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep_until};

use super::super::decider::{Answer as Decided, Builtin, Contestant, Decider, Subject};
use super::super::file::{Kind, read_text};
use super::super::series::Given;
use super::super::steps::Step;
use super::World;
use crate::config::{Config, MetricWindow, PolicyKind};
use crate::engine::sim::{simulate, told_process};
use crate::engine::test_config;
use crate::fakes::{Collected, FakePolicy, Universe};
use crate::metrics::MetricName;

/// How many runs there are.
const RUNS: u64 = 2_000;
/// When a simulated universe begins.
const BEGIN: i64 = 1_438_000_000;
/// When the first samples come: everything is up by then.
const FIRST: i64 = 30;
/// From one step to the next: everything that follows from a step has happened by the next.
const STEP: i64 = 30;
const STEPS: i64 = 12;
/// How long after a step an instance is lost. It has been replaced by the next step.
const LOST_AFTER: i64 = 5;
/// The steps after which one is: far apart, so that it is no matter whether an instance had come up a moment before or after.
const LOSSES: [i64; 2] = [3, 8];

/// What a run is about.
#[derive(Clone, Copy, Debug)]
struct Plan {
    seed: u64,
    by: By,
    min: u32,
    max: Option<u32>,
    base: u32,
    per_instance: u32,
    aggregated: bool,
    /// How far back the policy sees, or how long it must be hot, in seconds.
    period: i64,
    /// In seconds. Of a policy that is asked no multiple of the steps: it is asked a moment after each.
    cooldown: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Up,
    Down,
    Asked { up: bool, down: bool },
}

impl Plan {
    fn of(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let by = match rng.u8(0..5) {
            0 => By::Up,
            1 => By::Down,
            2 => By::Asked { up: true, down: false },
            3 => By::Asked { up: false, down: true },
            _ => By::Asked { up: true, down: true },
        };
        let min = rng.u32(0..3);
        let is_asked = matches!(by, By::Asked { .. });
        Self {
            seed,
            by,
            min,
            max: rng.bool().then(|| min.max(1) + rng.u32(0..4)),
            base: rng.u32(1..9_000),
            per_instance: rng.u32(1..4),
            aggregated: rng.bool(),
            period: if is_asked { [0, 70][rng.usize(0..2)] } else { [0, 30, 60][rng.usize(0..3)] },
            cooldown: if is_asked { [0, 75][rng.usize(0..2)] } else { [0, 60, 90][rng.usize(0..3)] },
        }
    }

    /// The sample of a series at a step.
    fn value(&self, step: i64, series: u32) -> f64 {
        let mut rng =
            fastrand::Rng::with_seed(self.seed ^ (u64::try_from(step).unwrap() << 20) ^ u64::from(series));
        // For some steps all are hot, or all are cold: what must last does.
        let weather =
            fastrand::Rng::with_seed(self.seed.wrapping_add(u64::try_from(step / 4).unwrap())).u8(0..4);
        match weather {
            0 => f64::from(rng.u32(91..99)),
            1 => f64::from(rng.u32(1..9)),
            _ => f64::from(rng.u32(1..99)),
        }
    }

    /// What decides where a module would: anything, as long as it follows from what is seen.
    fn policy(self) -> FakePolicy {
        FakePolicy(Arc::new(move |seen: &Observation, state: &[u8]| {
            let mut hasher = DefaultHasher::new();
            self.seed.hash(&mut hasher);
            state.hash(&mut hasher);
            seen.service.count().hash(&mut hasher);
            for series in seen.windows.iter().flat_map(|window| &window.series) {
                series.id.hash(&mut hasher);
                series.at_ms.hash(&mut hasher);
                series.values.iter().for_each(|value| value.to_bits().hash(&mut hasher));
            }
            let mut rng = fastrand::Rng::with_seed(hasher.finish());
            let names = seen.service.instances.iter().map(|instance| instance.name.clone());
            let proposal = match rng.u8(0..6) {
                0 => Proposal::Hold,
                1 => Proposal::To(rng.u32(0..7)),
                2 => Proposal::Up(rng.u32(1..3)),
                3 => Proposal::Down(rng.u32(1..3)),
                4 => Proposal::Stop(names.filter(|_| rng.bool()).collect()),
                _ => Proposal::To(seen.service.count()),
            };
            let state = state.iter().copied().chain([rng.u8(..)]).take(4).collect();
            Verdict { proposal, reason: format!("{}", rng.u8(..)), state, wake_at: None }
        }))
    }

    fn config(&self) -> Config {
        let mut config = test_config::config(&test_config::Given::default());
        let web = &mut config.services["web"];
        web.bounds = Bounds { min: self.min, max: self.max };
        web.ports = Ports { base: self.base, per_instance: self.per_instance };
        web.attached.clear();
        (web.scale_up, web.scale_down) = (None, None);
        let name = || "policy".to_owned();
        match self.by {
            By::Up => web.scale_up = Some("threshold".to_owned()),
            By::Down => web.scale_down = Some("threshold".to_owned()),
            By::Asked { up: true, down: true } => web.scale_both = vec![name()],
            By::Asked { up: true, .. } => web.scale_up = Some(name()),
            By::Asked { .. } => web.scale_down = Some(name()),
        }
        let mut policy = config.policies.swap_remove("hot").unwrap();
        config.policies.clear();
        policy.windows = vec![MetricWindow {
            service_type: "web".to_owned(),
            metric: MetricName::new("cpu"),
            aggregated: self.aggregated,
            unit: None,
            span: SignedDuration::from_secs(self.period),
        }];
        policy.kind = match self.by {
            By::Asked { .. } => {
                let mut wasm = test_config::wasm_policy(self.cooldown);
                // It is asked when samples come, and never in between.
                wasm.interval = SignedDuration::from_hours(1);
                policy.name = name();
                PolicyKind::Wasm(Box::new(wasm))
            }
            by => {
                policy.name = "threshold".to_owned();
                let (operator, threshold) =
                    if by == By::Up { (Operator::Greater, 90.0) } else { (Operator::Less, 10.0) };
                let [period, cooldown] = [self.period, self.cooldown].map(SignedDuration::from_secs);
                PolicyKind::Threshold(ThresholdRule { operator, threshold, period, cooldown })
            }
        };
        config.policies.insert(policy.name.clone(), policy);
        config
    }

    /// The same as a case, in YAML.
    fn case(&self) -> String {
        let direction = match self.by {
            By::Up | By::Asked { up: true, down: false } => "up",
            By::Down | By::Asked { up: false, .. } => "down",
            By::Asked { .. } => "both",
        };
        let mut text = format!(
            "policy: {{service_type: web, metric: cpu, metric_aggregated: {}, period: {}, cooldown_period: {}, \
             direction: {direction}",
            self.aggregated, self.period, self.cooldown
        );
        match self.by {
            By::Up => text += ", comparative_operator: gt, threshold: 90",
            By::Down => text += ", comparative_operator: lt, threshold: 10",
            By::Asked { .. } => {}
        }
        let max = self.max.map_or_else(String::new, |max| format!(", max_instance: {max}"));
        let _ = write!(
            text,
            "}}\nservice: {{name: web, type: web, min_instance: {}{max}, base_instance_prefix_number: {}, \
             ports_per_instance: {}, instances: {}}}\nnow: {}\nstart_takes: 3s\n\
             cases: [{{name: a, closed_loop: true, steps: [{{at: 0s, load: 0}}], expect: {{never_below: 0}}}}]\n",
            self.min,
            self.base,
            self.per_instance,
            self.min,
            at(FIRST)
        );
        text
    }

    /// Which of so many running instances is lost after a step, if one is.
    fn lost(&self, step: i64, running: usize) -> Option<usize> {
        let is_time = LOSSES.contains(&step) && running > 0;
        is_time.then(|| fastrand::Rng::with_seed(self.seed ^ u64::try_from(step).unwrap()).usize(0..running))
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + second).unwrap()
}

/// What a decision comes to, but for the milliseconds that pass until an answer is there.
fn essence(decision: &Decision) -> String {
    let cause = match &decision.cause {
        Cause::Vote(vote) => format!("{} {:?}", vote.policy, vote.wish),
        cause => format!("{cause:?}"),
    };
    // Until when a policy rests is said to the millisecond.
    let words = decision.to_string();
    let words = words.split(" until ").next().unwrap_or_default();
    let rules: Vec<_> = decision.stages.iter().map(|stage| (stage.rule, stage.before, stage.after)).collect();
    let Decision { count, heard, wanted, .. } = decision;
    format!("{cause}: {count} heard {heard:?} wanted {wanted:?} {rules:?}\n{words}")
}

/// Decisions about what a policy said, and about what was lost; the rest is of the start.
fn is_compared(decision: &Decision) -> bool {
    matches!(decision.cause, Cause::Vote(_) | Cause::Lost { .. })
}

/// What the daemon decides.
fn by_daemon(plan: Plan) -> Vec<String> {
    let collected = Arc::new(Collected::default());
    let journal = collected.clone();
    simulate(async move {
        let world = Arc::new(Mutex::new(Universe::default()));
        world.lock().unwrap().policy = plan.policy();
        let config = plan.config();
        let driven = async {
            let start = Instant::now();
            let until =
                |second: i64| sleep_until(start + Duration::from_secs(u64::try_from(second).unwrap()));
            for step in 0..STEPS {
                let second = FIRST + step * STEP;
                until(second).await;
                let running = running(&world);
                write_samples(&plan, step, &running, &world);
                until(second + LOST_AFTER).await;
                if let Some(lost) = plan.lost(step, self::running(&world).len()) {
                    let unit = self::running(&world)[lost].clone();
                    world.lock().unwrap().lose(&unit);
                }
            }
            until(FIRST + STEPS * STEP - 1).await;
        };
        tokio::select! {
            biased;
            () = told_process(&world, "one", false, &config, journal) => {}
            () = driven => {}
        }
    });
    collected.decisions().iter().filter(|decision| is_compared(decision)).map(essence).collect()
}

/// The instances that fleet was told to launch, by slot.
fn running(world: &Mutex<Universe>) -> Vec<String> {
    let world = world.lock().unwrap();
    let mut units: Vec<String> = world.launched().into_iter().map(str::to_owned).collect();
    units.sort_by_key(|unit| slot(unit));
    units
}

fn slot(unit: &str) -> u32 {
    unit.trim_start_matches("web@").trim_end_matches(".service").parse().unwrap()
}

fn write_samples(plan: &Plan, step: i64, running: &[String], world: &Mutex<Universe>) {
    let time = at(FIRST + step * STEP).as_second();
    let mut world = world.lock().unwrap();
    if plan.aggregated {
        world.put(&format!("/metrics/web/cpu/{time}"), &plan.value(step, 0).to_string());
        return;
    }
    for unit in running {
        let slot = slot(unit);
        world.put(&format!("/services/web/{slot}/service_instance_name"), unit);
        world.put(&format!("/metrics/web/{slot}/cpu/{time}"), &plan.value(step, slot).to_string());
    }
}

/// A policy of a case that is never asked by anybody but the test.
struct Nobody;

impl Decider for Nobody {
    fn decide(&mut self, _: &Observation, _: &[u8]) -> Decided {
        Decided::silent()
    }
}

/// What the world of cases decides.
fn by_case(plan: Plan) -> Vec<String> {
    let suite = read_text("cases.yaml", &plan.case(), Path::new(""), Kind::Cases).unwrap();
    let case = &suite.cases[0];
    let contestant = match plan.by {
        By::Asked { .. } => Contestant::Asked(Box::new(Nobody)),
        By::Up | By::Down => Builtin.begin(&case.policy).unwrap(),
    };
    let mut world = World::new(case, &contestant);
    let mut decisions = Vec::new();
    for step in 0..STEPS {
        let now = at(FIRST + step * STEP);
        world.end_actions(now);
        // The daemon looks all the time: what is gone is not in anybody's way.
        let seen = world.observation().service.instances;
        let there = seen.iter().filter(|seen| seen.state == InstanceState::Running);
        decisions.extend(world.tell(look(there.map(|seen| &*seen.name)), now));
        let given = samples(&plan, step, &world);
        let step_given =
            Step { now, line: 0, given: given.into(), instances: None, load: None, expect: None };
        decisions.extend(world.advance(&step_given).1);
        if let (By::Asked { .. }, Some(question)) =
            (plan.by, world.ask().filter(|_| has_samples(&step_given)))
        {
            let verdict = (plan.policy().0)(&question.seen, &question.state);
            let answer = Answer { result: Ok(verdict), usage: Usage::default() };
            decisions.extend(world.tell(Input::Answer(question.of, answer), now));
        }
        world.end_actions(now);
        decisions.extend(world.lose(&plan, step, now));
    }
    decisions.iter().filter(|decision| is_compared(decision)).map(essence).collect()
}

fn has_samples(step: &Step) -> bool {
    step.given.iter().any(|given| !given.samples.is_empty())
}

fn samples(plan: &Plan, step: i64, world: &World<'_>) -> Vec<Given> {
    let at = at(FIRST + step * STEP);
    let given = |id, instance, series| {
        let samples = vec![Sample { at, value: plan.value(step, series) }];
        Given { window: 0, id, instance, samples }
    };
    if plan.aggregated {
        return vec![given(String::new(), None, 0)];
    }
    let seen = world.observation().service.instances;
    seen.into_iter().map(|seen| given(seen.number.to_string(), Some(seen.name), seen.number)).collect()
}

/// A look that finds these units up.
fn look<'u>(units: impl Iterator<Item = &'u str>) -> Input {
    Input::Look(Look(units.map(|unit| (unit.into(), Health::Up)).collect()))
}

impl World<'_> {
    /// Loses an instance some time after a step, which two looks find out.
    fn lose(&mut self, plan: &Plan, step: i64, now: Timestamp) -> Vec<Decision> {
        let later = |seconds| now + SignedDuration::from_secs(seconds);
        self.end_actions(later(LOST_AFTER));
        let instances = self.observation().service.instances;
        let running = instances.iter().filter(|seen| seen.state == InstanceState::Running);
        let running: Vec<&str> = running.map(|seen| &*seen.name).collect();
        let Some(lost) = plan.lost(step, running.len()) else { return Vec::new() };
        let mut decisions = Vec::new();
        for seconds in [LOST_AFTER + 3, LOST_AFTER + 8] {
            let there = running.iter().enumerate().filter(|(index, _)| *index != lost);
            let missing = look(there.map(|(_, unit)| *unit));
            decisions.extend(self.tell(missing, later(seconds)));
        }
        decisions
    }
}

/// Compares the runs of these seeds.
fn compare(seeds: impl Iterator<Item = u64>) {
    let (mut runs, mut decided) = (0, 0);
    for seed in seeds {
        let plan = Plan::of(seed);
        let (daemon, case) = (by_daemon(plan), by_case(plan));
        for (daemon, case) in daemon.iter().zip(&case) {
            assert_eq!(daemon, case, "seed {seed}: {plan:?}");
        }
        assert_eq!(daemon.len(), case.len(), "seed {seed}: {plan:?}");
        (runs, decided) = (runs + 1, decided + daemon.len());
    }
    assert!(decided > 6 * runs, "there is something to compare: {decided} decisions");
}

// In two halves, which run side by side.
#[test]
fn the_daemon_and_the_cases_decide_alike_with_even_seeds() {
    compare((0..RUNS).step_by(2));
}

#[test]
fn the_daemon_and_the_cases_decide_alike_with_odd_seeds() {
    compare((1..RUNS).step_by(2));
}
