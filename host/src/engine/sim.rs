//! The engine under a simulated etcd, fleet and time: killed at every call, against a second one, with calls that fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynamite_core::Bounds;
use tokio::time::{Instant, sleep, sleep_until};

use super::test_config::{self, Given, service};
use crate::clock::Clock;
use crate::config::{Config, Role};
use crate::engine::{Parts, World};
use crate::fakes::{Link, Universe, begin_life};
use crate::journal::Journal;
use crate::{lead, record};

const TTL: Duration = Duration::from_secs(5);
const COOLDOWN: i64 = 20;

/// Everything is simulated.
struct Simulated;

impl World for Simulated {
    type Store = Link;
    type Fleet = Link;
    type Clock = Link;
    type Modules = Link;
}

/// The policies that scale `web`.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Thresholds,
    /// A policy in a module, both ways.
    Module,
}

/// `web`, 2 to 4 instances with `log` attached, after `db`, which is one unit.
pub(crate) fn config(by: By) -> Config {
    let mut config = test_config::config(&Given { aggregated: true, cooldown: COOLDOWN, ..Given::default() });
    config.services["web"].depends_on.push("db".to_owned());
    config.services.insert("db".to_owned(), service("db", false, Role::Scaled));
    if let By::Module = by {
        test_config::scale_by_module(&mut config, COOLDOWN);
    }
    config
}

/// A process: it leads, whenever it can, with this configuration.
async fn process(world: &Arc<Mutex<Universe>>, holder: &str, mortal: bool, config: &Config) {
    told_process(world, holder, mortal, config, Arc::new(crate::journal::Log::default())).await;
}

/// The same, which tells this journal what happens.
pub(crate) async fn told_process(
    world: &Arc<Mutex<Universe>>,
    holder: &str,
    mortal: bool,
    config: &Config,
    journal: Arc<dyn Journal>,
) {
    let link = Link::new(world, mortal);
    let rng = fastrand::Rng::with_seed(7);
    let (store, fleet, clock, health) = (link.clone(), link.clone(), link.clone(), Arc::default());
    let parts = Parts { store, fleet, clock, modules: link, health, journal, rng };
    let served: Result<(), ()> =
        lead::serve::<Simulated, _>(parts, holder, TTL, |_| Ok(config.clone()), std::future::pending()).await;
    assert_eq!(served, Ok(()));
}

/// What happens to the services: hot from 20 s to 60 s, a unit lost and one crashed, cold from 100 s to 150 s.
pub(crate) async fn weather(world: &Arc<Mutex<Universe>>) {
    let link = Link::new(world, false);
    let start = Instant::now();
    for second in 0..150_u64 {
        sleep_until(start + Duration::from_secs(second)).await;
        let value = match second {
            20..60 => "95.5",
            100.. => "5",
            _ => "50",
        };
        let mut world = world.lock().unwrap();
        world.put(&format!("/metrics/web/cpu/{}", link.now()), value);
        match second {
            70 => world.lose("web@8080.service"),
            75 => world.crash("log@8082.service"),
            80 => world.crash("web@8082.service"),
            85 => world.lose("db.service"),
            _ => {}
        }
    }
    sleep(Duration::from_mins(1)).await;
}

fn assert_sound(world: &Mutex<Universe>, context: &str) {
    let world = world.lock().unwrap();
    let launched = world.launched();
    let mut recorded: Vec<String> = Vec::new();
    for key in world.below("/_dynamite/run/service") {
        let name = key.rsplit('/').next().unwrap();
        if name != "fleet_service_template" {
            let record = record::InstanceRecord::read(world.get(key).unwrap()).unwrap();
            recorded.push(name.to_owned());
            recorded.extend(record.attached);
        }
    }
    recorded.sort();
    let history = world.history.join("\n  ");
    assert_eq!(launched, recorded, "every unit is recorded and runs, {context}\n  {history}");
    assert_eq!(world.below("/_dynamite/intent"), [] as [&str; 0], "{context}");
    assert_eq!(world.get(record::STATUS), Some("Running"), "{context}");
    assert!(!history.contains("REPLACE") && !history.contains("8084"), "{context}\n  {history}");
    let web = launched.iter().filter(|name| name.starts_with("web@")).count();
    assert_eq!((web, launched.len()), (2, 5), "{context}: {launched:?}");
    assert!(world.below("/metrics").len() <= 1, "samples are cleaned up");
}

