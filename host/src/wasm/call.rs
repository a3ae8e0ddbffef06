//! One call: a fresh instance, its limits, and what came of it.

use std::borrow::Borrow;
use std::time::Duration;

use dynamite_core::{Observation, Verdict};
use sha2::{Digest, Sha256};
use wasmtime::{Store, Trap};

use super::engines::Size;
use super::error::CallError;
use super::guest::{Guest, Log};
use super::module::{Entry, Module};
use super::ticker::TICK;
use super::{Description, Limits, convert};

/// What a module may hand over in one call, in bytes of ours: the largest state, reasons and names, with room.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What came of a call, and what it took.
#[derive(Debug)]
pub struct Run<T> {
    /// What it answered.
    pub result: Result<T, CallError>,
    /// The fuel that was used.
    pub fuel: u64,
    /// The memory of the module at the end, in bytes.
    pub memory_bytes: usize,
    /// What it logged.
    pub log: Log,
}

impl<T> Run<T> {
    fn and_then<U>(self, f: impl FnOnce(T) -> Result<U, CallError>) -> Run<U> {
        let Self { result, fuel, memory_bytes, log } = self;
        Run { result: result.and_then(f), fuel, memory_bytes, log }
    }
}

/// Calls a function of a module in a fresh instance, directly or by way of a runtime.
macro_rules! call {
    ($module:expr, $guest:expr, $limits:expr, $function:ident($($argument:expr),*)) => {{
        let (module, limits): (&Module, &Limits) = ($module, $limits);
        match &module.entry {
            Entry::Small(pre) => module.run(Size::Small, $guest, limits, |store| {
                let policy = pre.instantiate(&mut *store)?;
                policy.$function(store, $($argument),*)
            }),
            Entry::Large(pre) => module.run(Size::Large, $guest, limits, |store| {
                waited(limits.time, async {
                    let policy = pre.instantiate_async(&mut *store).await?;
                    policy.$function(store, $($argument),*).await
                })
            }),
        }
    }};
}

impl Module {
    /// What the module says about itself.
    pub(super) fn describe(&self, limits: &Limits) -> Run<Description> {
        let guest = Guest::new(limits.memory_bytes, 0, [0; 32]);
        call!(self, guest, limits, call_describe()).and_then(|said| {
            let (name, version, summary) = (said.name, said.version, said.summary);
            Ok(Description { name, version, summary, config_schema: said.config_schema })
        })
    }

    /// Whether the module takes a configuration. Must not be called on a thread that runs asynchronous code.
    #[must_use]
    pub fn validate(&self, config: &str, limits: &Limits) -> Run<()> {
        let guest = Guest::new(limits.memory_bytes, 0, self.seed(config, 0, &[]));
        call!(self, guest, limits, call_validate(config))
            .and_then(|said| said.map_err(|error| refused(&error)))
    }

    /// What the module decides. Must not be called on a thread that runs asynchronous code.
    #[must_use]
    pub fn decide(
        &self,
        config: &str,
        seen: impl Borrow<Observation>,
        state: &[u8],
        limits: &Limits,
    ) -> Run<Verdict> {
        let seen = seen.borrow();
        let now_ms = u64::try_from(seen.now.as_millisecond()).unwrap_or(0);
        let guest = Guest::new(limits.memory_bytes, now_ms, self.seed(config, now_ms, state));
        convert::lend(seen, |seen| call!(self, guest, limits, call_decide(config, seen, state)))
            .and_then(|said| Ok(convert::verdict(said.map_err(|error| refused(&error))?)?))
    }

    /// What random numbers follow from, for a module that can ask for any: only WASI has them.
    fn seed(&self, config: &str, now_ms: u64, state: &[u8]) -> [u8; 32] {
        if let Entry::Small(_) = self.entry {
            return [0; 32];
        }
        let hasher = Sha256::new().chain_update(config).chain_update([0]).chain_update(now_ms.to_le_bytes());
        hasher.chain_update(state).finalize().into()
    }

