//! `dynamite policy bench`: what decisions cost, over windows of several sizes.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use dynamite_core::{Observation, SeenSeries, SeenWindow};

use crate::cases::decider::Subject;
use crate::cases::file::{Case, Kind, read_text};
use crate::cases::world::World;
use crate::cli::{BenchArgs, EXIT_FAILURE, EXIT_OK, Size};
use crate::wasm::{CallError, Module};

/// The distance of samples.
const EVERY_MS: u64 = 10_000;

/// What a decision over a window of one size costs.
struct Measured {
    fuel: u64,
    memory_bytes: usize,
    p50: Duration,
    p99: Duration,
}

pub(super) fn run(args: &BenchArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let suite = match &args.input {
        Some(path) => super::input(path)?,
        None => read_text("no input", "policy: {metric: load}", std::path::Path::new(""), Kind::Input).ok(),
    };
    let Some(suite) = suite else { return Ok(EXIT_FAILURE) };
    let case = suite.one(args.case.as_deref()).map_err(anyhow::Error::msg)?;
    let module = super::load(&args.module, &case.policy.limits, &args.cache)?;
    if args.input.is_some() && !super::fit(&[suite.only(case)], &module)? {
        return Ok(EXIT_FAILURE);
    }
    let config = case.policy.config.to_string();
    if let Err(error) = module.validate(&config, &case.policy.limits).result {
        let help = "give one with `--input FILE`, a YAML file with `config: {...}`";
        anyhow::bail!("the policy refuses the configuration {config}: {error}; {help}");
    }
    writeln!(out, "fuel and memory are the same on every machine; the times are those of this one")?;
    writeln!(out, "{:>12}{:>12}{:>14}{:>12}{:>12}", "window", "fuel", "memory KiB", "p50 us", "p99 us")?;
    let mut failed = false;
    for &size in &args.sizes {
        match measured(&module, case, size, args.rounds) {
            Ok(Measured { fuel, memory_bytes, p50, p99 }) => {
                let (memory, us) = (memory_bytes.div_ceil(1024), |time: Duration| time.as_secs_f64() * 1e6);
                writeln!(out, "{size:>12}{fuel:>12}{memory:>14}{:>12.1}{:>12.1}", us(p50), us(p99))?;
            }
            Err(error) => {
                failed = true;
                writeln!(out, "{size:>12}  {error}")?;
            }
        }
        out.flush()?;
    }
    Ok(if failed { EXIT_FAILURE } else { EXIT_OK })
}

/// Decides as often as it is told, each time with the state that the first decision left.
fn measured(module: &Module, case: &Case, size: Size, rounds: u32) -> Result<Measured, CallError> {
    let (config, limits) = (case.policy.config.to_string(), &case.policy.limits);
    let seen = observation(module, case, size)?;
    let state = module.decide(&config, seen.clone(), &[], limits).result?.state;
    let mut times = Vec::new();
    let (mut fuel, mut memory_bytes) = (0, 0);
    for _ in 0..rounds {
        let seen = seen.clone();
        let began = super::stopwatch();
        let run = module.decide(&config, seen, &state, limits);
        times.push(began.elapsed());
        run.result?;
        (fuel, memory_bytes) = (run.fuel, run.memory_bytes);
    }
    times.sort_unstable();
    let percentile = |percent: usize| times.get((times.len() * percent / 100).min(times.len() - 1)).copied();
    let (p50, p99) = (percentile(50).unwrap_or_default(), percentile(99).unwrap_or_default());
    Ok(Measured { fuel, memory_bytes, p50, p99 })
}

/// What the case shows, with windows of this size in place of its own.
fn observation(module: &Module, case: &Case, size: Size) -> Result<Observation, CallError> {
    let contestant = Subject::begin(module, &case.policy).map_err(CallError::Refused)?;
    let mut world = World::new(case, &contestant);
    world.advance(&case.steps[0]);
    let mut seen = world.observation();
    let now_ms = u64::try_from(seen.now.as_millisecond()).unwrap_or(0);
    let instances: Vec<Arc<str>> =
        seen.service.instances.iter().map(|instance| instance.name.as_str().into()).collect();
    for window in &mut seen.windows {
        fill(window, size, now_ms, &instances);
    }
    Ok(seen)
}

fn fill(window: &mut SeenWindow, size: Size, now_ms: u64, instances: &[Arc<str>]) {
    let samples = u64::from(size.samples);
    let count = if window.aggregated { 1 } else { size.series };
    window.length_ms = samples * EVERY_MS;
    let series = |index: u32| SeenSeries {
        id: if window.aggregated { "".into() } else { format!("instance-{index:05}").into() },
        instance: instances.get(index as usize).cloned(),
        at_ms: (0..samples).map(|sample| now_ms.saturating_sub((samples - 1 - sample) * EVERY_MS)).collect(),
        // Numbers that go up and down, as those of a load do.
        values: (0..size.samples).map(|sample| f64::from((sample * 7 + index * 3) % 100)).collect(),
    };
    window.series = (0..count).map(series).collect();
}
