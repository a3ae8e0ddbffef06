//! What the engine decides, without I/O: changes and looks go in, jobs come out.

use std::sync::Arc;

use dynamite_core::Cooldown;
use jiff::Timestamp;

use super::act::{Job, Outcome};
use super::brain::Brain;
use super::inventory::Inventory;
use super::test_config::{Given, config, service};
use crate::config::{Config, Role};
use crate::record::{Action, CooldownRecord, InstanceRecord, Intent, Stored};
use crate::store::Change;

const BASE: i64 = 1_438_089_350;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BASE + second).unwrap()
}

fn record(unit: &str) -> (String, InstanceRecord) {
    (unit.to_owned(), InstanceRecord::launched(unit, &[]))
}

/// A state with these instances of `web`.
fn stored(units: &[&str]) -> Stored {
    let mut stored = Stored::default();
    stored.instances.insert("web".to_owned(), units.iter().map(|unit| record(unit)).collect());
    stored
}

/// A brain that has taken over these instances of `web`, all of them up, and has read an empty etcd.
struct Fixture {
    brain: Brain,
}

impl Fixture {
    fn new(config: &Config, units: &[&str]) -> Self {
        let (mut fixture, jobs) = Self::recovering(config, &stored(units), units);
        assert_eq!(jobs, [] as [String; 0]);
        fixture.brain.take_registrations(&[Change::SnapshotStart, Change::SnapshotEnd]);
        assert_eq!(fixture.metrics(&[Change::SnapshotStart, Change::SnapshotEnd]), [] as [String; 0]);
        fixture
    }

    /// One that has just taken over, with what it does first.
    fn recovering(config: &Config, stored: &Stored, up: &[&str]) -> (Self, Vec<String>) {
        let mut brain = Brain::new(config, stored);
        let mut effects = super::Effects::default();
        brain.take_over(stored, Arc::new(Inventory::of_running(up)), at(0), &mut effects);
        (Self { brain }, effects.jobs.iter().map(name).collect())
    }

    fn metrics(&mut self, changes: &[Change]) -> Vec<String> {
        self.jobs(changes).iter().map(name).collect()
    }

    fn jobs(&mut self, changes: &[Change]) -> Vec<Job> {
        self.brain.take_metrics(changes, at(1000)).jobs
    }

    /// A sample of an instance.
    fn sample(&mut self, id: &str, second: i64, value: f64) -> Vec<String> {
        let key = format!("/metrics/web/{id}/cpu/{}", BASE + second);
        self.metrics(&[Change::Put { key, value: value.to_string() }])
    }

    fn register(&mut self, id: &str, unit: &str) {
        let key = format!("/services/web/{id}/service_instance_name");
        self.brain.take_registrations(&[Change::Put { key, value: unit.to_owned() }]);
    }
}

fn name(job: &Job) -> String {
    let verb = match job {
        Job::Start { .. } => "start",
        Job::Stop { .. } => "stop",
        Job::Mend { .. } => "mend",
    };
    format!("{verb} {}", job.crew().instance.name)
}

const TWO: [&str; 2] = ["web@8080.service", "web@8082.service"];
const THREE: [&str; 3] = ["web@8080.service", "web@8082.service", "web@8084.service"];

#[test]
fn a_cold_start_starts_the_minimum_at_the_lowest_numbers() {
    let (_, jobs) = Fixture::recovering(&config(&Given::default()), &Stored::default(), &[]);
    assert_eq!(jobs, ["start web@8080.service", "start web@8082.service"]);
}

#[test]
fn numbers_of_units_that_are_not_ours_are_skipped() {
    let config = config(&Given::default());
    let (_, jobs) =
        Fixture::recovering(&config, &Stored::default(), &["web@8080.service", "log@8082.service"]);
    assert_eq!(jobs, ["start web@8084.service", "start web@8086.service"]);
}

