//! Plays one case: shows the policy what the case says, step by step, and compares its answers.

use jiff::SignedDuration;

use super::amount::written;
use super::decider::{Answer, Cost, Decider, Subject};
use super::expect::{Answered, Mismatch, said};
use super::file::Case;
use super::steps::Step;
use super::world::World;
use crate::scaling::{Observation, Proposal, SeenService};
use crate::wasm::{Level, Log};

/// How many failed decisions of a case are reported; with the cause the rest goes away too.
const FAILURES_MAX: usize = 3;

/// What came of a case.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Played {
    /// The decisions that were made.
    pub(crate) decisions: usize,
    /// The most that one of them took, if that is measured.
    pub(crate) cost_max: Option<Cost>,
    /// What was wrong, in order.
    pub(crate) failures: Vec<Failure>,
    /// How many more decisions failed.
    pub(crate) failures_left_out: usize,
}

/// Something that failed.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Failure {
    /// The line of the expectation in the case file.
    pub(crate) line: usize,
    /// Which decision it was, if the case has several: `decision 2, after 15s`.
    pub(crate) moment: Option<String>,
    /// What is not as expected.
    pub(crate) mismatches: Vec<Mismatch>,
    /// What no policy may do.
    pub(crate) violations: Vec<String>,
    /// What the policy decided.
    pub(crate) decision: Option<String>,
    /// Why the policy decided so.
    pub(crate) reason: Option<String>,
    /// What it saw, in a line for each fact.
    pub(crate) seen: Vec<String>,
    /// What it logged.
    pub(crate) log: Vec<String>,
}

/// Plays a case.
pub(crate) fn play(case: &Case, subject: &dyn Subject) -> Played {
    let mut played = Played::default();
    let mut decider = match subject.begin(&case.policy) {
        Ok(decider) => decider,
        Err(error) => {
            played.failures.extend(refused(case, &error));
            return played;
        }
    };
    let mut world = World::new(case);
    let mut counts = vec![world.count()];
    for (index, step) in case.steps.iter().enumerate() {
        let count = one_step(case, (index, step), &mut *decider, &mut world, &mut played);
        counts.push(count);
    }
    let mismatches = case.course.as_ref().map(|course| course.compare(&counts)).unwrap_or_default();
    if !mismatches.is_empty() {
        played.failures.push(Failure { line: case.at.line, mismatches, ..Failure::default() });
    }
    played
}

/// Makes one decision. Returns the number of instances that comes of it.
fn one_step(
    case: &Case,
    (index, step): (usize, &Step),
    decider: &mut dyn Decider,
    world: &mut World<'_>,
    played: &mut Played,
) -> u32 {
    let fresh = world.advance(step);
    let seen = world.observation();
    let Answer { result, cost, log, violations } = decider.decide(&seen, &fresh);
    let result = result.and_then(|verdict| world.checked(verdict));
    let proposal = result.as_ref().map_or(Proposal::Hold, |verdict| verdict.proposal.clone());
    let answered =
        Answered { now: seen.now, result, wanted: world.wanted(&proposal), log: log.lines.clone() };
    played.decisions += 1;
    played.cost_max = played.cost_max.map_or(cost, |most| Some(most.max_with(cost.unwrap_or_default())));
    let expects_error = step.expect.as_ref().is_some_and(|expect| expect.wants_error());
    let mut mismatches = step.expect.as_ref().map(|expect| expect.compare(&answered)).unwrap_or_default();
    if let (Err(error), false, true) = (&answered.result, expects_error, mismatches.is_empty()) {
        mismatches.push(Mismatch { expected: "a decision".to_owned(), got: format!("error: {error}") });
    }
    if !mismatches.is_empty() || !violations.is_empty() {
        if played.failures.len() < FAILURES_MAX {
            let failure = failure(case, (index, step), &answered, &seen, &log);
            played.failures.push(Failure { mismatches, violations, ..failure });
        } else {
            played.failures_left_out += 1;
        }
    }
    if !case.closed_loop {
        return answered.wanted;
    }
    world.follow(&proposal);
    world.count()
}

