//! Reads a description, or says everything that is wrong with it.

use std::collections::HashMap;

use dynamite_units::{check_usable_name, is_template};
use jiff::SignedDuration;

use super::description::{Description, Metric, Phase, Registration, Template, Whose};
use crate::cases::file::text_of;
use crate::cases::samples::Shape;
use crate::cli::GenerateArgs;
use crate::config::Report;
use crate::config::etcd_paths::{APPLICATION_BASE_DEFAULT, METRICS_BASE_DEFAULT, is_within};
use crate::config::read::{At, Fields, Reader, shortened};
use crate::config::report::{Diagnostic, Source};
use crate::config::suggest::one_of;
use crate::config::tree::{self, Node, Span, Value};

const FILE: [&str; 5] = ["application_base_path", "metrics_base_path", "seed", "registrations", "metrics"];
const METRIC: [&str; 8] =
    ["service_type", "metric", "instances", "metric_aggregated", "template", "every", "noise", "phases"];
const PHASE: [&str; 9] = ["for", "value", "values", "ramp", "random", "wave", "period", "every", "noise"];
/// The keys that say how values go.
const SHAPES: [&str; 4] = ["value", "values", "ramp", "wave"];

/// From sample to sample, unless the description says otherwise.
const EVERY_DEFAULT: SignedDuration = SignedDuration::from_secs(10);
/// The shortest distance: it takes etcd about as long to write one, and time stamps have no more digits.
const EVERY_MIN: SignedDuration = SignedDuration::from_millis(1);
/// The most samples in all: as many as Dynamite keeps.
const SAMPLES_MAX: usize = dynamite_core::SAMPLES_MAX;

/// Reads the description that the flags name. Their paths beat those of the file.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn read(args: &GenerateArgs) -> Result<Description, Report> {
    let name = args.file.display().to_string();
    let text = text_of(&args.file).map_err(|error| {
        let mut report = Report::default();
        report.add(Diagnostic::error(format!("the description `{name}` cannot be read: {error}")));
        report
    })?;
    let bases = (args.application_base_path.as_deref(), args.metrics_base_path.as_deref());
    read_text(&name, &text, bases)
}

/// As [`read`], of a text. `bases` are the paths for registrations and metrics from the command line.
pub(super) fn read_text(
    name: &str,
    text: &str,
    bases: (Option<&str>, Option<&str>),
) -> Result<Description, Report> {
    let source = Source::new(name.to_owned(), text);
    let mut report = Report::default();
    let mut reader = Reader { source: &source, report: &mut report };
    let description = match tree::parse(text) {
        Ok(node) => reader.description(&node, bases),
        Err(error) => {
            reader.error(error.span, format!("this is not YAML: {}", error.message), None);
            None
        }
    };
    report.sort(name);
    description.filter(|_| report.errors() == 0).ok_or(report)
}

/// What a metric says for all its phases.
#[derive(Clone, Copy)]
struct Common {
    every: SignedDuration,
    noise: f64,
}