/// How many instances of `web` were made because of load: two are there from the start, two are put back.
fn grown(world: &Mutex<Universe>) -> u32 {
    let world = world.lock().unwrap();
    world.created.iter().filter(|(name, _)| name.starts_with("web@")).map(|(_, times)| times).sum::<u32>() - 4
}

/// One life that ends at a call, then another to the end.
async fn two_lives(by: By, dies_at: Option<u64>, failures: Option<u64>) -> (Arc<Mutex<Universe>>, u64) {
    let world = Arc::new(Mutex::new(Universe::default()));
    world.lock().unwrap().add_foreign("web@8084.service");
    begin_life(&world, dies_at, failures);
    let config = config(by);
    let death = world.lock().unwrap().death.clone();
    let lives = async {
        tokio::select! {
            biased;
            () = process(&world, "first", true, &config) => {}
            () = death.notified() => {}
        }
        begin_life(&world, None, failures);
        process(&world, "second", true, &config).await;
    };
    tokio::select! { biased; () = lives => {}, () = weather(&world) => {} }
    let calls = begin_life(&world, None, None);
    (world, calls)
}

pub(crate) fn simulate<T>(run: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(run)
}

#[test]
fn a_life_without_accidents_scales_and_replaces() {
    let (world, _) = simulate(two_lives(By::Thresholds, None, None));
    assert_sound(&world, "no accident");
    assert_eq!(grown(&world), 2, "up to max_instance, with the cooldown between");
    let world = world.lock().unwrap();
    assert_eq!(world.created["db.service"], 2);
    let first = |name: &str| world.history.iter().position(|event| event == &format!("launch {name}"));
    assert!(first("db.service") < first("web@8080.service"), "dependencies are launched first");
    assert!(first("web@8080.service") < first("log@8080.service"), "attached units are launched last");
}

/// Kills a process at every so manieth call, from `first` on, and lets another go on.
fn kill_at(by: By, first: u64, every: usize) {
    let (_, calls) = simulate(two_lives(by, None, None));
    assert!(calls > 300, "the simulation does something: {calls}");
    for dies_at in (first..=calls).step_by(every) {
        let (world, _) = simulate(two_lives(by, Some(dies_at), None));
        assert_sound(&world, &format!("killed at call {dies_at} of {calls}"));
        assert!(grown(&world) <= 2, "cooldowns and bounds outlive the process, killed at call {dies_at}");
    }
}

#[test]
fn a_process_killed_at_any_odd_call_leaves_everything_to_the_next() {
    kill_at(By::Thresholds, 1, 2);
}

#[test]
fn a_process_killed_at_any_even_call_leaves_everything_to_the_next() {
    kill_at(By::Thresholds, 2, 2);
}

#[test]
fn a_policy_in_a_module_scales_by_more_than_one_and_its_state_outlives_the_process() {
    let (world, _) = simulate(two_lives(By::Module, None, None));
    assert_sound(&world, "no accident");
    assert_eq!(grown(&world), 2, "up to max_instance at once");
    assert!(world.lock().unwrap().get("/_dynamite/policy/web/hot").is_some());
    kill_at(By::Module, 1, 7);
}

#[test]
fn failing_calls_and_a_kill_together_are_survived() {
    for seed in 0..40 {
        let (world, _) = simulate(two_lives(By::Thresholds, Some(17 + seed * 31), Some(seed)));
        assert_sound(&world, &format!("seed {seed}"));
    }
}

