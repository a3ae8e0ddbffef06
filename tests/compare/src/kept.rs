//! The same module in an instance that is kept: what a fresh one for every decision costs is the difference.
//!
//! wasmtime is set up as Dynamite sets it up, but for the clock that ends calls: nothing here has to end.

use anyhow::{Context as _, Result, anyhow};
use dynamite_core::{Observation, Proposal, SeenInstance, SeenSeries, SeenWindow, Verdict};
use dynamite_tests::bench::rule;
use dynamite_tests::modules::{Target, module};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, Store};

mod bindings {
    wasmtime::component::bindgen!({ path: "../../wit/0.1.0", world: "scaling-policy" });
}

use bindings::ScalingPolicy;
use bindings::dynamite::policy::{log, types};

struct Guest;

impl log::Host for Guest {
    fn write(&mut self, _level: log::Level, _message: String) {}
}

impl types::Host for Guest {}

/// An instance.
pub(crate) fn start() -> Result<crate::Decide> {
    let core = std::fs::read(module("mean", Target::Bare)?)?;
    let mut encoder = wit_component::ComponentEncoder::default().module(&core)?;
    let component = encoder.encode()?;
    instance(&component).map_err(|error| anyhow!("{error:#}"))
}

fn instance(component: &[u8]) -> wasmtime::Result<crate::Decide> {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .consume_fuel(true)
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true);
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, component)?;
    let mut linker = Linker::new(&engine);
    log::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    types::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    let mut store = Store::new(&engine, Guest);
    store.set_epoch_deadline(u64::MAX / 2);
    store.set_fuel(u64::MAX)?;
    let policy = ScalingPolicy::instantiate(&mut store, &component, &linker)?;
    Ok(Box::new(move |seen| {
        let answer = policy.call_decide(&mut store, rule::CONFIG, &observation(seen), &[]);
        let answer = answer.map_err(|error| anyhow!("{error:#}"))?.map_err(|error| anyhow!(error))?;
        verdict(answer).context("the rule holds or scales up")
    }))
}

fn verdict(answer: types::Verdict) -> Option<Verdict> {
    let proposal = match answer.decision {
        types::Decision::Hold => Proposal::Hold,
        types::Decision::ScaleUp(count) => Proposal::Up(count),
        _ => return None,
    };
    Some(Verdict { proposal, reason: answer.reason, state: answer.state, wake_at: None })
}

fn ms(time: impl TryInto<u64>) -> u64 {
    time.try_into().unwrap_or(0)
}

fn observation(seen: Observation) -> types::Observation {
    let service = seen.service;
    types::Observation {
        now: ms(seen.now.as_millisecond()),
        service: types::Service {
            name: service.name.to_string(),
            service_type: service.service_type.to_string(),
            min_instances: service.min,
            max_instances: service.max,
            instances: service.instances.into_iter().map(instance_of).collect(),
        },
        windows: seen.windows.into_iter().map(window).collect(),
        last_scale_up: None,
        last_scale_down: None,
    }
}

fn instance_of(instance: SeenInstance) -> types::Instance {
    types::Instance {
        name: instance.name,
        number: instance.number,
        state: types::InstanceState::Running,
        since: ms(instance.since.as_millisecond()),
    }
}

fn window(window: SeenWindow) -> types::Window {
    types::Window {
        service_type: window.service_type.to_string(),
        metric: window.metric.to_string(),
        unit: window.unit.to_string(),
        aggregated: window.aggregated,
        length_ms: window.length_ms,
        series: window.series.into_iter().map(series).collect(),
    }
}

fn series(series: SeenSeries) -> types::Series {
    types::Series {
        id: series.id.to_string(),
        instance: series.instance.map(|unit| unit.to_string()),
        at: series.at_ms.to_vec(),
        values: series.values.to_vec(),
    }
}