impl Reader<'_> {
    fn description(
        &mut self,
        node: &Node,
        (application, metrics): (Option<&str>, Option<&str>),
    ) -> Option<Description> {
        let fields = self.fields(node, "the description", &FILE);
        let application_base =
            self.base(&fields, "application_base_path", application, APPLICATION_BASE_DEFAULT);
        let metrics_base = self.base(&fields, "metrics_base_path", metrics, METRICS_BASE_DEFAULT);
        if let (Some(application), Some(metrics)) = (&application_base, &metrics_base)
            && (is_within(application, metrics) || is_within(metrics, application))
        {
            let message = format!("registrations in {application} and metrics in {metrics} overlap");
            self.error(fields.key("metrics_base_path").unwrap_or(node.span), message, None);
        }
        let seed = u64::from(self.count(&fields, "seed").map_or(0, |at| at.value));
        let registrations =
            fields.get("registrations").map(|node| self.registrations(node)).unwrap_or_default();
        let items = fields.get("metrics").map(|node| self.list(node, "`metrics`")).unwrap_or_default();
        let metrics: Vec<(Span, Metric)> = items
            .iter()
            .filter_map(|item| Some((item.span, self.generated(item, &registrations)?)))
            .collect();
        if items.is_empty() && registrations.is_empty() && !fields.is_doubtful && self.report.errors() == 0 {
            let help = "add `metrics:` or `registrations:`; see `dynamite generate --help`".to_owned();
            self.error(Span::default(), "there is nothing to write", Some(help));
        }
        self.written_once(&metrics);
        let metrics = metrics.into_iter().map(|(_, metric)| metric).collect();
        let (application_base, metrics_base) = (application_base?, metrics_base?);
        let description = Description { application_base, metrics_base, seed, registrations, metrics };
        let samples = description.samples();
        if samples > SAMPLES_MAX {
            let message = format!("there are {samples} samples, and at most {SAMPLES_MAX} are written");
            let help = "make `every` longer, or `for` shorter".to_owned();
            self.error(fields.key("metrics").unwrap_or_default(), message, Some(help));
        }
        Some(description)
    }

    fn base(&mut self, fields: &Fields<'_>, key: &str, given: Option<&str>, default: &str) -> Option<String> {
        let written = match fields.get(key) {
            Some(_) => self.text(fields, key).and_then(|path| self.base_path(&path, key)),
            None => Some(default.to_owned()),
        };
        given.map_or(written, |given| Some(given.to_owned()))
    }

    fn list<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        let Value::List(items) = &node.value else {
            self.wrong_form(what, "a list", node, Some("write `- ` in front of each entry".to_owned()));
            return &[];
        };
        items
    }

    fn registrations(&mut self, node: &Node) -> Vec<Registration> {
        let mut registrations = Vec::new();
        for (service_type, ids) in self.entries(node, "`registrations`") {
            self.path_word(&owned(&service_type), "a service type");
            for (id, unit) in self.entries(ids, &format!("`{}`", shortened(service_type.value))) {
                self.path_word(&owned(&id), "the id of an instance");
                let Value::Text(name) = &unit.value else {
                    let help = "write for example `apache@8080.service`".to_owned();
                    self.wrong_form("the unit of an instance", "a text", unit, Some(help));
                    continue;
                };
                let full = if name.contains('.') { name.clone() } else { format!("{name}.service") };
                if let Err(error) = check_usable_name(&full) {
                    self.error(unit.span, format!("`{}` is no unit: {error}", shortened(name)), None);
                } else if is_template(&full) {
                    let help = "write what stands behind the `@` too".to_owned();
                    let message = format!("`{}` is a template and no instance", shortened(name));
                    self.error(unit.span, message, Some(help));
                }
                registrations.push(Registration {
                    service_type: service_type.value.to_owned(),
                    id: id.value.to_owned(),
                    unit: name.clone(),
                });
            }
        }
        registrations
    }

    /// One entry of `metrics`.
    fn generated(&mut self, node: &Node, registrations: &[Registration]) -> Option<Metric> {
        let fields = self.fields(node, "a metric", &METRIC);
        let mut word = |key: &str| {
            let word = self.text(&fields, key);
            match &word {
                Some(word) => self.path_word(word, &format!("`{key}`")),
                None if fields.get(key).is_none() && !fields.is_doubtful => {
                    self.error(node.span, format!("a metric needs `{key}`"), None);
                }
                None => {}
            }
            word
        };
        let (service_type, name) = (word("service_type"), word("metric"));
        if let Some(At { value, span }) = name.as_ref().filter(|name| name.value.contains('.')) {
            let message = format!("`{}` is a key and a field of its value", shortened(value));
            let help = "write the key alone here, and the field into `template`".to_owned();
            self.error(*span, message, Some(help));
        }
        let whose = self.whose(&fields, service_type.as_ref(), registrations);
        let template = match fields.get("template") {
            None => Some(Template::default()),
            Some(node) => self.template(node),
        };
        let common = Common {
            every: fields.get("every").map_or(Some(EVERY_DEFAULT), |_| self.distance(&fields))?,
            noise: self.number(&fields, "noise").map_or(0.0, |at| at.value.abs()),
        };
        let Some(node) = fields.get("phases") else {
            if !fields.is_doubtful {
                let help = "add for example `phases: [{for: 1m, ramp: [10, 90]}]`".to_owned();
                self.error(node.span, "a metric needs `phases`", Some(help));
            }
            return None;
        };
        let items = self.list(node, "`phases`");
        if items.is_empty() && matches!(node.value, Value::List(_)) {
            self.error(node.span, "`phases` is empty", None);
        }
        let phases: Vec<_> = items.iter().map(|item| self.phase(item, common)).collect();
        Some(Metric {
            service_type: service_type?.value,
            name: name?.value,
            whose: whose?,
            template: template?,
            phases: phases.into_iter().collect::<Option<_>>()?,
        })
    }

    /// Whose the metric is: that of the instances it names, or of all of its type, or aggregated.
    fn whose(
        &mut self,
        fields: &Fields<'_>,
        service_type: Option<&At<String>>,
        registrations: &[Registration],
    ) -> Option<Whose> {
        let aggregated = self.flag(fields, "metric_aggregated").is_some_and(|at| at.value);
        let given = self.texts(fields, "instances");
        for id in &given {
            self.path_word(id, "the id of an instance");
        }
        if let (true, Some(span)) = (aggregated, fields.key("instances")) {
            self.error(span, "an aggregated metric has no `instances`", None);
            return None;
        }
        if aggregated {
            return Some(Whose::Type);
        }
        if let Some(node) = fields.get("instances") {
            if matches!(&node.value, Value::List(ids) if ids.is_empty()) {
                let help = "leave it out for all that are registered here".to_owned();
                self.error(node.span, "`instances` is empty", Some(help));
            }
            return Some(Whose::Instances(given.into_iter().map(|id| id.value).collect()));
        }
        let service_type = service_type?;
        let registered = registrations.iter().filter(|known| known.service_type == service_type.value);
        let ids: Vec<String> = registered.map(|known| known.id.clone()).collect();
        if ids.is_empty() {
            let message = format!("no instance of `{}` is registered here", shortened(&service_type.value));
            let help = "add `instances: [ID]`, or `metric_aggregated: true`".to_owned();
            self.error(service_type.span, message, Some(help));
            return None;
        }
        Some(Whose::Instances(ids))
    }

    fn template(&mut self, node: &Node) -> Option<Template> {
        let help = "write for example `'{\"p95\": {value}}'`, in single quotes".to_owned();
        let Value::Text(text) = &node.value else {
            self.wrong_form("`template`", "a text", node, Some(help));
            return None;
        };
        let template = Template::new(text);
        template.map_err(|wrong| self.error(node.span, format!("`template` {wrong}"), Some(help))).ok()
    }

    fn distance(&mut self, fields: &Fields<'_>) -> Option<SignedDuration> {
        let every = self.positive_span(fields, "every")?;
        if every < EVERY_MIN {
            let span = fields.get("every").map(|node| node.span).unwrap_or_default();
            self.error(span, "`every` must be a millisecond or longer", None);
            return None;
        }
        Some(every)
    }

    fn phase(&mut self, node: &Node, common: Common) -> Option<Phase> {
        let fields = self.fields(node, "a phase", &PHASE);
        let every = fields.get("every").map_or(Some(common.every), |_| self.distance(&fields));
        let noise = self.number(&fields, "noise").map_or(common.noise, |at| at.value.abs());
        let (shape, noise) = match fields.get("random") {
            Some(random) => self.random(&fields, random)?,
            None if fields.is_doubtful || SHAPES.iter().any(|key| fields.get(key).is_some()) => {
                (self.shape(&fields, node, "a phase")?, noise)
            }
            None => {
                let keys = one_of(SHAPES.into_iter().chain(["random"]));
                self.error(node.span, format!("a phase needs {keys}"), None);
                return None;
            }
        };
        if !shape.is_finite(noise) {
            self.error(node.span, "values of the phase are too large to be written", None);
            return None;
        }
        let every = every?;
        let length = match (self.span(&fields, "for"), &shape) {
            (Some(At { value, span }), _) if value.is_zero() => {
                self.error(span, "`for` must be longer than 0", None);
                return None;
            }
            (Some(at), _) => at.value,
            (None, Shape::Values(values)) if fields.get("values").is_some() => {
                every.checked_mul(i32::try_from(values.len()).ok()?)?
            }
            (None, _) => {
                if fields.get("for").is_none() {
                    let help = "add for example `for: 1m`".to_owned();
                    self.error(node.span, "it is not said how long the phase is", Some(help));
                }
                return None;
            }
        };
        // As many as there is time for, the first one at once.
        let count = (length.as_millis() - 1).max(0) / every.as_millis().max(1) + 1;
        let count = usize::try_from(count).ok().filter(|count| *count <= SAMPLES_MAX);
        let Some(count) = count else {
            let message = format!("a phase has at most {SAMPLES_MAX} samples");
            self.error(node.span, message, Some("make `every` longer, or `for` shorter".to_owned()));
            return None;
        };
        Some(Phase { shape, noise, every, count, length })
    }

    /// Values anywhere between two: their middle, give or take half their distance.
    fn random(&mut self, fields: &Fields<'_>, node: &Node) -> Option<(Shape, f64)> {
        if let Some(other) = SHAPES.into_iter().chain(["noise"]).find(|key| fields.get(key).is_some()) {
            self.error(node.span, format!("`random` and `{other}` exclude each other"), None);
            return None;
        }
        let [low, high] = self.numbers(node, "`random`")?[..] else {
            let help = "write `random: [LOWEST, HIGHEST]`".to_owned();
            self.error(node.span, "`random` takes two numbers", Some(help));
            return None;
        };
        Some((Shape::Values(vec![low.midpoint(high)]), (high / 2.0 - low / 2.0).abs()))
    }

    /// Two entries must not write the same series: of two samples at one time, one would be lost.
    fn written_once(&mut self, metrics: &[(Span, Metric)]) {
        let mut known: HashMap<String, Span> = HashMap::new();
        for (span, metric) in metrics {
            for folder in metric.folders("") {
                if let Some(first) = known.insert(folder.clone(), *span) {
                    let message = format!("`{}` is written twice", shortened(&folder[1..]));
                    let note = format!("it is written first at {}", self.source.short(first));
                    let place = self.source.place(*span);
                    self.report.add(Diagnostic::error(message).note(note).at(place));
                }
            }
        }
    }
}

fn owned(at: &At<&str>) -> At<String> {
    At { value: at.value.to_owned(), span: at.span }
}
