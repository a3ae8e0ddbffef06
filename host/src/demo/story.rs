//! What happened in the demo: the load and the instances over time, and the decisions with their reasons.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How many moments are kept: ten minutes of the load's pace. Without --keep there are a hundred.
const MOMENTS_MAX: usize = 1_200;
/// How many decisions are kept: some ten times what happens in those ten minutes.
const DECISIONS_MAX: usize = 1_000;
/// How many warnings are kept: more than there is room for on a screen.
const WARNINGS_MAX: usize = 100;

/// A service of the demo, as the example's configuration has it.
#[derive(Debug)]
pub(super) struct Watched {
    /// Its name, and its type.
    pub(super) name: &'static str,
    /// How it is scaled, for people.
    pub(super) rule: &'static str,
    /// The shares at which it is scaled, in requests per second, for the view and the chart.
    pub(super) marks: &'static [f64],
    /// `max_instance`.
    pub(super) max: u32,
}

/// Scaled by thresholds; each instance has a series of its own.
pub(super) const WEB: usize = 0;
/// Scaled by a policy in a module, by one series for all.
pub(super) const WORKER: usize = 1;

/// The services of the demo.
pub(super) const SERVICES: [Watched; 2] = [
    Watched { name: "web", rule: "up above 80, down below 35", marks: &[35.0, 80.0], max: 5 },
    Watched { name: "worker", rule: "WebAssembly policy, target 60", marks: &[60.0], max: 8 },
];

/// How a service is at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Standing {
    /// Instances that run.
    pub(super) running: u32,
    /// Units of instances that do not run, or not yet.
    pub(super) waiting: u32,
    /// What each instance has of the load, in requests per second; none if none runs.
    pub(super) share: Option<f64>,
}

/// How all is at some moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Moment {
    /// How long after the start.
    pub(super) at: Duration,
    /// In requests per second.
    pub(super) load: f64,
    /// In the order of [`SERVICES`].
    pub(super) services: [Standing; 2],
}

/// Which way a decision goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
    /// A unit is put back in its place.
    Replace,
    /// Nothing is done.
    Hold,
}

/// What the daemon decided about a unit, or that it does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) service: String,
    pub(super) way: Way,
    /// The unit that is started or stopped.
    pub(super) unit: Option<String>,
    pub(super) reason: String,
}

/// All of it, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    pub(super) moments: VecDeque<Moment>,
    pub(super) decisions: VecDeque<(Duration, Decided)>,
    /// What else the daemon had to say that is not well.
    pub(super) warnings: VecDeque<(Duration, String)>,
    /// When the daemon saw the first instance run.
    pub(super) first_instance: Option<Duration>,
    /// Ups and downs, in the order of [`SERVICES`].
    counts: [[u32; 2]; 2],
    /// The most instances, in the same order.
    most: [u32; 2],
}

impl Story {
    /// Adds a moment.
    pub(super) fn note(&mut self, moment: Moment) {
        for (most, standing) in self.most.iter_mut().zip(&moment.services) {
            *most = standing.running.max(*most);
        }
        if self.moments.len() == MOMENTS_MAX {
            self.moments.pop_front();
        }
        self.moments.push_back(moment);
    }

    /// Adds a decision.
    pub(super) fn decide(&mut self, at: Duration, decided: Decided) {
        if let Some(index) = SERVICES.iter().position(|service| service.name == decided.service) {
            match decided.way {
                Way::Up => self.counts[index][0] += 1,
                Way::Down => self.counts[index][1] += 1,
                Way::Replace | Way::Hold => {}
            }
        }
        if self.decisions.len() == DECISIONS_MAX {
            self.decisions.pop_front();
        }
        self.decisions.push_back((at, decided));
    }

    /// Adds a warning.
    pub(super) fn warn(&mut self, at: Duration, words: String) {
        if self.warnings.len() == WARNINGS_MAX {
            self.warnings.pop_front();
        }
        self.warnings.push_back((at, words));
    }

    /// A few lines at the end.
    pub(super) fn summary(&self) -> String {
        let mut lines = Vec::new();
        if let (Some(first), Some(last)) = (self.moments.front(), self.moments.back()) {
            let loads = self.moments.iter().map(|moment| moment.load);
            let most = loads.fold(0.0, f64::max);
            let (from, to) = (first.load, last.load);
            lines.push(format!(
                "load     from {from:.0} up to {most:.0}, at the end {to:.0} requests per second"
            ));
        }
        for (index, service) in SERVICES.iter().enumerate() {
            let [ups, downs] = self.counts[index];
            let last = self.moments.back().map_or(0, |moment| moment.services[index].running);
            let most = self.most[index];
            let name = service.name;
            lines
                .push(format!("{name:<8} at most {most} running, at the end {last}: {ups} up, {downs} down"));
        }
        if let Some(first) = self.first_instance {
            lines.push(format!("the first instance ran after {:.1} s", first.as_secs_f64()));
        }
        lines.join("\n")
    }
}

impl fmt::Display for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.way {
            Way::Up => "up",
            Way::Down => "down",
            Way::Replace => "replace",
            Way::Hold => "hold",
        };
        write!(f, "{}: {word}", self.service)?;
        if let Some(unit) = &self.unit {
            write!(f, " {unit}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// A time as it is shown: `0:07`.
pub(super) fn clock(at: Duration) -> String {
    format!("{}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_story_is_bounded_and_is_summed_up() {
        let mut story = Story { first_instance: Some(Duration::from_secs(1)), ..Story::default() };
        for second in 0..10_000 {
            let running = u32::from(second > 0) * 3;
            let services = [Standing { running, waiting: 0, share: None }; 2];
            story.note(Moment { at: Duration::from_secs(second), load: 5.0, services });
            let decided = Decided { service: "web".into(), way: Way::Up, unit: None, reason: "x".into() };
            story.decide(Duration::from_secs(second), decided);
        }
        assert_eq!((story.moments.len(), story.decisions.len()), (MOMENTS_MAX, DECISIONS_MAX));
        assert_eq!(
            story.summary(),
            "load     from 5 up to 5, at the end 5 requests per second\n\
             web      at most 3 running, at the end 3: 10000 up, 0 down\n\
             worker   at most 3 running, at the end 3: 0 up, 0 down\n\
             the first instance ran after 1.0 s"
        );
    }
}
