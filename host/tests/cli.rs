//! The built program: what it prints, what it exits with, and what it takes from the environment.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the program in the workspace with these variables and no others.
#[expect(clippy::expect_used, reason = "the lint does not see that this is a test's helper")]
fn dynamite(args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynamite"));
    command.env_clear().envs(env.iter().copied()).args(args).current_dir(root());
    let output = command.output().expect("the program runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn the_example_passes_the_check() {
    let (code, out, err) = dynamite(&["check", "examples/apache/dynamite.yaml"], &[]);
    assert_eq!(err, "");
    assert_eq!(out, "examples/apache/dynamite.yaml: 3 services, 2 policies, no errors\n");
    assert_eq!(code, Some(0));
}

#[test]
fn what_the_demo_runs_passes_the_check() {
    let (code, out, err) = dynamite(&["check", "examples/demo/dynamite.yaml"], &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(out, "examples/demo/dynamite.yaml: 4 services, 3 policies, no errors\n");
}

#[test]
fn a_configuration_with_errors_fails_the_check() {
    let (code, out, err) = dynamite(&["check", "Cargo.toml"], &[]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(err.contains("error: "), "{err}");
    assert!(out.starts_with("Cargo.toml: 1 error"), "{out}");
}

#[test]
fn the_schema_is_json() {
    let (code, out, _) = dynamite(&["schema"], &[]);
    assert_eq!(code, Some(0));
    let schema: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert!(schema["$defs"]["service"].is_object());
}

#[test]
fn the_environment_is_read_and_flags_beat_it() {
    let example = ("DYNAMITE_CONFIG_FILE", "examples/apache/dynamite.yaml");
    assert_eq!(dynamite(&["check"], &[example]).0, Some(0));
    assert_eq!(dynamite(&["check", "-c", "nowhere.yaml"], &[example]).0, Some(1));
    assert_eq!(dynamite(&["check", "nowhere.yaml"], &[example]).0, Some(1));
    // The units are then in two folders, which the flag takes back.
    let copy = tempfile::tempdir().expect("a folder");
    let unit = "apache@.service";
    std::fs::copy(root().join("examples/apache/units").join(unit), copy.path().join(unit)).expect("a copy");
    let folders = format!("nowhere,{}", copy.path().display());
    let folders = ("DYNAMITE_SERVICE_FOLDER", folders.as_str());
    assert_eq!(dynamite(&["check"], &[example, folders]).0, Some(1));
    let (code, out, err) = dynamite(&["check", "-s", "nowhere"], &[example, folders]);
    assert_eq!(code, Some(0));
    assert!(err.starts_with("warning: there is no folder `nowhere`\n"), "{err}");
    assert!(out.ends_with("no errors, 1 warning\n"), "{out}");
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let all = "CONFIG_FILE SERVICE_FOLDER FLEET_ENDPOINT ETCD_ENDPOINT ETCD_API ETCD_CA_FILE ETCD_CERT_FILE ETCD_KEY_FILE \
               ETCD_USER ETCD_PASSWORD LOG_FORMAT LOG_LEVEL LEASE_TTL ADMIN";
    let names: Vec<String> = all.split_whitespace().map(|name| format!("DYNAMITE_{name}")).collect();
    let mut empty: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "")).collect();
    empty.push(("RUST_LOG", ""));
    let (code, out, err) = dynamite(&["check", "examples/apache/dynamite.yaml"], &empty);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    // It ends because of the certificate, after a warning, which an empty RUST_LOG does not silence.
    let mut run =
        vec!["-c", "examples/apache/dynamite.yaml", "-s", "nowhere", "--etcd-ca-file", "nowhere.pem"];
    run.extend(["--admin", "off"]);
    let (code, _, err) = dynamite(&run, &empty);
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("no folder `nowhere`") && err.contains("nowhere.pem"), "{err}");
}

#[test]
fn a_file_that_is_missing_is_named_before_etcd_is_asked() {
    let off = ("DYNAMITE_ADMIN", "off");
    let (code, _, err) = dynamite(&["-c", "nowhere.yaml", "--etcd-ca-file", "nowhere.pem"], &[off]);
    assert_eq!(code, Some(78), "{err}");
    assert!(err.contains("no configuration file") && err.contains("nowhere.yaml"), "{err}");
}

