//! The policy as a whole: what forecasts do to a service.

#![expect(clippy::float_cmp, reason = "the numbers are exact")]

use std::f64::consts::TAU;

use dynamite_policy::testing::{NOW, Run, observation, schema, series, series_of, stress, window};
use proptest::prelude::*;

use super::*;

/// One series with these values, one each ten seconds, and 100 for each instance.
fn decide(options: &str, count: u32, values: &[f64]) -> Verdict {
    let config = format!(r#"{{"target": 100, "step_seconds": 10{options}}}"#);
    let seen = observation(count)
        .with_bounds(1, Some(100))
        .with_window(window("requests").with_series(series("a", values)));
    Run::<Trend>::new(&config).unwrap().decide(&seen).unwrap()
}

#[test]
fn it_scales_before_the_load_comes_and_says_so() {
    let rising: Vec<f64> = (0..31).map(|step| 500.0 + f64::from(step) * 10.0).collect();
    let verdict = decide("", 8, &rising);
    assert_eq!(verdict.decision, Decision::ScaleTo(11));
    assert_eq!(
        verdict.reason,
        "requests is 800.0, and 1100.0 within 300 s (+1.000 a second): 11 instances for 100 each"
    );
    assert_eq!(decide(r#", "horizon_seconds": 60"#, 8, &rising).decision, Decision::ScaleTo(9));
    assert_eq!(decide(r#", "headroom": 0.2"#, 8, &rising).decision, Decision::ScaleTo(14));
}

#[test]
fn a_falling_load_keeps_what_this_moment_needs() {
    let falling: Vec<f64> = (0..31).map(|step| 800.0 - f64::from(step) * 10.0).collect();
    let verdict = decide(r#", "scale_down_stabilization_seconds": 0"#, 8, &falling);
    assert_eq!(verdict.decision, Decision::ScaleTo(5));
    assert_eq!(decide("", 8, &falling).decision, Decision::Hold, "the first decision waits like any other");
    assert_eq!(
        verdict.reason,
        "requests is 500.0, and 200.0 within 300 s (-1.000 a second): 5 instances for 100 each"
    );
}

#[test]
fn the_past_of_instances_that_are_gone_is_no_rise() {
    let mut window = window("requests");
    for index in 0..5 {
        let stays: Vec<f64> = [vec![45.0; 16], vec![90.0; 15]].concat();
        window = window.with_series(series(&format!("stays{index}"), &stays));
        let gone: Vec<(Timestamp, f64)> = (0..16).map(|step| (NOW - (30 - step) * 10_000, 45.0)).collect();
        window = window.with_series(series(&format!("gone{index}"), &[]).with_samples(&gone));
    }
    let seen = observation(5).with_bounds(1, Some(100)).with_window(window);
    let verdict = Run::<Trend>::new(r#"{"target": 100, "step_seconds": 10}"#).unwrap().decide(&seen).unwrap();
    assert_eq!(verdict.decision, Decision::Hold, "{}", verdict.reason);
}

#[test]
fn a_single_sample_has_no_trend() {
    let verdict = decide("", 1, &[250.0]);
    assert_eq!(verdict.decision, Decision::ScaleTo(3));
    assert_eq!(
        verdict.reason,
        "requests is 250.0, and 250.0 within 300 s (no trend): 3 instances for 100 each"
    );
    assert_eq!(decide("", 3, &[250.0]).decision, Decision::Hold);
    assert_eq!(decide("", 1, &[]).decision, Decision::Hold);
    assert_eq!(decide("", 1, &[]).reason, "requests has no sample of the last 120 s");
}

#[test]
fn instances_add_up() {
    let seen = observation(2).with_window(
        window("requests")
            .with_series(series_of(8000, &[150.0; 9]))
            .with_series(series_of(8001, &[160.0; 9])),
    );
    let verdict = Run::<Trend>::new(r#"{"target": 100}"#).unwrap().decide(&seen).unwrap();
    assert_eq!(verdict.decision, Decision::ScaleTo(4));
}

#[test]
fn down_waits_and_bounds_are_told() {
    let mut run = Run::<Trend>::new(r#"{"target": 100, "stale_seconds": 9999}"#).unwrap();
    let mut at = |second: u64, load: f64, count| {
        let mut samples = series("a", &[load]);
        samples.at[0] += second * 1_000;
        let seen = observation(count).with_now(NOW + second * 1_000);
        run.decide(&seen.with_window(window("requests").with_series(samples))).unwrap()
    };
    assert_eq!(at(0, 500.0, 5).decision, Decision::Hold);
    let held = at(10, 100.0, 5);
    assert_eq!(held.decision, Decision::Hold);
    assert!(held.reason.ends_with(": 1 instances for 100 each, 5 by stabilization"), "{}", held.reason);
    assert_eq!(at(299, 300.0, 5).decision, Decision::Hold);
    assert_eq!(at(300, 100.0, 5).decision, Decision::ScaleTo(3));
    assert_eq!(at(301, 900.0, 1).decision, Decision::ScaleTo(9), "up does not wait");
    let bounded = at(302, 9_000.0, 5);
    assert_eq!(bounded.decision, Decision::ScaleTo(10));
    assert!(bounded.reason.ends_with(": 90 instances for 100 each, 10 by the bounds"), "{}", bounded.reason);
}

/// The load of a day: 1,000 on average, 500 more or less.
fn daily(second: u64) -> f64 {
    let part = f64::from(u32::try_from(second % 86_400).unwrap()) / 86_400.0;
    1_000.0 + 500.0 * (part * TAU).sin()
}

#[test]
fn after_a_day_the_load_of_the_next_is_known_ahead() {
    let config = r#"{"target": 10, "method": "seasonal", "horizon_seconds": 3600, "scale_down_stabilization_seconds": 0}"#;
    let mut run = Run::<Trend>::new(config).unwrap();
    let mut late = 0;
    for step in 0..3 * 288 {
        let second = step * 300;
        let mut samples = series("", &[daily(second)]);
        samples.at[0] = NOW + second * 1_000;
        let seen = observation(1)
            .with_bounds(1, None)
            .with_now(NOW + second * 1_000)
            .with_window(Window { aggregated: true, ..window("requests") }.with_series(samples));
        let verdict = run.decide(&seen).unwrap();
        let Decision::ScaleTo(count) = verdict.decision else { unreachable!("{verdict:?}") };
        if second > 86_400 + 900 {
            assert!(verdict.reason.contains("(usually "), "{}", verdict.reason);
            let needed = [0, 1_800, 3_600].map(|ahead| daily(second + ahead) / 10.0);
            let needed = needed.into_iter().fold(0.0, f64::max);
            late += u32::from(f64::from(count) < needed - 1.0);
            assert!(f64::from(count) < needed + 4.0, "{count} for {needed}: {}", verdict.reason);
        } else if second < 86_400 {
            assert!(verdict.reason.contains("no season known yet"), "{}", verdict.reason);
        }
    }
    assert_eq!(late, 0);
}

#[test]
fn a_day_that_is_busier_than_usual_goes_the_same_way_from_higher_up() {
    let config: Config = serde_json::from_str(
        r#"{"target": 10, "method": "seasonal", "season_seconds": 400, "slot_seconds": 100, "horizon_seconds": 100}"#,
    )
    .unwrap();
    let mut season = Season::default();
    for (second, load) in [(50, 10.0), (150, 20.0), (250, 30.0), (350, 20.0), (450, 10.0)] {
        season.learn(&config, second * 1_000, load);
    }
    let found = season.forecast(&config, 550_000, 70.0).unwrap();
    assert_eq!((found.load, found.usual_now, found.usual_then), (80.0, 20.0, 30.0));
    // Half of the second season counts.
    season.learn(&config, 550_000, 70.0);
    season.learn(&config, 650_000, 30.0);
    assert_eq!(season.forecast(&config, 550_000, 70.0).unwrap().usual_now, 45.0);
    let other = Config { slot_seconds: 50, ..config };
    assert_eq!(season.forecast(&other, 550_000, 70.0), None, "of another shape");
}

#[test]
fn the_state_of_the_longest_season_stays_small() {
    let config = r#"{"target": 1, "method": "seasonal", "season_seconds": 100000, "slot_seconds": 100}"#;
    let mut run = Run::<Trend>::new(config).unwrap();
    for step in 0..2_100_u32 {
        let now = NOW + u64::from(step) * 100_000;
        let mut samples = series("a", &[1e6 / 3.0 / f64::from(step + 1)]);
        samples.at[0] = now;
        run.decide(&observation(1).with_now(now).with_window(window("x").with_series(samples))).unwrap();
    }
    assert!((10_000..40_000).contains(&run.state().len()), "{}", run.state().len());
}

#[test]
fn a_wrong_configuration_is_refused() {
    let refused = |config| Run::<Trend>::new(config).map(|_| ()).unwrap_err();
    assert_eq!(refused(r#"{"target": -1}"#), "`target` is -1, and must be above 0");
    assert_eq!(
        refused(r#"{"target": 1, "smoothing": 0}"#),
        "`smoothing` is 0, and must be above 0 and at most 1"
    );
    assert_eq!(
        refused(r#"{"target": 1, "slot_seconds": 7}"#),
        "a season of 86400 s has no whole number from 2 to 1000 of slots of 7 s"
    );
    assert!(refused(r#"{"target": 1, "step_seconds": 0}"#).contains("must be above 0"));
    assert!(refused(r#"{"target": 1, "horizon_seconds": 86401}"#).contains("above `season_seconds`"));
    assert!(schema::<Trend>().contains(r#""default":86400"#));
}

proptest! {
    #[test]
    fn it_stands_every_observation(
        seed in any::<u64>(),
        method in prop::sample::select(vec!["linear", "seasonal"]),
        horizon in 0..7_200_u64,
    ) {
        let config = format!(
            r#"{{"target": 1e-3, "method": "{method}", "horizon_seconds": {horizon}, "season_seconds": 7200, "slot_seconds": 60,
                "stale_seconds": 100000}}"#
        );
        stress::<Trend>(&config, &["cpu"], seed);
    }

    /// There are never fewer than the load of this moment needs.
    #[test]
    fn this_moment_is_served(values in prop::collection::vec(0.0..9_000.0_f64, 1..40), count in 1..100_u32) {
        let needed = round_up(values[values.len() - 1] / 100.0).clamp(1, 100);
        match decide("", count, &values).decision {
            Decision::ScaleTo(wanted) => prop_assert!(wanted >= needed),
            decision => { prop_assert_eq!(decision, Decision::Hold); prop_assert!(count >= needed); }
        }
    }
}
