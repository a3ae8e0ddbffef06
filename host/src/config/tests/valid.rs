//! What a good configuration becomes.

use dynamite_core::{Bounds, Operator, Ports, ThresholdRule};
use jiff::SignedDuration;

use super::{EXAMPLE, Files, good};
use crate::config::{Cleanup, Config, FleetEndpoint, PolicyKind, Role};
use crate::metrics::MetricName;

/// Everything but the folders, which differ from run to run.
fn shown(config: &Config) -> String {
    let mut config = config.clone();
    for service in config.services.values_mut() {
        service.unit.path = service.unit.path.file_name().expect("a name").into();
    }
    format!("{config:#?}")
}

#[test]
fn the_example_is_read_in_full() {
    insta::assert_snapshot!(shown(&good(EXAMPLE)));
}

#[test]
fn the_key_dynamite_may_be_left_out() {
    let lines = EXAMPLE.lines().filter(|line| *line != "Dynamite:");
    let bare: Vec<&str> = lines.map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    let bare = bare.join("\n");
    assert!(!bare.contains("Dynamite:"));
    assert_eq!(shown(&good(EXAMPLE)), shown(&good(&bare)));
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let config = good("Service: {a: {name_of_unit_file: web@}, b: {name_of_unit_file: proxy.service}}");
    assert_eq!(config.fleet_endpoint, None);
    assert_eq!(config.etcd_endpoint, None);
    assert_eq!(
        (config.etcd.application_base.as_str(), config.etcd.metrics_base.as_str()),
        ("/services", "/metrics")
    );
    assert_eq!(config.etcd.cleanup, Cleanup::WhenUnneeded);
    let (a, b) = (&config.services["a"], &config.services["b"]);
    assert_eq!((a.unit.name.as_str(), a.service_type.as_str(), a.role), ("web@.service", "", Role::Scaled));
    assert_eq!((a.bounds, a.ports), (Bounds { min: 1, max: None }, Ports { base: 1, per_instance: 1 }));
    assert_eq!(b.bounds, Bounds { min: 1, max: Some(1) });
    assert_eq!(config.document["Dynamite"]["Service"]["b"]["name_of_unit_file"], "proxy.service");
}

#[test]
fn policies_have_defaults_too() {
    let config = good(
        "ScalingPolicy: {p: {service_type: lb, metric: response_time.p95, comparative_operator: ge, threshold: 1.5}}\n\
         Service: {a: {name_of_unit_file: web@, scale_up_policy: {ScalingPolicy: p}}}",
    );
    let policy = &config.policies["p"];
    let zero = SignedDuration::ZERO;
    let rule =
        ThresholdRule { operator: Operator::GreaterOrEqual, threshold: 1.5, period: zero, cooldown: zero };
    assert_eq!(policy.kind, PolicyKind::Threshold(rule));
    let metric = MetricName { key: "response_time".to_owned(), field: Some("p95".to_owned()) };
    assert_eq!((&policy.windows[0].metric, policy.windows[0].aggregated), (&metric, false));
}

#[test]
fn endpoints_and_paths_come_from_the_file() {
    let config = good(
        "FleetAPIEndpoint: {ip: 10.0.0.1, port: 49153}\n\
         ETCD: {ip_api_endpoint: 10.0.0.2, port_api_endpoint: 4001, application_base_path: /a/, metrics_cleanup: never}\n\
         Service: {a: {name_of_unit_file: web@}}",
    );
    let fleet = FleetEndpoint::Tcp { host: "10.0.0.1".to_owned(), port: 49153 };
    assert_eq!(config.fleet_endpoint, Some(fleet));
    assert_eq!(config.etcd_endpoint.as_deref(), Some("10.0.0.2:4001"));
    assert_eq!((config.etcd.application_base.as_str(), config.etcd.cleanup), ("/a", Cleanup::Never));
}

#[test]
fn what_is_unusual_but_right_is_accepted_without_a_word() {
    for (what, text) in [
        ("none at least", "Service: {a: {name_of_unit_file: web@, min_instance: 0}}"),
        (
            "no value",
            "ServiceFiles:\nETCD:\nService: {a: {name_of_unit_file: web@, max_instance: , type: ~}}",
        ),
        (
            "ranges side by side",
            "Service:\n  a: {name_of_unit_file: web@, base_instance_prefix_number: 8080, max_instance: 10}\n  \
             b: {name_of_unit_file: worker@, base_instance_prefix_number: 8090}\n  \
             c: {name_of_unit_file: log@, base_instance_prefix_number: 9000}",
        ),
        ("two without ports", "Service: {a: {name_of_unit_file: web@}, b: {name_of_unit_file: worker@}}"),
        (
            "a diamond",
            "Service:\n  a: {name_of_unit_file: web@, service_dependency: [b, c]}\n  \
             b: {name_of_unit_file: worker@, service_dependency: d}\n  c: {name_of_unit_file: log@, service_dependency: d}\n  \
             d: {name_of_unit_file: proxy}",
        ),
        (
            "anchors",
            "Service:\n  a: &a {name_of_unit_file: web@, type: web}\n  b: {<<: *a, name_of_unit_file: worker@}",
        ),
        (
            "an attached unit of a single one",
            "Service:\n  a: {name_of_unit_file: proxy, attached_service: b}\n  \
             b: {name_of_unit_file: proxy_log, type: attached_service}",
        ),
        (
            "the last port",
            "Service: {a: {name_of_unit_file: web@, base_instance_prefix_number: 65535, max_instance: 1}}",
        ),
        ("a byte order mark", "\u{feff}Service: {a: {name_of_unit_file: web@}}"),
        ("line ends of Windows", "Service:\r\n  a:\r\n    name_of_unit_file: web@\r\n"),
    ] {
        assert_eq!(Files::new(text).report(), "", "{what}");
    }
}

#[test]
fn a_merged_key_counts_like_one_that_is_written() {
    let config = good(
        "Service:\n  a: &a {name_of_unit_file: web@, type: web}\n  b: {<<: *a, name_of_unit_file: worker@}",
    );
    assert_eq!(config.services["b"].service_type, "web");
    assert_eq!(config.services["b"].unit.name, "worker@.service");
}
