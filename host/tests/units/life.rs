//! From a start to a stop, as systemd shows it.

use dynamite::fleet::{DesiredState, Fleet};

use crate::{Machine, exists, kill, until};

const NAME: &str = "web@8080.service";

#[tokio::test]
async fn a_unit_runs_its_commands_in_order() {
    let machine = Machine::start().await;
    let lines = "ExecStartPre=/bin/sh -c 'echo pre >> DIR/log'\n\
        ExecStartPre=-/bin/sh -c 'echo pre again >> DIR/log; exit 1'\n\
        ExecStart=/bin/sh -c 'echo main $0 >> DIR/log; exec sleep 1000' %i\n\
        ExecStartPost=/bin/sh -c 'while ! grep -q main DIR/log; do :; done; test $MAINPID -gt 1 && echo post >> DIR/log'\n\
        ExecStop=/bin/sh -c 'kill -0 $MAINPID && echo stop $SERVICE_RESULT >> DIR/log'\n\
        ExecStopPost=/bin/sh -c 'echo stop-post $EXIT_CODE $EXIT_STATUS >> DIR/log'";
    machine.launch(NAME, lines).await;
    machine.until_up(NAME).await;
    machine.until_lines("log", &["pre", "pre again", "main 8080", "post"]).await;
    let pid = machine.main_pid(NAME).unwrap();
    assert!(exists(pid));
    machine.want(NAME, DesiredState::Loaded).await;
    machine.until(NAME, "loaded inactive dead").await;
    let all = ["pre", "pre again", "main 8080", "post", "stop success", "stop-post killed TERM"];
    machine.until_lines("log", &all).await;
    assert!(!exists(pid));
    until("no supervisor", || machine.supervisors().is_empty()).await;
    machine.want(NAME, DesiredState::Launched).await;
    machine.until_up(NAME).await;
    assert_ne!(machine.main_pid(NAME), Some(pid));
}

#[tokio::test]
async fn a_unit_that_ends_is_dead_or_failed() {
    let machine = Machine::start().await;
    for (name, lines, state) in [
        ("well.service", "ExecStart=/bin/true", "loaded inactive dead"),
        ("badly.service", "ExecStart=/bin/false", "loaded failed failed"),
        ("ignored.service", "ExecStart=-/bin/false", "loaded inactive dead"),
        ("allowed.service", "ExecStart=/bin/sh -c 'exit 7'\nSuccessExitStatus=7", "loaded inactive dead"),
        ("term.service", "ExecStart=/bin/sh -c 'kill $$$$'", "loaded inactive dead"),
        ("killed.service", "ExecStart=/bin/sh -c 'kill -9 $$$$'", "loaded failed failed"),
        ("remains.service", "ExecStart=/bin/true\nRemainAfterExit=yes", "loaded active exited"),
    ] {
        machine
            .launch(name, &format!("{lines}\nExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT > DIR/%n'"))
            .await;
        machine.until(name, state).await;
    }
    for (name, result) in [("well", "success"), ("badly", "exit-code"), ("killed", "signal")] {
        assert_eq!(machine.read(&format!("{name}.service")), format!("{result}\n"));
    }
    assert_eq!(machine.read("remains.service"), "");
    machine.want("remains.service", DesiredState::Loaded).await;
    machine.until("remains.service", "loaded inactive dead").await;
    machine.want("badly.service", DesiredState::Loaded).await;
    assert_eq!(machine.state("badly.service").await, "loaded failed failed", "a stop does not make it well");
}

#[tokio::test]
async fn a_slow_start_is_shown_and_can_be_stopped() {
    let machine = Machine::start().await;
    machine
        .launch(NAME, "ExecStartPre=/bin/sh -c 'touch DIR/pre; sleep 1000'\nExecStart=/bin/touch DIR/main")
        .await;
    machine.until(NAME, "loaded activating start-pre").await;
    until("the command runs", || machine.path("pre").exists()).await;
    machine.want(NAME, DesiredState::Loaded).await;
    machine.until(NAME, "loaded inactive dead").await;
    assert!(!machine.path("main").exists());
    assert!(machine.processes("").is_empty());
}

