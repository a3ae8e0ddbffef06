//! What can be asked of an observation.

use super::*;
use crate::testing::{NOW, instance, observation, series_of, window};

#[test]
fn windows_are_found_by_metric_and_the_error_names_those_that_there_are() {
    let seen = observation(1).with_window(window("cpu")).with_window(window("load.p95"));
    assert_eq!(seen.window("load.p95").unwrap().metric, "load.p95");
    assert_eq!(seen.window_or_first(None).unwrap().metric, "cpu");
    assert_eq!(seen.window("x").unwrap_err(), "there is no metric `x`; the policy has: cpu, load.p95");
    assert_eq!(observation(1).first_window().unwrap_err(), "the policy has no metric configured");
}

#[test]
fn instances_that_stop_do_not_count() {
    let seen = observation(4)
        .with_instance(1, InstanceState::Stopping, NOW)
        .with_instance(2, InstanceState::Starting, NOW)
        .with_instance(3, InstanceState::Failed, NOW);
    assert_eq!((seen.service.count(), seen.service.running().count()), (3, 1));
    assert_eq!(seen.service.instance(&instance(8002).name).map(|found| found.number), Some(8002));
}

#[test]
fn counts_are_rounded_up_and_brought_within_the_bounds() {
    let service = observation(3).service;
    let table = [
        (0.0, 1),
        (0.34, 2),
        (1.0, 3),
        (1.01, 4),
        (0.1 * 3.0 / 0.3, 3),
        (1e300, 10),
        (-5.0, 1),
        (f64::NAN, 3),
    ];
    for (ratio, expected) in table {
        assert_eq!(service.count_for(ratio), expected, "{ratio}");
    }
    let contradiction = observation(3).with_bounds(5, Some(2)).service;
    assert_eq!(contradiction.clamp(3), 5);
}

#[test]
fn times_do_not_leave_their_range() {
    let seen = observation(1);
    assert_eq!(seen.ago(Duration::from_secs(1)), NOW - 1_000);
    assert_eq!((seen.ago(Duration::MAX), seen.later(Duration::MAX)), (0, u64::MAX));
}

#[test]
fn a_series_is_found_by_its_instance() {
    let window = window("cpu").with_series(series_of(8001, &[1.0]));
    assert!(window.of_instance(&instance(8001).name).is_some());
    assert!(window.of_instance(&instance(8000).name).is_none());
}
