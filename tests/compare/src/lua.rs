//! Lua 5.4: tables, filled by hand.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use dynamite_core::{Observation, SeenInstance, SeenSeries, SeenWindow, Verdict};
use dynamite_tests::bench::rule;
use mlua::{Function, HookTriggers, Lua, Table, VmState};

const SCRIPT: &str = "
return function(threshold, seen)
  local over = 0
  for _, window in ipairs(seen.windows) do
    for _, series in ipairs(window.series) do
      local values, sum = series.values, 0.0
      for i = 1, #values do sum = sum + values[i] end
      if sum > threshold * #values then over = over + 1 end
    end
  end
  return over, string.format('%d series are over %d', over, threshold)
end";

/// A function in a state of its own.
pub(crate) fn start() -> Result<crate::Decide> {
    let lua = Lua::new();
    let function: Function = lua.load(SCRIPT).eval().map_err(|error| anyhow!("{error}"))?;
    Ok(Box::new(move |seen| decide(&lua, &function, &seen)))
}

/// A state for each decision, with limits on memory and time as a module has them.
pub(crate) fn start_fresh() -> crate::Decide {
    Box::new(|seen| {
        let lua = Lua::new();
        let function = limited(&lua).and_then(|()| lua.load(SCRIPT).eval());
        decide(&lua, &function.map_err(|error| anyhow!("{error}"))?, &seen)
    })
}

fn limited(lua: &Lua) -> mlua::Result<()> {
    lua.set_memory_limit(crate::MEMORY_BYTES)?;
    let end = Instant::now() + Duration::from_millis(100);
    let every = HookTriggers::new().every_nth_instruction(10_000);
    lua.set_hook(every, move |_, _| {
        if Instant::now() > end {
            return Err(mlua::Error::runtime("out of time"));
        }
        Ok(VmState::Continue)
    })
}

fn decide(lua: &Lua, function: &Function, seen: &Observation) -> Result<Verdict> {
    let answer = observation(lua, seen).and_then(|seen| function.call((rule::THRESHOLD, seen)));
    let (over, reason): (u32, String) = answer.map_err(|error| anyhow!("{error}"))?;
    Ok(crate::verdict(over, reason))
}

fn observation(lua: &Lua, seen: &Observation) -> mlua::Result<Table> {
    let service = lua.create_table_with_capacity(0, 5)?;
    service.raw_set("name", seen.service.name.as_str())?;
    service.raw_set("service_type", &*seen.service.service_type)?;
    service.raw_set("min", seen.service.min)?;
    service.raw_set("max", seen.service.max)?;
    service.raw_set("instances", list(lua, &seen.service.instances, instance)?)?;
    let table = lua.create_table_with_capacity(0, 3)?;
    table.raw_set("now", seen.now.as_millisecond())?;
    table.raw_set("service", service)?;
    table.raw_set("windows", list(lua, &seen.windows, window)?)?;
    Ok(table)
}

fn list<T>(lua: &Lua, all: &[T], one: impl Fn(&Lua, &T) -> mlua::Result<Table>) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(all.len(), 0)?;
    for (index, item) in all.iter().enumerate() {
        table.raw_set(index + 1, one(lua, item)?)?;
    }
    Ok(table)
}

fn instance(lua: &Lua, instance: &SeenInstance) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 4)?;
    table.raw_set("name", &*instance.name)?;
    table.raw_set("number", instance.number)?;
    table.raw_set("state", crate::word(instance.state))?;
    table.raw_set("since", instance.since.as_millisecond())?;
    Ok(table)
}

fn window(lua: &Lua, window: &SeenWindow) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 6)?;
    table.raw_set("service_type", &*window.service_type)?;
    table.raw_set("metric", &*window.metric)?;
    table.raw_set("unit", &*window.unit)?;
    table.raw_set("aggregated", window.aggregated)?;
    table.raw_set("length_ms", window.length_ms)?;
    table.raw_set("series", list(lua, &window.series, series)?)?;
    Ok(table)
}

fn series(lua: &Lua, series: &SeenSeries) -> mlua::Result<Table> {
    let table = lua.create_table_with_capacity(0, 4)?;
    table.raw_set("id", &*series.id)?;
    table.raw_set("instance", series.instance.as_deref())?;
    table.raw_set("at", lua.create_sequence_from(series.at_ms.iter().copied())?)?;
    table.raw_set("values", lua.create_sequence_from(series.values.iter().copied())?)?;
    Ok(table)
}
