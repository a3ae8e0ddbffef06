//! Unit files as a whole: what is asked for, what is refused, and what is said of the rest.

use super::read::Reading;
use super::*;
use crate::embedded::units::identity::Identity;
use crate::embedded::units::outcome::Outcome;

fn reading(text: &str) -> Reading {
    let unit = Identity {
        name: "web@8080.service".to_owned(),
        hostname: "core-1".to_owned(),
        machine: "0123".to_owned(),
        boot: String::new(),
        user: 0,
    };
    read(&unit, &dynamite_units::parse(text).unwrap())
}

fn service(lines: &str) -> Definition {
    reading(&format!("[Service]\nExecStart=/bin/true\n{lines}")).definition.unwrap()
}

fn check_refused(lines: &str, message: &str) {
    assert_eq!(reading(&format!("[Service]\n{lines}")).definition.unwrap_err(), [message]);
}

#[test]
fn nothing_said_means_the_defaults_of_systemd() {
    let read = service("");
    let ninety = Some(Duration::from_secs(90));
    assert_eq!((read.start_timeout, read.stop_timeout), (ninety, ninety));
    assert_eq!((read.restart, read.restart_pause), (Restart::No, Some(Duration::from_millis(100))));
    assert_eq!((read.kill_signal, read.kill_mode), (Signal::TERM, KillMode::All));
    assert_eq!(read.working_directory.path.to_str(), Some("/"));
}

#[test]
fn commands_are_collected_and_cleared() {
    let read = service(
        "ExecStartPre=-/bin/a %i\nExecStartPre=/bin/b \\\n  c\nExecStop=/bin/x\nExecStop=\nExecStop=/bin/y",
    );
    assert_eq!((read.start_pre.len(), read.stop.len()), (2, 1));
    assert_eq!((read.start_pre[0].failure, &*read.start_pre[0].arguments[0]), (Failure::Ignored, "8080"));
    assert_eq!(read.start_pre[1].arguments, ["c"]);
    assert_eq!(read.stop[0].program, "/bin/y");
}

#[test]
fn the_environment_is_assigned_and_cleared() {
    let read = service(
        "Environment=GONE=1\nEnvironment=\nEnvironment=\"A=two words\" B=%i 'C=x\\ty'\nEnvironment=A=3\n\
         EnvironmentFile=/etc/gone\nEnvironmentFile=\nEnvironmentFile=-/etc/%i\nEnvironmentFile=/etc/b",
    );
    let pairs: Vec<_> = read.environment.iter().collect();
    assert_eq!(pairs, [("B", "8080"), ("C", "x\ty"), ("A", "3")]);
    let files: Vec<_> =
        read.environment_files.iter().map(|file| (file.path.to_str(), file.absence)).collect();
    assert_eq!(files, [(Some("/etc/8080"), Failure::Ignored), (Some("/etc/b"), Failure::Counts)]);
}

#[test]
fn times_and_limits_are_read() {
    let read = service(
        "TimeoutStartSec=0\nTimeoutStopSec=1min 5s\nRestart=on-failure\nRestartSec=infinity\nKillMode=mixed\n\
         KillSignal=SIGINT\nSuccessExitStatus=143 SIGKILL\nRemainAfterExit=yes\nStartLimitBurst=1",
    );
    assert_eq!((read.start_timeout, read.stop_timeout), (None, Some(Duration::from_secs(65))));
    assert_eq!((read.restart, read.restart_pause), (Restart::OnFailure, None));
    assert_eq!((read.kill_mode, read.kill_signal), (KillMode::Mixed, Signal::INT));
    assert_eq!(read.after_exit, AfterExit::Remains);
    let exit = super::super::outcome::Exit::Code(143);
    assert_eq!(exit.outcome(super::super::outcome::Role::Main, &read.also_clean), Outcome::Success);
    let mut limit = read.start_limit;
    let now = tokio::time::Instant::now();
    assert!(limit.allows(now) && !limit.allows(now));
    assert_eq!(service("TimeoutSec=infinity").stop_timeout, None);
}

#[test]
fn what_cannot_be_done_here_is_refused_with_a_reason() {
    check_refused("Restart=no", "there is no ExecStart");
    check_refused("ExecStart=/bin/a\nExecStart=/bin/b", "there is more than one ExecStart");
    for kind in ["oneshot", "forking", "notify", "dbus", "idle"] {
        let message = format!("Type={kind} cannot be run here, only Type=simple");
        check_refused(&format!("ExecStart=/bin/a\nType={kind}"), &message);
    }
    check_refused(
        "ExecStart=/bin/a\nUser=core",
        "User=core cannot be done here: units run as the user that Dynamite runs as",
    );
    check_refused("ExecStart=/bin/a\nKillMode=none", "KillMode=none would leave processes behind");
    check_refused(
        "ExecStart=bin/a",
        "ExecStart=bin/a: `bin/a` is neither an absolute path nor the name of a program",
    );
    check_refused(
        "ExecStart=/bin/date +%Y",
        "ExecStart=/bin/date +%Y: the specifier `%Y` is not known here; write `%%` for a percent sign",
    );
    check_refused("ExecStart=/bin/a\nWorkingDirectory=a", "WorkingDirectory=a is no absolute path");
    assert!(service("User=root\nGroup=0\nType=simple").start.arguments.is_empty());
}

#[test]
fn what_systemd_ignores_is_doubted_and_the_rest_is_listed() {
    let read = reading(
        "[Unit]\nAfter=docker.service\nDescription=x\n[Service]\nExecStart=/bin/a\nRestart=maybe\nTimeoutSec=soon\n\
         Environment=1=2 A=\\d\nType=odd\nLimitNOFILE=1\nLimitNOFILE=2\nSuccessExitStatus=300\n[X-Fleet]\nGlobal=true",
    );
    assert!(read.definition.is_ok());
    let doubted: Vec<_> = read.doubts.iter().filter_map(|doubt| doubt.split(" is not").next()).collect();
    assert_eq!(
        doubted,
        ["Restart=maybe", "TimeoutSec=soon", "Environment=1=2 A=\\d", "Type=odd", "SuccessExitStatus=300"]
    );
    assert_eq!(read.unused, ["[Unit] After", "[Service] LimitNOFILE"]);
}
