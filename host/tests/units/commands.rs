//! What commands are given, and what happens when they cannot be run.

use crate::Machine;

const NAME: &str = "web@a-b.service";

#[tokio::test]
async fn a_command_gets_the_words_variables_and_folder_it_asks_for() {
    let machine = Machine::start().await;
    std::fs::write(machine.path("env"), "FROM_FILE='two words' # all of it\nHOME=/file\n").unwrap();
    let lines = "Environment=HOME=/unit \"GREETING=good day\"\nEnvironmentFile=DIR/env\nEnvironmentFile=-DIR/none\n\
        WorkingDirectory=DIR\n\
        ExecStartPre=/bin/sh -c 'env > DIR/variables; pwd > DIR/folder'\n\
        ExecStart=/bin/sh -c 'printf \"%%s|\" \"$$@\" > DIR/words' \\\n  sh %i %I \"${GREETING}\" $GREETING $NONE ${NONE} a$GREETING $$HOME '\\x41\\tb'\n\
        ExecStopPost=:/bin/sh -c 'echo $HOME > DIR/verbatim'";
    machine.launch(NAME, lines).await;
    machine.until(NAME, "loaded inactive dead").await;
    assert_eq!(machine.read("words"), "a-b|a/b|good day|good|day||a$GREETING|$HOME|A\tb|");
    let variables = machine.read("variables");
    let value = |name: &str| {
        let of_name = |line: &&str| line.split_once('=').is_some_and(|(known, _)| known == name);
        variables.lines().find(of_name).map(|line| line[name.len() + 1..].to_owned())
    };
    assert_eq!(value("HOME").as_deref(), Some("/file"), "a file beats the unit");
    assert_eq!(value("FROM_FILE").as_deref(), Some("two words# all of it"));
    assert_eq!(value("INVOCATION_ID").map(|id| id.len()), Some(32));
    assert_eq!(
        value("PATH").as_deref(),
        Some("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    );
    assert_eq!(value("CARGO_BIN_EXE_dynamite"), None, "nothing of the environment of Dynamite");
    assert_eq!(
        machine.read("folder").trim(),
        machine.folder.path().canonicalize().unwrap().to_str().unwrap()
    );
    assert_eq!(machine.read("verbatim"), "/file\n", "the shell fills it in");
}

#[tokio::test]
async fn what_cannot_be_run_fails() {
    let machine = Machine::start().await;
    std::fs::write(machine.path("script"), "#!/no/such/interpreter\n").unwrap();
    for (number, (lines, state)) in [
        ("ExecStart=/no/such/program", "loaded failed failed"),
        ("ExecStart=no-such-program", "loaded failed failed"),
        ("ExecStart=DIR/script", "loaded failed failed"),
        ("ExecStart=/etc/passwd", "loaded failed failed"),
        ("ExecStart=-/no/such/program", "loaded inactive dead"),
        ("ExecStart=/bin/true\nExecStartPre=/no/such/program", "loaded failed failed"),
        ("ExecStart=/bin/true\nExecStartPre=/bin/false", "loaded failed failed"),
        ("ExecStart=/bin/sleep 1000\nExecStartPost=/bin/false", "loaded failed failed"),
        ("ExecStart=/bin/true\nEnvironmentFile=/no/such/file", "loaded failed failed"),
        ("ExecStart=/bin/true\nWorkingDirectory=/no/such/folder", "loaded failed failed"),
        ("ExecStart=/bin/sleep 1000\nWorkingDirectory=-/no/such/folder", "loaded active running"),
        ("ExecStart=bin/true", "bad-setting inactive dead"),
        ("Restart=always", "bad-setting inactive dead"),
        ("ExecStart=/bin/true\nType=forking", "bad-setting inactive dead"),
        ("ExecStart=/bin/true\nUser=nobody", "bad-setting inactive dead"),
        ("ExecStart=/bin/true %Y", "bad-setting inactive dead"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("web@{number}.service");
        machine.launch(&name, lines).await;
        machine.until(&name, state).await;
    }
    assert_eq!(machine.supervisors().len(), 1, "only that of the one which runs");
}

#[tokio::test]
async fn a_start_takes_no_longer_than_it_may() {
    let machine = Machine::start().await;
    let lines = "TimeoutStartSec=200ms\nExecStartPre=/bin/sh -c 'sleep 1000; true' DIR\nExecStart=/bin/touch DIR/main\n\
        ExecStopPost=/bin/sh -c 'echo $SERVICE_RESULT > DIR/result'";
    machine.launch(NAME, lines).await;
    machine.until(NAME, "loaded failed failed").await;
    assert_eq!(machine.read("result"), "timeout\n");
    assert!(!machine.path("main").exists());
    assert!(machine.processes("sleep").is_empty());
}
