//! The events of a running `dynamite`, as it writes them with `--events`, and finding those that contain something.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The lines of a file that are written in full.
///
/// # Errors
/// What the file system says, or the line that is no JSON.
pub fn read(path: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(path)?;
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))).collect()
}

/// Whether a value has all that a part of it says: of a map the fields, of a list each in some place. Numbers are compared
/// as numbers, and null stands for anything but null.
#[must_use]
pub fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (whole, Value::Null) => !whole.is_null(),
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, part)| whole.get(name).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part)))
        }
        (Value::Number(whole), Value::Number(part)) => whole.as_f64() == part.as_f64(),
        (whole, part) => whole == part,
    }
}

/// That this is done with a unit: `start`, `stop`, `replace` or `mend`.
#[must_use]
pub fn decided(deed: &str, unit: &str) -> Value {
    json!({ "event": "decided", "actions": [{ "deed": deed, "unit": unit }] })
}

/// That a threshold brings a unit up, with what is said of how it fired.
#[must_use]
pub fn fired(unit: &str, firing: &Value) -> Value {
    let action = json!({ "deed": "start", "unit": unit, "reason": { "threshold": firing } });
    json!({ "event": "decided", "actions": [action] })
}

/// That this came of an action on a unit: `started` or `stopped`.
#[must_use]
pub fn ended(unit: &str, outcome: &str) -> Value {
    json!({ "event": "action_ended", "unit": unit, "outcome": outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_wherever_it_is() {
        let whole = json!({ "event": "decided", "hold": null, "value": 95.0, "actions": [{ "deed": "start", "slot": 1 }] });
        for (part, expected) in [
            (json!({}), true),
            (json!({ "value": 95 }), true),
            (json!({ "value": null }), true),
            (json!({ "hold": null }), false),
            (json!({ "event": "action_ended" }), false),
            (json!({ "other": null }), false),
            (json!({ "actions": [{ "slot": 1 }] }), true),
            (json!({ "actions": [{ "slot": 2 }] }), false),
        ] {
            assert_eq!(contains(&whole, &part), expected, "{part}");
        }
    }
}
