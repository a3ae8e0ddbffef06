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
        for sample in samples.iter() {
            let step = steps.entry(sample.at / step_ms).or_default();
            step.offsets.push(sample.at % step_ms);
            step.values.entry(index).or_default().push(sample.value);
        }
    }
    let mut totals: Vec<Sample> = Vec::with_capacity(steps.len());
    let mut before: Option<(u64, BTreeMap<usize, f64>)> = None;
    for (number, step) in steps {
        let mut values: BTreeMap<usize, f64> =
            step.values.iter().filter_map(|(&index, values)| Some((index, mean(values)?))).collect();
        let total_of = |values: &BTreeMap<usize, f64>| values.values().sum::<f64>();
        let own = values.clone();
        if let Some((_, old)) = before.filter(|(last, _)| last + 1 == number) {
            for (index, value) in old {
                values.entry(index).or_insert(value);
            }
        }
        let offset = step.offsets.iter().sum::<u64>() / (step.offsets.len() as u64).max(1);
        totals.push(Sample { at: number * step_ms + offset, value: total_of(&values) });
        before = Some((number, own));
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
    /// When they were, from the start of the step, in milliseconds.
    offsets: Vec<u64>,
    /// Their values, by series.
    values: BTreeMap<usize, Vec<f64>>,
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
