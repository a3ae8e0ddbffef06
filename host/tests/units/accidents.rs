//! Whoever dies at whatever moment: a unit neither runs twice nor is left behind.

use std::time::Duration;

use dynamite::embedded::Error;
use dynamite::fleet::{DesiredState, Fleet};
use tokio::time::sleep;

use crate::{Machine, exists, kill, until};

const NAME: &str = "web@8080.service";
const SLEEPER: &str = "ExecStart=/bin/sh -c 'sleep 1000; true' DIR/main";

#[tokio::test]
async fn units_outlive_dynamite() {
    let mut machine = Machine::start().await;
    machine.launch(NAME, SLEEPER).await;
    machine.launch("failed.service", "ExecStart=/bin/false").await;
    machine.until_up(NAME).await;
    machine.until("failed.service", "loaded failed failed").await;
    let pid = machine.main_pid(NAME).unwrap();
    machine.crash();
    assert!(exists(pid));
    machine.boot().await;
    assert_eq!(machine.state(NAME).await, "loaded active running", "it is up from the first moment on");
    assert_eq!(machine.main_pid(NAME), Some(pid));
    machine.until("failed.service", "loaded failed failed").await;
    let unit = machine.fleet().unit(NAME).await.unwrap().unwrap();
    assert_eq!((unit.desired, unit.current), (Some(DesiredState::Launched), Some(DesiredState::Launched)));
    machine.want(NAME, DesiredState::Loaded).await;
    machine.until(NAME, "loaded inactive dead").await;
    assert!(!exists(pid));
}

#[tokio::test]
async fn what_ends_while_nobody_looks_is_known_afterwards() {
    let mut machine = Machine::start().await;
    machine.launch(NAME, SLEEPER).await;
    machine.launch("stopping.service", &format!("{SLEEPER}\nExecStop=/bin/sh -c 'sleep 0.3'")).await;
    machine.until_up(NAME).await;
    machine.until_up("stopping.service").await;
    machine.want("stopping.service", DesiredState::Loaded).await;
    machine.crash();
    kill("KILL", machine.main_pid(NAME).unwrap());
    until("no supervisor of it", || machine.processes("supervise").len() < 2).await;
    machine.boot().await;
    machine.until(NAME, "loaded failed failed").await;
    machine.until("stopping.service", "loaded inactive dead").await;
}

#[tokio::test]
async fn a_lost_supervisor_is_replaced_and_its_processes_end() {
    let machine = Machine::start().await;
    machine.launch(NAME, SLEEPER).await;
    machine.until_processes("/main", 1).await;
    machine.until_up(NAME).await;
    let (first, supervisor) = (machine.main_pid(NAME).unwrap(), machine.supervisors()[0]);
    kill("KILL", supervisor);
    until("another process", || machine.main_pid(NAME).is_some_and(|pid| pid != first)).await;
    machine.until_up(NAME).await;
    assert!(!exists(first));
    assert_eq!((machine.supervisors().len(), machine.processes("/main").len()), (1, 1));
}

#[tokio::test]
async fn after_a_reboot_launched_units_are_started_again() {
    let mut machine = Machine::start().await;
    for name in [NAME, "stopped.service"] {
        machine.launch(name, SLEEPER).await;
        machine.until_up(name).await;
    }
    machine.launch("failed.service", "ExecStart=/bin/sh -c 'echo >> DIR/log; exit 1'").await;
    machine.until("failed.service", "loaded failed failed").await;
    machine.want("stopped.service", DesiredState::Loaded).await;
    machine.until("stopped.service", "loaded inactive dead").await;
    machine.crash();
    for pid in machine.processes("") {
        kill("KILL", pid);
    }
    until("nothing runs", || machine.processes("").is_empty()).await;
    for name in [NAME, "failed.service"] {
        machine.forget_era(name);
    }
    machine.boot().await;
    machine.until_up(NAME).await;
    until("another attempt", || machine.read("log").lines().count() == 2).await;
    machine.until("failed.service", "loaded failed failed").await;
    assert_eq!(machine.state("stopped.service").await, "loaded inactive dead");
}

#[tokio::test]
async fn units_can_be_suspended_with_their_machine() {
    let mut machine = Machine::start().await;
    let lines = format!("{SLEEPER}\nExecStop=/bin/sh -c 'echo stop > DIR/log'");
    machine.launch(NAME, &lines).await;
    machine.launch("failed.service", "ExecStart=/bin/false").await;
    machine.until_up(NAME).await;
    machine.until("failed.service", "loaded failed failed").await;
    machine.embedded().suspend_units().await;
    assert_eq!(machine.read("log"), "stop\n");
    until("no process", || machine.processes("").is_empty()).await;
    machine.crash();
    machine.forget_era(NAME);
    machine.boot().await;
    machine.until_up(NAME).await;
}

#[tokio::test]
async fn what_was_removed_while_dynamite_died_goes() {
    let mut machine = Machine::start().await;
    machine.launch(NAME, SLEEPER).await;
    machine.until_up(NAME).await;
    machine.crash();
    std::fs::remove_file(machine.path(&format!("data/fleet/{NAME}.json"))).unwrap();
    machine.boot().await;
    until("no process", || machine.processes("").is_empty()).await;
    until("no folder", || !machine.path(&format!("data/units/{NAME}")).exists()).await;
}