    fn run<T>(
        &self,
        size: Size,
        guest: Guest,
        limits: &Limits,
        call: impl FnOnce(&mut Store<Guest>) -> wasmtime::Result<T>,
    ) -> Run<T> {
        let engines = &self.host.engines;
        let mut store = Store::new(engines.of(size), guest);
        store.limiter(|guest| &mut guest.meter);
        store.set_hostcall_fuel(ANSWER_BYTES_MAX);
        let ticks = limits.time.as_millis().div_ceil(TICK.as_millis());
        store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX).saturating_add(1));
        let fuelled = store.set_fuel(limits.fuel);
        let result = {
            let _ticking = engines.tick();
            fuelled.and_then(|()| call(&mut store))
        };
        let mut result = result.map_err(|error| explained(&error, &store, limits));
        let fuel = limits.fuel.saturating_sub(store.get_fuel().unwrap_or(0));
        // Output that did not end with a line is only handed over when the module is gone.
        let (memory_bytes, log) = (store.data().meter.memory, store.data().log.clone());
        drop(store);
        let log = std::mem::take(&mut *log.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        if let Err(error @ CallError::Trapped(_)) = &mut result
            && let Some(said) = panic_in(&log)
        {
            *error = CallError::Panicked(said);
        }
        Run { result, fuel, memory_bytes, log }
    }
}

/// What a panic said in the log, as Rust says it: in one line by the SDK, in several on standard error.
fn panic_in(log: &Log) -> Option<String> {
    const PANICKED: &str = "panicked ";
    let texts = || log.lines.iter().map(|line| line.text.as_str());
    let at = texts().rposition(|text| text.contains(&format!("{PANICKED}at ")))?;
    let mut lines = texts().skip(at).take_while(|text| !text.starts_with("note: "));
    let (_, first) = lines.next()?.split_once(PANICKED)?;
    Some([first].into_iter().chain(lines).collect::<Vec<_>>().join(" "))
}

/// Waits for a call, and no longer than it may take: a module that waits for something uses neither fuel nor epochs.
fn waited<T>(limit: Duration, call: impl Future<Output = wasmtime::Result<T>>) -> wasmtime::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // Made inside, as the timer belongs to the runtime.
    match runtime.block_on(async { tokio::time::timeout(limit, call).await }) {
        Ok(result) => result,
        Err(_) => Err(Trap::Interrupt.into()),
    }
}

fn refused(message: &str) -> CallError {
    let end = message.floor_char_boundary(convert::REASON_BYTES_MAX);
    CallError::Refused(convert::one_line(&message[..end]))
}

/// What ended a call.
fn explained(error: &wasmtime::Error, store: &Store<Guest>, limits: &Limits) -> CallError {
    if error.downcast_ref::<wasmtime_wasi::I32Exit>().is_some() {
        return CallError::Exited;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => CallError::OutOfFuel(*limits),
        Some(Trap::Interrupt) => CallError::OutOfTime(*limits),
        Some(Trap::StackOverflow) => CallError::StackOverflow,
        _ if store.data().meter.refused => CallError::OutOfMemory(*limits),
        Some(trap) => CallError::Trapped(trap.to_string()),
        None => CallError::Trapped(convert::one_line(&format!("{error:#}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wasm::{Level, Line};

    #[test]
    fn a_panic_is_told_however_it_was_written() {
        let of = |lines: &[&str]| {
            let line = |text: &&str| Line { level: Level::Warn, text: (*text).to_owned() };
            panic_in(&Log { lines: lines.iter().map(line).collect(), left_out: 0 })
        };
        let said = Some("at src/lib.rs:5:3: the sky falls".to_owned());
        assert_eq!(of(&["hello", "panicked at src/lib.rs:5:3: the sky falls"]), said);
        let printed = [
            "thread '<unnamed>' (1) panicked at src/lib.rs:5:3:",
            "the sky",
            "falls",
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
        ];
        assert_eq!(of(&printed), said);
        assert_eq!(of(&["nobody panicked"]), None);
        assert_eq!(of(&[]), None);
    }
}
