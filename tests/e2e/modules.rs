//! Modules and what the host makes of them: real ones, hostile ones, and what is none at all.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dynamite::wasm::{CallError, Garbled, Host, Limits, LoadError, Module, Run};
use dynamite_core::{Observation, Proposal, SeenSeries, SeenService, SeenWindow, Verdict};
use dynamite_tests::modules::{Target, module};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::time::Instant;

fn host() -> Result<&'static Host> {
    static HOST: OnceLock<Host> = OnceLock::new();
    if HOST.get().is_none() {
        let _ = HOST.set(Host::new(None).map_err(|error| anyhow::anyhow!("{error:#}"))?);
    }
    HOST.get().context("a host")
}

fn load(package: &str, target: Target) -> Result<Module> {
    Ok(host()?.load_file(&module(package, target)?, &Limits::default(), None)?)
}

/// What a policy sees: `load` over the last minute, on one instance of three.
fn seen(load: f64) -> Observation {
    let series = SeenSeries {
        id: "a".into(),
        instance: None,
        at_ms: (0..7).map(|step| 1_700_000_000_000 + step * 10_000).collect(),
        values: vec![load; 7].into(),
    };
    let window = SeenWindow {
        service_type: "web".into(),
        metric: "cpu".into(),
        length_ms: 60_000,
        series: vec![series],
        ..SeenWindow::default()
    };
    let service = SeenService { name: "web".into(), min: 1, max: Some(9), ..SeenService::default() };
    let now = Timestamp::from_millisecond(1_700_000_060_000).unwrap();
    Observation { now, service, windows: vec![window], last_up: None, last_down: None }
}

/// The usual limits with more time: machines that run tests are busy.
fn limits() -> Limits {
    Limits { time: Duration::from_secs(2), ..Limits::default() }
}

fn hostile(target: Target, deed: &str) -> Result<Run<Verdict>> {
    let config = format!("{{\"do\": \"{deed}\"}}");
    Ok(load("hostile", target)?.decide(&config, seen(50.0), &[], &limits()))
}

fn error(target: Target, deed: &str) -> Result<CallError> {
    hostile(target, deed)?.result.err().with_context(|| format!("{deed} is a failure"))
}

