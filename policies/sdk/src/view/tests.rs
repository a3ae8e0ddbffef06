//! Statistics over all series.

#![expect(clippy::float_cmp, reason = "the numbers are exact")]

use crate::testing::{NOW, STEP_MS, series, window};
use crate::{Samples, Window};

fn two() -> Window {
    window("load").with_series(series("b", &[1.0, 2.0, 3.0])).with_series(series("a", &[10.0]))
}

#[test]
fn all_samples_together_or_each_series_once() {
    let window = two();
    let all = window.all();
    assert_eq!(all.len(), 4);
    assert_eq!(all.mean(), Some(4.0));
    assert_eq!(all.mean_of(Samples::mean), Some(6.0));
    assert_eq!(all.sum_of(|samples| samples.latest().map(|sample| sample.value)), Some(13.0));
    assert_eq!((all.min(), all.max(), all.percentile(50.0)), (Some(1.0), Some(10.0), Some(2.5)));
    assert_eq!(all.latest().map(|sample| sample.at), Some(NOW));
    assert_eq!(all.rate(), Some(0.1), "a single sample has no rate");
    assert_eq!(all.each().map(|(series, _)| series.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_stretch_leaves_out_series_without_samples_in_it() {
    let mut window = two();
    window.series[0].at[0] = NOW - 5 * STEP_MS;
    let recent = window.since(NOW - STEP_MS);
    assert_eq!((recent.len(), recent.each().len()), (2, 1));
    assert_eq!(recent.slope(), Some(0.1));
    assert!(window.since(NOW + 1).is_empty());
    assert_eq!(window.since(NOW + 1).mean(), None);
    assert_eq!(window.since(NOW + 1).coverage(0, 1), 0.0);
}

#[test]
fn series_that_are_old_can_be_left_out_and_old_samples_too() {
    let mut window = two();
    window.series[0].at[0] = NOW - 5 * STEP_MS;
    assert_eq!(
        window.all().fresh(NOW).each().map(|(series, _)| series.id.as_str()).collect::<Vec<_>>(),
        ["b"]
    );
    assert_eq!(window.all().newest().mean(), Some(6.5));
    assert_eq!(window.all().fresh(NOW).newest().mean(), Some(3.0));
}
