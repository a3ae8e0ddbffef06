//! Statistics over the samples of one series.

#![expect(clippy::float_cmp, reason = "the numbers are exact")]

use proptest::prelude::*;

use super::*;

const AT: [u64; 5] = [1_000, 2_000, 3_000, 4_000, 5_000];

fn samples(values: &[f64]) -> Samples<'_> {
    Samples::new(&AT[..values.len()], values)
}

#[test]
fn statistics_of_a_few_values() {
    let some = samples(&[4.0, 1.0, 3.0, 2.0]);
    assert_eq!(some.sum(), Some(10.0));
    assert_eq!(some.mean(), Some(2.5));
    assert_eq!((some.min(), some.max()), (Some(1.0), Some(4.0)));
    assert_eq!(some.first(), Some(Sample { at: 1_000, value: 4.0 }));
    assert_eq!(some.latest(), Some(Sample { at: 4_000, value: 2.0 }));
    assert_eq!(some.span(), Duration::from_secs(3));
    assert_eq!(some.slope(), Some(-0.4));
}

#[test]
fn percentiles_lie_on_straight_lines_between_neighbours() {
    let some = samples(&[4.0, 1.0, 3.0, 2.0]);
    for (percent, expected) in [(0.0, 1.0), (50.0, 2.5), (90.0, 3.7), (100.0, 4.0), (-1.0, 1.0), (200.0, 4.0)]
    {
        let found = some.percentile(percent).unwrap();
        assert!((found - expected).abs() < 1e-9, "{percent}: {found}");
    }
    assert_eq!(samples(&[7.0]).percentile(95.0), Some(7.0));
}

#[test]
fn a_counter_that_begins_anew_counts_from_zero() {
    assert_eq!(samples(&[10.0, 20.0, 40.0]).rate(), Some(15.0));
    assert_eq!(samples(&[10.0, 20.0, 4.0, 8.0]).rate(), Some(6.0));
    assert_eq!(samples(&[10.0]).rate(), None);
}

#[test]
fn too_few_samples_have_no_statistics() {
    let none = samples(&[]);
    assert_eq!(
        [none.mean(), none.min(), none.max(), none.percentile(50.0), none.rate(), none.slope()],
        [None; 6]
    );
    assert_eq!(none.latest(), None);
    assert_eq!(samples(&[1.0]).slope(), None);
}

#[test]
fn stretches_begin_and_end_at_times() {
    let some = samples(&[1.0, 2.0, 3.0]);
    assert_eq!(some.since(2_000).values(), [2.0, 3.0]);
    assert_eq!(some.after(2_000).values(), [3.0]);
    assert_eq!(some.before(2_000).values(), [1.0]);
    assert_eq!(some.since(9_000).len(), 0);
}

#[test]
fn a_line_is_continued() {
    let line = samples(&[10.0, 12.0, 14.0]).fit().unwrap();
    assert_eq!((line.slope, line.value, line.at), (2.0, 14.0, 3_000));
    assert_eq!([line.value_at(8_000), line.value_at(1_000)], [24.0, 10.0]);
}

#[test]
fn coverage_is_the_share_of_the_time_that_samples_speak_for() {
    let covers = |at: &[u64], from, to| Samples::new(at, &vec![0.0; at.len()]).coverage(from, to);
    assert_eq!(covers(&[0, 1, 2, 3, 4], 0, 4), 1.0);
    assert_eq!(covers(&[0, 1, 2, 3, 4], 0, 6), 1.0, "the newest speaks for twice the usual distance");
    assert_eq!(covers(&[0, 1, 2, 3, 4], 0, 12), 0.5);
    assert_eq!(covers(&[0, 1, 2, 3, 11, 12], 0, 12), 6.0 / 12.0, "and so do those after a hole");
    assert_eq!(covers(&[5], 0, 10), 0.0);
    assert_eq!(covers(&[], 0, 0), 0.0);
}

proptest! {
    /// Whatever the samples are, a statistic is a finite number or none, and lies where it must.
    #[test]
    fn statistics_are_finite_and_within_the_values(
        parts in prop::collection::vec((1..u64::MAX / 64, prop::num::f64::NORMAL | prop::num::f64::ZERO), 0..32),
        percent in -10.0..110.0_f64,
        (from, to) in (any::<u64>(), any::<u64>()),
    ) {
        let mut now = 0;
        let (at, values): (Vec<u64>, Vec<f64>) =
            parts.into_iter().map(|(gap, value)| { now += gap; (now, value) }).unzip();
        let some = Samples::new(&at, &values);
        for found in [some.sum(), some.mean(), some.rate(), some.slope(), some.percentile(percent)] {
            prop_assert!(found.is_none_or(f64::is_finite));
        }
        if let Some(((min, max), percentile)) = some.min().zip(some.max()).zip(some.percentile(percent)) {
            let slack = (min.abs() + max.abs()) * 1e-12;
            prop_assert!((min - slack..=max + slack).contains(&percentile) || slack.is_infinite());
        }
        prop_assert!((0.0..=1.0).contains(&some.coverage(from, to)));
        prop_assert_eq!(some.since(from).len() + some.before(from).len(), some.len());
    }
}
