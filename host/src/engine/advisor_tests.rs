//! Policies in modules: when they are asked, and what becomes of their answers.

use std::sync::Arc;

use jiff::Timestamp;

use super::act::Job;
use super::board::Effects;
use super::brain::Brain;
use super::inventory::Inventory;
use super::test_config::{Given, config, wasm_policy};
use crate::config::{Config, PolicyKind};
use crate::modules::Question;
use crate::record::{InstanceRecord, Stored};
use crate::scaling::{InstanceState, Proposal, Stance, Verdict};
use crate::store::Change;

const BASE: i64 = 1_438_089_350;
const UNITS: [&str; 3] = ["web@8080.service", "web@8082.service", "web@8084.service"];

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(BASE * 1000 + ms).unwrap()
}

/// How `web`, of which 2 to 4 may run, names its policies. `cold` is one with a metric, `clock` one without.
#[derive(Clone, Copy)]
enum Named {
    Both(&'static [&'static str]),
    Up(&'static str),
    Down(&'static str),
}

fn wasm_config(named: Named, cooldown: i64) -> Config {
    let mut config = config(&Given { period: 60, ..Given::default() });
    let wasm = wasm_policy(cooldown);
    for policy in config.policies.values_mut() {
        policy.kind = PolicyKind::Wasm(Box::new(wasm.clone()));
    }
    let mut clock = config.policies["cold"].clone();
    (clock.name, clock.windows) = ("clock".to_owned(), Vec::new());
    config.policies.insert(clock.name.clone(), clock);
    let web = &mut config.services["web"];
    (web.scale_up, web.scale_down) = (None, None);
    match named {
        Named::Both(policies) => web.scale_both = policies.iter().map(|name| (*name).to_owned()).collect(),
        Named::Up(name) => web.scale_up = Some(name.to_owned()),
        Named::Down(name) => web.scale_down = Some(name.to_owned()),
    }
    config
}

/// A brain with three instances of `web` up, that has read an empty etcd.
struct Fixture {
    brain: Brain,
    effects: Effects,
}

impl Fixture {
    fn new(config: &Config, mut stored: Stored) -> Self {
        let records = UNITS.map(|unit| (unit.to_owned(), InstanceRecord::launched(unit, &[])));
        stored.instances.insert("web".to_owned(), records.into());
        let mut brain = Brain::new(config, &stored);
        let mut effects = Effects::default();
        brain.take_over(&stored, Arc::new(Inventory::of_running(&UNITS)), at(0), &mut effects);
        brain.take_registrations(&[Change::SnapshotStart, Change::SnapshotEnd]);
        brain.take_metrics(&[Change::SnapshotStart, Change::SnapshotEnd], at(0));
        Self { brain, effects: Effects::default() }
    }

    fn of(named: Named) -> Self {
        Self::new(&wasm_config(named, 60), Stored::default())
    }

    fn sample(&mut self, id: &str, ms: i64, value: f64) {
        let key = format!("/metrics/web/{id}/cpu/{}", BASE * 1000 + ms);
        self.brain.take_metrics(&[Change::Put { key, value: value.to_string() }], at(ms));
    }

    fn asked(&mut self, ms: i64) -> Vec<(usize, Question)> {
        std::iter::from_fn(|| self.brain.question(at(ms))).collect()
    }

    /// Answers the question to the policy at `index`, and returns what is done.
    fn answer(&mut self, index: usize, ms: i64, proposal: Result<Proposal, &str>) -> Vec<String> {
        let verdict = |proposal| Verdict { proposal, reason: "so".to_owned(), state: vec![7], wake_at: None };
        self.effects = Effects::default();
        let answer = proposal.map(verdict).map_err(str::to_owned);
        self.brain.answered(index, answer, at(ms), &mut self.effects);
        let name = |job: &Job| match job {
            Job::Start { crew, .. } => format!("start {}", crew.instance.name),
            Job::Stop { crew, .. } => format!("stop {}", crew.instance.name),
            Job::Mend { .. } => "mend".to_owned(),
        };
        self.effects.jobs.iter().map(name).collect()
    }

    /// Asks every policy after a sample, and answers.
    fn decide(&mut self, ms: i64, proposals: &[Proposal]) -> Vec<String> {
        self.sample("a", ms, 50.0);
        let asked: Vec<usize> = self.asked(ms).into_iter().map(|(index, _)| index).collect();
        assert_eq!(asked.len(), proposals.len(), "everybody is asked");
        asked
            .into_iter()
            .zip(proposals)
            .flat_map(|(index, proposal)| self.answer(index, ms, Ok(proposal.clone())))
            .collect()
    }

    fn stance(&self, policy: &str) -> Stance {
        self.brain.board.posts[0].stances[policy]
    }
}

#[test]
fn it_is_asked_after_a_sample_again_after_its_interval_and_never_twice_within_the_gap() {
    let mut fixture = Fixture::of(Named::Both(&["cold"]));
    assert_eq!(fixture.asked(60_000), [], "samples from before the start cause nothing");
    fixture.sample("a", 60_000, 1.0);
    fixture.sample("b", 60_000, 2.0);
    let asked = fixture.asked(60_000);
    assert_eq!(asked.len(), 1);
    fixture.sample("a", 60_020, 1.0);
    assert_eq!(fixture.asked(60_200), [], "it is still thinking");
    fixture.answer(0, 60_030, Ok(Proposal::Hold));
    assert_eq!(fixture.asked(60_099), [], "within the gap");
    assert_eq!(fixture.asked(60_100).len(), 1, "it has not seen the last sample");
    fixture.answer(0, 60_110, Ok(Proposal::Hold));
    assert_eq!(fixture.brain.advisors.next_due(), Some(at(70_110)));
}

#[test]
fn a_policy_without_metrics_is_asked_at_once_and_when_it_wakes() {
    let mut fixture = Fixture::of(Named::Both(&["clock"]));
    let (index, question) = fixture.asked(0).pop().unwrap();
    assert!(question.seen.windows.is_empty() && !question.seen.lacks_data());
    let verdict = Verdict {
        proposal: Proposal::Hold,
        reason: String::new(),
        state: Vec::new(),
        wake_at: Some(at(2_500)),
    };
    fixture.brain.answered(index, Ok(verdict), at(1), &mut fixture.effects);
    assert_eq!(fixture.brain.advisors.next_due(), Some(at(2_500)));
}

#[test]
fn it_sees_the_service_its_windows_and_the_state_it_gave() {
    let mut fixture = Fixture::of(Named::Both(&["cold"]));
    let registration = "/services/web/b/service_instance_name".to_owned();
    fixture.brain.take_registrations(&[Change::Put { key: registration, value: UNITS[1].to_owned() }]);
    for (id, ms, value) in [("b", 0, 1.0), ("a", 10, 2.0), ("b", 61_000, 3.0), ("b", 62_000, 4.0)] {
        fixture.sample(id, ms, value);
    }
    let (index, question) = fixture.asked(62_000).pop().unwrap();
    let seen = &question.seen;
    let instances: Vec<_> = seen.service.instances.iter().map(|i| (&*i.name, i.number, i.state)).collect();
    let running = InstanceState::Running;
    assert_eq!(instances, [(UNITS[0], 8080, running), (UNITS[1], 8082, running), (UNITS[2], 8084, running)]);
    assert_eq!((seen.service.min, seen.service.max, seen.now), (2, Some(4), at(62_000)));
    let series: Vec<_> =
        seen.windows[0].series.iter().map(|s| (&*s.id, s.instance.as_deref(), &*s.values)).collect();
    assert_eq!(series, [("a", None, &[2.0][..]), ("b", Some(UNITS[1]), &[3.0, 4.0])]);
    fixture.answer(index, 62_001, Ok(Proposal::Hold));
    assert!(fixture.effects.policy_states.contains(&0), "the state is kept");
    fixture.sample("a", 63_000, 2.0);
    assert_eq!(*fixture.asked(63_000)[0].1.state, [7]);
}

#[test]
fn proposals_are_brought_within_the_bounds_and_carried_out() {
    let case = |proposal, expected: &[&str]| {
        assert_eq!(Fixture::of(Named::Both(&["cold"])).decide(0, &[proposal]), expected);
    };
    case(Proposal::Hold, &[]);
    case(Proposal::Up(1), &["start web@8086.service"]);
    case(Proposal::To(100), &["start web@8086.service"]);
    case(Proposal::To(3), &[]);
    case(Proposal::Down(1), &["stop web@8084.service"]);
    case(Proposal::To(0), &["stop web@8084.service"]);
    case(Proposal::Stop(vec![UNITS[0].to_owned()]), &["stop web@8080.service"]);
}

#[test]
fn of_several_instances_those_that_can_go_do_and_the_record_counts_them() {
    let case = |proposal: Proposal, expected: &[&str]| {
        let mut fixture = Fixture::of(Named::Both(&["cold"]));
        assert_eq!(fixture.decide(0, &[Proposal::Up(1)]), ["start web@8086.service"]);
        assert_eq!(fixture.decide(1_000, std::slice::from_ref(&proposal)), expected, "{proposal:?}");
        for job in &fixture.effects.jobs {
            let Job::Stop { intent, .. } = job else { panic!("a stop") };
            let record = intent.cooldown.as_ref().unwrap();
            assert_eq!((record.instances_before, record.instances_after), (4, 3), "{proposal:?}");
        }
    };
    let stop = |units: &[&str]| Proposal::Stop(units.iter().map(ToString::to_string).collect());
    case(stop(&["web@8086.service", UNITS[0]]), &["stop web@8080.service"]);
    case(stop(&[UNITS[0], "web@8086.service"]), &["stop web@8080.service"]);
    case(stop(&[UNITS[0], UNITS[0]]), &["stop web@8080.service"]);
    case(stop(&["web@8086.service"]), &[]);
    case(stop(&[UNITS[1], UNITS[0]]), &["stop web@8082.service"]);
    case(Proposal::To(2), &["stop web@8084.service"]);
    case(Proposal::Down(1), &[]);
}

#[test]
fn a_policy_for_one_direction_acts_in_that_one_only() {
    assert_eq!(Fixture::of(Named::Up("cold")).decide(0, &[Proposal::Down(1)]), [] as [String; 0]);
    assert_eq!(Fixture::of(Named::Up("cold")).decide(0, &[Proposal::Up(1)]), ["start web@8086.service"]);
    assert_eq!(Fixture::of(Named::Down("cold")).decide(0, &[Proposal::Up(1)]), [] as [String; 0]);
    assert_eq!(Fixture::of(Named::Down("cold")).decide(0, &[Proposal::Down(1)]), ["stop web@8084.service"]);
}

#[test]
fn after_it_scaled_it_rests_in_that_direction_also_after_a_restart() {
    let config = wasm_config(Named::Both(&["cold"]), 60);
    let mut fixture = Fixture::new(&config, Stored::default());
    fixture.sample("a", 0, 1.0);
    fixture.asked(0);
    fixture.answer(0, 0, Ok(Proposal::Up(1)));
    let Job::Start { intent, .. } = &fixture.effects.jobs[0] else { panic!("a start") };
    let record = intent.cooldown.clone().unwrap();
    assert_eq!((record.instances_before, record.instances_after, record.until), (3, 4, at(60_000)));
    let mut stored = Stored::default();
    stored.cooldowns.insert("web".to_owned(), vec![record]);
    let mut again = Fixture::new(&config, stored);
    assert_eq!(again.decide(59_999, &[Proposal::Up(1)]), [] as [String; 0]);
    assert_eq!(again.brain.board.posts[0].last_up.unwrap().after, 4);
    assert_eq!(again.decide(60_100, &[Proposal::Up(1)]), ["start web@8086.service"]);
}

#[test]
fn a_failure_changes_nothing_is_reported_and_asked_again_later_and_later() {
    let mut fixture = Fixture::of(Named::Both(&["cold"]));
    fixture.sample("a", 0, 1.0);
    fixture.asked(0);
    for (failure, next) in [(0, 10_000), (1, 20_000), (2, 40_000)] {
        assert_eq!(fixture.answer(0, 0, Err("it trapped")), [] as [String; 0]);
        assert_eq!(fixture.effects.policy_statuses.contains(&0), failure == 0, "told once");
        assert_eq!(fixture.brain.advisors.next_due(), Some(at(next)));
        fixture.sample("a", failure + 1, 1.0);
        assert_eq!(fixture.brain.advisors.next_due(), Some(at(next)), "samples do not hurry it");
        assert_eq!(fixture.asked(next).len(), 1);
    }
    fixture.answer(0, 40_000, Ok(Proposal::Stop(vec!["web@1.service".to_owned()])));
    assert_eq!(fixture.stance("cold"), Stance::Failed, "unknown instances are a failure");
    assert!(fixture.effects.policy_states.is_empty(), "a failed decision leaves no state");
}

#[test]
fn a_policy_fails_since_its_first_failure_whatever_fails_next() {
    let mut fixture = Fixture::of(Named::Both(&["cold"]));
    fixture.sample("a", 0, 1.0);
    for (ms, error) in [(0, "it trapped"), (10_000, "it called `exit`")] {
        assert_eq!(fixture.asked(ms).len(), 1);
        fixture.answer(0, ms, Err(error));
        let trouble = fixture.brain.advisors.all[0].trouble.as_ref().unwrap();
        assert_eq!((&*trouble.error, trouble.since), (error, at(0)));
        assert!(fixture.effects.policy_statuses.contains(&0), "{error} is written");
    }
}

#[test]
fn a_policy_whose_module_cannot_be_used_says_so_at_once_and_begins_when_it_can() {
    let mut fixture = Fixture::of(Named::Both(&["cold"]));
    fixture.brain.ask_at_once(&["cold".to_owned()], at(0));
    assert_eq!(fixture.asked(0).len(), 1, "without a sample");
    fixture.answer(0, 0, Err("there is no such file"));
    assert_eq!(fixture.stance("cold"), Stance::Failed);
    let renewed = |fixture: &mut Fixture, ms| {
        fixture.effects = Effects::default();
        fixture.brain.renewed(&["cold".to_owned()], at(ms), &mut fixture.effects);
    };
    renewed(&mut fixture, 1_000);
    assert!(fixture.effects.policy_statuses.contains(&0) && fixture.brain.advisors.all[0].trouble.is_none());
    assert_eq!(fixture.stance("cold"), Stance::NoData);
    assert_eq!(fixture.brain.advisors.next_due(), None, "samples from before the start cause nothing");
    fixture.sample("a", 2_000, 1.0);
    assert_eq!(fixture.asked(2_000).len(), 1);
    for _ in 0..5 {
        fixture.answer(0, 2_000, Err("it trapped"));
    }
    renewed(&mut fixture, 3_000);
    assert_eq!(fixture.asked(3_000).len(), 1, "it need not wait until its pause is over");
    fixture.answer(0, 3_000, Ok(Proposal::Hold));
    assert_eq!(fixture.stance("cold"), Stance::Stays);
}

#[test]
fn the_largest_count_wins_and_who_failed_or_has_no_data_keeps_instances() {
    let both = || Fixture::of(Named::Both(&["cold", "hot"]));
    let up = both().decide(0, &[Proposal::Down(1), Proposal::Up(1)]);
    assert_eq!(up, ["start web@8086.service"], "the first is kept: the second has no data yet");
    assert_eq!(both().decide(0, &[Proposal::Hold, Proposal::Down(1)]), [] as [String; 0], "one stays");
    let agreed = both().decide(0, &[Proposal::Down(1), Proposal::Down(1)]);
    assert_eq!(agreed, ["stop web@8084.service"], "the second knows what the first wants");
    let mut fixture = both();
    fixture.sample("a", 0, 1.0);
    fixture.asked(0);
    fixture.answer(0, 0, Err("it trapped"));
    assert_eq!(fixture.answer(1, 0, Ok(Proposal::Down(1))), [] as [String; 0]);
    assert_eq!(fixture.answer(1, 0, Ok(Proposal::Up(1))), ["start web@8086.service"]);
}

#[test]
fn what_is_stored_of_policies_that_nobody_asks_any_more_goes() {
    let mut stored = Stored::default();
    for (service, policy) in [("web", "cold"), ("web", "gone"), ("former", "cold")] {
        stored.policy_states.entry(service.to_owned()).or_default().insert(policy.to_owned(), vec![1]);
    }
    let brain = Brain::new(&wasm_config(Named::Both(&["cold"]), 60), &stored);
    assert_eq!(brain.unasked(&stored), ["/_dynamite/policy/former/cold", "/_dynamite/policy/web/gone"]);
    assert_eq!(*brain.advisors.all[0].state, [1]);
}
