use dynamite_policy::testing::{NOW, Run, instance, observation, series, series_of, stress, window};
use proptest::prelude::*;

use super::*;

const CALM: &str = "calm";

fn config(direction: &str, period: u64, cooldown: u64) -> String {
    format!(
        r#"{{"comparative_operator": "gt", "threshold": 90, "direction": "{direction}",
             "period_seconds": {period}, "cooldown_seconds": {cooldown}}}"#
    )
}

fn at(second: u64) -> Timestamp {
    NOW + second * 1_000
}

/// Shows samples `(series, second, value)` one after the other, and says what each did: fired, or not.
fn run(period: u64, cooldown: u64, samples: &[(char, u64, f64)]) -> Vec<bool> {
    let mut run = Run::<Threshold>::new(&config("up", period, cooldown)).unwrap();
    let mut window = window("cpu");
    let mut step = |&(id, second, value): &(char, u64, f64)| {
        let id = id.to_string();
        if window.series.iter().all(|series| series.id != id) {
            window = window.clone().with_series(series(&id, &[]));
        }
        let series = window.series.iter_mut().find(|series| series.id == id).unwrap();
        series.at.push(at(second));
        series.values.push(value);
        let seen = observation(1).with_bounds(1, None).with_now(at(second)).with_window(window.clone());
        run.decide(&seen).unwrap().decision == Decision::ScaleUp(1)
    };
    samples.iter().map(&mut step).collect()
}

/// The table of the built-in policy: everything but firing is no firing here.
fn check(period: u64, cooldown: u64, table: &[(char, u64, f64, &str)]) {
    let samples: Vec<_> = table.iter().map(|&(series, second, value, _)| (series, second, value)).collect();
    let expected: Vec<_> = table.iter().map(|(.., outcome)| outcome.starts_with("fired")).collect();
    assert_eq!(run(period, cooldown, &samples), expected);
}

#[test]
fn it_fires_on_the_first_sample_at_the_end_of_the_period() {
    check(
        15,
        0,
        &[
            ('a', 0, 95.0, "waiting since 0"),
            ('a', 14, 95.0, "waiting since 0"),
            ('a', 15, 95.0, "fired since 0"),
            ('a', 16, 95.0, "waiting since 16"),
        ],
    );
}

#[test]
fn one_calm_sample_starts_the_period_over() {
    check(
        15,
        0,
        &[('a', 0, 95.0, "waiting since 0"), ('a', 14, 90.0, CALM), ('a', 15, 95.0, "waiting since 15")],
    );
}

#[test]
fn period_zero_fires_at_once() {
    check(0, 0, &[('a', 0, 95.0, "fired since 0"), ('a', 1, 95.0, "fired since 1")]);
}

#[test]
fn a_cooldown_is_in_sample_time_and_for_all_series() {
    check(
        0,
        60,
        &[
            ('a', 0, 95.0, "fired since 0"),
            ('b', 59, 95.0, "cooling until 60"),
            ('a', 59, 95.0, "cooling until 60"),
            ('b', 60, 95.0, "fired since 60"),
        ],
    );
}

#[test]
fn no_period_starts_in_a_cooldown() {
    check(
        10,
        20,
        &[
            ('a', 0, 95.0, "waiting since 0"),
            ('a', 10, 95.0, "fired since 0"),
            ('a', 25, 95.0, "cooling until 30"),
            ('a', 30, 95.0, "waiting since 30"),
            ('a', 40, 95.0, "fired since 30"),
        ],
    );
}

#[test]
fn a_period_of_another_series_outlasts_the_cooldown_unless_a_sample_ends_it() {
    check(
        10,
        20,
        &[
            ('a', 0, 95.0, "waiting since 0"),
            ('b', 1, 95.0, "waiting since 1"),
            ('c', 1, 95.0, "waiting since 1"),
            ('a', 10, 95.0, "fired since 0"),
            ('c', 20, 10.0, CALM),
            ('b', 30, 95.0, "fired since 1"),
            ('c', 50, 95.0, "waiting since 50"),
        ],
    );
}

