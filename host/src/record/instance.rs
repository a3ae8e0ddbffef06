//! What is recorded of an instance, in the original's layout: fields of others are kept.

use serde_json::{Map, Value};

/// What is recorded of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceRecord {
    /// The units attached to it.
    pub attached: Vec<String>,
    /// The whole record, with fields of others.
    json: Map<String, Value>,
}

impl InstanceRecord {
    /// The record of an instance that is up.
    #[must_use]
    pub fn launched(unit: &str, attached: &[String]) -> Self {
        let unit_json = |name: &str, attached: Vec<Value>| {
            let mut json = Map::new();
            json.insert("name".to_owned(), name.into());
            json.insert("state".to_owned(), "launched".into());
            json.insert("attached_services".to_owned(), attached.into());
            json
        };
        let nested = attached.iter().map(|name| unit_json(name, Vec::new()).into()).collect();
        Self { attached: attached.to_vec(), json: unit_json(unit, nested) }
    }

    /// Reads a record; `None` when it is no JSON object.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let json: Map<String, Value> = serde_json::from_str(text).ok()?;
        let nested = json.get("attached_services").and_then(Value::as_array);
        let attached =
            nested.into_iter().flatten().filter_map(|unit| unit.get("name")?.as_str()).map(str::to_owned);
        Some(Self { attached: attached.collect(), json })
    }

    /// The name of the unit.
    pub(super) fn name(&self) -> Option<&str> {
        self.json.get("name")?.as_str()
    }

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> String {
        Value::from(self.json.clone()).to_string()
    }

    /// The record of the same instance after it was brought up again: fields of others are kept.
    #[must_use]
    pub fn relaunched(mut self, unit: &str, attached: &[String]) -> Self {
        let fresh = Self::launched(unit, attached);
        self.json.extend(fresh.json);
        Self { attached: fresh.attached, json: self.json }
    }
}