#[test]
fn load_adds_one_up_to_the_maximum_and_the_bound_leaves_the_trigger() {
    let mut fixture = Fixture::new(&config(&Given { cooldown: 10, ..Given::default() }), &TWO);
    assert_eq!(fixture.sample("i", 0, 95.0), ["start web@8084.service"]);
    assert_eq!(fixture.sample("i", 9, 95.0), [] as [&str; 0], "cooling down");
    assert_eq!(fixture.sample("j", 10, 95.0), ["start web@8086.service"]);
    assert_eq!(fixture.sample("j", 20, 95.0), [] as [&str; 0], "4 of 4");
    assert_eq!(fixture.sample("j", 21, 95.0), [] as [&str; 0], "4 of 4, and no cooldown began");
}

#[test]
fn the_instance_whose_series_fired_goes_else_the_highest() {
    let mut fixture = Fixture::new(&config(&Given::default()), &THREE);
    fixture.register("i", "web@8082");
    assert_eq!(fixture.sample("i", 0, 5.0), ["stop web@8082.service"]);
    let mut fixture = Fixture::new(&config(&Given::default()), &THREE);
    assert_eq!(fixture.sample("stranger", 0, 5.0), ["stop web@8084.service"]);
    assert_eq!(fixture.sample("stranger", 1, 5.0), [] as [&str; 0], "2 of 2 (min_instance)");
}

#[test]
fn the_series_of_another_service_of_the_type_does_not_scale_this_one() {
    let mut config = config(&Given::default());
    let other =
        crate::config::Service { service_type: "web".to_owned(), ..service("other", true, Role::Scaled) };
    config.services.insert("other".to_owned(), other);
    let mut stored = stored(&THREE);
    stored.instances.insert("other".to_owned(), [record("other@1.service")].into());
    let up = [&THREE[..], &["other@1.service"]].concat();
    let (mut fixture, _) = Fixture::recovering(&config, &stored, &up);
    fixture.brain.take_registrations(&[Change::SnapshotStart, Change::SnapshotEnd]);
    fixture.metrics(&[Change::SnapshotStart, Change::SnapshotEnd]);
    fixture.register("o", "other@1.service");
    assert_eq!(fixture.sample("o", 0, 95.0), [] as [&str; 0]);
    fixture.register("o", "web@8080.service");
    assert_eq!(fixture.sample("o", 1, 95.0), ["start web@8086.service"]);
}

#[test]
fn samples_from_before_the_start_set_triggers_and_cause_nothing() {
    let config = config(&Given { period: 30, ..Given::default() });
    let (mut fixture, _) = Fixture::recovering(&config, &stored(&TWO), &TWO);
    fixture.brain.take_registrations(&[Change::SnapshotStart, Change::SnapshotEnd]);
    let put =
        |second| Change::Put { key: format!("/metrics/web/i/cpu/{}", BASE + second), value: "95".to_owned() };
    let backlog = [Change::SnapshotStart, put(40), put(10), put(20), Change::SnapshotEnd];
    assert_eq!(fixture.metrics(&backlog), [] as [&str; 0]);
    assert_eq!(fixture.sample("i", 41, 95.0), ["start web@8084.service"]);
}

#[test]
fn a_cooldown_from_before_the_start_is_in_force() {
    let mut stored = stored(&TWO);
    let cooldown = CooldownRecord::new("hot", Cooldown { fired_at: at(0), until: at(60) }, (2, 3));
    stored.cooldowns.insert("web".to_owned(), vec![cooldown]);
    let (mut fixture, _) = Fixture::recovering(&config(&Given::default()), &stored, &TWO);
    fixture.brain.take_registrations(&[Change::SnapshotStart, Change::SnapshotEnd]);
    fixture.metrics(&[Change::SnapshotStart, Change::SnapshotEnd]);
    assert_eq!(fixture.sample("i", 59, 95.0), [] as [&str; 0]);
    assert_eq!(fixture.sample("i", 60, 95.0), ["start web@8084.service"]);
}

#[test]
fn what_wbegun_with_is_finished_and_what_is_not_configured_goes() {
    let mut stored = stored(&THREE);
    stored.instances.insert("gone".to_owned(), [record("gone@1.service")].into());
    let stop = Intent { action: Action::Stop, units: [].into(), reason: String::new(), cooldown: None };
    let start = Intent { action: Action::Start, ..stop.clone() };
    let intents = [("web@8084.service".to_owned(), stop), ("web@8086.service".to_owned(), start)];
    stored.intents.insert("web".to_owned(), intents.into());
    let (_, jobs) = Fixture::recovering(&config(&Given::default()), &stored, &THREE);
    assert_eq!(jobs, ["stop gone@1.service", "stop web@8084.service", "start web@8086.service"]);
}