#[test]
fn a_decision_that_a_bound_stops_starts_no_cooldown_and_leaves_the_trigger() {
    let mut run = Run::<Threshold>::new(&config("up", 10, 60)).unwrap();
    let mut decide = |instances, samples: &[(Timestamp, f64)]| {
        let window = window("cpu").with_series(series("a", &[]).with_samples(samples));
        run.decide(&observation(instances).with_bounds(1, Some(2)).with_window(window)).unwrap()
    };
    let stopped = decide(2, &[(at(0), 95.0), (at(10), 95.0)]);
    assert_eq!(stopped.decision, Decision::Hold);
    assert_eq!(
        stopped.reason,
        "cpu of a is 95, and so > 90 for 10 s, but 2 instances are the most there may be (2)"
    );
    let fired = decide(1, &[(at(10), 95.0), (at(11), 95.0)]);
    assert_eq!(
        (fired.decision, fired.reason.as_str()),
        (Decision::ScaleUp(1), "cpu of a is 95, and so > 90 for 11 s")
    );
    let cooling = decide(1, &[(at(12), 95.0)]);
    assert_eq!(cooling.reason, "cpu of a is 95, and so > 90, cooling down for another 59 s");
}

#[test]
fn a_sample_is_seen_once() {
    let mut run = Run::<Threshold>::new(&config("up", 0, 0)).unwrap();
    let seen = observation(1).with_window(window("cpu").with_series(series("a", &[95.0])));
    assert_eq!(run.decide(&seen).unwrap().decision, Decision::ScaleUp(1));
    let again = run.decide(&seen).unwrap();
    assert_eq!((again.decision, again.reason.as_str()), (Decision::Hold, "no new sample of cpu"));
}

#[test]
fn down_stops_the_instance_whose_series_fired_else_any() {
    let down = |window: Window, seen: Observation| {
        let mut run = Run::<Threshold>::new(&config("down", 0, 60)).unwrap();
        run.decide(&seen.with_window(window)).unwrap().decision
    };
    let fired = |number| window("cpu").with_series(series_of(number, &[95.0]));
    let own = Decision::Stop(vec![instance(8001).name]);
    assert_eq!(down(fired(8001), observation(3)), own);
    assert_eq!(down(fired(9000), observation(3)), Decision::ScaleDown(1), "none of this service");
    assert_eq!(down(window("cpu").aggregated(&[95.0]), observation(3)), Decision::ScaleDown(1));
    assert_eq!(down(fired(8000), observation(1)), Decision::Hold, "the minimum");
    let starting = |index| observation(3).with_instance(index, InstanceState::Starting, NOW);
    assert_eq!(down(fired(8001), starting(1)), Decision::Hold, "it serves nobody yet");
    assert_eq!(
        down(window("cpu").aggregated(&[95.0]), starting(2)),
        Decision::Hold,
        "the highest is starting"
    );
    let stopping = observation(3).with_instance(1, InstanceState::Stopping, NOW);
    assert_eq!(down(fired(8001), stopping), Decision::Hold, "it goes already");
}

#[test]
fn several_firings_in_one_call_add_up() {
    let both =
        || window("cpu").with_series(series_of(8000, &[95.0])).with_series(series_of(8002, &[95.0, 95.0]));
    let decide = |direction, seen: Observation| {
        let mut run = Run::<Threshold>::new(&config(direction, 0, 0)).unwrap();
        run.decide(&seen.clone().with_now(NOW - 30_000).with_window(window("cpu"))).unwrap();
        run.decide(&seen.with_window(both())).unwrap().decision
    };
    // The third sample is no newer than the one that fired last, and so it is spent.
    assert_eq!(decide("up", observation(3)), Decision::ScaleUp(2));
    let both_named = vec![instance(8002).name, instance(8000).name];
    assert_eq!(decide("down", observation(4)), Decision::Stop(both_named));
    assert_eq!(
        decide("down", observation(2)),
        Decision::ScaleDown(1),
        "8002 is none of the two, and 8000 must stay"
    );
}

