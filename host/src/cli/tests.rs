//! Every flag in every spelling. Environment variables are tried on the built program, in `tests/cli.rs`.

use std::path::PathBuf;

use clap::CommandFactory;

use super::{Admin, CheckArgs, Cli, Command, EtcdApi, LogFormat, LogLevel, RunArgs};
use crate::config::FleetEndpoint;

fn read(line: &str) -> Result<Command, String> {
    let words = std::iter::once("dynamite").chain(line.split_whitespace());
    Cli::read(words.map(Into::into)).map(|cli| cli.command).map_err(|error| error.to_string())
}

fn run(line: &str) -> RunArgs {
    match read(line) {
        Ok(Command::Run(args)) => *args,
        other => panic!("{line}: {other:?}"),
    }
}

fn check(line: &str) -> CheckArgs {
    match read(line) {
        Ok(Command::Check(args)) => args,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn every_spelling_of_a_flag_means_the_same() {
    for (spellings, value, get) in [
        (
            &["-c", "--config-file", "--config_file"][..],
            "/a.yaml",
            (|args| format!("{:?}", args.files.config_file)) as fn(RunArgs) -> String,
        ),
        (&["-s", "--service-folder", "--service_folder"], "/a", |args| {
            format!("{:?}", args.files.service_folders)
        }),
        (&["--cache-dir", "--cache_dir"], "/a", |args| format!("{:?}", args.files.cache.folder())),
        (&["-e", "--etcd-endpoint", "--etcd_endpoint"], "10.0.0.1:4001", |args| {
            format!("{:?}", args.etcd.endpoints)
        }),
        (&["-f", "--fleet-endpoint", "--fleet_endpoint"], "10.0.0.1:49153", |args| {
            format!("{:?}", args.fleet_endpoint)
        }),
        (&["--etcd-api", "--etcd_api"], "v2", |args| format!("{:?}", args.etcd.api)),
        (&["--etcd-ca-file", "--etcd_ca_file"], "/ca", |args| format!("{:?}", args.etcd.ca_file)),
        (&["--log-format", "--log_format"], "json", |args| format!("{:?}", args.log_format)),
        (&["--log-level", "--log_level"], "debug", |args| format!("{:?}", args.log_level)),
        (&["--admin"], "127.0.0.1:1", |args| format!("{:?}", args.admin)),
        (&["--lease-ttl", "--lease_ttl"], "30", |args| format!("{:?}", args.lease_ttl)),
    ] {
        let first = get(run(&format!("run {} {value}", spellings[0])));
        assert_ne!(first, get(run("run")), "{} does nothing", spellings[0]);
        for spelling in spellings {
            for line in [
                format!("run {spelling} {value}"),
                format!("{spelling} {value}"),
                format!("{spelling}={value}"),
            ] {
                assert_eq!(get(run(&line)), first, "{line}");
            }
        }
    }
}

#[test]
fn the_original_command_line_works() {
    let args =
        run("--config_file /c.yaml --service_folder /a --service_folder /b --etcd_endpoint 127.0.0.1:4001 \
                    --fleet_endpoint 127.0.0.1:49153");
    assert_eq!(args.files.config_file(), PathBuf::from("/c.yaml"));
    assert_eq!(args.files.service_folders, [PathBuf::from("/a"), PathBuf::from("/b")]);
    assert_eq!(args.etcd.endpoints(None), ["127.0.0.1:4001"]);
    let fleet = FleetEndpoint::Tcp { host: "127.0.0.1".to_owned(), port: 49153 };
    assert_eq!(args.fleet_endpoint(Some(&FleetEndpoint::default())), fleet);
}

#[test]
fn nothing_given_means_the_defaults() {
    let args = run("");
    assert_eq!(args.files.config_file(), PathBuf::from("/etc/dynamite/config.yaml"));
    assert_eq!(args.etcd.endpoints(None), ["127.0.0.1:2379"]);
    assert_eq!(args.etcd.endpoints(Some("http://a:1")), ["http://a:1"]);
    assert_eq!(args.fleet_endpoint(None), FleetEndpoint::Unix("/var/run/fleet.sock".into()));
    assert_eq!((args.etcd.api, args.log_format), (EtcdApi::Auto, LogFormat::Human));
    assert_eq!((args.log_level, args.lease_ttl), (None::<LogLevel>, 5));
    assert_eq!(args.admin, None);
}

#[test]
fn the_admin_endpoint_can_be_anywhere_or_nowhere() {
    for (given, admin) in [
        ("off", Admin::Off),
        ("", Admin::Off),
        ("0.0.0.0:80", Admin::At(([0, 0, 0, 0], 80).into())),
        ("[::1]:0", Admin::At((std::net::Ipv6Addr::LOCALHOST, 0).into())),
    ] {
        assert_eq!(run(&format!("--admin={given}")).admin, Some(admin), "{given}");
        match read(&format!("health --admin={given}")) {
            Ok(Command::Health(args)) => assert_eq!(args.admin, Some(admin), "{given}"),
            other => panic!("{given}: {other:?}"),
        }
    }
}

#[test]
fn several_endpoints_and_folders_are_taken() {
    let args = run("-e a:1,https://b:2 -e c:3 -s x,y -s z");
    assert_eq!(args.etcd.endpoints, ["a:1", "https://b:2", "c:3"]);
    assert_eq!(args.files.service_folders.len(), 3);
}

#[test]
fn credentials_come_in_pairs() {
    let args = run("--etcd-user u --etcd-password p --etcd-cert-file c --etcd-key-file k").etcd;
    assert_eq!((args.user.as_deref(), args.password.as_deref()), (Some("u"), Some("p")));
    assert_eq!((args.cert_file, args.key_file), (Some("c".into()), Some("k".into())));
    for alone in ["--etcd-user u", "--etcd-password p", "--etcd-cert-file c", "--etcd-key-file k"] {
        assert!(read(alone).is_err(), "{alone}");
    }
}

#[test]
fn check_takes_its_file_either_way() {
    assert_eq!(check("check a.yaml").config_file(), PathBuf::from("a.yaml"));
    assert_eq!(check("check -c b.yaml -s units").config_file(), PathBuf::from("b.yaml"));
    assert_eq!(check("check a.yaml --config_file b.yaml").config_file(), PathBuf::from("a.yaml"));
    assert_eq!(check("check").config_file(), PathBuf::from("/etc/dynamite/config.yaml"));
    assert_eq!(check("check --cache-dir /c").files.cache.folder(), Some(PathBuf::from("/c")));
    assert!(matches!(read("schema"), Ok(Command::Schema)));
}

#[test]
fn examples_in_the_help_keep_their_lines() {
    for (name, text) in [("generate", crate::generate::FORMAT), ("policy test", crate::cases::FORMAT)] {
        for line in text.lines() {
            assert!(line.chars().count() < 78, "{name}: clap may wrap `{line}`");
        }
    }
}

#[test]
fn generate_has_no_configuration_file_to_look_into() {
    let mut command = Cli::command();
    let help = command.find_subcommand_mut("generate").unwrap().render_long_help().to_string();
    assert!(help.contains("[default: 127.0.0.1:2379]") && !help.contains("configuration file"), "{help}");
}

#[test]
fn nonsense_is_explained() {
    let mut said = String::new();
    for line in [
        "-f 10.0.0.1:0",
        "-f ftp://a:1",
        "-f unix://fleet.sock",
        "-e 10.0.0.1",
        "-e unix:///a",
        "-e a:1,,b:2",
        "--lease-ttl 1",
        "--lease-ttl soon",
        "--admin localhost:80",
        "--log-format xml",
        "--etcd-api v4",
        "--config-fil a",
        "frobnicate",
        "check a b",
    ] {
        let error = read(line).expect_err(line);
        let first = error.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n  ");
        said += &(line.to_owned() + "\n  " + &first + "\n");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn every_flag_has_its_environment_variable() {
    let mut command = Cli::command();
    command.build();
    let run = command.find_subcommand("run").expect("run");
    for arg in run.get_arguments().filter(|arg| arg.get_id() != "help") {
        let long = arg.get_long().expect("a long name");
        let variable = format!("DYNAMITE_{}", long.to_uppercase().replace('-', "_"));
        assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(variable.as_str()), "--{long}");
        let old = long.replace('-', "_");
        let aliases = arg.get_all_aliases().unwrap_or_default();
        assert!(old == long || aliases.contains(&old.as_str()), "--{old}");
        let is_secret = ["etcd-user", "etcd-password"].contains(&long);
        assert_eq!(arg.is_hide_env_values_set(), is_secret, "--{long}");
    }
    command.debug_assert();
}
