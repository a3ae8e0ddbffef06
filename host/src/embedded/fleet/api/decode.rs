//! The body of a PUT, read as leniently as Go reads JSON: keys in any case, unknown ones ignored, and whatever
//! follows the first value too.

use dynamite_units::UnitOption;
use serde_json::{Map, Value};

use super::super::model::PutBody;

/// The name in the body, empty when left out, and the rest of it; or what is wrong.
pub(super) fn put_body(bytes: &[u8]) -> Result<(String, PutBody), String> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let value = values.next().ok_or_else(|| "EOF".to_owned())?;
    let mut name = String::new();
    let mut body = PutBody::default();
    let Some(fields) = object(value.map_err(|error| error.to_string())?, "Unit")? else {
        return Ok((name, body));
    };
    for (key, value) in fields {
        match key.to_ascii_lowercase().as_str() {
            "name" => name = text(value, "Unit.name")?,
            "desiredstate" => body.desired = text(value, "Unit.desiredState")?,
            "options" => body.options = options(value)?,
            _ => {}
        }
    }
    Ok((name, body))
}

fn options(value: Value) -> Result<Vec<Option<UnitOption>>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.into_iter().map(option).collect(),
        other => Err(mismatch(&other, "Unit.options")),
    }
}

fn option(value: Value) -> Result<Option<UnitOption>, String> {
    let Some(fields) = object(value, "UnitOption")? else { return Ok(None) };
    let mut option = UnitOption { section: String::new(), name: String::new(), value: String::new() };
    for (key, value) in fields {
        match key.to_ascii_lowercase().as_str() {
            "section" => option.section = text(value, "UnitOption.section")?,
            "name" => option.name = text(value, "UnitOption.name")?,
            "value" => option.value = text(value, "UnitOption.value")?,
            _ => {}
        }
    }
    Ok(Some(option))
}

fn object(value: Value, what: &str) -> Result<Option<Map<String, Value>>, String> {
    match value {
        Value::Null => Ok(None),
        Value::Object(fields) => Ok(Some(fields)),
        other => Err(mismatch(&other, what)),
    }
}

fn text(value: Value, what: &str) -> Result<String, String> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        other => Err(mismatch(&other, what)),
    }
}

fn mismatch(value: &Value, what: &str) -> String {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("json: cannot unmarshal {kind} into Go value of {what}")
}
