//! The policy as a whole, against the numbers of the HPA.

use dynamite_policy::testing::{NOW, Run, observation, schema, series, series_of, stress, window};
use proptest::prelude::*;

use super::*;

fn run(config: &str) -> Run<TargetTracking> {
    Run::new(config).unwrap()
}

/// An observation in which every instance has the value.
fn all_at(instances: u32, value: f64) -> Observation {
    let of_each = (0..instances).map(|index| series_of(8000 + index, &[value]));
    observation(instances)
        .with_bounds(1, Some(100))
        .with_window(of_each.fold(window("cpu"), Window::with_series))
}

#[test]
fn the_reason_has_the_numbers() {
    let verdict = run(r#"{"target": 60}"#).decide(&all_at(3, 84.2)).unwrap();
    assert_eq!(verdict.decision, Decision::ScaleTo(5));
    assert_eq!(verdict.reason, "cpu is 84.2, 1.40 of the target 60: 5 instances instead of 3");
}

#[test]
fn down_waits_for_five_minutes_by_default() {
    let mut run = run(r#"{"target": 60, "stale_seconds": 1000}"#);
    let mut at = |second: u64, value| run.decide(&all_at(4, value).with_now(NOW + second * 1_000)).unwrap();
    assert_eq!(at(0, 60.0).decision, Decision::Hold);
    let held = at(100, 15.0);
    assert_eq!(held.decision, Decision::Hold);
    assert_eq!(
        held.reason,
        "cpu is 15.0, 0.25 of the target 60: 1 instances instead of 4, 4 by stabilization"
    );
    assert_eq!(at(299, 15.0).decision, Decision::Hold);
    assert_eq!(at(300, 15.0).decision, Decision::ScaleTo(1));
}

#[test]
fn limits_and_bounds_are_told() {
    let limited = run(r#"{"target": 1}"#).decide(&all_at(3, 10.0)).unwrap();
    assert_eq!(limited.decision, Decision::ScaleTo(7));
    assert!(limited.reason.ends_with(": 30 instances instead of 3, 7 by the limits"), "{}", limited.reason);
    let bounded = run(r#"{"target": 1}"#).decide(&all_at(3, 10.0).with_bounds(1, Some(4))).unwrap();
    assert_eq!(bounded.decision, Decision::ScaleTo(4));
    let disabled =
        run(r#"{"target": 1, "scale_up": {"select": "disabled"}}"#).decide(&all_at(3, 10.0)).unwrap();
    assert_eq!(disabled.decision, Decision::Hold);
}

#[test]
fn bounds_need_no_metric() {
    let config = r#"{"target": 60}"#;
    let decide = |seen: Observation| run(config).decide(&seen).unwrap().decision;
    assert_eq!(decide(observation(3).with_bounds(5, None)), Decision::ScaleTo(5));
    assert_eq!(decide(observation(3).with_bounds(1, Some(2))), Decision::ScaleTo(2));
}

#[test]
fn old_samples_are_none() {
    let mut run = run(r#"{"target": 60, "stale_seconds": 30}"#);
    let verdict = run.decide(&all_at(3, 10.0).with_now(NOW + 31_000)).unwrap();
    assert_eq!(
        (verdict.decision, verdict.reason.as_str()),
        (Decision::Hold, "cpu has no sample of the last 30 s")
    );
    assert_eq!(run.decide(&observation(3).with_window(window("cpu"))).unwrap().decision, Decision::Hold);
}

#[test]
fn instances_that_have_just_come_up_are_not_ready() {
    let mut seen = all_at(3, 120.0).with_instance(2, InstanceState::Running, NOW - 5_000);
    seen.windows[0].series[2].at = vec![NOW - 6_000];
    let decide = |config: &str| run(config).decide(&seen).unwrap();
    assert_eq!(decide(r#"{"target": 60}"#).decision, Decision::ScaleTo(6));
    let careful = decide(r#"{"target": 60, "initialization_seconds": 300}"#);
    assert_eq!(careful.decision, Decision::ScaleTo(4));
    assert!(careful.reason.contains("1 not yet ready"), "{}", careful.reason);
    let starting = all_at(3, 120.0).with_instance(2, InstanceState::Starting, NOW);
    assert_eq!(run(r#"{"target": 60}"#).decide(&starting).unwrap().decision, Decision::ScaleTo(4));
}

#[test]
fn series_without_a_known_instance_stand_for_instances_without_a_series() {
    let anonymous = window("cpu").with_series(series("a", &[120.0])).with_series(series("b", &[120.0]));
    let decide =
        |instances| run(r#"{"target": 60}"#).decide(&observation(instances).with_window(anonymous.clone()));
    assert_eq!(decide(2).unwrap().decision, Decision::ScaleTo(4));
    assert_eq!(decide(3).unwrap().decision, Decision::ScaleTo(4), "one is without: 80 on average");
}

#[test]
fn an_average_over_some_time() {
    let seen =
        observation(1).with_window(window("cpu").with_series(series_of(8000, &[0.0, 60.0, 120.0, 180.0])));
    let decide = |config: &str| run(config).decide(&seen).unwrap().decision;
    assert_eq!(decide(r#"{"target": 60}"#), Decision::ScaleTo(3));
    assert_eq!(decide(r#"{"target": 60, "average_seconds": 20}"#), Decision::ScaleTo(2));
}

#[test]
fn of_several_metrics_the_largest_wish_wins_and_one_that_fails_stops_scaling_down() {
    let config = r#"{"metrics": [{"metric": "cpu", "target": 60},
                                 {"metric": "queue", "target": 10, "target_type": "average_value"}],
                     "scale_down": {"stabilization_seconds": 0}}"#;
    let decide = |cpu, queue: &[f64]| {
        let seen = all_at(4, cpu).with_window(window("queue").aggregated(queue));
        run(config).decide(&seen).unwrap()
    };
    assert_eq!(decide(90.0, &[75.0]).decision, Decision::ScaleTo(8));
    assert_eq!(decide(90.0, &[5.0]).decision, Decision::ScaleTo(6));
    assert_eq!(decide(15.0, &[5.0]).decision, Decision::ScaleTo(1));
    let held = decide(15.0, &[]);
    assert_eq!(held.decision, Decision::Hold);
    assert_eq!(
        held.reason,
        "cpu is 15.0, 0.25 of the target 60 wants 1 of 4 instances, but queue has no sample of the last 60 s"
    );
    assert_eq!(decide(90.0, &[]).decision, Decision::ScaleTo(6), "up it may");
    assert!(run(config).decide(&all_at(4, 1.0)).unwrap_err().contains("no metric `queue`"));
}

#[test]
fn a_wrong_configuration_is_refused() {
    let refused = |config| Run::<TargetTracking>::new(config).map(|_| ()).unwrap_err();
    assert_eq!(refused("{}"), "give either `target` or `metrics`");
    assert_eq!(refused(r#"{"target": 0}"#), "`target` is 0, and must be above 0");
    assert_eq!(
        refused(r#"{"target": 1, "tolerance": 1}"#),
        "`tolerance` is 1, and must be at least 0 and below 1"
    );
    let period =
        r#"{"target": 1, "scale_down": {"limits": [{"type": "percent", "value": 1, "period_seconds": 0}]}}"#;
    assert_eq!(refused(period), "`scale_down.limits`: `period_seconds` must be from 1 to 1800");
    assert!(refused(r#"{"target": 1, "scale_up": {"limit": []}}"#).starts_with("unknown field `limit`"));
}

#[test]
fn the_schema_tells_the_defaults() {
    let schema = schema::<TargetTracking>();
    assert!(schema.contains(r#""default":0.1"#), "{schema}");
    assert!(schema.contains(r#""stabilization_seconds":300"#), "{schema}");
}

proptest! {
    #[test]
    fn it_stands_every_observation(seed in any::<u64>(), up in 0..100_u64) {
        let config = format!(
            r#"{{"metrics": [{{"metric": "cpu", "target": 60}}, {{"metric": "q", "target": 1e-300, "target_type": "average_value"}}],
                 "scale_up": {{"stabilization_seconds": {up}}}, "average_seconds": 15, "initialization_seconds": 60}}"#
        );
        stress::<TargetTracking>(&config, &["cpu", "q"], seed);
    }

    /// A higher load never wants fewer instances.
    #[test]
    fn it_is_monotonic(count in 1..50_u32, low in 0.0..200.0_f64, more in 0.0..100.0_f64) {
        let wanted = |value| match run(r#"{"target": 60, "scale_down": {"stabilization_seconds": 0}}"#)
            .decide(&all_at(count, value)).unwrap().decision {
            Decision::ScaleTo(wanted) => wanted,
            _ => count,
        };
        prop_assert!(wanted(low) <= wanted(low + more));
    }
}
