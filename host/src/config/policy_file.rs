//! The section `ScalingPolicy` as it is written. The key `module` tells the two kinds of policies apart.

use std::time::Duration;

use dynamite_core::Operator;

use super::read::{At, Fields, Reader, shortened};
use super::tree::{Node, Span, Value};
use super::words::{OPERATORS, UNITS};

/// The keys of a metric over some time.
pub(super) const WINDOW: &[&str] =
    &["service_type", "metric", "metric_aggregated", "threshold_unit", "period", "period_unit"];
/// The keys of a threshold policy besides those of its window.
pub(super) const THRESHOLD: &[&str] = &["comparative_operator", "threshold"];
/// The keys of a policy with a module besides those of its windows.
pub(super) const WASM: &[&str] =
    &["module", "sha256", "metrics", "interval", "interval_unit", "config", "limits"];
/// The keys of every policy besides those of its windows.
pub(super) const COMMON: &[&str] = &["cooldown_period", "cooldown_period_unit"];
/// The keys of `limits`.
pub(super) const LIMITS: &[&str] = &["memory", "time", "fuel"];

/// An entry of `ScalingPolicy`.
pub(super) struct Policy {
    pub(super) name: At<String>,
    /// That which is written directly, and those in `metrics`.
    pub(super) windows: Vec<Window>,
    pub(super) kind: Kind,
    pub(super) cooldown: Option<At<u32>>,
    pub(super) cooldown_unit: Option<At<u32>>,
}

/// A metric over some time.
pub(super) struct Window {
    pub(super) service_type: Option<At<String>>,
    pub(super) metric: Option<At<String>>,
    pub(super) aggregated: Option<At<bool>>,
    pub(super) unit: Option<At<String>>,
    pub(super) period: Option<At<u32>>,
    pub(super) period_unit: Option<At<u32>>,
}

/// How a policy decides.
pub(super) enum Kind {
    Threshold {
        operator: Option<At<Operator>>,
        threshold: Option<At<f64>>,
        /// Whether a key is not known: it may have meant `module`.
        is_doubtful: bool,
    },
    Wasm(Box<Wasm>),
}

/// What belongs to a policy with a module.
pub(super) struct Wasm {
    /// `None` if it has the wrong form, which is reported already.
    pub(super) module: Option<At<String>>,
    pub(super) sha256: Option<At<String>>,
    pub(super) config: Option<Config>,
    /// Whether `config` is wrong in itself, and whether `limits` are; both are reported already.
    pub(super) has_bad_config: bool,
    pub(super) has_bad_limits: bool,
    pub(super) interval: Option<At<u32>>,
    pub(super) interval_unit: Option<At<u32>>,
    pub(super) memory_bytes: Option<At<usize>>,
    pub(super) time: Option<At<Duration>>,
    pub(super) fuel: Option<At<u64>>,
}

/// `config`, a map of whatever the module takes.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) node: Node,
    /// Where the key stands.
    pub(crate) key: Span,
}

