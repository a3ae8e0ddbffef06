//! What is stored of a service, in the original's layout: its unit file and what the configuration says of it.

use serde_json::{Map, Value, json};

use crate::config::{Config, Role, Service};

/// The template of a service with the templates of what is attached to it, on top of what was `stored` before.
#[must_use]
pub fn template(
    config: &Config,
    service: &Service,
    stored: Option<&Value>,
    running: &[(u32, String)],
) -> Value {
    let numbers: Vec<u32> = running.iter().map(|(number, _)| *number).collect();
    let attached: Vec<Value> = service
        .attached
        .iter()
        .filter_map(|name| config.services.get(name))
        .map(|attached| {
            let before = stored.and_then(|stored| stored.get("attached_services")?.as_array());
            let before = before.and_then(|list| {
                list.iter().find(|value| value.get("name") == Some(&Value::from(&*attached.name)))
            });
            let mut value = template_of(attached, before);
            let units = numbers.iter().map(|number| attached.unit.unit_name(*number));
            let instances: Map<String, Value> = units
                .map(|unit| {
                    (unit.clone(), json!({"name": unit, "state": "launched", "attached_services": []}))
                })
                .collect();
            value.insert("fleet_service_instances".to_owned(), instances.into());
            value.insert("attached_services".to_owned(), Value::Array(Vec::new()));
            value.into()
        })
        .collect();
    let mut value = template_of(service, stored);
    if service.unit.is_template() {
        // As the original had it: as long as there may be instances, filled up with zeros.
        let mut used = numbers;
        let length =
            service.bounds.max.map_or(used.len(), |max| used.len().max(max.min(USED_NUMBERS_MAX) as usize));
        used.resize(length, 0);
        value.insert("used_port_numbers".to_owned(), used.into());
    }
    value.insert("attached_services".to_owned(), attached.into());
    value.entry("fleet_service_instances").or_insert_with(|| json!({}));
    value.into()
}

/// How far the list of used numbers is filled up with zeros.
const USED_NUMBERS_MAX: u32 = 64;

fn template_of(service: &Service, stored: Option<&Value>) -> Map<String, Value> {
    let mut value = stored.and_then(Value::as_object).cloned().unwrap_or_default();
    let attached = service.role == Role::Attached;
    let unless_attached = |field: Value| if attached { Value::Null } else { field };
    let policy = |name: &Option<String>| name.as_ref().map(|name| json!({"ScalingPolicy": name}));
    let list = |names: &[String]| if names.is_empty() { Value::Null } else { names.into() };
    value.insert("name".to_owned(), service.name.clone().into());
    value.insert(
        "unit_file_details_json_dict".to_owned(),
        json!({"desiredState": "inactive", "options": service.unit.options}),
    );
    value.insert("path_on_filesystem".to_owned(), service.unit.path.to_string_lossy().into());
    value.insert(
        "service_config_details".to_owned(),
        json!({
            "name": service.name,
            "name_of_unit_file": service.unit.name,
            "type": service.service_type,
            "min_instance": unless_attached(service.bounds.min.into()),
            "max_instance": unless_attached(service.bounds.max.into()),
            "base_instance_prefix_number": unless_attached(service.ports.base.into()),
            "ports_per_instance": unless_attached(service.ports.per_instance.into()),
            "attached_services": list(&service.attached),
            "service_dependency": list(&service.depends_on),
            "scale_up_policy": policy(&service.scale_up),
            "scale_down_policy": policy(&service.scale_down),
        }),
    );
    if !service.scale_both.is_empty()
        && let Some(details) = value["service_config_details"].as_object_mut()
    {
        // Not in the original's records, so it is not put into those that need none.
        details.insert("scaling_policy".to_owned(), json!({"ScalingPolicy": service.scale_both}));
    }
    value.insert("is_template".to_owned(), service.unit.is_template().into());
    value
}
