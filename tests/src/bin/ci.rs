//! `cargo ci`: everything that must hold before a change lands, one step after the other, each named.
//!
//! `cargo ci STEP...` runs only the steps whose names are given.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// A step: its name, and its commands, whose words are parted by blanks.
struct Step {
    name: &'static str,
    commands: &'static [&'static str],
}

/// What policies are built for; `rust-toolchain.toml` names the same. Some tests run what was built for the second.
const MODULES_FOR: [&str; 2] = ["wasm32-unknown-unknown", "wasm32-wasip2"];

const STEPS: [Step; 6] = [
    Step { name: "format", commands: &["cargo fmt --all --check"] },
    Step { name: "lint", commands: &["cargo clippy --workspace --all-targets --quiet -- -D warnings"] },
    Step { name: "docs", commands: &["cargo doc --workspace --no-deps --quiet"] },
    Step {
        name: "policies",
        commands: &[
            "cargo clippy --quiet --target wasm32-unknown-unknown --workspace --exclude dynamite \
             --exclude dynamite-core --exclude dynamite-tests --exclude dynamite-units -- -D warnings",
            "cargo build --quiet --target wasm32-unknown-unknown --workspace --exclude dynamite \
             --exclude dynamite-core --exclude dynamite-tests --exclude dynamite-units --profile policy",
        ],
    },
    Step { name: "test", commands: &["cargo test --workspace --no-fail-fast"] },
    Step { name: "container", commands: &["cargo run --quiet --package dynamite-tests --bin container"] },
];

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(wanted: &[String]) -> Result<()> {
    if let Some(unknown) = wanted.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        let names: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        bail!("there is no step `{unknown}`; there are {}", names.join(", "));
    }
    ensure_etcd()?;
    ensure_targets()?;
    for step in STEPS.iter().filter(|step| wanted.is_empty() || wanted.iter().any(|name| name == step.name)) {
        let began = now();
        for command in step.commands {
            say(&format!("{}: {command}", step.name));
            call(command).with_context(|| format!("step `{0}`; repeat it with `cargo ci {0}`", step.name))?;
        }
        say(&format!("{}: done in {:.0} s", step.name, began.elapsed().as_secs_f64()));
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "tells people how long a step took")]
fn now() -> Instant {
    Instant::now()
}

/// The tests run against a real etcd and its client: installs both where that can be done without asking, else names them.
fn ensure_etcd() -> Result<()> {
    if ["etcd", "etcdctl"].iter().all(|program| Command::new(program).arg("--version").output().is_ok()) {
        return Ok(());
    }
    let install = "apt-get install -y --no-install-recommends etcd-server etcd-client";
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !root || Command::new("apt-get").arg("--version").output().is_err() {
        bail!("the tests need etcd and etcdctl (3.4 or 3.5) on the PATH: `sudo {install}`");
    }
    say("etcd or etcdctl is missing; installing both");
    call("apt-get update -qq")?;
    call(install)
}

/// A toolchain that was there before its file named targets has none of them.
fn ensure_targets() -> Result<()> {
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().context("asking rustc")?;
    let libraries = Path::new(String::from_utf8_lossy(&sysroot.stdout).trim()).join("lib/rustlib");
    for target in MODULES_FOR.iter().filter(|target| !libraries.join(target).is_dir()) {
        say(&format!("the Rust target {target} is missing; installing it"));
        call(&format!("rustup target add {target}"))?;
    }
    Ok(())
}

fn call(command: &str) -> Result<()> {
    let mut words = command.split_whitespace();
    let program = words.next().context("an empty command")?;
    let status = Command::new(program)
        .args(words)
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()
        .with_context(|| format!("`{program}` cannot be run"))?;
    if !status.success() {
        bail!("`{command}` ended with {status}");
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn say(text: &str) {
    println!("ci: {text}");
}
