//! What a module answers, whatever it is given.

use serde::{Deserialize, Serialize};

use super::*;
use crate::testing::{Run, logged, observation};
use crate::{Decision, Verdict, hold, log, scale_up};

#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// How often to hold first.
    patience: u32,
    #[serde(default)]
    words: usize,
}

#[derive(Default, Deserialize, Serialize)]
struct State {
    calls: u32,
    words: String,
}

struct Patient;

impl Policy for Patient {
    type Config = Config;
    type State = State;

    fn validate(config: &Config) -> Result<(), String> {
        if config.patience > 9 { Err("`patience` is above 9".to_owned()) } else { Ok(()) }
    }

    fn decide(config: &Config, _: &Observation, state: &mut State) -> Result<Verdict, String> {
        state.calls += 1;
        state.words = "é".repeat(config.words);
        log::info(format!("call {}", state.calls));
        if state.calls <= config.patience {
            return Ok(hold(state.words.clone()).wake_at(7));
        }
        Ok(scale_up(1, format!("call {}", state.calls)))
    }
}

crate::export_policy!(Patient, name = "patient", summary = "Waits");

#[test]
fn state_goes_from_call_to_call_and_unreadable_state_begins_anew() {
    let mut run = Run::<Patient>::new(r#"{"patience": 1}"#).unwrap();
    let decisions = |run: &mut Run<Patient>| run.decide(&observation(1)).unwrap().decision;
    assert_eq!(decisions(&mut run), Decision::Hold);
    assert_eq!(decisions(&mut run), Decision::ScaleUp(1));
    for state in [&b"{\"calls\": \"many\"}"[..], b"\xff", b"[]"] {
        run.set_state(state);
        assert_eq!(decisions(&mut run), Decision::Hold, "{state:?}");
    }
    let lines = logged();
    assert_eq!(lines.len(), 5 + 3, "one a call, and one for each state that cannot be read: {lines:?}");
    assert_eq!(logged().len(), 0);
}

#[test]
fn a_wrong_configuration_is_refused_in_words_without_a_place() {
    let refused = |config| Run::<Patient>::new(config).map(|_| ()).unwrap_err();
    assert_eq!(refused("{}"), "missing field `patience`");
    assert_eq!(refused(r#"{"patience": 10}"#), "`patience` is above 9");
    assert_eq!(refused(r#"{"patience": 1, "x": 2}"#), "unknown field `x`, expected `patience` or `words`");
}

#[test]
fn reasons_are_cut_between_characters_and_large_states_are_refused() {
    let decide = |words| glue_decide(&format!(r#"{{"patience": 1, "words": {words}}}"#));
    assert_eq!(decide(512).unwrap().reason.len(), 1024);
    let cut = decide(513).unwrap();
    assert_eq!((cut.reason.len(), cut.reason.chars().last()), (1023, Some('…')));
    assert_eq!(cut.wake_at, Some(7));
    assert!(decide(40_000).unwrap_err().contains("65536 are allowed"));
}

fn glue_decide(config: &str) -> Result<Answer, String> {
    decide::<Patient>(config, &observation(1), &[])
}

#[test]
fn the_schema_has_descriptions_and_defaults() {
    let schema: serde_json::Value = serde_json::from_str(&schema::<Patient>()).unwrap();
    assert_eq!(schema["properties"]["patience"]["description"], "How often to hold first.");
    assert_eq!(schema["properties"]["words"]["default"], 0);
    assert_eq!(schema["additionalProperties"], false);
    let none: serde_json::Value = serde_json::to_value(schemars::schema_for!(crate::NoConfig)).unwrap();
    assert_eq!(none["type"], "object");
}
