//! The schema says what the reader does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{EXAMPLE, good};
use crate::config::{file, schema};

/// Whether `value` satisfies `schema`: as much of JSON Schema as the schema uses, and a panic for anything else.
fn is_valid(root: &Value, schema: &Value, value: &Value) -> bool {
    let is_of = |kind: &Value| match kind.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    };
    schema.as_object().expect("a schema").iter().all(|(keyword, wanted)| match keyword.as_str() {
        "$schema" | "$defs" | "title" | "description" | "default" => true,
        "$ref" => {
            let path = wanted.as_str().and_then(|path| path.strip_prefix('#')).expect("a local reference");
            is_valid(root, root.pointer(path).expect("a definition"), value)
        }
        "anyOf" => wanted.as_array().expect("a list").iter().any(|schema| is_valid(root, schema, value)),
        "type" => match wanted {
            Value::Array(kinds) => kinds.iter().any(is_of),
            kind => is_of(kind),
        },
        "enum" => wanted.as_array().expect("a list").contains(value),
        "minLength" => value.as_str().is_none_or(|text| !text.is_empty()),
        "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().expect("a number")),
        "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().expect("a number")),
        "items" => value.as_array().is_none_or(|items| items.iter().all(|item| is_valid(root, wanted, item))),
        "required" => value.as_object().is_none_or(|object| {
            wanted
                .as_array()
                .expect("a list")
                .iter()
                .all(|key| object.contains_key(key.as_str().expect("a key")))
        }),
        "properties" => value.as_object().is_none_or(|object| {
            object
                .iter()
                .all(|(key, value)| wanted.get(key).is_none_or(|schema| is_valid(root, schema, value)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|object| {
            let known = schema.get("properties");
            object.iter().filter(|(key, _)| known.is_none_or(|known| known.get(key).is_none())).all(
                |(_, value)| match wanted {
                    Value::Bool(allowed) => *allowed,
                    wanted => is_valid(root, wanted, value),
                },
            )
        }),
        other => panic!("unknown keyword {other}"),
    })
}

fn accepts(value: &Value) -> bool {
    let schema = schema();
    is_valid(&schema, &schema, value)
}

#[test]
fn the_example_is_valid_in_both_forms() {
    let document = good(EXAMPLE).document;
    assert!(accepts(&document));
    assert!(accepts(&document["Dynamite"]));
}

#[test]
fn what_the_reader_refuses_is_not_valid() {
    let service = |key: &str, value: Value| {
        let mut service = json!({ "name_of_unit_file": "web@" });
        service[key] = value;
        json!({ "Dynamite": { "Service": { "a": service } } })
    };
    assert!(accepts(&service("type", json!("web"))));
    assert!(accepts(&service("max_instance", Value::Null)));
    for broken in [
        json!({}),
        json!([]),
        json!({ "Service": {}, "Services": {} }),
        json!({ "Service": { "a": {} } }),
        json!({ "Service": { "a": "web@" } }),
        service("colour", json!("red")),
        service("min_instance", json!("2")),
        service("min_instance", json!(-1)),
        service("max_instance", json!(0)),
        service("attached_service", json!([5])),
        service("scale_up_policy", json!("up")),
        service("name_of_unit_file", json!("")),
    ] {
        assert!(!accepts(&broken), "{broken}");
    }
}

#[test]
fn every_key_of_the_reader_is_in_the_schema_and_none_besides() {
    let schema = schema();
    for (pointer, keys) in [
        ("/anyOf/0", &[file::ROOT][..]),
        ("/$defs/sections", file::SECTIONS),
        ("/$defs/sections/properties/ServiceFiles", file::SERVICE_FILES),
        ("/$defs/sections/properties/FleetAPIEndpoint", file::FLEET),
        ("/$defs/sections/properties/ETCD", file::ETCD),
        ("/$defs/service", file::SERVICE),
        ("/$defs/policyReference", file::POLICY_REFERENCE),
        ("/$defs/policy", file::POLICY),
    ] {
        let properties =
            schema.pointer(pointer).expect(pointer)["properties"].as_object().expect("properties");
        let described: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(described, keys.iter().copied().collect(), "{pointer}");
        for (key, property) in properties {
            let is_section = property.get("$ref") == Some(&json!("#/$defs/sections"));
            assert!(is_section || property["description"].is_string(), "{pointer}: {key}");
        }
    }
}