#[tokio::test]
async fn death_at_any_moment_leaves_one_of_each_unit() {
    let mut machine = Machine::start().await;
    let mut rng = fastrand::Rng::with_seed(17);
    let names: Vec<String> = (0..4).map(|number| format!("web@{number}.service")).collect();
    for round in 0..12 {
        for name in &names {
            match rng.u8(0..4) {
                0 => machine.fleet().destroy(name).await.unwrap(),
                1 if machine.fleet().unit(name).await.unwrap().is_some() => {
                    machine.want(name, DesiredState::Loaded).await;
                }
                _ => machine.launch(name, "ExecStart=/bin/sh -c 'sleep 1000; true' DIR/%i/main").await,
            }
        }
        sleep(Duration::from_millis(rng.u64(0..30))).await;
        if round % 3 == 0
            && let Some(supervisor) = rng.choice(machine.supervisors())
        {
            kill("KILL", supervisor);
        }
        machine.crash();
        machine.boot().await;
    }
    for name in &names {
        machine.launch(name, "ExecStart=/bin/sh -c 'sleep 1000; true' DIR/%i/main").await;
    }
    for (number, name) in names.iter().enumerate() {
        // One that was stopped and started again within a moment may have ended as it was told.
        if machine.state(name).await != "loaded active running" {
            machine.want(name, DesiredState::Loaded).await;
            machine.want(name, DesiredState::Launched).await;
        }
        machine.until_up(name).await;
        machine.until_processes(&format!("/{number}/main"), 1).await;
    }
    assert_eq!(machine.supervisors().len(), names.len());
    machine.embedded().stop_units().await.unwrap();
    until("no process", || machine.processes("").is_empty()).await;
}

#[tokio::test]
async fn whoever_ends_a_supervisor_ends_its_unit() {
    let machine = Machine::start().await;
    let lines = format!("{SLEEPER}\nExecStop=/bin/sh -c 'echo stop > DIR/log'");
    machine.launch(NAME, &lines).await;
    machine.until_up(NAME).await;
    kill("TERM", machine.supervisors()[0]);
    machine.until(NAME, "loaded inactive dead").await;
    assert_eq!(machine.read("log"), "stop\n");
    assert!(machine.processes("").is_empty());
}

#[tokio::test]
async fn folders_and_names_may_be_long() {
    let mut machine = Machine::start().await;
    machine.crash();
    machine.data = format!("{}/{}", "folder".repeat(30), "below".repeat(30));
    machine.boot().await;
    let name = format!("{}@8080.service", "n".repeat(240));
    machine.launch(&name, SLEEPER).await;
    machine.until_up(&name).await;
    machine.crash();
    machine.boot().await;
    machine.until_up(&name).await;
    machine.until_processes("/main", 1).await;
    machine.embedded().stop_units().await.unwrap();
    until("no process", || machine.processes("").is_empty()).await;
}

#[tokio::test]
async fn a_copy_of_the_data_leaves_the_original_alone() {
    let mut machine = Machine::start().await;
    machine.launch(NAME, SLEEPER).await;
    machine.until_up(NAME).await;
    let original = machine.main_pid(NAME).unwrap();
    machine.crash();
    std::fs::create_dir(machine.path("copy")).unwrap();
    let mut copy = std::process::Command::new("cp");
    copy.arg("-a").args(["lock", "machine-id", "fleet", "units"].map(|name| machine.path("data").join(name)));
    assert!(copy.arg(machine.path("copy")).status().unwrap().success());
    machine.data = "copy".to_owned();
    machine.boot().await;
    machine.until_up(NAME).await;
    machine.until_processes("/main", 2).await;
    machine.embedded().stop_units().await.unwrap();
    machine.until_processes("/main", 1).await;
    assert!(exists(original));
}

#[tokio::test]
async fn an_address_in_use_is_said_once() {
    let machine = Machine::start().await;
    let etcd = machine.embedded().etcd_endpoint().strip_prefix("http://").unwrap().parse().unwrap();
    let fleet = "127.0.0.1:0".parse().unwrap();
    let options =
        dynamite::embedded::Options { data_dir: machine.path("b"), etcd, fleet, fleet_socket: None };
    let error = dynamite::embedded::Embedded::start(options, fastrand::Rng::with_seed(1)).await.unwrap_err();
    let words = format!("{:#}", anyhow::Error::from(error));
    assert_eq!(words.matches("another address").count(), 1, "{words}");
    assert!(
        words.starts_with(&format!(
            "etcd cannot be served; --listen-etcd takes another address than {etcd}: "
        ))
    );
}

#[tokio::test]
async fn one_process_uses_the_data_at_a_time() {
    let machine = Machine::start().await;
    let error = machine.open().await.unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error:?}");
    assert!(error.to_string().contains("is in use by another `dynamite`"), "{error}");
}
