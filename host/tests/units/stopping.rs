//! Units that do not end as they should, and what they leave behind.

use dynamite::fleet::DesiredState;

use crate::{Machine, until};

const NAME: &str = "web.service";

#[tokio::test]
async fn what_ignores_its_end_is_killed_with_all_its_descendants() {
    let machine = Machine::start().await;
    // A child in the group, one in a session of its own, and one that its parent forgot: none heeds SIGTERM.
    let stubborn = "trap \"\" TERM; while :; do sleep 0.05; done";
    std::fs::write(
        machine.path("stubborn"),
        format!(
            "trap '' TERM\n(sh -c '{stubborn}' DIR/child) &\nsetsid sh -c '{stubborn}' DIR/session &\n\
             (setsid sh -c '{stubborn}' DIR/orphan &)\n{stubborn}\n"
        )
        .replace("DIR", machine.folder.path().to_str().unwrap()),
    )
    .unwrap();
    machine.launch(NAME, "TimeoutStopSec=300ms\nExecStart=/bin/sh DIR/stubborn").await;
    for process in ["/child", "/session", "/orphan"] {
        machine.until_processes(process, 1).await;
    }
    machine.until_up(NAME).await;
    machine.want(NAME, DesiredState::Loaded).await;
    machine.until(NAME, "loaded failed failed").await;
    until("no process", || machine.processes("").is_empty()).await;
}

#[tokio::test]
async fn what_forks_away_is_ended_with_its_unit() {
    let machine = Machine::start().await;
    let fork = "ExecStart=/bin/sh -c '(setsid sh -c \"sleep 1000; true\" DIR/daemon &) & sleep 0.2'";
    machine.launch(NAME, fork).await;
    machine.until(NAME, "loaded inactive dead").await;
    until("no process", || machine.processes("").is_empty()).await;
}

#[tokio::test]
async fn what_a_command_before_leaves_running_is_not_of_the_service() {
    let machine = Machine::start().await;
    let lines = "ExecStartPre=/bin/sh -c '(setsid sh -c \"sleep 1000; true\" DIR/helper &)'\n\
        ExecStart=/bin/sh -c 'sleep 1000; true' DIR/main";
    machine.launch(NAME, lines).await;
    machine.until_processes("/main", 1).await;
    assert!(machine.processes("/helper").is_empty());
}

#[tokio::test]
async fn a_stop_command_may_take_only_so_long() {
    let machine = Machine::start().await;
    let lines = "TimeoutStopSec=200ms\nExecStart=/bin/sh -c 'sleep 1000; true' DIR\nExecStop=/bin/sh -c 'sleep 1000; true' DIR/stop\n\
        ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT > DIR/result'";
    machine.launch(NAME, lines).await;
    machine.until_up(NAME).await;
    machine.want(NAME, DesiredState::Loaded).await;
    machine.until(NAME, "loaded failed failed").await;
    assert_eq!(machine.read("result"), "timeout\n");
    until("no process", || machine.processes("").is_empty()).await;
}

#[tokio::test]
async fn a_stop_is_shown_while_it_takes() {
    let machine = Machine::start().await;
    let lines = "ExecStart=/bin/sh -c 'sleep 1000; true' DIR\nExecStop=/bin/sh -c 'until test -e DIR/go; do sleep 0.01; done'";
    machine.launch(NAME, lines).await;
    machine.until_up(NAME).await;
    machine.want(NAME, DesiredState::Loaded).await;
    machine.until(NAME, "loaded deactivating stop").await;
    std::fs::write(machine.path("go"), "").unwrap();
    machine.until(NAME, "loaded inactive dead").await;
}

#[tokio::test]
async fn mixed_tells_the_main_process_and_kills_the_rest() {
    let machine = Machine::start().await;
    let lines = "KillMode=mixed\nKillSignal=SIGUSR1\n\
        ExecStart=/bin/sh -c 'trap \"exit 0\" USR1; (trap \"touch DIR/told\" USR1; while :; do sleep 0.01; done) & while :; do sleep 0.01; done' DIR";
    machine.launch(NAME, lines).await;
    machine.until_processes("trap", 2).await;
    machine.want(NAME, DesiredState::Loaded).await;
    machine.until(NAME, "loaded inactive dead").await;
    until("no process", || machine.processes("").is_empty()).await;
    assert!(!machine.path("told").exists());
}
