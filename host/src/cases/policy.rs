//! The policy of a case: what stands under `ScalingPolicy` in a configuration, as far as a decision depends on it.

use dynamite_core::{Direction, KeptSignal, ThresholdRule};
use jiff::SignedDuration;

use crate::config::read::{Fields, Reader};
use crate::config::tree::{Node, Span, Value};
use crate::config::words::{OPERATORS, UNITS, Words};
use crate::config::{MetricWindow, ModuleConfig, longest};
use crate::metrics::MetricName;
use crate::wasm::Limits;

/// The keys of a window.
const WINDOW: [&str; 6] =
    ["service_type", "metric", "metric_aggregated", "threshold_unit", "period", "period_unit"];
/// The other keys of a policy. `module` and `sha256` are there so that a policy can be copied from a configuration.
const POLICY: [&str; 12] = [
    "metrics",
    "comparative_operator",
    "threshold",
    "cooldown_period",
    "cooldown_period_unit",
    "interval",
    "interval_unit",
    "config",
    "limits",
    "direction",
    "module",
    "sha256",
];
const LIMITS: [&str; 3] = ["memory", "fuel", "time"];

const DIRECTIONS: Words<Option<Direction>> = Words {
    right: &[("up", Some(Direction::Up)), ("down", Some(Direction::Down)), ("both", None)],
    other: &[("scale_up", "up"), ("scale_down", "down")],
};

/// The policy of a case.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// The metrics it reads.
    pub(crate) windows: Vec<MetricWindow>,
    /// The value of `config:`, a map.
    pub(crate) config: serde_json::Value,
    /// The same as it is written, if it is.
    pub(crate) written: Option<ModuleConfig>,
    /// What the built-in rule decides by, if its keys are given here or in `config`.
    pub(crate) rule: Option<ThresholdRule>,
    /// The only direction in which it scales, if there is only one.
    pub(crate) direction: Option<Direction>,
    /// How long it does not scale in a direction after it did.
    pub(crate) cooldown: SignedDuration,
    /// What one call may use.
    pub(crate) limits: Limits,
}

impl Policy {
    /// The metrics it reads, each as one signal over the longest of its windows.
    pub(super) fn kept_signals(&self) -> Vec<KeptSignal> {
        longest(self.windows.iter())
    }
}

