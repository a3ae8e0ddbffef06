//! The policy as a whole: bounds in force, and when it wakes.

use dynamite_policy::testing::{Run, observation, schema, stress};
use proptest::prelude::*;

use super::*;

const OFFICE: &str = r#"{"time_zone": "Europe/Berlin", "max": 3, "entries": [
    {"name": "office hours", "start": "0 8 * * MON-FRI", "end": "0 18 * * MON-FRI", "min": 4, "max": 8},
    {"name": "the sale", "start": "0 12 24 12 *", "end": "0 12 26 12 *", "min": 9},
    {"start": "0 22 * * *", "end": "0 6 * * *", "max": 1, "time_zone": "America/New_York"}]}"#;

fn millis(time: &str) -> Timestamp {
    u64::try_from(time.parse::<Instant>().unwrap().as_millisecond()).unwrap()
}

/// What is decided with that many instances at that time, the reason, and when to ask again.
fn decide(config: &str, count: u32, now: &str) -> (Decision, String, String) {
    let seen = observation(count).with_bounds(0, None).with_now(millis(now));
    let verdict = Run::<Schedule>::new(config).unwrap().decide(&seen).unwrap();
    let wake = instant(verdict.wake_at.unwrap()).unwrap().to_string();
    (verdict.decision, verdict.reason, wake)
}

#[test]
fn an_entry_sets_floor_and_ceiling_while_it_is_in_force() {
    let noon = "2026-01-02T11:00:00Z";
    let (decision, reason, wake) = decide(OFFICE, 2, noon);
    assert_eq!(decision, Decision::ScaleTo(4));
    assert_eq!(reason, "2 instances, and office hours wants 4 to 8 until Fri 2026-01-02 18:00 CET");
    assert_eq!(wake, "2026-01-02T17:00:00Z");
    assert_eq!(decide(OFFICE, 5, noon).0, Decision::Hold);
    assert_eq!(decide(OFFICE, 9, noon).0, Decision::ScaleTo(8));
}

#[test]
fn outside_of_all_entries_the_bounds_of_the_policy_hold() {
    let (decision, reason, wake) = decide(OFFICE, 5, "2026-01-03T12:00:00Z");
    assert_eq!(decision, Decision::ScaleTo(3));
    assert_eq!(reason, "5 instances, and no entry in force wants at most 3 until Sat 2026-01-03 22:00 EST");
    assert_eq!(wake, "2026-01-04T03:00:00Z");
}

#[test]
fn it_changes_at_the_very_moment() {
    assert_eq!(decide(OFFICE, 2, "2026-01-05T16:59:59.999Z").0, Decision::ScaleTo(4));
    assert_eq!(decide(OFFICE, 4, "2026-01-05T17:00:00Z").0, Decision::ScaleTo(3));
    assert_eq!(
        decide(OFFICE, 1, "2026-01-06T07:00:00Z").0,
        Decision::ScaleTo(4),
        "at 02:00 in New York, one is enough, but not here"
    );
}

#[test]
fn of_entries_that_overlap_the_highest_floor_and_the_lowest_ceiling_hold() {
    // The sale wants 9, office hours 8 at most: the floor wins.
    let (decision, reason, _) = decide(OFFICE, 2, "2026-12-24T12:00:00Z");
    assert_eq!(decision, Decision::ScaleTo(9));
    assert!(reason.contains("office hours and the sale wants 9 to 9"), "{reason}");
}

#[test]
fn an_entry_that_spans_midnight_is_in_force_on_both_sides() {
    let night = r#"{"entries": [{"start": "0 22 * * *", "end": "0 6 * * *", "max": 1}]}"#;
    assert_eq!(decide(night, 3, "2026-01-01T23:00:00Z").0, Decision::ScaleTo(1));
    assert_eq!(decide(night, 3, "2026-01-02T05:59:00Z").0, Decision::ScaleTo(1));
    assert_eq!(decide(night, 3, "2026-01-02T06:00:00Z").0, Decision::Hold);
}

