//! The decisions of a case: a single one, or a sequence in time.

use std::rc::Rc;

use dynamite_core::SeenInstance;
use jiff::{SignedDuration, Timestamp};

use super::expect::{Course, Expectation};
use super::file::FileReader;
use super::policy::Policy;
use super::samples::Shape;
use super::series::{Context, Given};
use super::service::Service;
use crate::config::read::{At, Fields};
use crate::config::tree::{Node, Value};

const STEP: [&str; 7] = ["at", "every", "for", "instances", "windows", "load", "expect"];
const LOAD: [&str; 5] = ["value", "values", "ramp", "wave", "period"];

/// The most decisions of one case: a day at ten seconds, with room.
const DECISIONS_MAX: usize = 10_000;

/// One decision.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) now: Timestamp,
    /// The line in the file.
    pub(crate) line: usize,
    /// The samples that arrive.
    pub(crate) given: Rc<[Given]>,
    /// The instances, if they change.
    pub(crate) instances: Option<Rc<[SeenInstance]>>,
    /// What all running instances carry together.
    pub(crate) load: Option<f64>,
    pub(crate) expect: Option<Rc<Expectation>>,
}

/// What the steps of a case build on.
pub(super) struct Base<'b> {
    pub(super) policy: &'b Policy,
    pub(super) service: &'b Service,
    pub(super) now: Timestamp,
    pub(super) closed_loop: bool,
}

impl FileReader<'_, '_> {
    /// The only decision of a case without steps.
    pub(super) fn decision(
        &mut self,
        fields: &Fields<'_>,
        node: &Node,
        base: &Base<'_>,
        given: Vec<Given>,
        single: bool,
    ) -> Step {
        let reader = &mut *self.reader;
        if let Some(wrong) = fields.get("closed_loop") {
            let help = "add `steps`, or remove the line".to_owned();
            reader.error(wrong.span, "`closed_loop` has no effect on a single decision", Some(help));
        }
        let expect = fields.get("expect").map(|node| Rc::new(reader.expectation(node)));
        if expect.is_none() && !single && !fields.is_doubtful {
            let help = "add for example `expect: {hold: true}`".to_owned();
            reader.error(node.span, "a case needs `expect`", Some(help));
        }
        let line = fields.get("expect").map_or(node.span.line, |node| node.span.line);
        Step { now: base.now, line, given: given.into(), instances: None, load: None, expect }
    }

    /// The decisions of a case with steps. The samples of the case itself are there at the first one.
    pub(super) fn sequence(
        &mut self,
        fields: &Fields<'_>,
        node: &Node,
        base: &Base<'_>,
        given: &[Given],
    ) -> (Vec<Step>, Option<Course>) {
        let course = fields.get("expect").map(|node| self.reader.course(node));
        let Value::List(items) = &node.value else {
            self.reader.wrong_form("`steps`", "a list", node, None);
            return (Vec::new(), course);
        };
        let mut steps: Vec<Step> = Vec::new();
        let mut instances: Rc<[SeenInstance]> = base.service.seen.instances.clone().into();
        for item in items {
            let last = steps.last().map(|step| step.now);
            let more = self.step(item, base, last, &mut instances);
            if steps.len() + more.len() > DECISIONS_MAX {
                self.reader.error(item.span, format!("a case has at most {DECISIONS_MAX} decisions"), None);
                break;
            }
            steps.extend(more);
        }
        if let (Some(first), false) = (steps.first_mut(), given.is_empty()) {
            first.given = given.iter().chain(&*first.given).cloned().collect();
        }
        let expects = course.is_some() || steps.iter().any(|step| step.expect.is_some());
        if !expects && self.reader.report.errors() == 0 {
            let help = "add `expect` to the case or to its steps".to_owned();
            self.reader.error(node.span, "nothing is expected of these steps", Some(help));
        }
        (steps, course)
    }

