//! A file of cases as it is written: what is common to them, and each of them.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use dynamite_core::PastAction;
use jiff::{SignedDuration, Timestamp};

use super::expect::Course;
use super::policy::Policy;
use super::service::Service;
use super::steps::{Base, Step};
use crate::config::Report;
use crate::config::read::Reader;
use crate::config::report::{Diagnostic, Source};
use crate::config::tree::{self, Node, Span, Value};

const COMMON: [&str; 6] = ["policy", "config", "service", "now", "start_takes", "cases"];
/// The keys of a case.
const CASE: [&str; 12] = [
    "name",
    "policy",
    "config",
    "service",
    "now",
    "windows",
    "last_scale_up",
    "last_scale_down",
    "expect",
    "steps",
    "closed_loop",
    "start_takes",
];

/// The time of a case unless it says otherwise: a Thursday noon.
const NOW_DEFAULT: &str = "2026-01-01T12:00:00Z";
/// The largest file, of cases or of samples.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// A file of cases, read and right.
#[derive(Debug)]
pub(crate) struct Suite {
    /// The file as the user gave it.
    pub(crate) file: String,
    /// All that is in it.
    pub(crate) text: String,
    /// Its cases, in order.
    pub(crate) cases: Vec<Case>,
}

/// One case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Where its name stands in the file.
    pub(crate) at: Span,
    pub(crate) policy: Policy,
    pub(crate) service: Service,
    /// When its clock starts.
    pub(crate) now: Timestamp,
    pub(crate) last_up: Option<PastAction>,
    pub(crate) last_down: Option<PastAction>,
    /// Its decisions, at least one.
    pub(crate) steps: Vec<Step>,
    /// Whether the instances follow the decisions.
    pub(crate) closed_loop: bool,
    /// How long an instance takes to come up.
    pub(crate) start_takes: SignedDuration,
    pub(crate) course: Option<Course>,
}

impl Suite {
    /// The same with this case alone.
    pub(crate) fn only(&self, case: &Case) -> Self {
        Self { file: self.file.clone(), text: self.text.clone(), cases: vec![case.clone()] }
    }

    /// The case of this name, or the only one.
    ///
    /// # Errors
    /// That there is none, or that there are several.
    pub(crate) fn one(&self, name: Option<&str>) -> Result<&Case, String> {
        let mut cases = self.cases.iter().filter(|case| name.is_none_or(|name| case.name == name));
        match (cases.next(), cases.next(), name) {
            (Some(case), None, _) => Ok(case),
            (None, _, Some(name)) => Err(format!("`{}` has no case `{name}`", self.file)),
            (None, _, None) => Err(format!("`{}` has no case", self.file)),
            (Some(first), Some(_), _) => {
                let help = format!("name one with `--case`, such as `--case \"{}\"`", first.name);
                Err(format!("`{}` has {} cases: {help}", self.file, self.cases.len()))
            }
        }
    }
}

/// Reads a file of cases, or a file that is one case, for a single decision.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read(path: &Path, kind: Kind) -> Result<Suite, Report> {
    let name = path.display().to_string();
    let failed = |message: String| {
        let mut report = Report::default();
        report.add(Diagnostic::error(message));
        report
    };
    let text =
        text_of(path).map_err(|error| failed(format!("the case file `{name}` cannot be read: {error}")))?;
    read_text(&name, &text, path.parent().unwrap_or(Path::new("")), kind)
}

/// The text of a file, and not of a device or a pipe, which may have no end.
pub(crate) fn text_of(path: &Path) -> io::Result<String> {
    let too_long = || io::Error::other(format!("it has more than {} MiB", FILE_BYTES_MAX >> 20));
    let about = path.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    if about.len() > FILE_BYTES_MAX {
        return Err(too_long());
    }
    // It may have grown, and what the kernel makes up says that it has no length.
    let mut text = String::new();
    File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text)
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Cases.
    Cases,
    /// What one decision needs, at the top level; or cases.
    Input,
}

/// As [`read`], of a text. `folder` is where recorded files are looked for.
pub(crate) fn read_text(name: &str, text: &str, folder: &Path, kind: Kind) -> Result<Suite, Report> {
    let source = Source::new(name.to_owned(), text);
    let mut report = Report::default();
    let mut reader = Reader { source: &source, report: &mut report };
    let cases = match (tree::parse(text), kind) {
        (Ok(node), kind) if kind == Kind::Cases || inner(&node, "cases") != NOTHING => {
            FileReader { reader: &mut reader, folder }.cases(&node)
        }
        (Ok(node), _) => {
            vec![FileReader { reader: &mut reader, folder }.case(&Common::default(), &node, true)]
        }
        (Err(error), _) => {
            reader.error(error.span, format!("this is not YAML: {}", error.message), None);
            Vec::new()
        }
    };
    report.sort(name);
    if report.errors() > 0 {
        Err(report)
    } else {
        Ok(Suite { file: name.to_owned(), text: text.to_owned(), cases })
    }
}

/// What cases share unless they say otherwise.
#[derive(Debug)]
struct Common {
    policy: Node,
    config: Node,
    service: Node,
    now: Option<Timestamp>,
    start_takes: SignedDuration,
}

/// What is wrong with `start_takes` where no instance ever starts.
const NO_LOOP: &str = "`start_takes` has no effect without `closed_loop: true`";

const NOTHING: Node = Node { span: Span { line: 0, column: 0, len: 0 }, value: Value::Null };

impl Default for Common {
    fn default() -> Self {
        let (policy, config, service) = (NOTHING, NOTHING, NOTHING);
        Self { policy, config, service, now: None, start_takes: SignedDuration::ZERO }
    }
}

