//! The configuration in the words of what decides: a [`Spec`].

use std::sync::Arc;

use dynamite_core::{
    Blueprint, Direction, Directions, KeptSignal, ModuleUse, PolicyUse, ServiceSpec, SignalSpec, Spec,
    ThresholdUse, UnitTemplate, WindowSpec,
};
use indexmap::IndexMap;
use jiff::SignedDuration;

use super::{Config, MetricWindow, PolicyKind, Role, Service, UnitFile};

/// Every signal that is read, also by policies that no service names, over the longest span that one wants.
pub(crate) fn longest<'w>(windows: impl Iterator<Item = &'w MetricWindow>) -> Vec<KeptSignal> {
    let mut spans: IndexMap<SignalSpec, SignedDuration> = IndexMap::new();
    for window in windows {
        let span = spans.entry(window.signal()).or_default();
        *span = window.span.max(*span);
    }
    spans.into_iter().map(|(signal, span)| KeptSignal { signal, span }).collect()
}

impl Config {
    /// What is to run, and by which rules.
    #[must_use]
    pub fn spec(&self) -> Spec {
        let scaled = self.services.values().filter(|service| service.role == Role::Scaled);
        let services = scaled.map(|service| (service.name.as_str().into(), self.service_spec(service)));
        Spec {
            services: services.collect(),
            signals: longest(self.policies.values().flat_map(|policy| &policy.windows)),
        }
    }

    fn service_spec(&self, service: &Service) -> ServiceSpec {
        let attached = service.attached.iter().filter_map(|name| self.services.get(name));
        let used = service.policies().filter_map(|(policy, directions)| self.policy_use(policy, directions));
        ServiceSpec {
            id: service.name.as_str().into(),
            kind: service.service_type.as_str().into(),
            unit: service.unit.template(),
            attached: attached.map(|attached| attached.unit.template()).collect(),
            bounds: service.bounds,
            ports: service.ports,
            depends_on: service.depends_on.iter().map(|name| name.as_str().into()).collect(),
            policies: used.collect(),
        }
    }

    fn policy_use(&self, policy: &str, directions: &'static [Direction]) -> Option<PolicyUse> {
        let scaling = self.policies.get(policy)?;
        let policy = policy.into();
        match &scaling.kind {
            PolicyKind::Threshold(rule) => {
                // A threshold policy goes one way, and has one window.
                let ([direction], [window]) = (directions, &*scaling.windows) else { return None };
                let (direction, signal, rule) = (*direction, window.signal(), *rule);
                Some(PolicyUse::Threshold(ThresholdUse { policy, direction, signal, rule }))
            }
            PolicyKind::Wasm(wasm) => Some(PolicyUse::Module(ModuleUse {
                policy,
                directions: Directions::from(directions),
                windows: scaling.windows.iter().map(MetricWindow::spec).collect(),
                interval: wasm.interval,
                cooldown: wasm.cooldown,
            })),
        }
    }
}

impl MetricWindow {
    /// What it reads.
    #[must_use]
    pub fn signal(&self) -> SignalSpec {
        SignalSpec {
            service_type: self.service_type.as_str().into(),
            metric: self.metric.to_string().into(),
            aggregated: self.aggregated,
        }
    }

    /// The same, as a policy is shown it.
    #[must_use]
    pub fn spec(&self) -> WindowSpec {
        let unit = self.unit.as_deref().unwrap_or_default().into();
        WindowSpec { signal: self.signal(), unit, span: self.span }
    }
}

impl UnitFile {
    /// What instances are made from it.
    pub(crate) fn template(&self) -> UnitTemplate {
        // Options are text and nothing else, so writing them cannot fail.
        let text = serde_json::to_string(&self.options).unwrap_or_default();
        let blueprint = Arc::new(Blueprint { text, hash: dynamite_units::hash(&self.options) });
        UnitTemplate { file: self.name.clone(), blueprint }
    }
}