#[test]
fn samples_from_before_the_start_only_bring_the_triggers_up_to_date() {
    let long = || window("cpu").with_series(series("a", &[95.0; 30]));
    let mut run = Run::<Threshold>::new(&config("up", 15, 60)).unwrap();
    let first = run.decide(&observation(1).with_window(long())).unwrap();
    assert_eq!(first.decision, Decision::ScaleUp(1), "and not one for each minute");
    assert_eq!(first.reason, "cpu of a is 95, and so > 90 for 290 s");
    let mut later = long();
    later.series[0].at.iter_mut().for_each(|at| *at += 240_000);
    let back = run.decide(&observation(1).with_now(NOW + 240_000).with_window(later)).unwrap();
    assert_eq!(back.decision, Decision::ScaleUp(1), "after four minutes away");
}

#[test]
fn a_wrong_configuration_is_refused() {
    let refused = |config| Run::<Threshold>::new(config).map(|_| ()).unwrap_err();
    assert_eq!(refused("{}"), "missing field `comparative_operator`");
    assert!(refused(&config("sideways", 0, 0)).contains("expected `up` or `down`"));
    assert!(Run::<Threshold>::new(&config("up", 0, 0)).unwrap().decide(&observation(1)).is_err());
}

#[test]
fn the_state_stays_small_however_many_series_there_are() {
    let mut run = Run::<Threshold>::new(&config("up", 60, 0)).unwrap();
    for value in [95.0, 10.0] {
        let mut window = window("cpu");
        let id = |index| format!("{index:05}-\u{1}\"{}", "x".repeat(20));
        window.series = (0..5_000).map(|index| series(&id(index), &[value])).collect();
        run.decide(&observation(1).with_window(window)).unwrap();
        assert!(run.state().len() > 20_000);
    }
    run.decide(&observation(1).with_window(window("cpu"))).unwrap();
    assert!(run.state().len() < 100, "series that are gone are forgotten");
}

proptest! {
    /// What the rule says, said again over the whole history: it fires at a sample exactly when every sample of its
    /// series since some satisfying sample at least a period ago satisfied, none of them in a cooldown at its start.
    #[test]
    fn it_agrees_with_the_rule_said_over_the_whole_history(
        steps in prop::collection::vec((prop::char::range('a', 'c'), 1..8_u64, 85.0..99.0_f64), 1..60),
        period in 0..20_u64,
        cooldown in 0..30_u64,
    ) {
        let mut now = 0;
        let samples: Vec<_> =
            steps.into_iter().map(|(series, gap, value)| { now += gap; (series, now, value) }).collect();
        let outcomes = run(period, cooldown, &samples);
        let mut fired: Vec<(char, u64)> = Vec::new();
        for (index, &(series, second, value)) in samples.iter().enumerate() {
            let cooling = |when: u64| fired.iter().any(|&(_, at)| at < when && when < at + cooldown);
            let spent = fired.iter().rev().find(|(of, _)| *of == series).map_or(0, |&(_, at)| at);
            let start = samples[..=index].iter().rev()
                .filter(|(of, ..)| *of == series)
                .take_while(|&&(_, at, value)| value > 90.0 && at > spent)
                .filter(|&&(_, at, _)| !cooling(at))
                .last()
                .map(|&(_, at, _)| at);
            let fires = value > 90.0 && !cooling(second) && start.is_some_and(|start| second >= start + period);
            prop_assert_eq!(outcomes[index], fires, "sample {} of {:?}", index, samples);
            if fires { fired.push((series, second)); }
        }
    }
}

proptest! {
    #[test]
    fn it_stands_every_observation(seed in any::<u64>(), direction in prop::sample::select(vec!["up", "down"])) {
        stress::<Threshold>(&config(direction, 5, 20), &["cpu"], seed);
    }
}