/// Reads a file of cases.
pub(super) struct FileReader<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    /// Where recorded files are looked for.
    pub(super) folder: &'r Path,
}

impl FileReader<'_, '_> {
    fn cases(&mut self, node: &Node) -> Vec<Case> {
        let fields = self.reader.fields(node, "the file", &COMMON);
        let owned = |key: &str| fields.get(key).cloned().unwrap_or(NOTHING);
        let common = Common {
            policy: owned("policy"),
            config: owned("config"),
            service: owned("service"),
            now: self.reader.moment(&fields, "now"),
            start_takes: self.reader.span(&fields, "start_takes").map_or(SignedDuration::ZERO, |at| at.value),
        };
        let items = match fields.get("cases").map(|node| (node, &node.value)) {
            Some((_, Value::List(items))) => items.as_slice(),
            Some((node, _)) => {
                self.reader.wrong_form(
                    "`cases`",
                    "a list",
                    node,
                    Some("write `- name: ...` for each".to_owned()),
                );
                &[]
            }
            None if fields.is_doubtful => &[],
            None => {
                let help = "add `cases:` with a list of them".to_owned();
                self.reader.error(Span::default(), "there are no cases", Some(help));
                &[]
            }
        };
        let cases: Vec<Case> = items.iter().map(|item| self.case(&common, item, false)).collect();
        if let (Some(span), false) = (fields.key("start_takes"), cases.iter().any(|case| case.closed_loop)) {
            self.reader.error(span, NO_LOOP, Some("remove the line".to_owned()));
        }
        for (index, case) in cases.iter().enumerate() {
            if let Some(first) = cases[..index].iter().find(|other| other.name == case.name) {
                let message = format!(
                    "the case in line {} has the name of that in line {}",
                    case.at.line, first.at.line
                );
                self.reader.error(items[index].span, message, None);
            }
        }
        cases
    }

    /// Reads a case. A single one has neither a name nor expectations.
    fn case(&mut self, common: &Common, node: &Node, single: bool) -> Case {
        let what = if single { "the file" } else { "a case" };
        let fields = self.reader.fields(node, what, &CASE);
        let reader = &mut *self.reader;
        let name = reader.text(&fields, "name");
        if name.is_none() && fields.get("name").is_none() && !single && !fields.is_doubtful {
            let help = "add `name: what it shows`".to_owned();
            reader.error(node.span, "a case needs a `name`", Some(help));
        }
        let at = name.as_ref().map_or(node.span, |name| name.span);
        let now = reader.moment(&fields, "now").or(common.now).unwrap_or_else(default_now);
        let overlaid = |base: &Node, key| overlay(base, fields.get(key));
        let policy_node = overlaid(&common.policy, "policy");
        let config =
            overlay(&overlay(&inner(&policy_node, "config"), Some(&common.config)), fields.get("config"));
        let policy = reader.case_policy(&policy_node, &config);
        let service_type = policy.windows.first().map_or("", |window| &window.service_type);
        let service = reader.case_service(&overlaid(&common.service, "service"), service_type, now);
        let start_takes = reader.span(&fields, "start_takes").map_or(common.start_takes, |at| at.value);
        let closed_loop = reader.flag(&fields, "closed_loop").is_some_and(|at| at.value);
        let (last_up, last_down) = (
            reader.past_action(&fields, "last_scale_up", now),
            reader.past_action(&fields, "last_scale_down", now),
        );
        if !closed_loop && let Some(span) = fields.key("start_takes") {
            reader.error(span, NO_LOOP, Some("add `closed_loop: true`, or remove the line".to_owned()));
        }
        let base = Base { policy: &policy, service: &service, now, closed_loop };
        let given = self.windows(&fields, &base, (now, &service.seen.instances));
        let (steps, course) = match fields.get("steps") {
            Some(steps) => self.sequence(&fields, steps, &base, &given),
            None => (vec![self.decision(&fields, node, &base, given, single)], None),
        };
        let name = name.map_or_else(String::new, |at| at.value);
        Case { name, at, policy, service, now, last_up, last_down, steps, closed_loop, start_takes, course }
    }
}

fn default_now() -> Timestamp {
    NOW_DEFAULT.parse().unwrap_or_default()
}

/// The value of a key of a map.
fn inner(node: &Node, key: &str) -> Node {
    let Value::Map(pairs) = &node.value else { return NOTHING };
    let found = pairs.iter().find(|(name, _)| name.value == Value::Text(key.to_owned()));
    found.map_or(NOTHING, |(_, value)| value.clone())
}

/// `over` laid over `base`: maps are joined key by key, a key without a value takes away what was there, and anything else
/// takes its place.
fn overlay(base: &Node, over: Option<&Node>) -> Node {
    let Some(over) = over.filter(|node| node.value != Value::Null) else { return base.clone() };
    let (Value::Map(below), Value::Map(above)) = (&base.value, &over.value) else { return over.clone() };
    let mut pairs = below.clone();
    let mut replaced = vec![false; below.len()];
    for (key, value) in above {
        let place = below.iter().position(|(known, _)| known.value == key.value);
        match place.filter(|&index| !replaced[index]) {
            Some(index) => {
                replaced[index] = true;
                let joined = if value.value == Value::Null {
                    value.clone()
                } else {
                    overlay(&pairs[index].1, Some(value))
                };
                pairs[index] = (key.clone(), joined);
            }
            // A key that is given twice stays there twice, and is reported.
            None => pairs.push((key.clone(), value.clone())),
        }
    }
    pairs.retain(|(_, value)| value.value != Value::Null);
    Node { span: over.span, value: Value::Map(pairs) }
}