#[test]
fn days_on_which_the_clock_changes_keep_local_hours() {
    let day = r#"{"time_zone": "Europe/Berlin", "entries": [{"start": "0 8 * * *", "end": "0 18 * * *", "min": 4}]}"#;
    for (now, decision) in [
        ("2026-03-28T06:59:00Z", Decision::Hold),
        ("2026-03-28T07:00:00Z", Decision::ScaleTo(4)),
        ("2026-03-29T05:59:00Z", Decision::Hold),
        ("2026-03-29T06:00:00Z", Decision::ScaleTo(4)),
        ("2026-10-25T06:59:00Z", Decision::Hold),
        ("2026-10-25T07:00:00Z", Decision::ScaleTo(4)),
    ] {
        assert_eq!(decide(day, 1, now).0, decision, "{now}");
    }
    // An entry within the hour that comes twice is in force once, and one within the hour that is skipped for no time.
    let hour = r#"{"time_zone": "Europe/Berlin", "entries": [{"start": "10 2 * * *", "end": "50 2 * * *", "min": 4}]}"#;
    for (now, decision) in [
        ("2026-10-25T00:30:00Z", Decision::ScaleTo(4)),
        ("2026-10-25T00:50:00Z", Decision::Hold),
        ("2026-10-25T01:30:00Z", Decision::Hold),
        ("2026-03-29T00:59:59Z", Decision::Hold),
        ("2026-03-29T01:00:00Z", Decision::Hold),
    ] {
        assert_eq!(decide(hour, 1, now).0, decision, "{now}");
    }
}

#[test]
fn a_wrong_configuration_is_refused() {
    let refused = |entries: &str| {
        Run::<Schedule>::new(&format!(r#"{{"entries": [{entries}]}}"#)).map(|_| ()).unwrap_err()
    };
    let entry =
        |start: &str, rest: &str| refused(&format!(r#"{{"start": "{start}", "end": "0 6 * * *"{rest}}}"#));
    assert_eq!(refused(""), "`entries` has 0 entries; from 1 to 50 are allowed");
    assert_eq!(entry("0 8 * * *", ""), "0 8 * * *: give `min`, `max`, or both");
    assert_eq!(entry("0 8 * * *", r#", "min": 3, "max": 2"#), "0 8 * * *: `min` is 3, above the `max` of 2");
    assert_eq!(
        entry("0 8 * * *", r#", "min": 3, "time_zone": "Mars/Base""#),
        "there is no time zone `Mars/Base`"
    );
    assert_eq!(entry("0 8 31 2 *", r#", "min": 3"#), "0 8 31 2 *: `0 8 31 2 *` names no time that there is");
    assert_eq!(entry("0 8 * *", r#", "min": 3"#), "`0 8 * *` has 4 fields, and a cron pattern has five");
    assert_eq!(entry("0 25 * * *", r#", "min": 3"#), "`0 25 * * *`: `25` is no hour: 0 to 23 are");
    assert!(schema::<Schedule>().contains(r#""default":"UTC""#));
}

#[test]
fn there_is_a_last_day_of_the_calendar() {
    let seen = observation(1).with_now(u64::MAX);
    let beyond = Run::<Schedule>::new(OFFICE).unwrap().decide(&seen).unwrap_err();
    assert_eq!(beyond, "there is no calendar for 18446744073709551615 ms after 1970");
    for now in [0, 1, 253_402_207_199_999] {
        assert!(Run::<Schedule>::new(OFFICE).unwrap().decide(&observation(1).with_now(now)).is_ok(), "{now}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_stands_every_observation(seed in any::<u64>()) {
        stress::<Schedule>(OFFICE, &["cpu"], seed);
    }

    /// What is decided at some time holds until the time to wake.
    #[test]
    fn nothing_changes_before_it_wakes(minutes in 0..366 * 24 * 60_u64, part in 0.0..1.0_f64) {
        let at = |now: u64| Force::at(&busy(), instant(now).unwrap()).unwrap();
        let now = millis("2026-01-01T00:00:00Z") + minutes * 60_000;
        let force = at(now);
        let until = u64::try_from(force.until.clone().unwrap().timestamp().as_millisecond()).unwrap();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "some time")]
        let later = now + ((until - now - 1) as f64 * part) as u64;
        prop_assert_eq!((force.min, force.max, force.until), { let f = at(later); (f.min, f.max, f.until) });
    }
}

fn busy() -> Config {
    let entry = |start: &str, end: &str, zone: Option<&str>| Entry {
        name: None,
        start: start.to_owned(),
        end: end.to_owned(),
        min: Some(4),
        max: Some(8),
        time_zone: zone.map(str::to_owned),
    };
    Config {
        time_zone: "Europe/Berlin".to_owned(),
        entries: vec![
            entry("0 8 * * MON-FRI", "0 18 * * MON-FRI", None),
            entry("30 2 * * *", "45 2 * * *", None),
            entry("0 22 * * *", "0 6 * * *", Some("America/New_York")),
        ],
        min: None,
        max: None,
    }
}
