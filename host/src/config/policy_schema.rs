//! The part of the JSON Schema that describes policies.

use serde_json::{Map, Value, json};

use super::policies::{INTERVAL_DEFAULT, SHA256_DIGITS};
use super::quantities::{MEMORY_UNITS, TIME_UNITS};
use super::schema::{count, described, object, optional, text, with_default, words_of, words_required};
use super::words::{OPERATORS, UNITS};
use crate::wasm::Limits;

/// A policy that compares a metric with a threshold.
pub(super) fn threshold() -> Value {
    let decides = json!({
        "comparative_operator": words_required(
            "How a sample is compared with the threshold: less than, greater than, less or equal, greater or equal.",
            OPERATORS.right.iter().map(|(word, _)| *word),
        ),
        "threshold": { "type": "number", "description": "What samples are compared with, in the metric's own unit." },
    });
    object(
        "A rule that adds or removes one instance when a metric is beyond a threshold for a period.",
        together([
            window_keys(
                "How long every sample must be beyond the threshold, in `period_unit`; at most 366 days.",
            ),
            decides,
            cooldown_keys(),
        ]),
        &["service_type", "metric", "comparative_operator", "threshold"],
    )
}

/// A policy with a module.
pub(super) fn wasm() -> Value {
    let own = json!({
        "module": text("The file of the WebAssembly module; a relative path starts at the folder of this file."),
        "sha256": optional(json!({
            "type": "string",
            "pattern": format!("^\\s*[0-9A-Fa-f]{{{SHA256_DIGITS}}}\\s*$"),
            "description": "The SHA-256 that the file must have, in hexadecimal.",
        })),
        "metrics": {
            "type": ["array", "null"],
            "items": { "$ref": "#/$defs/window" },
            "description": "The metrics that it reads, after the one that is written directly, if there is one.",
        },
        "interval": with_default(
            optional(count("How often it is asked when no sample arrives, in `interval_unit`; at most 366 days.", 1)),
            INTERVAL_DEFAULT.as_secs().into(),
        ),
        "interval_unit": unit("interval"),
        "config": {
            "type": ["object", "null"],
            "description": "What the module makes of it: see its own documentation, or `dynamite policy inspect`.",
        },
        "limits": described(json!({ "$ref": "#/$defs/limits" }), "What one call of it may use."),
    });
    object(
        "A policy that a WebAssembly module decides.",
        together([own, window_keys(SPAN), cooldown_keys()]),
        &["module"],
    )
}

/// A metric that a policy with a module reads.
pub(super) fn window() -> Value {
    object("A metric over some time.", window_keys(SPAN), &["service_type", "metric"])
}

/// What `period` means to a module.
const SPAN: &str =
    "How far back it sees, in `period_unit`; at most 366 days, and 0 is the newest sample only.";

/// What a call may use.
pub(super) fn limits() -> Value {
    let default = Limits::default();
    let quantity = |units: &[(&str, u64)]| {
        let units: Vec<&str> = units.iter().map(|(unit, _)| *unit).collect();
        json!({ "type": "string", "pattern": format!("^\\s*[0-9]+\\s*({})\\s*$", units.join("|")) })
    };
    let memory = json!({ "anyOf": [
        quantity(MEMORY_UNITS),
        { "type": "integer", "minimum": super::quantities::MEMORY_BYTES_MIN, "maximum": Limits::MEMORY_BYTES_MAX },
        { "type": "null" },
    ] });
    let memory_max = format!(
        "The memory of the module, such as `64MiB`, or in bytes; at most {} MiB.",
        Limits::MEMORY_BYTES_MAX >> 20
    );
    let time = format!("The time, such as `50ms` or `2s`; at most {} s.", Limits::TIME_MAX.as_secs());
    let fuel = "The work, in units of which an instruction takes about one.";
    let properties = json!({
        "memory": with_default(
            described(memory, &memory_max),
            format!("{}MiB", default.memory_bytes >> 20).into(),
        ),
        "time": with_default(
            described(optional(quantity(TIME_UNITS)), &time),
            format!("{}ms", default.time.as_millis()).into(),
        ),
        "fuel": with_default(
            optional(json!({ "type": "integer", "minimum": 1, "maximum": u64::MAX, "description": fuel })),
            default.fuel.into(),
        ),
    });
    optional(object(
        "What one call of a module may use; beyond it the call ends and counts as a failure.",
        properties,
        &[],
    ))
}

fn window_keys(period: &str) -> Value {
    json!({
        "service_type": text("The `type` of the service whose metrics are read."),
        "metric": text("The metric's key in etcd; `key.field` reads a field of a JSON value."),
        "metric_aggregated": with_default(
            optional(json!({ "type": "boolean", "description": "Whether there is one series for the whole type, not one an instance." })),
            false.into(),
        ),
        "threshold_unit": optional(text("The metric's unit, such as `percent`; for people only.")),
        "period": with_default(optional(count(period, 0)), 0.into()),
        "period_unit": unit("period"),
    })
}

fn cooldown_keys() -> Value {
    json!({
        "cooldown_period": with_default(
            optional(count("How long the policy rests after it scaled, in `cooldown_period_unit`; at most 366 days.", 0)),
            0.into(),
        ),
        "cooldown_period_unit": unit("cooldown_period"),
    })
}

fn unit(key: &str) -> Value {
    let words = UNITS.right.iter().map(|(word, _)| *word);
    with_default(words_of(&format!("The unit of `{key}`."), words), "second".into())
}

/// One map of several.
fn together<const N: usize>(parts: [Value; N]) -> Value {
    let mut all = Map::new();
    for part in parts {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}
