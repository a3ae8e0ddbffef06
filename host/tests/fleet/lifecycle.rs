//! What becomes of units over time; the time is tokio's own, paused.

use std::time::Duration;

use dynamite::embedded::fleet::{Behaviour, FleetServer, Life, Options, Timings};
use dynamite::fleet::DesiredState::{self, Inactive, Launched, Loaded};
use tokio::time::{advance, pause};

use crate::options;

async fn server(timings: Timings) -> FleetServer {
    pause();
    FleetServer::start(Options { timings, ..Options::default() }).await.unwrap()
}

fn put(server: &FleetServer, name: &str, seconds: u32, desired: DesiredState) {
    server.put_foreign(name, &options(seconds), desired).unwrap();
}

/// The active and sub state of the only row; empty when there is none.
fn row(server: &FleetServer) -> String {
    server.states().first().map_or(String::new(), |row| format!("{} {}", row.active, row.sub))
}

fn current(server: &FleetServer, name: &str) -> Option<DesiredState> {
    server.units().into_iter().find(|unit| unit.name == name).and_then(|unit| unit.current)
}

async fn after(seconds: u64) {
    advance(Duration::from_secs(seconds)).await;
}

#[tokio::test]
async fn a_unit_is_loaded_started_stopped_and_unloaded() {
    let server = server(Timings::instant()).await;
    for (desired, expected) in [(Inactive, ""), (Loaded, "inactive dead"), (Launched, "active running")] {
        put(&server, "a.service", 1, desired);
        assert_eq!((current(&server, "a.service"), row(&server)), (Some(desired), expected.to_owned()));
    }
    for (desired, expected) in [(Loaded, "inactive dead"), (Inactive, "")] {
        put(&server, "a.service", 1, desired);
        assert_eq!((current(&server, "a.service"), row(&server)), (Some(desired), expected.to_owned()));
    }
}

#[tokio::test]
async fn launched_does_not_mean_running_and_launching_again_does_nothing() {
    let server = server(Timings::instant()).await;
    server.fail("a*");
    for _ in 0..2 {
        put(&server, "a.service", 1, Launched);
        assert_eq!((current(&server, "a.service"), row(&server)), (Some(Launched), "failed failed".into()));
    }
    server.behave("a*", Behaviour::RUNS);
    put(&server, "a.service", 1, Launched);
    assert_eq!(row(&server), "failed failed");
    put(&server, "a.service", 1, Loaded);
    assert_eq!(row(&server), "failed failed");
    put(&server, "a.service", 1, Launched);
    assert_eq!(row(&server), "active running");
    assert!(server.crash("a.service"));
    assert_eq!(row(&server), "failed failed");
    assert!(!server.crash("a.service"));
}

#[tokio::test]
async fn slow_units_take_their_time() {
    let server = server(Timings::instant()).await;
    let seconds = Duration::from_secs;
    let life = Life::Crashes { after: seconds(10) };
    server.behave("a*", Behaviour { start: seconds(3), life, stop: seconds(6) });
    put(&server, "a.service", 1, Launched);
    assert_eq!(row(&server), "activating start-pre");
    after(3).await;
    assert_eq!(row(&server), "active running");
    after(10).await;
    assert_eq!(row(&server), "failed failed");
    put(&server, "a.service", 1, Loaded);
    put(&server, "a.service", 1, Launched);
    after(4).await;
    put(&server, "a.service", 1, Loaded);
    assert_eq!(row(&server), "deactivating stop");
    server.delete_foreign("a.service").unwrap();
    assert_eq!(row(&server), "", "the row goes when the stop was triggered");
}

#[tokio::test]
async fn real_timings_are_those_that_were_measured() {
    let server = server(Timings::real()).await;
    put(&server, "a.service", 1, Launched);
    assert_eq!((current(&server, "a.service"), row(&server)), (Some(Inactive), String::new()));
    after(4).await;
    assert_eq!((current(&server, "a.service"), row(&server)), (Some(Launched), "active running".into()));
    let hash = server.states()[0].hash.clone();
    put(&server, "a.service", 2, Launched);
    after(2).await;
    assert_eq!(row(&server), "", "a replaced unit has no row for some seconds");
    after(7).await;
    assert_eq!(row(&server), "active running");
    assert_ne!(server.states()[0].hash, hash);
    assert!(server.crash("a.service"));
    after(1).await;
    assert_eq!(row(&server), "failed failed");
    server.delete_foreign("a.service").unwrap();
    assert_eq!((server.units().len(), server.states().len()), (0, 1));
    after(5).await;
    assert_eq!(server.states().len(), 0);
}

#[tokio::test]
async fn mass_removal_takes_one_pass_a_unit() {
    let server = server(Timings::real()).await;
    for index in 0..10 {
        put(&server, &format!("a{index}.service"), 1, Launched);
    }
    after(10).await;
    for index in 0..10 {
        server.delete_foreign(&format!("a{index}.service")).unwrap();
    }
    after(20).await;
    let left = server.states().len();
    assert!((5..=7).contains(&left), "{left} left after 20 s");
    after(40).await;
    assert_eq!(server.states().len(), 0);
}

#[tokio::test]
async fn a_unit_deleted_and_put_again_at_once_keeps_running() {
    let server = server(Timings::real()).await;
    put(&server, "a.service", 1, Launched);
    after(10).await;
    assert!(server.crash("a.service"));
    after(1).await;
    server.delete_foreign("a.service").unwrap();
    put(&server, "a.service", 1, Launched);
    after(10).await;
    assert_eq!(row(&server), "failed failed", "it is never started again");
}
