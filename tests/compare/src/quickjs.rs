//! QuickJS: objects, filled by hand, with columns as plain arrays or as typed ones, which are copied at once.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use dynamite_core::{Observation, SeenInstance, SeenSeries, SeenWindow, Verdict};
use dynamite_tests::bench::rule;
use rquickjs::{Array, Context, Ctx, Function, Object, Persistent, Runtime, TypedArray};

const SCRIPT: &str = "
(function (threshold, seen) {
  let over = 0;
  for (const window of seen.windows) {
    for (const series of window.series) {
      const values = series.values;
      let sum = 0;
      for (let i = 0; i < values.length; i++) sum += values[i];
      if (sum > threshold * values.length) over++;
    }
  }
  return [over, `${over} series are over ${threshold}`];
})";

/// What the columns become.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Columns {
    Plain,
    Typed,
}

/// A function in a context of its own.
pub(crate) fn start(columns: Columns) -> Result<crate::Decide> {
    let script = Script::load(&Runtime::new()?, columns)?;
    Ok(Box::new(move |seen| script.decide(&seen)))
}

/// A runtime and a context for each decision, with limits on memory and time as a module has them.
pub(crate) fn start_fresh(columns: Columns) -> crate::Decide {
    Box::new(move |seen| {
        let runtime = Runtime::new()?;
        runtime.set_memory_limit(crate::MEMORY_BYTES);
        let end = Instant::now() + Duration::from_millis(100);
        runtime.set_interrupt_handler(Some(Box::new(move || Instant::now() > end)));
        Script::load(&runtime, columns)?.decide(&seen)
    })
}

/// The function goes before the context that it belongs to.
struct Script {
    function: Persistent<Function<'static>>,
    context: Context,
    columns: Columns,
}

impl Script {
    fn load(runtime: &Runtime, columns: Columns) -> Result<Self> {
        let context = Context::full(runtime)?;
        let function = context.with(|js| {
            let function: Function<'_> = js.eval(SCRIPT)?;
            rquickjs::Result::Ok(Persistent::save(&js, function))
        })?;
        Ok(Self { function, context, columns })
    }

    fn decide(&self, seen: &Observation) -> Result<Verdict> {
        let answer = self.context.with(|js| {
            let function = self.function.clone().restore(&js)?;
            let answer: Array<'_> =
                function.call((rule::THRESHOLD, observation(&js, seen, self.columns)?))?;
            rquickjs::Result::Ok((answer.get::<u32>(0)?, answer.get::<String>(1)?))
        });
        let (over, reason) = answer.map_err(|error| anyhow!("{error}"))?;
        Ok(crate::verdict(over, reason))
    }
}

fn observation<'js>(js: &Ctx<'js>, seen: &Observation, columns: Columns) -> rquickjs::Result<Object<'js>> {
    let service = Object::new(js.clone())?;
    service.set("name", seen.service.name.as_str())?;
    service.set("serviceType", &*seen.service.service_type)?;
    service.set("min", seen.service.min)?;
    service.set("max", seen.service.max)?;
    let instances = Array::new(js.clone())?;
    for (index, one) in seen.service.instances.iter().enumerate() {
        instances.set(index, instance(js, one)?)?;
    }
    service.set("instances", instances)?;
    let windows = Array::new(js.clone())?;
    for (index, one) in seen.windows.iter().enumerate() {
        windows.set(index, window(js, one, columns)?)?;
    }
    let object = Object::new(js.clone())?;
    object.set("now", seen.now.as_millisecond() as f64)?;
    object.set("service", service)?;
    object.set("windows", windows)?;
    Ok(object)
}

fn instance<'js>(js: &Ctx<'js>, instance: &SeenInstance) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(js.clone())?;
    object.set("name", &*instance.name)?;
    object.set("number", instance.number)?;
    object.set("state", crate::word(instance.state))?;
    object.set("since", instance.since.as_millisecond() as f64)?;
    Ok(object)
}

fn window<'js>(js: &Ctx<'js>, window: &SeenWindow, columns: Columns) -> rquickjs::Result<Object<'js>> {
    let all = Array::new(js.clone())?;
    for (index, one) in window.series.iter().enumerate() {
        all.set(index, series(js, one, columns)?)?;
    }
    let object = Object::new(js.clone())?;
    object.set("serviceType", &*window.service_type)?;
    object.set("metric", &*window.metric)?;
    object.set("unit", &*window.unit)?;
    object.set("aggregated", window.aggregated)?;
    object.set("lengthMs", window.length_ms as f64)?;
    object.set("series", all)?;
    Ok(object)
}

fn series<'js>(js: &Ctx<'js>, series: &SeenSeries, columns: Columns) -> rquickjs::Result<Object<'js>> {
    let object = Object::new(js.clone())?;
    object.set("id", &*series.id)?;
    object.set("instance", series.instance.as_deref())?;
    // JavaScript's numbers are of this type.
    let at = series.at_ms.iter().map(|at| *at as f64);
    match columns {
        Columns::Plain => {
            object.set("at", plain(js, at)?)?;
            object.set("values", plain(js, series.values.iter().copied())?)?;
        }
        Columns::Typed => {
            object.set("at", TypedArray::new(js.clone(), at.collect::<Vec<_>>())?)?;
            object.set("values", TypedArray::new_copy(js.clone(), &series.values)?)?;
        }
    }
    Ok(object)
}

fn plain<'js>(js: &Ctx<'js>, numbers: impl Iterator<Item = f64>) -> rquickjs::Result<Array<'js>> {
    let array = Array::new(js.clone())?;
    for (index, number) in numbers.enumerate() {
        array.set(index, number)?;
    }
    Ok(array)
}
