//! The schema says what the reader does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{EXAMPLE, good};
use crate::config::{file, policy_file, schema};

fn accepts(value: &Value) -> bool {
    let (mut compiler, mut schemas) = (boon::Compiler::new(), boon::Schemas::new());
    compiler.add_resource("http://test.invalid/schema", schema()).expect("a schema");
    let index = compiler.compile("http://test.invalid/schema", &mut schemas).expect("a schema");
    schemas.validate(value, index).is_ok()
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
        service("scaling_policy", json!(["p"])),
        service("name_of_unit_file", json!("")),
    ] {
        assert!(!accepts(&broken), "{broken}");
    }
}

#[test]
fn policies_with_modules_are_described() {
    let with = |policy: Value| json!({ "Service": { "a": { "name_of_unit_file": "web@" } }, "ScalingPolicy": { "p": policy } });
    let policy = |key: &str, value: Value| {
        let mut policy = json!({ "module": "a.wasm" });
        policy[key] = value;
        with(policy)
    };
    let window = json!({ "service_type": "web", "metric": "cpu", "period": 5, "period_unit": "minute" });
    for right in [
        with(json!({ "module": "a.wasm" })),
        policy("sha256", json!("0".repeat(64))),
        policy("metrics", json!([window])),
        policy("config", json!({ "anything": [1, null] })),
        policy("limits", json!({ "memory": "64 MiB", "time": "2s", "fuel": 1 })),
        policy("limits", json!({ "memory": 65536, "time": null })),
        policy("cooldown_period", json!(5)),
    ] {
        assert!(accepts(&right), "{right}");
    }
    for broken in [
        with(json!({ "config": {} })),
        policy("module", json!("")),
        policy("sha256", json!("0f")),
        policy("metrics", json!({ "metric": "cpu" })),
        policy("metrics", json!([{ "metric": "cpu" }])),
        policy("interval", json!(0)),
        policy("config", json!([])),
        policy("limits", json!({ "memory": "64MB" })),
        policy("limits", json!({ "time": 5 })),
        policy("threshold", json!(5)),
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
        ("/$defs/policyReferences", file::POLICY_REFERENCE),
        (
            "/$defs/thresholdPolicy",
            &[policy_file::WINDOW, policy_file::THRESHOLD, policy_file::COMMON].concat(),
        ),
        ("/$defs/wasmPolicy", &[policy_file::WINDOW, policy_file::WASM, policy_file::COMMON].concat()),
        ("/$defs/window", policy_file::WINDOW),
        ("/$defs/limits", policy_file::LIMITS),
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