    fn step(
        &mut self,
        node: &Node,
        base: &Base<'_>,
        last: Option<Timestamp>,
        present: &mut Rc<[SeenInstance]>,
    ) -> Vec<Step> {
        let fields = self.reader.fields(node, "a step", &STEP);
        let Some(times) = self.times(&fields, node, base.now, last) else { return Vec::new() };
        let reader = &mut *self.reader;
        let expect = fields.get("expect").map(|node| Rc::new(reader.expectation(node)));
        let line = fields.get("expect").map_or(node.span.line, |node| node.span.line);
        let first = times.first().copied().unwrap_or(base.now);
        let mut instances: Option<Rc<[SeenInstance]>> =
            fields.get("instances").map(|node| reader.instances(node, base.service, first).into());
        if let Some(instances) = &instances {
            *present = instances.clone();
        }
        let load = fields.get("load").and_then(|node| self.load(node, base));
        let mut given: Rc<[Given]> = self.windows(&fields, base, (first, present)).into();
        let count = times.len();
        let mut steps = Vec::new();
        for (index, now) in times.into_iter().enumerate() {
            let load = load.as_ref().map(|load| load.at(index, count, now));
            let (given, instances) = (std::mem::take(&mut given), instances.take());
            steps.push(Step { now, line, given, instances, load, expect: expect.clone() });
        }
        steps
    }

    /// When the decisions of a step are: at one time, or at several of equal distance.
    fn times(
        &mut self,
        fields: &Fields<'_>,
        node: &Node,
        now: Timestamp,
        last: Option<Timestamp>,
    ) -> Option<Vec<Timestamp>> {
        let reader = &mut *self.reader;
        let after = |start: Timestamp, span: SignedDuration| start.checked_add(span).ok();
        match (fields.get("at"), fields.get("every"), fields.get("for")) {
            (Some(_), None, None) => {
                let At { value, span } = reader.span(fields, "at")?;
                let at = after(now, value)?;
                if last.is_some_and(|last| at < last) {
                    reader.error(span, "time goes forwards: the step before it is later", None);
                }
                Some(vec![at])
            }
            (None, Some(_), Some(_)) => {
                let every = reader.positive_span(fields, "every")?;
                let At { value: length, span } = reader.span(fields, "for")?;
                let count = length.as_millis() / every.as_millis().max(1);
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                if !(1..=DECISIONS_MAX).contains(&count) {
                    let message = format!("it has from 1 to {DECISIONS_MAX} decisions, and this {count}");
                    reader.error(span, message, None);
                    return None;
                }
                // The first step of a case may start at once.
                let (start, first) = last.map_or((now, 0), |last| (last, 1));
                let nth = |index: usize| after(start, every.checked_mul(i32::try_from(index).ok()?)?);
                (first..first + count).map(nth).collect()
            }
            _ => {
                let help = "write `at: 30s`, or `every: 10s` and `for: 5m`".to_owned();
                if !fields.is_doubtful {
                    reader.error(node.span, "a step needs its time", Some(help));
                }
                None
            }
        }
    }

    /// What all running instances carry together.
    fn load(&mut self, node: &Node, base: &Base<'_>) -> Option<Shape> {
        let reader = &mut *self.reader;
        if base.policy.windows.is_empty() {
            let help = "add `metric: NAME` to `policy`".to_owned();
            reader.error(node.span, "there is a load, but the policy reads no metric", Some(help));
            return None;
        }
        let shape = match &node.value {
            Value::Map(_) => {
                let fields = reader.fields(node, "`load`", &LOAD);
                reader.shape(&fields, node, "`load`")
            }
            _ => reader.finite(node, "`load`").map(|value| Shape::Values(vec![value])),
        }?;
        if shape.lowest() < 0.0 {
            reader.error(node.span, "`load` must not be negative", None);
        }
        Some(shape)
    }

    /// The samples of a case or a step that is played at this time, before these instances.
    pub(super) fn windows(
        &mut self,
        fields: &Fields<'_>,
        base: &Base<'_>,
        (now, present): (Timestamp, &[SeenInstance]),
    ) -> Vec<Given> {
        let Base { policy, service, closed_loop, .. } = base;
        let instances = (!closed_loop).then_some(present);
        let context = Context { windows: &policy.windows, folder: self.folder, now, service, instances };
        fields.get("windows").map(|node| self.reader.given(node, &context)).unwrap_or_default()
    }
}