#[test]
fn the_built_in_rule_as_a_module_fires() -> Result<()> {
    for target in [Target::Bare, Target::Wasi] {
        let threshold = load("threshold", target)?;
        ensure!(threshold.description().name == "threshold", "{:?}", threshold.description());
        let config =
            r#"{"direction": "up", "comparative_operator": "gt", "threshold": 90, "period_seconds": 60}"#;
        ensure!(threshold.validate(config, &Limits::default()).result.is_ok());
        let refused = threshold.validate(r#"{"threshold": "much"}"#, &Limits::default()).result;
        ensure!(matches!(refused, Err(CallError::Refused(_))), "{refused:?}");
        let calm = threshold.decide(config, seen(50.0), &[], &Limits::default()).result?;
        ensure!(calm.proposal == Proposal::Hold, "{calm:?}");
        let hot = threshold.decide(config, seen(95.0), &[], &Limits::default()).result?;
        ensure!(hot.proposal == Proposal::Up(1) && hot.reason.contains("95"), "{hot:?}");
    }
    Ok(())
}

#[test]
fn what_does_not_end_by_itself_is_ended_and_only_that() -> Result<()> {
    let limits = limits();
    for target in [Target::Bare, Target::Wasi] {
        ensure!(error(target, "loop")? == CallError::OutOfFuel(limits));
        ensure!(error(target, "recurse")? == CallError::StackOverflow);
        ensure!(error(target, "grow")? == CallError::OutOfMemory(limits));
        ensure!(hostile(target, "nothing")?.result?.reason == "did nothing");
    }
    let endless = Limits { fuel: u64::MAX, ..limits };
    let began = Instant::now();
    let run = load("hostile", Target::Bare)?.decide(r#"{"do": "loop"}"#, seen(1.0), &[], &endless);
    ensure!(run.result == Err(CallError::OutOfTime(endless)), "{run:?}");
    ensure!(began.elapsed() < Duration::from_secs(20), "the time limit ends what fuel does not");
    ensure!(error(Target::Wasi, "sleep")? == CallError::OutOfTime(limits));
    Ok(())
}

#[test]
fn a_panic_tells_why_in_the_log() -> Result<()> {
    ensure!(matches!(error(Target::Bare, "panic")?, CallError::Trapped(_)), "it has no way to say why");
    let run = hostile(Target::Wasi, "panic")?;
    let said = run.result.as_ref().err().map(ToString::to_string).unwrap_or_default();
    ensure!(said.contains("it panicked at ") && said.ends_with("the sky falls"), "{run:?}");
    ensure!(run.log.lines.iter().any(|line| line.text.contains("the sky")), "{:?}", run.log);
    ensure!(error(Target::Wasi, "exit")? == CallError::Exited);
    ensure!(error(Target::Bare, "fail")? == CallError::Refused("it will not".to_owned()));
    Ok(())
}

#[test]
fn answers_that_are_too_much_are_failures_or_cut() -> Result<()> {
    for target in [Target::Bare, Target::Wasi] {
        ensure!(error(target, "state")? == Garbled::StateTooLarge(65_537).into());
        ensure!(
            matches!(error(target, "names")?, CallError::Trapped(_)),
            "4 MB: {}",
            error(target, "names")?
        );
        let reason = hostile(target, "reason")?.result?.reason;
        ensure!(reason.len() == 1024, "a reason of {} bytes", reason.len());
        let flood = hostile(target, "flood")?;
        ensure!(flood.result.is_ok() && flood.log.lines.len() == 20 && flood.log.left_out == 9_980);
    }
    let printed = hostile(Target::Wasi, "print")?;
    ensure!(printed.result.is_ok() && printed.log.lines[19].text == "printed 19", "{:?}", printed.log);
    Ok(())
}

#[test]
fn the_same_input_gives_the_same_output_and_nothing_is_left_in_an_instance() -> Result<()> {
    for (target, deed) in [(Target::Bare, "nan"), (Target::Wasi, "nan"), (Target::Wasi, "chance")] {
        let (first, second) = (hostile(target, deed)?, hostile(target, deed)?);
        let (one, two) = (first.result?.reason, second.result?.reason);
        ensure!(!one.is_empty() && one == two && first.fuel == second.fuel, "{deed}: {one} and {two}");
    }
    let chance = hostile(Target::Wasi, "chance")?.result?.reason;
    ensure!(chance.ends_with("1700000060s"), "the clock stands at `now`: {chance}");
    ensure!(hostile(Target::Bare, "nan")?.result?.reason == "7ff8000000000000");
    let policy = load("hostile", Target::Bare)?;
    for _ in 0..3 {
        let run = policy.decide(r#"{"do": "leak"}"#, seen(1.0), &[], &Limits::default());
        ensure!(run.result?.reason == "0", "every call has a fresh instance");
    }
    Ok(())
}

#[test]
fn files_that_are_no_policies_are_refused_in_words() -> Result<()> {
    let bytes = std::fs::read(module("hostile", Target::Bare)?)?;
    let component = std::fs::read(module("hostile", Target::Wasi)?)?;
    let refused = |bytes: &[u8]| {
        host()?.load(bytes, &Limits::default()).err().map(|error| error.to_string()).context("refused")
    };
    ensure!(refused(b"")?.contains("no WebAssembly"));
    ensure!(refused(b"#!/bin/sh\n")?.contains("no WebAssembly"));
    ensure!(refused(b"\0asm\x01\0\0\0")?.contains("core module that says nothing of an interface"));
    ensure!(refused(b"\0asm\x0d\0\x01\0")?.contains("does not export `describe`, `validate`, `decide`"));
    for cut in [bytes.len() / 2, bytes.len() - 1] {
        ensure!(refused(&bytes[..cut])?.contains("damaged"), "{}", refused(&bytes[..cut])?);
    }
    ensure!(refused(&component[..component.len() / 2])?.contains("damaged"));
    let wrong = host()?.load_file(&module("hostile", Target::Bare)?, &Limits::default(), Some("00"));
    ensure!(matches!(wrong, Err(LoadError::WrongHash { .. })), "{wrong:?}");
    let missing = host()?.load_file("/nowhere.wasm".as_ref(), &Limits::default(), None);
    ensure!(matches!(missing, Err(LoadError::Unreadable(_))), "{missing:?}");
    Ok(())
}

#[test]
fn a_compiled_module_is_kept_and_only_in_a_folder_that_is_ours() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new()?;
    let cached = folder.path().join("cache");
    let kept = || -> Result<usize> { Ok(std::fs::read_dir(&cached)?.count()) };
    let open = || Host::new(Some(&cached)).map_err(|error| anyhow::anyhow!("{error:#}"));
    let path = module("hostile", Target::Bare)?;
    let with_wasi = module("hostile", Target::Wasi)?;
    for _ in 0..2 {
        open()?.load_file(&with_wasi, &Limits::default(), None)?;
        ensure!(kept()? == 1, "the second time it comes from the cache");
    }
    std::fs::remove_dir_all(&cached)?;
    open()?.load_file(&path, &Limits::default(), None)?;
    ensure!(kept()? == 1);
    let again = open()?.load_file(&path, &Limits::default(), None)?;
    ensure!(kept()? == 1 && again.decide("{}", seen(1.0), &[], &Limits::default()).result.is_ok());
    for _ in 0..2 {
        let wasi = open()?.load_file(&module("hostile", Target::Wasi)?, &Limits::default(), None)?;
        ensure!(wasi.decide("{}", seen(1.0), &[], &limits()).result.is_ok(), "WASI is there again");
    }
    for entry in std::fs::read_dir(&cached)? {
        std::fs::write(entry?.path(), "nonsense")?;
    }
    let damaged = open()?.load_file(&path, &Limits::default(), None)?;
    ensure!(damaged.decide("{}", seen(1.0), &[], &Limits::default()).result.is_ok(), "it is compiled again");
    std::fs::set_permissions(&cached, PermissionsExt::from_mode(0o777))?;
    std::fs::remove_dir_all(&cached)?;
    std::fs::create_dir(&cached)?;
    std::fs::set_permissions(&cached, PermissionsExt::from_mode(0o777))?;
    open()?.load_file(&path, &Limits::default(), None)?;
    ensure!(kept()? == 0, "nothing is kept where others can write");
    Ok(())
}
