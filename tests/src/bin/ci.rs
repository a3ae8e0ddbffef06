//! `cargo ci`: everything that must hold before a change lands, one step after the other, each named.
//!
//! `cargo ci STEP...` runs only the steps whose names are given.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// A step: its name, and the commands in it.
struct Step {
    name: &'static str,
    commands: &'static [&'static [&'static str]],
}

const STEPS: [Step; 6] = [
    Step { name: "format", commands: &[&["cargo", "fmt", "--all", "--check"]] },
    Step {
        name: "lint",
        commands: &[&["cargo", "clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]],
    },
    Step { name: "docs", commands: &[&["cargo", "doc", "--workspace", "--no-deps", "--quiet"]] },
    Step { name: "build", commands: &[&["cargo", "build", "--workspace", "--quiet"]] },
    Step { name: "test", commands: &[&["cargo", "test", "--workspace", "--no-fail-fast"]] },
    Step { name: "policies", commands: &[BUILD_POLICIES, TEST_THRESHOLD] },
];

/// The module that answers as the built-in policy does.
const BUILD_POLICIES: &[&str] = &[
    "cargo",
    "build",
    "--quiet",
    "--profile",
    "policy",
    "--target",
    "wasm32-unknown-unknown",
    "-p",
    "threshold",
];
const TEST_THRESHOLD: &[&str] = &[
    "cargo",
    "run",
    "--quiet",
    "-p",
    "dynamite",
    "--",
    "policy",
    "test",
    "target/wasm32-unknown-unknown/policy/threshold.wasm",
    "policies/threshold/cases/conformance.yaml",
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
    for step in STEPS.iter().filter(|step| wanted.is_empty() || wanted.iter().any(|name| name == step.name)) {
        let began = now();
        for command in step.commands {
            say(&format!("{}: {}", step.name, command.join(" ")));
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

/// The tests run against a real etcd: installs it where that can be done without asking, else names it.
fn ensure_etcd() -> Result<()> {
    if Command::new("etcd").arg("--version").output().is_ok() {
        return Ok(());
    }
    let install = ["apt-get", "install", "-y", "--no-install-recommends", "etcd-server"];
    let root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    if !root || Command::new("apt-get").arg("--version").output().is_err() {
        bail!("the tests need etcd (3.4 or 3.5) on the PATH: `sudo {}`", install.join(" "));
    }
    say("etcd is missing; installing it");
    call(&["apt-get", "update", "-qq"])?;
    call(&install)
}

fn call(command: &[&str]) -> Result<()> {
    let [program, args @ ..] = command else { bail!("an empty command") };
    let status = Command::new(program)
        .args(args)
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()
        .with_context(|| format!("`{program}` cannot be run"))?;
    if !status.success() {
        bail!("`{}` ended with {status}", command.join(" "));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the command is for")]
fn say(text: &str) {
    println!("ci: {text}");
}