impl Reader<'_> {
    /// Reads an entry of `ScalingPolicy`.
    pub(super) fn policy(&mut self, name: At<String>, node: &Node) -> Policy {
        let what = format!("scaling policy `{}`", shortened(&name.value));
        let has_module = match &node.value {
            Value::Map(pairs) => {
                let is = |key: &Node, name: &str| key.value == Value::Text(name.to_owned());
                // Without a value it is only meant where nothing says that it is a threshold policy.
                let is_threshold = pairs.iter().any(|(key, _)| THRESHOLD.iter().any(|name| is(key, name)));
                let means = |value: &Node| value.value != Value::Null || !is_threshold;
                pairs.iter().any(|(key, value)| is(key, "module") && means(value))
            }
            _ => false,
        };
        let of_kind = if has_module { [WINDOW, WASM, COMMON] } else { [WINDOW, THRESHOLD, COMMON] };
        let all = [WINDOW, THRESHOLD, WASM, COMMON].concat();
        let fields = self.fields_among(node, &what, &all, &of_kind.concat());
        let (windows, kind) = if has_module {
            (self.windows(&fields, &what, &name), Kind::Wasm(Box::new(self.wasm(&fields, &what))))
        } else {
            self.threshold(&fields, &what, &name)
        };
        Policy {
            name,
            windows,
            kind,
            cooldown: self.count(&fields, "cooldown_period"),
            cooldown_unit: self.word(&fields, "cooldown_period_unit", &UNITS),
        }
    }

    fn threshold(&mut self, fields: &Fields<'_>, what: &str, name: &At<String>) -> (Vec<Window>, Kind) {
        let foreign = WASM.iter().filter_map(|key| Some((*key, fields.key(key)?)));
        for (key, span) in foreign.filter(|_| !fields.is_doubtful) {
            let message = format!("`{key}` belongs to a policy with `module`, and {what} has none");
            let help = "add `module: policies/name_of_the_module.wasm`, or remove the key".to_owned();
            self.error(span, message, Some(help));
        }
        self.require_window(fields, name.span, what);
        for (key, example) in
            [("comparative_operator", "comparative_operator: gt"), ("threshold", "threshold: 90")]
        {
            self.require(fields, name.span, what, key, example);
        }
        let operator = self.word(fields, "comparative_operator", &OPERATORS);
        let threshold = self.number(fields, "threshold");
        let is_doubtful = fields.is_doubtful;
        (vec![self.window(fields)], Kind::Threshold { operator, threshold, is_doubtful })
    }

    fn require_window(&mut self, fields: &Fields<'_>, span: Span, what: &str) {
        for (key, example) in [("service_type", "service_type: webserver"), ("metric", "metric: cpu_user")] {
            self.require(fields, span, what, key, example);
        }
    }

    fn window(&mut self, fields: &Fields<'_>) -> Window {
        Window {
            service_type: self.text(fields, "service_type"),
            metric: self.text(fields, "metric"),
            aggregated: self.flag(fields, "metric_aggregated"),
            unit: self.text(fields, "threshold_unit"),
            period: self.count(fields, "period"),
            period_unit: self.word(fields, "period_unit", &UNITS),
        }
    }

    /// The windows of a policy with a module, none if it reads no metric.
    fn windows(&mut self, fields: &Fields<'_>, what: &str, name: &At<String>) -> Vec<Window> {
        let mut windows = Vec::new();
        if WINDOW.iter().any(|key| fields.get(key).is_some()) {
            self.require_window(fields, name.span, what);
            windows.push(self.window(fields));
        }
        let Some(node) = fields.get("metrics") else { return windows };
        let Value::List(items) = &node.value else {
            let help = "write `metrics: [{service_type: webserver, metric: cpu_user}]`".to_owned();
            self.wrong_form("`metrics`", "a list of maps", node, Some(help));
            return windows;
        };
        for item in items {
            let what = "an entry of `metrics`";
            if !matches!(item.value, Value::Map(_)) {
                self.wrong_form(what, "a map", item, None);
                continue;
            }
            let fields = self.fields(item, what, WINDOW);
            self.require_window(&fields, item.span, what);
            windows.push(self.window(&fields));
        }
        windows
    }

    fn wasm(&mut self, fields: &Fields<'_>, what: &str) -> Wasm {
        for key in THRESHOLD {
            if let Some(span) = fields.key(key) {
                let message = format!("{what} cannot have `{key}`");
                let help = "a policy with `module` decides by its own `config`; remove the key";
                self.error(span, message, Some(help.to_owned()));
            }
        }
        if let (Some(span), None) = (fields.given("module"), fields.get("module")) {
            let help = "write `module: policies/name_of_the_module.wasm`".to_owned();
            self.error(span, "`module` names no file", Some(help));
        }
        let before = self.report.errors();
        let limits = fields.get("limits").map(|node| self.fields(node, "`limits`", LIMITS));
        let (memory_bytes, time, fuel) = match &limits {
            Some(limits) => (self.memory(limits), self.time(limits), self.fuel(limits)),
            None => (None, None, None),
        };
        let between = self.report.errors();
        let config = self.module_config(fields);
        let (has_bad_limits, has_bad_config) = (between > before, self.report.errors() > between);
        Wasm {
            module: self.text(fields, "module"),
            sha256: self.text(fields, "sha256"),
            config,
            has_bad_config,
            has_bad_limits,
            interval: self.count(fields, "interval"),
            interval_unit: self.word(fields, "interval_unit", &UNITS),
            memory_bytes,
            time,
            fuel,
        }
    }

    /// `config`: any map that JSON can hold.
    fn module_config(&mut self, fields: &Fields<'_>) -> Option<Config> {
        let (node, key) = (fields.get("config")?, fields.key("config")?);
        if !matches!(node.value, Value::Map(_)) {
            self.wrong_form("`config`", "a map", node, None);
            return None;
        }
        self.json_like(node);
        Some(Config { node: node.clone(), key })
    }

    /// Reports what JSON does not have. The tree is not deep: see [`super::tree::parse`].
    fn json_like(&mut self, node: &Node) {
        match &node.value {
            Value::Map(_) => {
                self.entries(node, "`config`").into_iter().for_each(|(_, value)| self.json_like(value));
            }
            Value::List(items) => items.iter().for_each(|item| self.json_like(item)),
            Value::Float(number) if !number.is_finite() => {
                self.wrong_form("a number in `config`", "finite", node, None);
            }
            Value::Int(number) if i64::try_from(*number).is_err() && u64::try_from(*number).is_err() => {
                self.wrong_form("a whole number in `config`", "of 64 bits", node, None);
            }
            _ => {}
        }
    }
}
