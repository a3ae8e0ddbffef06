//! The samples that a case gives: by instance id, or by metric and then by instance id.

use std::path::Path;

use dynamite_core::{Sample, SeenInstance};
use jiff::{SignedDuration, Timestamp};

use super::file::text_of;
use super::given::owner;
use super::samples::{COUNT_MAX, Generator, Shape, recorded};
use super::service::Service;
use crate::config::MetricWindow;
use crate::config::read::{At, Fields, Reader, shortened};
use crate::config::suggest::one_of;
use crate::config::tree::{Node, Value};

/// The keys of a description of samples.
const SERIES: [&str; 13] = [
    "values",
    "value",
    "ramp",
    "wave",
    "period",
    "file",
    "keep_times",
    "every",
    "count",
    "for",
    "ago",
    "noise",
    "instance",
];
const SEED: &str = "seed";
/// The distance of samples unless given.
const EVERY_DEFAULT: SignedDuration = SignedDuration::from_secs(10);

/// Samples of one series.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    /// Which of the policy's windows they are for.
    pub(crate) window: usize,
    /// The instance id; empty if the metric is aggregated.
    pub(crate) id: String,
    /// The unit or the number of the instance that the series belongs to, if that is not its id.
    pub(crate) instance: Option<String>,
    /// The samples in the order in which they are written.
    pub(crate) samples: Vec<Sample>,
}

/// What samples are read with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'c> {
    /// The windows of the policy.
    pub(super) windows: &'c [MetricWindow],
    /// Where recorded files are looked for.
    pub(super) folder: &'c Path,
    /// The time of the decision.
    pub(super) now: Timestamp,
    /// The service, for its instances.
    pub(super) service: &'c Service,
    /// The instances that there are; none if they follow the decisions, and nobody knows before.
    pub(super) instances: Option<&'c [SeenInstance]>,
}

