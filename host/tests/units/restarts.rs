//! `Restart`, its pause and its limit.

use dynamite::fleet::DesiredState;

use crate::{Machine, kill, until};

const NAME: &str = "web.service";

#[tokio::test]
async fn a_crash_loop_ends_in_failed() {
    let machine = Machine::start().await;
    machine
        .launch(NAME, "Restart=always\nRestartSec=10ms\nExecStart=/bin/sh -c 'echo start >> DIR/log; exit 1'")
        .await;
    machine.until(NAME, "loaded failed failed").await;
    assert_eq!(machine.read("log").lines().count(), 5, "systemd's limit is five within ten seconds");
    machine.want(NAME, DesiredState::Loaded).await;
    machine.want(NAME, DesiredState::Launched).await;
    until("another burst", || machine.read("log").lines().count() == 10).await;
}

#[tokio::test]
async fn a_unit_that_waits_for_its_restart_can_be_stopped() {
    let machine = Machine::start().await;
    machine.launch(NAME, "Restart=on-failure\nRestartSec=infinity\nExecStart=/bin/false").await;
    machine.until(NAME, "loaded activating auto-restart").await;
    machine.want(NAME, DesiredState::Loaded).await;
    machine.until(NAME, "loaded inactive dead").await;
}

#[tokio::test]
async fn what_dies_is_started_again_if_its_unit_says_so() {
    let machine = Machine::start().await;
    machine.launch(NAME, "Restart=on-failure\nExecStart=/bin/sh -c 'sleep 1000; true' DIR").await;
    machine.until_up(NAME).await;
    let first = machine.main_pid(NAME).unwrap();
    kill("KILL", first);
    until("another process", || machine.main_pid(NAME).is_some_and(|pid| pid != first)).await;
    machine.until_up(NAME).await;
    // SIGTERM is a clean end, which is no failure.
    kill("TERM", machine.main_pid(NAME).unwrap());
    machine.until(NAME, "loaded inactive dead").await;
}
