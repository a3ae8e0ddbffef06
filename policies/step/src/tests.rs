use dynamite_policy::testing::{NOW, Run, observation, schema, series, stress, window};
use proptest::prelude::*;

use super::*;

/// Below 60 one goes, from 60 to 70 nothing, up to 80 one comes, above two.
const USUAL: &str = r#"{"threshold": 70, "steps": [
    {"lower": 10, "adjustment": 2}, {"lower": 0, "upper": 10, "adjustment": 1}, {"upper": -10, "adjustment": -1}]}"#;

fn run(config: &str) -> Run<StepScaling> {
    Run::new(config).unwrap()
}

fn at(instances: u32, value: f64) -> Observation {
    observation(instances).with_window(window("cpu").with_series(series("a", &[value])))
}

#[test]
fn bounds_belong_to_the_step_that_lies_away_from_the_threshold() {
    let table = [
        (100.0, Decision::ScaleTo(6)),
        (80.0, Decision::ScaleTo(6)),
        (79.9, Decision::ScaleTo(5)),
        (70.0, Decision::ScaleTo(5)),
        (69.9, Decision::Hold),
        (60.1, Decision::Hold),
        (60.0, Decision::ScaleTo(3)),
        (0.0, Decision::ScaleTo(3)),
    ];
    for (value, expected) in table {
        assert_eq!(run(USUAL).decide(&at(4, value)).unwrap().decision, expected, "{value}");
    }
}

#[test]
fn the_reason_has_the_numbers() {
    let reason = |value| run(USUAL).decide(&at(4, value)).unwrap().reason;
    assert_eq!(reason(84.25), "cpu is 84.2, +14.2 from 70: 6 instances instead of 4");
    assert_eq!(reason(65.0), "cpu is 65.0, -5.0 from 70, where no step is");
    assert_eq!(reason(50.0), "cpu is 50.0, -20.0 from 70: 3 instances instead of 4");
}

#[test]
fn percentages_round_as_with_aws() {
    let adjusted = |count, percent, least| {
        let config = format!(
            r#"{{"threshold": 0, "steps": [{{"lower": 0, "adjustment": {percent}}}],
                "adjustment_type": "percent_change_in_capacity", "min_adjustment_magnitude": {least}}}"#
        );
        run(&config).decide(&at(count, 1.0).with_bounds(0, Some(1_000))).unwrap().decision
    };
    assert_eq!(adjusted(4, 25, 2), Decision::ScaleTo(6), "25 % of 4, at least 2");
    assert_eq!(adjusted(4, 25, 0), Decision::ScaleTo(5));
    assert_eq!(adjusted(100, 12, 0), Decision::ScaleTo(112));
    assert_eq!(adjusted(10, 127, 0), Decision::ScaleTo(22), "12.7 is 12");
    assert_eq!(adjusted(3, 10, 0), Decision::ScaleTo(4), "0.3 is 1");
    assert_eq!(adjusted(3, -10, 0), Decision::ScaleTo(2), "-0.3 is -1");
    assert_eq!(adjusted(10, -67, 0), Decision::ScaleTo(4), "-6.7 is -6");
    assert_eq!(adjusted(10, -10, 3), Decision::ScaleTo(7));
    assert_eq!(adjusted(10, 0, 3), Decision::Hold);
    assert_eq!(adjusted(4, -1_000, 0), Decision::ScaleTo(0));
}

#[test]
fn exact_capacity_is_a_number_of_instances() {
    let config = r#"{"threshold": 10, "adjustment_type": "exact_capacity", "statistic": "sum",
                     "steps": [{"lower": 0, "upper": 10, "adjustment": 3}, {"lower": 10, "adjustment": 5}]}"#;
    let decide = |instances, value| run(config).decide(&at(instances, value)).unwrap().decision;
    assert_eq!(decide(1, 12.0), Decision::ScaleTo(3));
    assert_eq!(decide(4, 12.0), Decision::ScaleTo(3));
    assert_eq!(decide(4, 99.0), Decision::ScaleTo(5));
    assert_eq!(decide(4, 9.0), Decision::Hold);
}