#[test]
fn nonsense_is_a_wrong_command_line() {
    for (variable, value, said) in [
        ("DYNAMITE_FLEET_ENDPOINT", "10.0.0.1:0", "no port"),
        ("DYNAMITE_ETCD_ENDPOINT", "a:1,b:x", "no port"),
        ("DYNAMITE_ETCD_API", "v4", "auto"),
        ("DYNAMITE_ETCD_CERT_FILE", "/a", "--etcd-key-file"),
        ("DYNAMITE_ETCD_KEY_FILE", "/a", "--etcd-cert-file"),
        ("DYNAMITE_ETCD_USER", "a", "--etcd-password"),
        ("DYNAMITE_ETCD_PASSWORD", "a", "--etcd-user"),
        ("DYNAMITE_LOG_FORMAT", "xml", "json"),
        ("DYNAMITE_LOG_LEVEL", "loud", "debug"),
        ("DYNAMITE_LEASE_TTL", "61", "2..=60"),
        ("DYNAMITE_ADMIN", "7479", "127.0.0.1:7479"),
    ] {
        let (code, _, err) = dynamite(&[], &[(variable, value)]);
        assert_eq!(code, Some(2), "{variable}: {err}");
        assert!(err.contains(said), "{variable}: {err}");
    }
}

#[test]
fn an_admin_address_that_is_taken_has_an_exit_code_of_its_own() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let run = ["-c", "examples/apache/dynamite.yaml", "--admin", &address];
    let (code, _, err) = dynamite(&run, &[]);
    assert_eq!(code, Some(71), "{err}");
    assert!(
        err.contains("the admin endpoint cannot be opened; see --admin: Address already in use"),
        "{err}"
    );
}

#[test]
fn health_without_a_daemon_is_bad() {
    let (code, out, err) = dynamite(&["health"], &[("DYNAMITE_ADMIN", "127.0.0.1:9")]);
    assert_eq!((code, err.as_str()), (Some(1), ""));
    assert!(
        out.starts_with("not ready: nobody answers at 127.0.0.1:9: ") && out.lines().count() == 1,
        "{out}"
    );
    let (code, out, _) = dynamite(&["health", "--admin", "off"], &[]);
    assert_eq!((code, out.as_str()), (Some(1), "the admin endpoint is off, so there is nobody to ask\n"));
}

#[test]
fn help_does_not_show_secrets() {
    let (code, out, _) = dynamite(&["run", "--help"], &[("DYNAMITE_ETCD_PASSWORD", "hunter2")]);
    assert_eq!(code, Some(0));
    assert!(out.contains("DYNAMITE_ETCD_PASSWORD") && !out.contains("hunter2"), "{out}");
}

#[test]
fn the_built_in_policy_passes_the_table_of_its_twin() {
    let table = "policies/threshold/cases/conformance.yaml";
    let (code, out, err) = dynamite(&["policy", "test", "--builtin", "threshold", table], &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("test result: ok. 37 passed; 0 failed"), "{out}");
}

#[test]
fn a_new_policy_is_written_once_and_its_cases_are_described() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keep").display().to_string();
    let args = ["policy", "new", "keep", "--path", &path];
    assert_eq!(dynamite(&args, &[]).0, Some(0));
    assert!(folder.path().join("keep/src/lib.rs").is_file());
    let (code, _, err) = dynamite(&args, &[("RUST_BACKTRACE", "1")]);
    assert_eq!(code, Some(1));
    assert_eq!(err, format!("error: `{path}` cannot be written: there is something in it already\n"));
    let (_, help, _) = dynamite(&["policy", "test", "--help"], &[]);
    assert!(help.contains("CASE FILES") && help.contains("closed_loop: true"), "{help}");
}

#[test]
fn what_would_be_generated_is_printed_without_an_etcd() {
    let args = ["generate", "examples/generate/load.yaml", "--dry-run", "--start", "2026-01-01T12:00:00Z"];
    let (code, out, err) = dynamite(&args, &[]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "/services/webserver/4f2a/service_instance_name apache@8080.service");
    assert!(lines[2].starts_with("/metrics/webserver/4f2a/cpu_user/2026-01-01T12:00:00Z "), "{}", lines[2]);
    assert!(
        lines[4].contains("/response_time/2026-01-01T12:00:00Z {\"time_backend_response\""),
        "{}",
        lines[4]
    );
    assert_eq!(lines.len(), 2 + 2 * 130 + 26);
    let (code, out, err) = dynamite(&["generate", "examples/apache/dynamite.yaml"], &[]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        err.starts_with("error: unknown key `Dynamite` in the description\n --> examples/apache"),
        "{err}"
    );
}

#[test]
fn the_policy_of_the_demo_passes_its_cases() {
    let (module, cases) = ("examples/demo/keep_share.wasm", "examples/demo/cases.yaml");
    let (code, out, err) = dynamite(&["policy", "test", module, cases], &[]);
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("test result: ok. 8 passed; 0 failed"), "{out}");
}