/// The configuration is refused, or something else is wrong before the first decision, which may be what is expected.
fn refused(case: &Case, error: &str) -> Option<Failure> {
    let first = case.steps.first()?;
    let answered = Answered { now: first.now, result: Err(error.to_owned()), wanted: 0, log: Vec::new() };
    let expect = first.expect.as_deref().filter(|expect| expect.wants_error());
    let mismatches = match expect {
        Some(expect) => expect.compare(&answered),
        None => vec![Mismatch {
            expected: "a policy that can be asked".to_owned(),
            got: format!("error: {error}"),
        }],
    };
    (!mismatches.is_empty()).then(|| Failure { line: first.line, mismatches, ..Failure::default() })
}

fn failure(
    case: &Case,
    (index, step): (usize, &Step),
    answered: &Answered,
    seen: &Observation,
    log: &Log,
) -> Failure {
    let after = written(step.now.duration_since(case.now));
    let verdict = answered.result.as_ref().ok();
    Failure {
        line: step.line,
        moment: (case.steps.len() > 1).then(|| format!("decision {}, after {after}", index + 1)),
        decision: verdict.map(|verdict| said(&verdict.proposal)),
        reason: verdict.map(|verdict| verdict.reason.clone()).filter(|reason| !reason.is_empty()),
        seen: summary(seen),
        log: log_lines(log),
        ..Failure::default()
    }
}

/// What was logged, in lines for people.
pub(crate) fn log_lines(log: &Log) -> Vec<String> {
    let level = |level| match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
    };
    let lines = log.lines.iter().map(|line| format!("{}: {}", level(line.level), line.text));
    let more = (log.left_out > 0).then(|| format!("and {} more lines", log.left_out));
    lines.chain(more).collect()
}

/// A value with as many digits as people read.
fn short(value: f64) -> f64 {
    const SCALE: f64 = 1_000.0;
    if value.abs() < 1e9 { (value * SCALE).round() / SCALE } else { value }
}

/// How many instances there may be.
pub(crate) fn bounds(service: &SeenService) -> String {
    match service.max {
        Some(max) => format!("{} to {max} allowed", service.min),
        None => format!("{} or more allowed", service.min),
    }
}

/// What a policy saw, in a few lines.
pub(crate) fn summary(seen: &Observation) -> Vec<String> {
    const SERIES_MAX: usize = 6;
    let service = &seen.service;
    let (count, instances) = (service.count(), if service.count() == 1 { "instance" } else { "instances" });
    let mut lines = vec![format!("{}: {count} {instances}, {}", service.name, bounds(service))];
    for window in &seen.windows {
        let metric = &window.metric;
        if window.series.is_empty() {
            lines.push(format!("{metric}: no samples"));
        }
        for series in window.series.iter().take(SERIES_MAX) {
            let of = if series.id.is_empty() { String::new() } else { format!(" of {}", series.id) };
            let of = match window.length_ms {
                0 => format!("{of}, the newest alone"),
                ms => format!(
                    "{of} over {}",
                    written(SignedDuration::from_millis(i64::try_from(ms).unwrap_or(0)))
                ),
            };
            let values = &series.values;
            let (low, high) = (
                values.iter().copied().fold(f64::INFINITY, f64::min),
                values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            );
            let (low, high) = (short(low), short(high));
            let newest = short(values.last().copied().unwrap_or(f64::NAN));
            lines.push(match values.len() {
                0 => format!("{metric}{of}: no samples"),
                1 => format!("{metric}{of}: 1 sample, {newest}"),
                count => format!("{metric}{of}: {count} samples, {low} to {high}, the newest {newest}"),
            });
        }
        if window.series.len() > SERIES_MAX {
            lines.push(format!("{metric}: {} more series", window.series.len() - SERIES_MAX));
        }
    }
    lines
}

/// The world at the first decision of a case.
pub(crate) fn first_look(case: &Case) -> World<'_> {
    let mut world = World::new(case);
    if let Some(step) = case.steps.first() {
        world.advance(step);
    }
    world
}