impl Reader<'_> {
    /// Reads `windows`.
    pub(super) fn given(&mut self, node: &Node, context: &Context<'_>) -> Vec<Given> {
        match context.windows {
            [] => {
                let help = "add `metric: NAME` to `policy`".to_owned();
                self.error(node.span, "there are samples, but the policy reads no metric", Some(help));
                Vec::new()
            }
            [window] => self.of_window(node, 0, window, context),
            windows => {
                let mut given = Vec::new();
                for (name, inner) in self.entries(node, "`windows`") {
                    let index = windows.iter().position(|window| is_called(window, name.value));
                    let Some(index) = index else {
                        let names: Vec<String> =
                            windows.iter().map(|window| window.metric.to_string()).collect();
                        let names = || names.iter().map(String::as_str);
                        let help = self.did_you_mean(name.value, names());
                        let help = help.unwrap_or_else(|| format!("the policy reads {}", one_of(names())));
                        let message = format!("the policy does not read `{}`", shortened(name.value));
                        self.error(name.span, message, Some(help));
                        continue;
                    };
                    given.extend(self.of_window(inner, index, &windows[index], context));
                }
                given
            }
        }
    }

    fn of_window(
        &mut self,
        node: &Node,
        index: usize,
        window: &MetricWindow,
        context: &Context<'_>,
    ) -> Vec<Given> {
        if window.aggregated {
            return self.series(node, index, "", context).into_iter().collect();
        }
        let what = format!("the series of `{}`", window.metric);
        let node = with_text_keys(node);
        let entries = self.entries(&node, &what);
        entries.into_iter().filter_map(|(id, inner)| self.series(inner, index, id.value, context)).collect()
    }

    /// One series: a number, a list of numbers, or a map that describes them.
    fn series(&mut self, node: &Node, window: usize, id: &str, context: &Context<'_>) -> Option<Given> {
        let now = context.now;
        let given = |samples, instance| Given { window, id: id.to_owned(), instance, samples };
        match &node.value {
            Value::Int(_) | Value::Float(_) => {
                let value = self.finite(node, "a sample")?;
                Some(given(vec![Sample { at: now, value }], None))
            }
            Value::List(_) => {
                let values = self.numbers(node, "a series")?;
                let count = values.len();
                let generator = Generator {
                    shape: Shape::Values(values),
                    every: EVERY_DEFAULT,
                    count,
                    noise: 0.0,
                    seed: 0,
                };
                Some(given(generator.samples(now), None))
            }
            Value::Map(_) => {
                let keys: Vec<&str> = SERIES.iter().copied().chain([SEED]).collect();
                let fields = self.fields(node, "a series", &keys);
                let instance = fields.get("instance").map(|node| self.known_instance(node, context));
                let samples = if fields.get("file").is_some() {
                    self.recorded(&fields, context)?
                } else {
                    self.described(&fields, node, now)?
                };
                Some(given(samples, instance))
            }
            _ => {
                let help =
                    "write for example `[90, 92]` or `{every: 10s, ramp: [10, 90], for: 5m}`".to_owned();
                self.wrong_form("a series", "a number, a list of numbers or a map", node, Some(help));
                None
            }
        }
    }

    /// The name or number of an instance that there is.
    fn known_instance(&mut self, node: &Node, context: &Context<'_>) -> String {
        let name = node.to_string();
        let instances = context.instances.unwrap_or_default();
        let is_known = match context.instances {
            Some(instances) => owner(instances, "", Some(&name)).is_some(),
            None => context.service.may_have(&name),
        };
        if !is_known {
            let names = || instances.iter().map(|instance| instance.name.as_str());
            let help = self.did_you_mean(&name, names()).or_else(|| {
                names().next()?;
                Some(format!("known here: {}", one_of(names())))
            });
            self.error(node.span, format!("there is no instance `{}`", shortened(&name)), help);
        }
        name
    }

    /// Reports keys that change nothing.
    pub(super) fn no_effect(&mut self, fields: &Fields<'_>, keys: &[&str], when: &str) {
        for key in keys {
            if let Some(span) = fields.key(key) {
                self.error(span, format!("`{key}` has no effect {when}"), Some("remove it".to_owned()));
            }
        }
    }

    fn described(&mut self, fields: &Fields<'_>, node: &Node, now: Timestamp) -> Option<Vec<Sample>> {
        self.no_effect(fields, &["keep_times"], "without `file`");
        if fields.get("noise").is_none() {
            self.no_effect(fields, &[SEED], "without `noise`");
        }
        let shape = self.shape(fields, node, "a series")?;
        let every = fields.get("every").map(|_| self.positive_span(fields, "every"));
        let every = every.unwrap_or(Some(EVERY_DEFAULT))?;
        let noise = self.number(fields, "noise").map_or(0.0, |at| at.value.abs());
        let seed = u64::from(self.count(fields, SEED).map_or(0, |at| at.value));
        let count = self.how_many(fields, &shape, every, node)?;
        let generator = Generator { shape, every, count, noise, seed };
        if let Some(Value::List(ages)) = fields.get("ago").map(|node| &node.value) {
            let ages: Option<Vec<_>> = ages.iter().map(|age| self.span_of(age, "ago")).collect();
            return self.aged(node, &generator, &ages?, now);
        }
        let age = self.span(fields, "ago").map_or(SignedDuration::ZERO, |at| at.value);
        Some(generator.samples(super::service::ago(now, age)))
    }

    /// Samples each of which has an age of its own.
    fn aged(
        &mut self,
        node: &Node,
        generator: &Generator,
        ages: &[SignedDuration],
        now: Timestamp,
    ) -> Option<Vec<Sample>> {
        let samples = generator.samples(now);
        if samples.len() != ages.len() {
            let message = format!("there are {} samples, and {} times in `ago`", samples.len(), ages.len());
            self.error(node.span, message, None);
            return None;
        }
        let each = samples.iter().zip(ages);
        Some(each.map(|(sample, age)| Sample { at: super::service::ago(now, *age), ..*sample }).collect())
    }

    /// How values go: one of `values`, `value`, `ramp`, and `wave`.
    pub(crate) fn shape(&mut self, fields: &Fields<'_>, node: &Node, what: &str) -> Option<Shape> {
        let keys = ["values", "value", "ramp", "wave"];
        let mut given = keys.into_iter().filter_map(|key| Some((key, fields.get(key)?)));
        let Some((key, first)) = given.next() else {
            if !fields.is_doubtful {
                self.error(node.span, format!("{what} needs {}", one_of(keys)), None);
            }
            return None;
        };
        if let Some((other, node)) = given.next() {
            self.error(node.span, format!("`{key}` and `{other}` exclude each other"), None);
            return None;
        }
        if key != "wave" {
            self.no_effect(fields, &["period"], "without `wave`");
        }
        match key {
            "values" => Some(Shape::Values(self.numbers(first, "`values`")?)),
            "value" => Some(Shape::Values(vec![self.finite(first, "`value`")?])),
            _ => {
                let [from, to] = self.numbers(first, &format!("`{key}`"))?[..] else {
                    let wanted = if key == "ramp" { "[FROM, TO]" } else { "[LOWEST, HIGHEST]" };
                    self.error(
                        first.span,
                        format!("`{key}` takes two numbers"),
                        Some(format!("write `{key}: {wanted}`")),
                    );
                    return None;
                };
                if key == "ramp" {
                    return Some(Shape::Ramp(from, to));
                }
                let Some(period) = self.positive_span(fields, "period") else {
                    if fields.get("period").is_none() {
                        self.error(
                            first.span,
                            "`wave` needs `period`",
                            Some("add for example `period: 24h`".to_owned()),
                        );
                    }
                    return None;
                };
                Some(Shape::Wave { low: from, high: to, period })
            }
        }
    }

    /// How many samples: as many as values, or `count`, or what fits into `for`, both ends included.
    fn how_many(
        &mut self,
        fields: &Fields<'_>,
        shape: &Shape,
        every: SignedDuration,
        node: &Node,
    ) -> Option<usize> {
        let listed = match shape {
            Shape::Values(values) if fields.get("values").is_some() => Some(values.len()),
            _ => None,
        };
        let (count, length) = (self.count(fields, "count"), self.span(fields, "for"));
        let At { value, span } = match (listed, count, length) {
            (Some(count), None, None) => At { value: count, span: node.span },
            (None, Some(count), None) => At { value: count.value as usize, span: count.span },
            (None, None, Some(At { value, span })) => {
                let steps = value.as_millis() / every.as_millis().max(1);
                At { value: usize::try_from(steps).unwrap_or(usize::MAX).saturating_add(1), span }
            }
            (None, None, None) if fields.get("value").is_some() => At { value: 1, span: node.span },
            (None, None, None) => {
                let help = "add `count: 30` or `for: 5m`".to_owned();
                self.error(node.span, "it is not said how many samples there are", Some(help));
                return None;
            }
            (Some(_), ..) => {
                let help = "leave `count` and `for` out: there are as many samples as values".to_owned();
                self.error(node.span, "`values` says already how many samples there are", Some(help));
                return None;
            }
            (None, Some(_), Some(At { span, .. })) => {
                self.error(span, "`count` and `for` exclude each other", None);
                return None;
            }
        };
        if (1..=COUNT_MAX).contains(&value) {
            return Some(value);
        }
        self.error(span, format!("a series has from 1 to {COUNT_MAX} samples, and this {value}"), None);
        None
    }

    /// The samples of a file, moved in time so that the newest is as old as `ago` says, unless `keep_times`.
    fn recorded(&mut self, fields: &Fields<'_>, context: &Context<'_>) -> Option<Vec<Sample>> {
        let made_up = ["values", "value", "ramp", "wave", "period", "every", "count", "for", "noise", SEED];
        self.no_effect(fields, &made_up, "on a recorded file");
        let keep = self.flag(fields, "keep_times").is_some_and(|at| at.value);
        if keep {
            self.no_effect(fields, &["ago"], "with `keep_times`");
        }
        let file = self.text(fields, "file")?;
        let path = context.folder.join(&file.value);
        let text = match text_of(&path) {
            Ok(text) => text,
            Err(error) => {
                self.error(file.span, format!("`{}` cannot be read: {error}", path.display()), None);
                return None;
            }
        };
        let mut samples = match recorded(&text) {
            Ok(samples) => samples,
            Err((line, wrong)) => {
                self.error(file.span, format!("`{}`, line {line}: {wrong}", path.display()), None);
                return None;
            }
        };
        let age = self.span(fields, "ago").map_or(SignedDuration::ZERO, |at| at.value);
        let newest = samples.iter().map(|sample| sample.at).max();
        if let (false, Some(newest)) = (keep, newest) {
            let shift = super::service::ago(context.now, age).duration_since(newest);
            for sample in &mut samples {
                sample.at = sample.at.saturating_add(shift).unwrap_or(sample.at);
            }
        }
        Some(samples)
    }
}

/// The map with numbers among its keys as texts: an id may be a port, and needs no quotes.
fn with_text_keys(node: &Node) -> Node {
    let Value::Map(pairs) = &node.value else { return node.clone() };
    let as_text = |key: &Node| match key.value {
        Value::Int(number) => Node { span: key.span, value: Value::Text(number.to_string()) },
        _ => key.clone(),
    };
    let pairs = pairs.iter().map(|(key, value)| (as_text(key), value.clone()));
    Node { span: node.span, value: Value::Map(pairs.collect()) }
}

/// Whether a window goes by this name: its metric, or its type and its metric.
fn is_called(window: &MetricWindow, name: &str) -> bool {
    let metric = window.metric.to_string();
    name == metric || name.strip_suffix(&metric) == Some(&format!("{}/", window.service_type))
}
