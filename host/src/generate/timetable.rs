//! When what is due: the samples of all metrics, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use jiff::SignedDuration;

use super::description::{Description, Metric};

/// What is due at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Due {
    /// How long after the start.
    pub(super) after: SignedDuration,
    /// What begins, for people.
    pub(super) begins: Vec<String>,
    /// What a key begins with, up to the time, and its value.
    pub(super) samples: Vec<(String, String)>,
}

/// Goes through a description.
#[derive(Debug)]
pub(super) struct Timetable<'d> {
    courses: Vec<Course<'d>>,
    /// When each of the courses goes on, the earliest on top.
    next: BinaryHeap<Reverse<(SignedDuration, usize)>>,
}

/// How far a metric is.
#[derive(Debug)]
struct Course<'d> {
    metric: &'d Metric,
    folders: Vec<String>,
    random: fastrand::Rng,
    phase: usize,
    /// When the phase began.
    began: SignedDuration,
    sample: usize,
}

impl<'d> Timetable<'d> {
    /// Goes through a description from its start.
    pub(super) fn new(description: &'d Description) -> Self {
        let course = |(index, metric): (u64, &'d Metric)| Course {
            metric,
            folders: metric.folders(&description.metrics_base),
            random: fastrand::Rng::with_seed(description.seed.wrapping_add(index)),
            phase: 0,
            began: SignedDuration::ZERO,
            sample: 0,
        };
        let courses: Vec<_> = (0..).zip(&description.metrics).map(course).collect();
        let next = (0..courses.len()).map(|index| Reverse((SignedDuration::ZERO, index))).collect();
        Self { courses, next }
    }
}

impl Iterator for Timetable<'_> {
    type Item = Due;

    fn next(&mut self) -> Option<Due> {
        let &Reverse((after, _)) = self.next.peek()?;
        let mut due = Due { after, begins: Vec::new(), samples: Vec::new() };
        while let Some(&Reverse((when, index))) = self.next.peek()
            && when == after
        {
            self.next.pop();
            if let Some(then) = self.courses[index].advance(&mut due) {
                self.next.push(Reverse((then, index)));
            }
        }
        Some(due)
    }
}

impl Course<'_> {
    /// Adds what is due now, and says when the next is.
    fn advance(&mut self, due: &mut Due) -> Option<SignedDuration> {
        let phase = self.metric.phases.get(self.phase)?;
        if self.sample == 0 {
            due.begins.push(format!("{} of {}: {phase}", self.metric.name, self.metric.service_type));
        }
        for folder in &self.folders {
            let value = phase.value(self.sample, &mut self.random);
            due.samples.push((folder.clone(), self.metric.template.fill(value)));
        }
        self.sample += 1;
        if self.sample < phase.count {
            return self.began.checked_add(phase.after(self.sample));
        }
        self.began = self.began.checked_add(phase.length)?;
        self.sample = 0;
        self.phase += 1;
        (self.phase < self.metric.phases.len()).then_some(self.began)
    }
}