impl Reader<'_> {
    /// Reads `policy`; without one, a policy that reads no metric.
    pub(super) fn case_policy(&mut self, node: &Node, config: &Node) -> Policy {
        let known: Vec<&str> = WINDOW.iter().chain(&POLICY).copied().collect();
        let fields = self.fields(node, "`policy`", &known);
        let windows = self.windows_of(&fields, node.span);
        let cooldown = self.period(&fields, "cooldown_period", "cooldown_period_unit");
        self.count(&fields, "interval");
        self.word(&fields, "interval_unit", &UNITS);
        let limits = fields.get("limits").map(|node| self.limits(node)).unwrap_or_default();
        if !matches!(config.value, Value::Map(_) | Value::Null) {
            self.wrong_form("`config`", "a map", config, None);
        }
        let direction = self.word(&fields, "direction", &DIRECTIONS).and_then(|at| at.value);
        let given = self.rule(&fields);
        let (rule, inner) = self.rule_in_config(config).unwrap_or((given, None));
        let is_written = config.value != Value::Null;
        let written = is_written.then(|| ModuleConfig { node: config.clone(), key: config.span });
        let config = match config.to_json() {
            serde_json::Value::Null => serde_json::json!({}),
            config => config,
        };
        Policy { windows, config, written, rule, direction: direction.or(inner), cooldown, limits }
    }

    fn windows_of(&mut self, fields: &Fields<'_>, span: Span) -> Vec<MetricWindow> {
        let mut windows = Vec::new();
        if fields.get("metric").is_some() {
            windows.extend(self.case_window(fields, span));
        }
        match fields.get("metrics").map(|node| (node, &node.value)) {
            Some((_, Value::List(items))) => {
                for item in items {
                    let inner = self.fields(item, "an entry of `metrics`", &WINDOW);
                    windows.extend(self.case_window(&inner, item.span));
                }
            }
            Some((node, _)) => self.wrong_form("`metrics`", "a list of maps", node, None),
            None => {}
        }
        windows
    }

    fn case_window(&mut self, fields: &Fields<'_>, span: Span) -> Option<MetricWindow> {
        let service_type = self.text(fields, "service_type").map(|at| at.value);
        let aggregated = self.flag(fields, "metric_aggregated").is_some_and(|at| at.value);
        let unit = self.text(fields, "threshold_unit").map(|at| at.value);
        let length = self.period(fields, "period", "period_unit");
        let metric = self.text(fields, "metric");
        if fields.get("metric").is_none() && !fields.is_doubtful {
            let help = Some("add `metric: cpu_user`".to_owned());
            self.error(span, "`metric` is missing in an entry of `metrics`", help);
        }
        Some(MetricWindow {
            service_type: service_type.unwrap_or_default(),
            metric: MetricName::new(&metric?.value),
            aggregated,
            unit,
            span: length,
        })
    }

    fn period(&mut self, fields: &Fields<'_>, key: &str, unit_key: &str) -> SignedDuration {
        let count = self.count(fields, key).map_or(0, |at| at.value);
        let unit = self.word(fields, unit_key, &UNITS).map_or(1, |at| at.value);
        SignedDuration::from_secs(i64::from(count) * i64::from(unit))
    }

    fn limits(&mut self, node: &Node) -> Limits {
        let fields = self.fields(node, "`limits`", &LIMITS);
        let default = Limits::default();
        Limits {
            memory_bytes: self.memory(&fields).map_or(default.memory_bytes, |at| at.value),
            fuel: self.fuel(&fields).map_or(default.fuel, |at| at.value),
            time: self.time(&fields).map_or(default.time, |at| at.value),
        }
    }

    /// The built-in rule by the keys of a configuration.
    fn rule(&mut self, fields: &Fields<'_>) -> Option<ThresholdRule> {
        let operator = self.word(fields, "comparative_operator", &OPERATORS);
        let threshold = self.number(fields, "threshold");
        Some(ThresholdRule {
            operator: operator?.value,
            threshold: threshold?.value,
            period: self.period(fields, "period", "period_unit"),
            cooldown: self.period(fields, "cooldown_period", "cooldown_period_unit"),
        })
    }

    /// The built-in rule by the keys of the module that is its twin, which stand under `config`. A module of another kind
    /// has other keys there, so nothing is reported.
    fn rule_in_config(&mut self, config: &Node) -> Option<(Option<ThresholdRule>, Option<Direction>)> {
        let Value::Map(pairs) = &config.value else { return None };
        let get = |name: &str| {
            pairs.iter().find(|(key, _)| key.value == Value::Text(name.to_owned())).map(|(_, node)| node)
        };
        let word = |node: &Node| node.to_string();
        let operator = get("comparative_operator").map(word)?;
        let operator = OPERATORS.right.iter().find(|(name, _)| *name == operator)?.1;
        let threshold = get("threshold")?;
        let seconds = |name| match get(name).map(|node| &node.value) {
            Some(Value::Int(seconds)) => i64::try_from(*seconds).ok(),
            _ => Some(0),
        };
        let rule = ThresholdRule {
            operator,
            threshold: self.finite(threshold, "`threshold`")?,
            period: SignedDuration::from_secs(seconds("period_seconds")?),
            cooldown: SignedDuration::from_secs(seconds("cooldown_seconds")?),
        };
        let direction = get("direction").map(word);
        let direction =
            DIRECTIONS.right.iter().find(|(name, _)| Some(*name) == direction.as_deref()).and_then(|it| it.1);
        Some((Some(rule), direction))
    }
}