#[test]
fn a_larger_step_in_the_cooldown_adds_only_the_difference() {
    let config = r#"{"threshold": 0, "steps": [{"lower": 0, "upper": 10, "adjustment": 2}, {"lower": 10, "adjustment": 3}]}"#;
    let mut run = run(config);
    let mut decide = |seen: Observation, second: u64| {
        let mut seen = seen.with_now(NOW + second * 1_000);
        seen.windows[0].series[0].at = vec![seen.now];
        run.decide(&seen).unwrap().decision
    };
    assert_eq!(decide(at(4, 5.0), 0), Decision::ScaleTo(6));
    let first = |instances, value| at(instances, value).with_scaling(NOW, 4, 6);
    assert_eq!(decide(first(6, 5.0), 10), Decision::Hold, "the same step again");
    assert_eq!(decide(first(6, 15.0), 20), Decision::ScaleTo(7), "2, then 3: 1 more");
    let second = |instances, value| at(instances, value).with_scaling(NOW + 20_000, 6, 7);
    assert_eq!(decide(second(7, 15.0), 310), Decision::Hold, "the second step cools down too");
    assert_eq!(decide(second(7, 15.0), 320), Decision::ScaleTo(10), "and then it starts over");
}

#[test]
fn no_step_down_while_something_cools_down() {
    let decide = |seen| run(USUAL).decide(&seen).unwrap();
    let blocked = decide(at(4, 10.0).with_scaling(NOW - 100_000, 3, 4));
    assert_eq!(blocked.decision, Decision::Hold);
    assert_eq!(
        blocked.reason,
        "cpu is 10.0, -60.0 from 70: 3 instances, but scaling up cools down for 200 s"
    );
    assert_eq!(decide(at(4, 10.0).with_scaling(NOW - 299_000, 5, 4)).decision, Decision::Hold);
    assert_eq!(decide(at(4, 10.0).with_scaling(NOW - 300_000, 5, 4)).decision, Decision::ScaleTo(3));
    let up = decide(at(4, 99.0).with_scaling(NOW - 1_000, 5, 4));
    assert_eq!(up.decision, Decision::ScaleTo(6), "a cooldown of scaling down stops nothing that goes up");
}