#[test]
fn two_processes_do_not_get_into_each_others_way() {
    let world = Arc::new(Mutex::new(Universe::default()));
    world.lock().unwrap().add_foreign("web@8084.service");
    let config = config(By::Thresholds);
    simulate(async {
        let both = async {
            tokio::join!(process(&world, "first", false, &config), process(&world, "second", false, &config))
        };
        tokio::select! { biased; _ = both => {}, () = weather(&world) => {} }
    });
    assert_sound(&world, "two processes");
    assert_eq!(grown(&world), 2);
}

#[test]
fn a_wiped_etcd_is_written_again_and_no_unit_is_doubled() {
    let world = Arc::new(Mutex::new(Universe::default()));
    let config = config(By::Thresholds);
    simulate(async {
        let accident = async {
            sleep(Duration::from_secs(15)).await;
            let before = world.lock().unwrap().launched().len();
            world.lock().unwrap().wipe();
            sleep(Duration::from_secs(30)).await;
            assert_eq!(world.lock().unwrap().launched().len(), before);
        };
        tokio::select! { biased; () = process(&world, "first", false, &config) => {}, () = accident => {} }
    });
    let world = world.lock().unwrap();
    assert!(world.created.values().all(|times| *times == 1), "{:?}", world.created);
    assert_eq!(world.below("/_dynamite/run/service/web").len(), 3, "template and two instances");
}

#[test]
fn what_was_attached_by_a_former_configuration_goes_with_its_instance() {
    let world = Arc::new(Mutex::new(Universe::default()));
    let first = config(By::Thresholds);
    let mut second = config(By::Thresholds);
    second.services["web"].bounds = Bounds { min: 1, max: Some(2) };
    second.services["web"].attached = vec!["audit".to_owned()];
    second.services.insert("audit".to_owned(), service("audit", true, Role::Attached));
    let mut third = second.clone();
    third.services["web"].bounds.max = Some(1);
    // Somebody else's, under a name that the second configuration gives to an attached unit.
    world.lock().unwrap().add_foreign("audit@8082.service");
    let life = async |config: &Config, seconds| {
        tokio::select! {
            biased;
            () = process(&world, "one", false, config) => {}
            () = sleep(Duration::from_secs(seconds)) => {}
        }
        world.lock().unwrap().launched().join(" ")
    };
    simulate(async {
        life(&first, 20).await;
        let before = life(&second, 20).await;
        let all = "db.service log@8080.service log@8082.service web@8080.service web@8082.service";
        assert_eq!(before, all, "instances that run keep what is attached to them");
        world.lock().unwrap().crash("web@8080.service");
        let after = life(&second, 40).await;
        let all = "audit@8080.service db.service log@8082.service web@8080.service web@8082.service";
        assert_eq!(after, all, "an instance that is replaced gets what is configured now");
        let after = life(&third, 40).await;
        assert_eq!(after, "audit@8080.service db.service web@8080.service");
        let world = world.lock().unwrap();
        assert!(!world.history.iter().any(|event| event.contains("audit@8082")), "{:?}", world.history);
    });
}

#[test]
fn a_service_that_never_starts_is_degraded_and_holds_up_nobody_else() {
    let world = Arc::new(Mutex::new(Universe::default()));
    world.lock().unwrap().broken.insert("web@".to_owned());
    let config = config(By::Thresholds);
    let life = async |seconds| {
        tokio::select! {
            biased;
            () = process(&world, "one", false, &config) => {}
            () = sleep(Duration::from_secs(seconds)) => {}
        }
    };
    simulate(async {
        life(45).await;
        {
            let world = world.lock().unwrap();
            assert!(world.launched().contains(&"db.service"));
            assert_eq!(world.get(record::STATUS), Some("Running"));
            let status = world.get("/_dynamite/state/service/web").unwrap_or_default();
            assert!(status.contains("degraded") && status.contains("failed"), "{status}");
        }
        world.lock().unwrap().broken.clear();
        life(15).await;
        let world = world.lock().unwrap();
        assert_eq!((world.launched().len(), world.get("/_dynamite/state/service/web")), (5, None));
    });
}
