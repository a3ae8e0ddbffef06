//! The course of the load: the sum over all series, step by step.

use std::collections::BTreeMap;

use dynamite_policy::prelude::*;
use dynamite_policy::{Line, Pool};

/// The sum over all series of each step that has samples, at the mean time of its samples.
///
/// A series that is silent in a step counts with what it had in the step before: its sample may be on the way.
pub(crate) fn course(view: &View<'_>, step_ms: u64) -> Pool {
    let mut steps: BTreeMap<u64, Step> = BTreeMap::new();
    for (index, (_, samples)) in view.each().enumerate() {
        for (number, values) in by_step(samples, step_ms) {
            let Some(value) = values.mean() else { continue };
            let step = steps.entry(number).or_default();
            step.values.insert(index, value);
            step.offsets += values.iter().map(|sample| sample.at % step_ms).sum::<u64>();
            step.count += values.len() as u64;
        }
    }
    let mut totals: Vec<Sample> = Vec::with_capacity(steps.len());
    let mut before: Option<(u64, Step)> = None;
    for (number, step) in steps {
        let mut total: f64 = step.values.values().sum();
        if let Some((_, old)) = before.filter(|(last, _)| last + 1 == number) {
            let silent = old.values.iter().filter(|(index, _)| !step.values.contains_key(index));
            total += silent.map(|(_, value)| value).sum::<f64>();
        }
        totals.push(Sample { at: number * step_ms + step.offsets / step.count.max(1), value: total });
        before = Some((number, step));
    }
    totals.retain(|total| total.value.is_finite());
    Pool::new(totals)
}

/// What the line through the course says of the load `horizon_ms` after now.
///
/// It goes no further beyond its newest point than it goes back: two samples in a row say nothing of the next hour.
pub(crate) fn linear(course: Samples<'_>, now: Timestamp, horizon_ms: u64) -> Option<(f64, Line)> {
    let line = course.fit()?;
    let reach = u64::try_from(course.span().as_millis()).unwrap_or(u64::MAX);
    let until = now.saturating_add(horizon_ms).min(line.at.saturating_add(reach));
    Some((line.value_at(until).max(0.0), line))
}

/// The samples of one step.
#[derive(Debug, Default)]
struct Step {
    /// The mean of each series that has samples in it.
    values: BTreeMap<usize, f64>,
    /// The times of all samples from the start of the step, added up, in milliseconds.
    offsets: u64,
    /// How many samples there are.
    count: u64,
}

/// The samples of one series, step by step.
fn by_step(samples: Samples<'_>, step_ms: u64) -> impl Iterator<Item = (u64, Samples<'_>)> {
    let mut rest = samples;
    std::iter::from_fn(move || {
        let number = rest.first()?.at / step_ms;
        let end = (number + 1).saturating_mul(step_ms);
        let step = rest.before(end);
        rest = rest.since(end);
        Some((number, step))
    })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the numbers are exact")]
mod tests {
    use dynamite_policy::testing::{NOW, STEP_MS, series, window};

    use super::*;

    fn totals(window: &Window, step_ms: u64) -> Vec<(u64, f64)> {
        let course = course(&window.all(), step_ms);
        course.samples().iter().map(|total| (NOW - total.at, total.value)).collect()
    }

    #[test]
    fn series_add_up_step_by_step() {
        let both =
            window("load").with_series(series("a", &[1.0, 2.0, 3.0])).with_series(series("b", &[10.0; 3]));
        assert_eq!(totals(&both, STEP_MS), [(2 * STEP_MS, 11.0), (STEP_MS, 12.0), (0, 13.0)]);
    }

    #[test]
    fn a_series_that_is_silent_counts_as_before_for_one_step() {
        let mut both =
            window("load").with_series(series("a", &[1.0; 4])).with_series(series("b", &[10.0; 4]));
        both.series[1].at.truncate(2);
        both.series[1].values.truncate(2);
        let values: Vec<f64> = totals(&both, STEP_MS).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, [11.0, 11.0, 11.0, 1.0]);
    }

    #[test]
    fn several_samples_in_a_step_are_averaged() {
        let one = window("load").with_series(series("a", &[1.0, 3.0, 5.0, 7.0, 9.0]));
        assert_eq!(totals(&one, 6 * STEP_MS).last().unwrap().1, 9.0, "{:?}", totals(&one, 6 * STEP_MS));
        assert_eq!(totals(&one, 6 * STEP_MS)[0].1, 4.0);
    }

    #[test]
    fn a_line_reaches_as_far_ahead_as_back() {
        let one = window("load").with_series(series("a", &[10.0, 20.0, 30.0]));
        let course = course(&one.all(), STEP_MS);
        let at = |horizon| linear(course.samples(), NOW, horizon).unwrap().0;
        assert!((at(10_000) - 40.0).abs() < 1e-9 && (at(20_000) - 50.0).abs() < 1e-9);
        assert!((at(900_000) - 50.0).abs() < 1e-9, "20 s back, so 20 s ahead");
        assert!(linear(course.samples().newest(), NOW, 10_000).is_none());
    }

    #[test]
    fn there_is_no_load_below_none() {
        let one = window("load").with_series(series("a", &[20.0, 10.0, 1.0]));
        assert_eq!(linear(course(&one.all(), STEP_MS).samples(), NOW, 20_000).unwrap().0, 0.0);
    }
}