#[test]
fn statistics_over_a_span() {
    let seen = observation(2).with_window(
        window("cpu")
            .with_series(series("a", &[10.0, 20.0, 30.0]))
            .with_series(series("b", &[80.0, 90.0, 100.0])),
    );
    let reason = |options: &str| {
        let config = format!(r#"{{"threshold": 0, "steps": [{{"lower": 0, "adjustment": 0}}], {options}}}"#);
        run(&config).decide(&seen).unwrap().reason
    };
    for (options, value) in [
        (r#""statistic": "average""#, "65.0"),
        (r#""statistic": "average", "span_seconds": 20"#, "55.0"),
        (r#""statistic": "minimum", "span_seconds": 10"#, "20.0"),
        (r#""statistic": "maximum""#, "100.0"),
        (r#""statistic": "sum", "span_seconds": 10"#, "120.0"),
    ] {
        assert!(reason(options).starts_with(&format!("cpu is {value},")), "{options}: {}", reason(options));
    }
    let old = run(USUAL).decide(&seen.clone().with_now(NOW + 61_000)).unwrap();
    assert_eq!((old.decision, old.reason.as_str()), (Decision::Hold, "cpu has no fresh sample"));
}

#[test]
fn wrong_steps_are_refused() {
    let refused = |steps: &str| {
        Run::<StepScaling>::new(&format!(r#"{{"threshold": 70, "steps": [{steps}]}}"#))
            .map(|_| ())
            .unwrap_err()
    };
    let table = [
        ("", "`steps` has 0 steps; from 1 to 20 are allowed"),
        (r#"{"lower": 5, "upper": 5, "adjustment": 1}"#, "the step from 5 to 5 is empty"),
        (r#"{"adjustment": 1}"#, "the step from -inf to inf lies on both sides of the threshold"),
        (
            r#"{"lower": 0, "upper": 10, "adjustment": 1}, {"lower": 9, "adjustment": 2}"#,
            "two steps overlap from 9 to 10",
        ),
        (
            r#"{"lower": 0, "upper": 10, "adjustment": 1}, {"lower": 12, "adjustment": 2}"#,
            "no step covers what lies from 10 to 12",
        ),
        (
            r#"{"lower": 0, "upper": 10, "adjustment": 1}"#,
            "no step covers what lies above 10: leave out its `upper`",
        ),
        (
            r#"{"lower": -9, "upper": 0, "adjustment": 1}"#,
            "no step covers what lies below -9: leave out its `lower`",
        ),
    ];
    for (steps, expected) in table {
        assert_eq!(refused(steps), expected);
    }
    let with = |options: &str| {
        let config =
            format!(r#"{{"threshold": 70, "steps": [{{"lower": 0, "adjustment": -1}}], {options}}}"#);
        Run::<StepScaling>::new(&config).map(|_| ()).unwrap_err()
    };
    assert!(with(r#""adjustment_type": "exact_capacity""#).contains("is negative"));
    assert!(with(r#""min_adjustment_magnitude": 1"#).contains("percent_change_in_capacity only"));
    assert!(schema::<StepScaling>().contains(r#""default":300"#));
}

proptest! {
    #[test]
    fn it_stands_every_observation(
        seed in any::<u64>(),
        kind in prop::sample::select(vec!["change_in_capacity", "percent_change_in_capacity", "exact_capacity"]),
        statistic in prop::sample::select(vec!["average", "sum", "minimum", "maximum"]),
        adjustment in 0..i32::MAX,
    ) {
        let config = format!(
            r#"{{"threshold": 50, "adjustment_type": "{kind}", "statistic": "{statistic}", "span_seconds": 20, "steps": [
                {{"upper": 0, "adjustment": {adjustment}}}, {{"lower": 0, "adjustment": 1}}]}}"#
        );
        stress::<StepScaling>(&config, &["cpu"], seed);
    }

    /// Steps that are accepted cover every distance of a side once.
    #[test]
    fn every_distance_has_one_step(
        bounds in prop::collection::btree_set(1..100_i32, 0..6),
        distance in -200.0..200.0_f64,
    ) {
        let mut upper: Vec<Option<i32>> = bounds.into_iter().map(Some).collect();
        upper.push(None);
        let mut steps = Vec::new();
        let mut lower = 0;
        for end in upper {
            let bound = |value: i32| Some(f64::from(value));
            steps.push(Step { lower: bound(lower), upper: end.and_then(bound), adjustment: 1 });
            steps.push(Step { lower: end.and_then(|end| bound(-end)), upper: bound(-lower), adjustment: -1 });
            lower = end.unwrap_or(0);
        }
        let covering = steps.iter().filter(|step| step.covers(distance)).count();
        prop_assert_eq!(covering, 1, "{} in {:?}", distance, steps);
        let mut config: Config = Config {
            threshold: 0.0, steps, adjustment_type: AdjustmentType::default(), min_adjustment_magnitude: 0, metric: None,
            statistic: Statistic::default(), span_seconds: 0, stale_seconds: 0, scale_up_cooldown_seconds: 0,
            scale_down_cooldown_seconds: 0,
        };
        prop_assert_eq!(StepScaling::validate(&config), Ok(()));
        config.steps.push(Step { lower: Some(5.0), upper: Some(6.0), adjustment: 1 });
        prop_assert!(StepScaling::validate(&config).is_err());
    }
}
