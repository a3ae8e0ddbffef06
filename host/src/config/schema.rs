//! The JSON Schema of the configuration, for editors and for people. It describes the form; what needs to look at two
//! places at once, such as whether a policy is defined, only [`super::load`] checks.

use serde_json::{Value, json};

use super::policy_schema;
use super::words::CLEANUPS;
use super::{ETCD_ENDPOINT_DEFAULT, FLEET_SOCKET_DEFAULT, SERVICE_FOLDER_DEFAULT};

/// The JSON Schema (2020-12) of the configuration, with and without the top-level key `Dynamite`.
#[must_use]
pub fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Dynamite configuration",
        "description": "Which services run on fleet, how many instances of each, and by which metrics that changes.",
        "anyOf": [
            object("Everything under one key.", json!({ "Dynamite": { "$ref": "#/$defs/sections" } }), &["Dynamite"]),
            { "$ref": "#/$defs/sections" },
        ],
        "$defs": {
            "sections": sections(),
            "service": service(),
            "policy": {
                "description": "What changes the number of instances by metrics: a threshold, or a module.",
                "anyOf": [{ "$ref": "#/$defs/thresholdPolicy" }, { "$ref": "#/$defs/wasmPolicy" }],
            },
            "thresholdPolicy": policy_schema::threshold(),
            "wasmPolicy": policy_schema::wasm(),
            "window": policy_schema::window(),
            "limits": policy_schema::limits(),
            "names": {
                "description": "A list of names, or a single one.",
                "anyOf": [
                    { "type": "string", "minLength": 1 },
                    { "type": "array", "items": { "type": "string", "minLength": 1 } },
                    { "type": "null" },
                ],
            },
            "policyReference": object_or_null(
                "A scaling policy, by its name.",
                json!({ "ScalingPolicy": text("The key of the policy in the section `ScalingPolicy`.") }),
                &["ScalingPolicy"],
            ),
            "policyReferences": object_or_null(
                "Scaling policies with `module`, by their names.",
                json!({ "ScalingPolicy": described(
                    json!({ "anyOf": [
                        { "type": "string", "minLength": 1 },
                        { "type": "array", "items": { "type": "string", "minLength": 1 } },
                    ] }),
                    "The keys of policies in the section `ScalingPolicy`, or a single one.",
                ) }),
                &["ScalingPolicy"],
            ),
        },
    })
}

fn sections() -> Value {
    let files = json!({ "PathList": described(
        json!({ "$ref": "#/$defs/names" }),
        &format!("The folders with the unit files of the services; a relative one starts at the folder of this file. Default: {SERVICE_FOLDER_DEFAULT}."),
    ) });
    let fleet = json!({
        "ip": text("The address or host name of fleet's API."),
        "port": port("The port of fleet's API."),
    });
    let map_of = |reference: &str, description: &str| json!({ "description": description, "type": ["object", "null"], "additionalProperties": { "$ref": reference } });
    object(
        "The sections of the configuration.",
        json!({
            "ServiceFiles": object_or_null("Where unit files are.", files, &[]),
            "FleetAPIEndpoint": object_or_null(
                &format!("Where fleet is; the command line beats it. Default: unix://{FLEET_SOCKET_DEFAULT}."),
                fleet,
                &["ip", "port"],
            ),
            "ETCD": etcd(),
            "Service": map_of("#/$defs/service", "The services, by name."),
            "ScalingPolicy": map_of("#/$defs/policy", "The scaling policies, by name."),
        }),
        &["Service"],
    )
}

fn etcd() -> Value {
    object_or_null(
        "What belongs to the application in etcd, and where etcd is.",
        json!({
            "application_base_path": with_default(
                optional(text("The folder under which instances register; absolute, not in /_dynamite.")),
                super::etcd_paths::APPLICATION_BASE_DEFAULT.into(),
            ),
            "metrics_base_path": with_default(
                optional(text("The folder under which metrics are written; absolute, apart from the one of registrations.")),
                super::etcd_paths::METRICS_BASE_DEFAULT.into(),
            ),
            "metrics_cleanup": words_of(
                "`never` keeps samples in etcd that no policy needs any more. Default: they are deleted.",
                CLEANUPS.right.iter().map(|(word, _)| *word),
            ),
            "ip_api_endpoint": optional(text(&format!(
                "The address or host name of etcd; the command line beats it. Default: that of {ETCD_ENDPOINT_DEFAULT}."
            ))),
            "port_api_endpoint": optional(with_default(port("The port of etcd's API."), super::endpoint::ETCD_PORT_DEFAULT.into())),
        }),
        &[],
    )
}

fn service() -> Value {
    let reference = |target: &str, description: &str| described(json!({ "$ref": target }), description);
    object(
        "A service: a unit file, and how many instances of it run.",
        json!({
            "name_of_unit_file": text("The file name of its unit, such as `apache@.service`; `.service` may be left out."),
            "type": optional(text("Its kind: instances register and write metrics under it. `attached_service`: it lives and dies with the instances of another service.")),
            "min_instance": with_default(optional(count("The fewest instances; as many are started first.", 0)), 1.into()),
            "max_instance": optional(count("The most instances. Default: no limit; 1 if the unit is no template.", 1)),
            "base_instance_prefix_number": with_default(
                optional(port("The number of the first instance, which is its lowest port.")),
                1.into(),
            ),
            "ports_per_instance": with_default(
                optional(count("The distance to the number of the next instance: how many ports an instance uses.", 1)),
                1.into(),
            ),
            "attached_service": reference("#/$defs/names", "Services of type `attached_service` that are started and removed with each instance."),
            "service_dependency": reference("#/$defs/names", "Services that are started first."),
            "scale_up_policy": reference("#/$defs/policyReference", "The policy that adds instances."),
            "scale_down_policy": reference("#/$defs/policyReference", "The policy that removes instances."),
            "scaling_policy": reference("#/$defs/policyReferences", "The policies with `module` that do both."),
        }),
        &["name_of_unit_file"],
    )
}

pub(super) fn object(description: &str, properties: impl Into<Value>, required: &[&str]) -> Value {
    json!({
        "description": description,
        "type": "object",
        "properties": properties.into(),
        "required": required,
        "additionalProperties": false,
    })
}

fn object_or_null(description: &str, properties: impl Into<Value>, required: &[&str]) -> Value {
    optional(object(description, properties, required))
}

pub(super) fn text(description: &str) -> Value {
    json!({ "type": "string", "minLength": 1, "description": description })
}

pub(super) fn count(description: &str, minimum: u32) -> Value {
    json!({ "type": "integer", "minimum": minimum, "maximum": u32::MAX, "description": description })
}

fn port(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": u16::MAX, "description": description })
}

/// One of the words, or nothing.
pub(super) fn words_of<'a>(description: &str, words: impl Iterator<Item = &'a str>) -> Value {
    let all: Vec<Value> = words.map(Value::from).chain([Value::Null]).collect();
    json!({ "enum": all, "description": description })
}

pub(super) fn words_required<'a>(description: &str, words: impl Iterator<Item = &'a str>) -> Value {
    json!({ "enum": words.collect::<Vec<_>>(), "description": description })
}

pub(super) fn with_default(schema: Value, default: Value) -> Value {
    with(schema, "default", default)
}

pub(super) fn described(schema: Value, description: &str) -> Value {
    with(schema, "description", description.into())
}

/// Allows a key without a value, which counts as left out.
pub(super) fn optional(schema: Value) -> Value {
    let kind = json!([schema["type"], "null"]);
    with(schema, "type", kind)
}

fn with(mut schema: Value, key: &str, value: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert(key.to_owned(), value);
    }
    schema
}