#[test]
fn instances_of_a_former_unit_file_go_when_the_minimum_of_new_ones_is_up() {
    let config = config(&Given::default());
    let mut brain = Brain::new(&config, &stored(&["former@1.service"]));
    let mut effects = super::Effects::default();
    let inventory = Arc::new(Inventory::of_running(&["former@1.service"]));
    brain.take_over(&stored(&["former@1.service"]), inventory, at(0), &mut effects);
    let jobs = effects.jobs;
    assert_eq!(
        jobs.iter().map(name).collect::<Vec<_>>(),
        ["start web@8080.service", "start web@8082.service"]
    );
    for (job, follows) in jobs.iter().zip([None, Some("stop former@1.service")]) {
        let mut effects = super::Effects::default();
        brain.board.finished(job, Outcome::Started, at(0), &mut effects);
        assert_eq!(effects.jobs.first().map(name).as_deref(), follows);
    }
}

#[test]
fn a_lowered_maximum_is_applied_from_the_top() {
    let mut config = config(&Given::default());
    config.services["web"].bounds.max = Some(2);
    let (_, jobs) = Fixture::recovering(&config, &stored(&THREE), &THREE);
    assert_eq!(jobs, ["stop web@8084.service"]);
}

#[test]
fn an_attached_unit_that_does_not_stay_up_is_brought_back_after_growing_pauses() {
    let unit = "web@8080.service".to_owned();
    let record = InstanceRecord::launched(&unit, &["log@8080.service".to_owned()]);
    let mut stored = stored(&TWO[1..]);
    stored.instances.entry("web".to_owned()).or_default().insert(unit, record);
    let (mut fixture, _) = Fixture::recovering(&config(&Given::default()), &stored, &TWO);
    let mut seconds = Vec::new();
    for second in (0..240).step_by(5).chain([600, 605]) {
        let mut effects = super::Effects::default();
        fixture.brain.look(Arc::new(Inventory::of_running(&TWO)), at(second), &mut effects);
        for job in effects.jobs {
            assert_eq!(name(&job), "mend web@8080.service");
            let outcome = Outcome::Mended("log@8080.service".to_owned());
            fixture.brain.board.finished(&job, outcome, at(second), &mut super::Effects::default());
            seconds.push(second);
        }
    }
    assert_eq!(seconds, [0, 5, 10, 20, 40, 75, 135, 195, 600, 605]);
}

#[test]
fn a_lost_unit_is_replaced_after_a_second_look_and_attempts_back_off() {
    let mut fixture = Fixture::new(&config(&Given::default()), &TWO);
    let look = |brain: &mut Brain, up: &[&str], second| {
        let mut effects = super::Effects::default();
        brain.look(Arc::new(Inventory::of_running(up)), at(second), &mut effects);
        effects.jobs
    };
    let up = ["web@8080.service", "log@8080.service", "log@8082.service"];
    assert!(look(&mut fixture.brain, &up, 0).is_empty());
    let jobs = look(&mut fixture.brain, &up, 5);
    assert_eq!(jobs.iter().map(name).collect::<Vec<_>>(), ["start web@8082.service"]);
    let mut pauses = Vec::new();
    let mut job = jobs.into_iter().next().unwrap();
    for second in 0..6 {
        let mut effects = super::Effects::default();
        let outcome = Outcome::Failed("no".to_owned());
        fixture.brain.board.finished(&job, outcome, at(10 + second), &mut effects);
        job = effects.jobs.remove(0);
        let Job::Start { after, .. } = &job else { panic!("{job:?}") };
        pauses.push(after.as_secs());
    }
    assert_eq!(
        pauses,
        [1, 2, 4, 60, 60, 60],
        "after the fourth failure it is degraded, and goes on below its minimum"
    );
}
