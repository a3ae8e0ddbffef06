//! Between the contract, which knows strings and bytes, and [`Policy`], which has types. Used by `export_policy!`.

use serde_json::Error;

pub use crate::bindings::dynamite::policy::types::Verdict as Answer;
use crate::{Description, Observation, Policy};

/// What the contract allows.
const STATE_BYTES_MAX: usize = 65_536;
/// What the contract allows.
const REASON_BYTES_MAX: usize = 1_024;

/// What a crate says about itself.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The name of the policy.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
}

/// Says what the policy is.
#[must_use]
pub fn describe<P: Policy>(about: About) -> Description {
    report_panics();
    Description {
        name: about.name.to_owned(),
        version: about.version.to_owned(),
        summary: about.summary.to_owned(),
        config_schema: schema::<P>(),
    }
}

/// The JSON Schema of its configuration.
#[must_use]
pub fn schema<P: Policy>() -> String {
    schemars::schema_for!(P::Config).as_value().to_string()
}

/// Checks a configuration.
pub fn validate<P: Policy>(config: &str) -> Result<(), String> {
    report_panics();
    P::validate(&read_config::<P>(config)?)
}

/// Decides.
pub fn decide<P: Policy>(config: &str, seen: &Observation, state: &[u8]) -> Result<Answer, String> {
    report_panics();
    let config = read_config::<P>(config)?;
    let mut state = read_state(state);
    let verdict = P::decide(&config, seen, &mut state)?;
    Ok(Answer {
        decision: verdict.decision,
        reason: cut(verdict.reason),
        state: write_state(&state)?,
        wake_at: verdict.wake_at,
    })
}

/// What cannot be read was another version's: the policy begins anew.
fn read_state<S: serde::de::DeserializeOwned + Default>(state: &[u8]) -> S {
    if state.is_empty() {
        return S::default();
    }
    serde_json::from_slice(state).unwrap_or_else(|error| {
        crate::log::warn(format!("the state cannot be read, and begins anew: {error}"));
        S::default()
    })
}

fn read_config<P: Policy>(config: &str) -> Result<P::Config, String> {
    serde_json::from_str(config).map_err(|error| without_place(&error))
}

/// The line and column are those of JSON that nobody wrote.
fn without_place(error: &Error) -> String {
    let mut text = error.to_string();
    let length = text.rfind(" at line ").unwrap_or(text.len());
    text.truncate(length);
    text
}

fn write_state<S: serde::Serialize>(state: &S) -> Result<Vec<u8>, String> {
    if size_of::<S>() == 0 {
        return Ok(Vec::new());
    }
    let bytes = serde_json::to_vec(state).map_err(|error| format!("the state is no JSON: {error}"))?;
    if bytes.len() > STATE_BYTES_MAX {
        return Err(format!("the state has {} bytes; {STATE_BYTES_MAX} are allowed", bytes.len()));
    }
    Ok(bytes)
}

fn cut(mut reason: String) -> String {
    const MARK: &str = "…";
    if reason.len() > REASON_BYTES_MAX {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX - MARK.len()));
        reason.push_str(MARK);
    }
    reason
}

/// A module of `wasm32-unknown-unknown` has no standard error: what a panic says goes to the log.
#[cfg(target_family = "wasm")]
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| crate::log::warn(panic.to_string().replace('\n', " "))));
}

#[cfg(not(target_family = "wasm"))]
fn report_panics() {}

#[cfg(test)]
mod tests;
