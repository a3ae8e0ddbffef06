//! The section `ScalingPolicy`.

use std::collections::HashSet;

use dynamite_core::ThresholdRule;
use indexmap::IndexMap;
use jiff::SignedDuration;

use super::check::{ATTACHED_TYPE, Checker, Entries};
use super::file;
use super::policy_file::{Kind, Policy, Wasm, Window};
use super::read::At;
use super::{MetricWindow, PolicyKind, ScalingPolicy, WasmPolicy};
use crate::metrics::MetricName;
use crate::wasm::Limits;

/// The longest period, in seconds: a year. A longer one is a mistake, and time must not overflow.
const PERIOD_SECONDS_MAX: u64 = 366 * 24 * 3600;
/// How often a module is asked when nothing happens.
pub(super) const INTERVAL_DEFAULT: SignedDuration = SignedDuration::from_secs(10);
/// The digits of a SHA-256.
pub(super) const SHA256_DIGITS: usize = 64;

/// The policies that services name.
pub(super) fn used<'f>(entries: &'f Entries<'_>) -> HashSet<&'f str> {
    entries.values().flat_map(|entry| entry.file.policies()).map(|(_, name)| name.value.as_str()).collect()
}

impl Checker<'_, '_> {
    /// Every policy that is complete.
    pub(super) fn policies(
        &mut self,
        entries: &Entries<'_>,
        policies: &[Policy],
    ) -> IndexMap<String, ScalingPolicy> {
        let types: Vec<&str> = entries
            .values()
            .filter_map(|entry| match &entry.file.kind {
                file::Kind::Given(kind) if kind.value != ATTACHED_TYPE => Some(kind.value.as_str()),
                _ => None,
            })
            .collect();
        let used = used(entries);
        for policy in policies.iter().filter(|policy| !used.contains(policy.name.value.as_str())) {
            let message = format!("no service uses the scaling policy `{}`", policy.name.value);
            let keys = match policy.kind {
                Kind::Threshold { .. } => "`scale_up_policy` or `scale_down_policy`",
                Kind::Wasm(_) => "`scaling_policy`, `scale_up_policy` or `scale_down_policy`",
            };
            let help = format!("name it as {keys} of a service, or remove it");
            self.reader.warning(policy.name.span, message, Some(help));
        }
        policies.iter().filter_map(|policy| self.policy(policy, &types)).collect()
    }

    fn policy(&mut self, policy: &Policy, types: &[&str]) -> Option<(String, ScalingPolicy)> {
        // All of them are looked at before an incomplete one ends it.
        let windows: Vec<_> = policy.windows.iter().map(|window| self.window(window, types)).collect();
        let cooldown =
            self.duration(policy.cooldown.as_ref(), policy.cooldown_unit.as_ref(), "cooldown_period");
        let kind = match &policy.kind {
            Kind::Threshold { operator, threshold, .. } => {
                let period = windows.first()?.as_ref()?.span;
                let (operator, threshold) = (operator.as_ref()?.value, threshold.as_ref()?.value);
                PolicyKind::Threshold(ThresholdRule { operator, threshold, period, cooldown: cooldown? })
            }
            Kind::Wasm(wasm) => {
                self.reader.path_word(&policy.name, "the name of a scaling policy with `module`");
                PolicyKind::Wasm(Box::new(self.wasm(wasm, cooldown)?))
            }
        };
        let (name, windows) = (policy.name.value.clone(), windows.into_iter().collect::<Option<_>>()?);
        Some((name.clone(), ScalingPolicy { name, windows, kind }))
    }

    fn window(&mut self, window: &Window, types: &[&str]) -> Option<MetricWindow> {
        let span = self.duration(window.period.as_ref(), window.period_unit.as_ref(), "period");
        if let Some(given) = &window.service_type {
            self.reader.path_word(given, "`service_type`");
            self.known_type(given, types);
        }
        let metric = MetricName::new(&window.metric.as_ref()?.value);
        self.metric(window.metric.as_ref()?, &metric);
        Some(MetricWindow {
            service_type: window.service_type.as_ref()?.value.clone(),
            metric,
            aggregated: window.aggregated.as_ref().is_some_and(|flag| flag.value),
            unit: window.unit.as_ref().map(|unit| unit.value.clone()),
            span: span?,
        })
    }

    fn wasm(&mut self, wasm: &Wasm, cooldown: Option<SignedDuration>) -> Option<WasmPolicy> {
        let interval = match &wasm.interval {
            Some(given) if given.value == 0 => {
                let help = "leave it out for 10 seconds; a new sample is looked at in any case".to_owned();
                self.reader.error(given.span, "`interval` must be at least 1 second", Some(help));
                None
            }
            Some(_) => self.duration(wasm.interval.as_ref(), wasm.interval_unit.as_ref(), "interval"),
            None => Some(INTERVAL_DEFAULT),
        };
        let sha256 = wasm.sha256.as_ref().map(|given| self.sha256(given));
        let default = Limits::default();
        Some(WasmPolicy {
            module: self.base.join(&wasm.module.as_ref()?.value),
            sha256: match sha256 {
                Some(checked) => Some(checked?),
                None => None,
            },
            config: wasm
                .config
                .as_ref()
                .map_or_else(|| "{}".to_owned(), |config| config.node.to_json().to_string()),
            interval: interval?,
            cooldown: cooldown?,
            limits: Limits {
                memory_bytes: wasm.memory_bytes.as_ref().map_or(default.memory_bytes, |at| at.value),
                fuel: wasm.fuel.as_ref().map_or(default.fuel, |at| at.value),
                time: wasm.time.as_ref().map_or(default.time, |at| at.value),
            },
        })
    }

    /// A SHA-256 in lower case.
    fn sha256(&mut self, given: &At<String>) -> Option<String> {
        let text = given.value.trim();
        if text.len() == SHA256_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Some(text.to_ascii_lowercase());
        }
        let message = format!("`sha256` must have {SHA256_DIGITS} hexadecimal digits");
        let help = "write what `sha256sum` prints for the file of the module".to_owned();
        self.reader.error(given.span, message, Some(help));
        None
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
        self.reader.path_word(&At { value: metric.key.clone(), span: given.span }, "`metric`");
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
