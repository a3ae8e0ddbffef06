//! `dynamite policy run`: one decision of a module, and all that comes of it.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context as _;
use dynamite_core::{Answer, Observation, PolicyError, Usage, Verdict};
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::cases::amount::written;
use crate::cases::decider::Subject;
use crate::cases::expect::said;
use crate::cases::play::{bounds, log_lines, summary};
use crate::cases::world::{Verdicts, World};
use crate::cli::{DecideArgs, EXIT_FAILURE, EXIT_OK, Format};
use crate::wasm::{Log, Run};

/// How much of a state is shown to people, in characters.
const STATE_SHOWN: usize = 200;

/// A decision with its circumstances.
struct Decided {
    seen: Observation,
    result: Result<Verdict, String>,
    /// How many instances would come of it.
    wanted: Option<u32>,
    took: Duration,
    fuel: u64,
    memory_bytes: usize,
    log: Log,
}

pub(super) fn run(args: &DecideArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let Some(suite) = super::input(&args.input)? else { return Ok(EXIT_FAILURE) };
    let case = suite.one(args.case.as_deref()).map_err(anyhow::Error::msg)?;
    let state = match &args.state {
        Some(path) => std::fs::read(path).with_context(|| format!("`{}` cannot be read", path.display()))?,
        None => Vec::new(),
    };
    let module = super::load(&args.module, &case.policy.limits, &args.cache)?;
    if !super::fit(&[suite.only(case)], &module)? {
        return Ok(EXIT_FAILURE);
    }
    let config = case.policy.config.to_string();
    if let Err(error) = module.validate(&config, &case.policy.limits).result {
        anyhow::bail!("the policy refuses the configuration {config}: {error}");
    }
    let contestant = Subject::begin(&module, &case.policy).map_err(anyhow::Error::msg)?;
    let mut world = World::new(case, &contestant);
    world.advance(&case.steps[0]);
    let seen = world.observation();
    let _asked = world.ask();
    let began = super::stopwatch();
    let Run { result, fuel, memory_bytes, log } =
        module.decide(&config, seen.clone(), &state, &case.policy.limits);
    let took = began.elapsed();
    let usage = Usage { fuel, memory_bytes, took };
    let Verdicts { result, wanted } =
        world.answer(Answer { result: result.map_err(PolicyError::from), usage });
    let result = result.map_err(|error| error.words);
    let wanted = result.is_ok().then_some(wanted);
    let decided = Decided { seen, result, wanted, took, fuel, memory_bytes, log };
    if let (Some(path), Ok(verdict)) = (&args.state_out, &decided.result) {
        std::fs::write(path, &verdict.state)
            .with_context(|| format!("`{}` cannot be written", path.display()))?;
    }
    match args.format {
        Format::Json => writeln!(out, "{:#}", as_json(&decided))?,
        Format::Human => human(&decided, out)?,
    }
    Ok(if decided.result.is_ok() { EXIT_OK } else { EXIT_FAILURE })
}

fn human(decided: &Decided, out: &mut dyn Write) -> io::Result<()> {
    let Decided { seen, result, wanted, took, fuel, memory_bytes, log } = decided;
    let mut row = |key: &str, value: &str| writeln!(out, "{key:<10}{value}");
    match result {
        Ok(verdict) => {
            row("decision", &said(&verdict.proposal))?;
            row("reason", &verdict.reason)?;
            if let Some(wanted) = wanted {
                let (count, bounds) = (seen.service.count(), bounds(&seen.service));
                row("instances", &format!("{count} now, {wanted} wanted, {bounds}"))?;
            }
            if let Some(at) = verdict.wake_at {
                row("wakes in", &written(at.duration_since(seen.now).max(SignedDuration::ZERO)))?;
            }
            row("state", &shown_state(&verdict.state))?;
        }
        Err(error) => row("failed", error)?,
    }
    let memory = memory_bytes.div_ceil(1024);
    row("took", &format!("{:.3} ms, {} fuel, {memory} KiB of memory", took.as_secs_f64() * 1e3, fuel))?;
    for (index, line) in summary(seen).iter().enumerate() {
        row(if index == 0 { "seen" } else { "" }, line)?;
    }
    for (index, line) in log_lines(log).iter().enumerate() {
        row(if index == 0 { "log" } else { "" }, line)?;
    }
    Ok(())
}

fn shown_state(state: &[u8]) -> String {
    let bytes = format!("{} bytes", state.len());
    match std::str::from_utf8(state) {
        Ok("") => "empty".to_owned(),
        Ok(text) if !text.chars().any(char::is_control) => {
            let short: String = text.chars().take(STATE_SHOWN).collect();
            let cut = if short.len() < text.len() { " ..." } else { "" };
            format!("{bytes}: {short}{cut}")
        }
        _ => bytes,
    }
}

fn as_json(decided: &Decided) -> Value {
    let Decided { seen, result, wanted, took, fuel, memory_bytes, log } = decided;
    let verdict = result.as_ref().ok();
    json!({
        "decision": verdict.map(|verdict| said(&verdict.proposal)),
        "reason": verdict.map(|verdict| &verdict.reason),
        "error": result.as_ref().err(),
        "instances": seen.service.count(),
        "instances_wanted": wanted,
        "wake_at": verdict.and_then(|verdict| verdict.wake_at).map(|at| at.to_string()),
        "state_bytes": verdict.map(|verdict| verdict.state.len()),
        "state": verdict.and_then(|verdict| std::str::from_utf8(&verdict.state).ok()),
        "seconds": took.as_secs_f64(),
        "fuel": fuel,
        "memory_bytes": memory_bytes,
        "log": log_lines(log),
    })
}
