//! Reads what a case expects.

use super::{Course, Expectation, Want};
use crate::config::read::{Fields, Reader};
use crate::config::suggest::one_of;
use crate::config::tree::{Node, Value};

/// The keys that say something of a decision.
const DECISION: [&str; 10] =
    ["hold", "scale_to", "scale_up", "scale_down", "stop", "instances", "reason", "log", "wake_in", "error"];
const WITHIN: &str = "within";
/// The keys that say something of a course.
const COURSE: [&str; 6] =
    ["instances", "never_above", "never_below", "starts_at", "ends_at", "changes_at_most"];

/// Makes something that is expected of a value.
type Make<T> = fn(T) -> Want;

impl Reader<'_> {
    /// Reads `expect` of a decision.
    pub(in crate::cases) fn expectation(&mut self, node: &Node) -> Expectation {
        let keys: Vec<&str> = DECISION.iter().copied().chain([WITHIN]).collect();
        let fields = self.fields(node, "`expect` of a decision", &keys);
        let mut wants = Vec::new();
        if let Some(hold) = self.flag(&fields, "hold") {
            wants.push(Want::Hold(hold.value));
        }
        let counts: [(&str, Make<u32>); 4] = [
            ("scale_to", Want::To),
            ("scale_up", Want::Up),
            ("scale_down", Want::Down),
            ("instances", Want::Instances),
        ];
        for (key, want) in counts {
            wants.extend(self.count(&fields, key).map(|at| want(at.value)));
        }
        if fields.get("stop").is_some() {
            wants.push(Want::Stop(self.texts(&fields, "stop").into_iter().map(|at| at.value).collect()));
        }
        let texts: [(&str, Make<String>); 3] =
            [("reason", Want::Reason), ("log", Want::Log), ("error", Want::Error)];
        for (key, want) in texts {
            wants.extend(self.texts(&fields, key).into_iter().map(|at| want(at.value)));
        }
        match fields.get("wake_in") {
            Some(node) if node.value == Value::Text("never".to_owned()) => wants.push(Want::WakeIn(None)),
            Some(node) => wants.extend(self.span_of(node, "wake_in").map(|span| Want::WakeIn(Some(span)))),
            None => {}
        }
        let decisions = ["hold", "scale_to", "scale_up", "scale_down", "stop", "error"];
        let mut given = decisions.into_iter().filter(|key| fields.get(key).is_some());
        if let (Some(first), Some(second)) = (given.next(), given.next()) {
            self.error(node.span, format!("`{first}` and `{second}` exclude each other"), None);
        }
        if DECISION.iter().all(|key| fields.get(key).is_none()) && !fields.is_doubtful {
            let help = format!("say what is expected: {}", one_of(DECISION));
            self.error(node.span, "nothing is expected", Some(help));
        }
        if counts.iter().all(|(key, _)| fields.get(key).is_none()) {
            self.no_effect(&fields, &[WITHIN], "without a number of instances");
        }
        let within = self.count(&fields, WITHIN).map_or(0, |at| at.value);
        Expectation { wants, within }
    }

    /// Reads `expect` of a case with steps.
    pub(in crate::cases) fn course(&mut self, node: &Node) -> Course {
        let fields = self.fields(node, "`expect` of a case with steps", &COURSE);
        let mut number = |key| self.count(&fields, key).map(|at| at.value);
        let course = Course {
            instances: None,
            never_above: number("never_above"),
            never_below: number("never_below"),
            starts_at: number("starts_at"),
            ends_at: number("ends_at"),
            changes_at_most: number("changes_at_most"),
        };
        let course = Course { instances: self.counts(&fields, "instances"), ..course };
        if COURSE.iter().all(|key| fields.get(key).is_none()) && !fields.is_doubtful {
            let help = format!("say what is expected: {}", one_of(COURSE));
            self.error(node.span, "nothing is expected", Some(help));
        }
        course
    }

    fn counts(&mut self, fields: &Fields<'_>, key: &str) -> Option<Vec<u32>> {
        let node = fields.get(key)?;
        let count = |item: &Node| match item.value {
            Value::Int(count) => u32::try_from(count).ok(),
            _ => None,
        };
        let counts = match &node.value {
            Value::List(items) => items.iter().map(count).collect(),
            _ => None,
        };
        if counts.is_none() {
            let help = "write for example `[2, 3, 4]`: each number that is reached, in turn".to_owned();
            self.wrong_form(&format!("`{key}`"), "a list of whole numbers", node, Some(help));
        }
        counts
    }
}
