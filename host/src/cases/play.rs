//! Plays one case: shows the policy what the case says, step by step, and compares its answers.

use std::time::Duration;

use dynamite_core::{
    Cause, Decision, Direction, FailureKind, Grounds, Observation, PolicyError, Proposal, SeenService,
    ThresholdUse, Usage, Verdict, Victims, Vote, Wish,
};
use jiff::SignedDuration;

use super::amount::written;
use super::decider::{Answer, Contestant, Cost, Decider, Subject};
use super::expect::{Answered, Mismatch, said};
use super::file::Case;
use super::world::{Verdicts, World};
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
    let mut contestant = match subject.begin(&case.policy) {
        Ok(contestant) => contestant,
        Err(error) => {
            played.failures.extend(refused(case, &error));
            return played;
        }
    };
    let mut world = World::new(case, &contestant);
    let mut counts = vec![world.count()];
    for index in 0..case.steps.len() {
        let count = one_step(case, index, &mut contestant, &mut world, &mut played);
        counts.push(count);
    }
    let mismatches = case.course.as_ref().map(|course| course.compare(&counts)).unwrap_or_default();
    if !mismatches.is_empty() {
        played.failures.push(Failure { line: case.at.line, mismatches, ..Failure::default() });
    }
    played
}

/// Makes the decision of a step. Returns the number of instances that comes of it.
fn one_step(
    case: &Case,
    index: usize,
    contestant: &mut Contestant<'_>,
    world: &mut World<'_>,
    played: &mut Played,
) -> u32 {
    let (step, before) = (&case.steps[index], world.count());
    let (service, decisions) = world.advance(step);
    let seen = Observation { service, ..world.observation() };
    let (Verdicts { result, wanted }, Answer { cost, log, violations, .. }) = match contestant {
        Contestant::Rule(used) => (by_rule(&decisions, world, used, before), Answer::silent()),
        Contestant::Asked(decider) => by_asking(&mut **decider, world),
    };
    let result = result.map_err(|error| error.words);
    let answered = Answered { now: seen.now, result, wanted, log: log.lines.clone() };
    played.decisions += 1;
    played.cost_max = played.cost_max.map_or(cost, |most| Some(most.max_with(cost.unwrap_or_default())));
    let expects_error = step.expect.as_ref().is_some_and(|expect| expect.wants_error());
    let mut mismatches = step.expect.as_ref().map(|expect| expect.compare(&answered)).unwrap_or_default();
    if let (Err(error), false, true) = (&answered.result, expects_error, mismatches.is_empty()) {
        mismatches.push(Mismatch { expected: "a decision".to_owned(), got: format!("error: {error}") });
    }
    if !mismatches.is_empty() || !violations.is_empty() {
        if played.failures.len() < FAILURES_MAX {
            let failure = failure(case, index, &answered, &seen, &log);
            played.failures.push(Failure { mismatches, violations, ..failure });
        } else {
            played.failures_left_out += 1;
        }
    }
    if case.closed_loop { world.count() } else { answered.wanted }
}

/// Asks a policy, and lets the planner decide about its answer.
fn by_asking(decider: &mut dyn Decider, world: &mut World<'_>) -> (Verdicts, Answer) {
    let Some(question) = world.ask() else {
        let result = Err(PolicyError::new(FailureKind::Lost, "it was not asked"));
        return (Verdicts { result, wanted: world.count() }, Answer::silent());
    };
    let answer = decider.decide(&question.seen, &question.state);
    let Cost { fuel, memory_bytes } = answer.cost.unwrap_or_default();
    let usage = Usage { fuel, memory_bytes, took: Duration::ZERO };
    let verdicts = world.answer(dynamite_core::Answer { result: answer.result.clone(), usage });
    (verdicts, answer)
}

/// What the decisions about the samples of a step come to, in the words of a policy that is asked.
fn by_rule(decisions: &[Decision], world: &World<'_>, used: &ThresholdUse, before: u32) -> Verdicts {
    let acted: Vec<&Decision> = decisions.iter().filter(|decision| !decision.actions.is_empty()).collect();
    let firing = |decision: &Decision| match &decision.cause {
        Cause::Vote(Vote { grounds: Grounds::Threshold(firing), .. }) => firing.to_string(),
        _ => String::new(),
    };
    let reason = match (acted.last(), world.last_step(), decisions.last()) {
        (Some(decision), ..) => firing(decision),
        (None, Some(words), _) => words,
        (None, None, Some(Decision { hold: Some(obstacle), .. })) => {
            format!("{}, but {obstacle}", decisions.last().map(firing).unwrap_or_default())
        }
        _ => format!("no new sample of {}", used.signal.metric),
    };
    let proposal = proposal(&acted, used.direction);
    let wanted = proposal.wanted(before);
    let verdict = Verdict { proposal, reason, state: Vec::new(), wake_at: None };
    Verdicts { result: Ok(verdict), wanted }
}

fn proposal(acted: &[&Decision], direction: Direction) -> Proposal {
    let by = u32::try_from(acted.len()).unwrap_or(u32::MAX);
    let is_named = |decision: &&Decision| {
        let gone = decision.actions.first().and_then(|action| action.slot);
        matches!(&decision.cause, Cause::Vote(Vote { wish: Wish::Less { who: Victims::Prefer(slot), .. }, .. })
            if Some(*slot) == gone)
    };
    match (direction, by) {
        (_, 0) => Proposal::Hold,
        (Direction::Up, by) => Proposal::Up(by),
        (Direction::Down, 1) if !acted.iter().all(is_named) => Proposal::Down(1),
        (Direction::Down, _) => {
            let units = acted.iter().flat_map(|decision| &decision.actions);
            Proposal::Stop(units.map(|action| action.unit.clone()).collect())
        }
    }
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

fn failure(case: &Case, index: usize, answered: &Answered, seen: &Observation, log: &Log) -> Failure {
    let step = &case.steps[index];
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
