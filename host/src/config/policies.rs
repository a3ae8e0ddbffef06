//! The section `ScalingPolicy`.

use std::collections::HashSet;

use indexmap::IndexMap;
use jiff::SignedDuration;

use super::check::{ATTACHED_TYPE, Checker, Entries};
use super::file::{self, Kind};
use super::read::At;
use super::{MetricWindow, PolicyKind, ScalingPolicy};
use crate::scaling::{MetricName, Rule};

/// The longest period, in seconds: a year. A longer one is a mistake, and time must not overflow.
const PERIOD_SECONDS_MAX: u64 = 366 * 24 * 3600;

impl Checker<'_, '_> {
    /// Every policy that is complete.
    pub(super) fn policies(
        &mut self,
        entries: &Entries<'_>,
        policies: &[file::Policy],
    ) -> IndexMap<String, ScalingPolicy> {
        let types: Vec<&str> = entries
            .values()
            .filter_map(|entry| match &entry.file.kind {
                Kind::Given(kind) if kind.value != ATTACHED_TYPE => Some(kind.value.as_str()),
                _ => None,
            })
            .collect();
        let used: HashSet<&str> = entries
            .values()
            .flat_map(|entry| [&entry.file.scale_up, &entry.file.scale_down])
            .flatten()
            .map(|name| name.value.as_str())
            .collect();
        for policy in policies.iter().filter(|policy| !used.contains(policy.name.value.as_str())) {
            let message = format!("no service uses the scaling policy `{}`", policy.name.value);
            let help = "name it as `scale_up_policy` or `scale_down_policy` of a service, or remove it";
            self.reader.warning(policy.name.span, message, Some(help.to_owned()));
        }
        policies.iter().filter_map(|policy| self.policy(policy, &types)).collect()
    }

    fn policy(&mut self, policy: &file::Policy, types: &[&str]) -> Option<(String, ScalingPolicy)> {
        let period = self.duration(policy.period.as_ref(), policy.period_unit.as_ref(), "period");
        let cooldown =
            self.duration(policy.cooldown.as_ref(), policy.cooldown_unit.as_ref(), "cooldown_period");
        if let Some(given) = &policy.service_type {
            self.path_word(given, "`service_type`");
            self.known_type(given, types);
        }
        let metric = MetricName::new(&policy.metric.as_ref()?.value);
        self.metric(policy.metric.as_ref()?, &metric);
        let window = MetricWindow {
            service_type: policy.service_type.as_ref()?.value.clone(),
            metric,
            aggregated: policy.aggregated.as_ref().is_some_and(|flag| flag.value),
            unit: policy.threshold_unit.as_ref().map(|unit| unit.value.clone()),
            span: period?,
        };
        let rule = Rule {
            operator: policy.operator.as_ref()?.value,
            threshold: policy.threshold.as_ref()?.value,
            period: period?,
            cooldown: cooldown?,
        };
        let name = policy.name.value.clone();
        let policy = ScalingPolicy { name, windows: vec![window], kind: PolicyKind::Threshold(rule) };
        Some((policy.name.clone(), policy))
    }

    /// Metrics may come from outside the configuration, but a type that differs in a letter is a slip.
    fn known_type(&mut self, given: &At<String>, types: &[&str]) {
        if types.contains(&given.value.as_str()) {
            return;
        }
        if let Some(help) = self.reader.did_you_mean(&given.value, types.iter().copied()) {
            self.reader.warning(given.span, format!("no service has the type `{}`", given.value), Some(help));
        }
    }

    fn metric(&mut self, given: &At<String>, metric: &MetricName) {
        if metric.key.is_empty() || metric.field.as_deref() == Some("") {
            let help = "write `key`, or `key.field` for a field of a JSON value".to_owned();
            self.reader.error(
                given.span,
                "`metric` has nothing in front of or behind its first dot",
                Some(help),
            );
            return;
        }
        self.path_word(&At { value: metric.key.clone(), span: given.span }, "`metric`");
    }

    fn duration(
        &mut self,
        count: Option<&At<u32>>,
        unit: Option<&At<u32>>,
        key: &str,
    ) -> Option<SignedDuration> {
        let Some(count) = count else { return Some(SignedDuration::ZERO) };
        let seconds = u64::from(count.value) * u64::from(unit.map_or(1, |unit| unit.value));
        if seconds > PERIOD_SECONDS_MAX {
            let message = format!("`{key}` must not be longer than 366 days");
            self.reader.error(count.span, message, None);
            return None;
        }
        i64::try_from(seconds).ok().map(SignedDuration::from_secs)
    }
}
