//! A small configuration for tests.

use dynamite_core::{Bounds, Operator, Ports, ThresholdRule};
use dynamite_units::UnitOption;
use jiff::SignedDuration;
use serde_json::json;

use crate::config::{
    Cleanup, Config, EtcdPaths, MetricWindow, PolicyKind, Role, ScalingPolicy, Service, UnitFile, WasmPolicy,
};
use crate::metrics::MetricName;
use crate::wasm::Limits;

/// What a test cares about.
pub(crate) struct Given<'g> {
    pub(crate) metric: &'g str,
    pub(crate) aggregated: bool,
    /// In seconds.
    pub(crate) period: i64,
    /// In seconds.
    pub(crate) cooldown: i64,
}

impl Default for Given<'_> {
    fn default() -> Self {
        Self { metric: "cpu", aggregated: false, period: 0, cooldown: 0 }
    }
}

/// A service with one unit and nothing else.
pub(crate) fn service(name: &str, template: bool, role: Role) -> Service {
    let unit = if template { format!("{name}@.service") } else { format!("{name}.service") };
    let options =
        vec![UnitOption { section: "Service".into(), name: "ExecStart".into(), value: format!("/{name}") }];
    Service {
        name: name.to_owned(),
        service_type: name.to_owned(),
        role,
        unit: UnitFile { name: unit, path: "/units".into(), options },
        bounds: Bounds { min: 1, max: Some(1) },
        ports: Ports { base: 1, per_instance: 1 },
        attached: Vec::new(),
        depends_on: Vec::new(),
        scale_up: None,
        scale_down: None,
        scale_both: Vec::new(),
    }
}

fn policy(name: &str, operator: Operator, threshold: f64, given: &Given<'_>) -> ScalingPolicy {
    ScalingPolicy {
        name: name.to_owned(),
        windows: vec![MetricWindow {
            service_type: "web".to_owned(),
            metric: MetricName::new(given.metric),
            aggregated: given.aggregated,
            unit: None,
            span: SignedDuration::from_secs(given.period),
        }],
        kind: PolicyKind::Threshold(ThresholdRule {
            operator,
            threshold,
            period: SignedDuration::from_secs(given.period),
            cooldown: SignedDuration::from_secs(given.cooldown),
        }),
    }
}

/// `web`, 2 to 4 instances from 8080 with `log` attached, scaled up above 90 and down below 10.
pub(crate) fn config(given: &Given<'_>) -> Config {
    let web = Service {
        bounds: Bounds { min: 2, max: Some(4) },
        ports: Ports { base: 8080, per_instance: 2 },
        attached: vec!["log".to_owned()],
        scale_up: Some("hot".to_owned()),
        scale_down: Some("cold".to_owned()),
        ..service("web", true, Role::Scaled)
    };
    let services = [web, service("log", true, Role::Attached)];
    let policies =
        [policy("hot", Operator::Greater, 90.0, given), policy("cold", Operator::Less, 10.0, given)];
    Config {
        fleet_endpoint: None,
        etcd_endpoint: None,
        etcd: EtcdPaths {
            application_base: "/services".to_owned(),
            metrics_base: "/metrics".to_owned(),
            cleanup: Cleanup::WhenUnneeded,
        },
        services: services.into_iter().map(|service| (service.name.clone(), service)).collect(),
        policies: policies.into_iter().map(|policy| (policy.name.clone(), policy)).collect(),
        document: json!({"Dynamite": {}}),
    }
}

/// Has `web` scaled by `hot` alone, as a policy in a module, both ways.
pub(crate) fn scale_by_module(config: &mut Config, cooldown: i64) {
    config.policies["hot"].kind = PolicyKind::Wasm(Box::new(wasm_policy(cooldown)));
    let web = &mut config.services["web"];
    (web.scale_up, web.scale_down, web.scale_both) = (None, None, vec!["hot".to_owned()]);
}

/// A policy in a module that rests so many seconds after it scaled.
pub(crate) fn wasm_policy(cooldown: i64) -> WasmPolicy {
    WasmPolicy {
        module: "policy.wasm".into(),
        sha256: None,
        config: "{}".to_owned(),
        interval: SignedDuration::from_secs(10),
        cooldown: SignedDuration::from_secs(cooldown),
        limits: Limits::default(),
    }
}
