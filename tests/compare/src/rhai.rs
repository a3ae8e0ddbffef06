//! Rhai: maps and arrays, filled by hand.

use anyhow::{Result, anyhow};
use dynamite_core::{Observation, SeenInstance, SeenSeries, SeenWindow, Verdict};
use dynamite_tests::bench::rule;
use rhai::{AST, Array, Dynamic, Engine, Map, OptimizationLevel, Scope};

const SCRIPT: &str = "
fn decide(threshold, seen) {
  let over = 0;
  for window in seen.windows {
    for series in window.series {
      let sum = 0.0;
      for value in series.values { sum += value; }
      if sum > threshold * series.values.len { over += 1; }
    }
  }
  [over, `${over} series are over ${threshold.to_int()}`]
}";

/// A function in an engine of its own.
pub(crate) fn start() -> Result<crate::Decide> {
    let engine = engine();
    let script = engine.compile(SCRIPT)?;
    Ok(Box::new(move |seen| decide(&engine, &script, seen)))
}

/// With limits on work as a module has them. What a script leaves is in its scope, which is new for each decision anyway.
pub(crate) fn start_fresh() -> Result<crate::Decide> {
    let mut engine = engine();
    engine.set_max_operations(25_000_000).set_max_array_size(1 << 20).set_max_string_size(1 << 20);
    let script = engine.compile(SCRIPT)?;
    Ok(Box::new(move |seen| decide(&engine, &script, seen)))
}

fn engine() -> Engine {
    let mut engine = Engine::new();
    engine.set_optimization_level(OptimizationLevel::Full);
    engine
}

fn decide(engine: &Engine, script: &AST, seen: Observation) -> Result<Verdict> {
    let input = (rule::THRESHOLD, observation(seen));
    let answer: Array =
        engine.call_fn(&mut Scope::new(), script, "decide", input).map_err(|error| anyhow!("{error}"))?;
    let [over, reason] = &*answer else { return Err(anyhow!("an answer of two")) };
    let over = over.as_int().map_err(|kind| anyhow!("a count, not {kind}"))?;
    let reason = reason.clone().into_string().map_err(|kind| anyhow!("a reason, not {kind}"))?;
    Ok(crate::verdict(u32::try_from(over)?, reason))
}

fn map<const N: usize>(fields: [(&str, Dynamic); N]) -> Dynamic {
    fields.into_iter().map(|(name, value)| (name.into(), value)).collect::<Map>().into()
}

fn list<T>(all: impl IntoIterator<Item = T>, one: impl Fn(T) -> Dynamic) -> Dynamic {
    all.into_iter().map(one).collect::<Array>().into()
}

fn observation(seen: Observation) -> Dynamic {
    let service = map([
        ("name", seen.service.name.as_str().into()),
        ("service_type", text(&seen.service.service_type)),
        ("min", i64::from(seen.service.min).into()),
        ("max", seen.service.max.map_or(Dynamic::UNIT, |max| i64::from(max).into())),
        ("instances", list(seen.service.instances, instance)),
    ]);
    map([
        ("now", seen.now.as_millisecond().into()),
        ("service", service),
        ("windows", list(seen.windows, window)),
    ])
}

fn instance(instance: SeenInstance) -> Dynamic {
    map([
        ("name", instance.name.into()),
        ("number", i64::from(instance.number).into()),
        ("state", crate::word(instance.state).into()),
        ("since", instance.since.as_millisecond().into()),
    ])
}

fn window(window: SeenWindow) -> Dynamic {
    map([
        ("service_type", text(&window.service_type)),
        ("metric", text(&window.metric)),
        ("unit", text(&window.unit)),
        ("aggregated", window.aggregated.into()),
        ("length_ms", integer(window.length_ms)),
        ("series", list(window.series, series)),
    ])
}

fn series(series: SeenSeries) -> Dynamic {
    map([
        ("id", text(&series.id)),
        ("instance", series.instance.as_deref().map_or(Dynamic::UNIT, text)),
        ("at", list(series.at_ms.iter().copied(), integer)),
        ("values", list(series.values.iter().copied(), Dynamic::from_float)),
    ])
}

fn text(text: &str) -> Dynamic {
    text.into()
}

/// All times are of this century.
fn integer(number: u64) -> Dynamic {
    i64::try_from(number).unwrap_or(i64::MAX).into()
}