#[tokio::test]
async fn a_stop_right_after_a_start_leaves_nothing() {
    let machine = Machine::start().await;
    machine.launch(NAME, "ExecStart=/bin/sh -c 'sleep 1000; true' DIR/main").await;
    for _ in 0..20 {
        machine.want(NAME, DesiredState::Loaded).await;
        machine.until(NAME, "loaded inactive dead").await;
        machine.want(NAME, DesiredState::Launched).await;
    }
    machine.until_up(NAME).await;
    machine.until_processes("/main", 1).await;
}

#[tokio::test]
async fn a_unit_is_replaced_by_its_new_version_and_never_runs_twice() {
    let machine = Machine::start().await;
    // Each takes a moment to end, and notes when another one is there.
    let lines = |version: u32| {
        format!(
            "Environment=VERSION={version}\n\
             ExecStart=/bin/sh -c 'mkdir DIR/lock || echo twice >> DIR/errors; trap \"sleep 0.2; rmdir DIR/lock; exit 0\" TERM; \
             echo $VERSION >> DIR/log; while :; do sleep 0.01; done'"
        )
    };
    machine.launch(NAME, &lines(1)).await;
    machine.until_lines("log", &["1"]).await;
    machine.launch(NAME, &lines(2)).await;
    machine.until_lines("log", &["1", "2"]).await;
    machine.until_up(NAME).await;
    machine.fleet().destroy(NAME).await.unwrap();
    assert_eq!(machine.state(NAME).await, "", "the row goes at once");
    machine.launch(NAME, &lines(3)).await;
    machine.until_lines("log", &["1", "2", "3"]).await;
    machine.until_up(NAME).await;
    assert_eq!(machine.read("errors"), "");
    assert_eq!(machine.supervisors().len(), 1);
}

#[tokio::test]
async fn everything_can_be_stopped_and_forgotten_at_once() {
    let machine = Machine::start().await;
    for number in 0..5 {
        let name = format!("web@{number}.service");
        machine.launch(&name, "ExecStart=/bin/sh -c 'exec sleep 1000' DIR").await;
        machine.until_up(&name).await;
    }
    assert_eq!(machine.embedded().stop_units().await.unwrap(), 5);
    assert!(machine.fleet().units().await.unwrap().is_empty());
    assert_eq!(std::fs::read_dir(machine.path("data/units")).unwrap().count(), 0);
    until("no process", || machine.processes("").is_empty()).await;
}

#[tokio::test]
async fn what_fleet_hides_or_cannot_run_harms_nobody_and_is_stopped_too() {
    let machine = Machine::start().await;
    let put = async |name: &str, body: serde_json::Value| {
        let address = machine.embedded().fleet_endpoint();
        let dynamite::config::FleetEndpoint::Tcp { host, port } = address else { panic!("{address}") };
        let url = format!("http://{host}:{port}/fleet/v1/units/{name}");
        let answer = reqwest::Client::new().put(url).header("content-type", "application/json");
        answer.body(body.to_string()).send().await.unwrap().status().as_u16()
    };
    let command = format!("/bin/sh -c 'exec sleep 1000' {}", machine.path("x").display());
    let options = serde_json::json!([{"section": "Service", "name": "ExecStart", "value": command}]);
    let launched = serde_json::json!({"desiredState": "launched", "options": options});
    assert_eq!(put("tmpl@.service", launched.clone()).await, 201);
    assert_eq!(put("poisoned.service", launched.clone()).await, 201);
    machine.until_up("poisoned.service").await;
    assert_eq!(put("poisoned.service", serde_json::json!({"desiredState": "banana"})).await, 204);
    assert_eq!(put("_hidden.service", launched).await, 201);
    machine.launch(NAME, "ExecStart=/bin/sh -c 'exec sleep 1000' DIR").await;
    machine.until_up(NAME).await;
    machine.embedded().stop_units().await.unwrap();
    until("no process", || machine.processes("").is_empty()).await;
    assert_eq!(std::fs::read_dir(machine.path("data/fleet")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_halted_supervisor_is_stopped_too() {
    let machine = Machine::start().await;
    machine.launch(NAME, "ExecStart=/bin/sh -c 'exec sleep 1000' DIR").await;
    machine.until_up(NAME).await;
    kill("STOP", machine.supervisors()[0]);
    assert_eq!(machine.embedded().stop_units().await.unwrap(), 1);
    until("no process", || machine.processes("").is_empty()).await;
}
