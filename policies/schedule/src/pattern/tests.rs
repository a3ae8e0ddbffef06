//! Patterns: what they take, and when they match.

use jiff::tz::TimeZoneDatabase;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;

fn local(text: &str, zone: &str) -> ZonedDateTime {
    text.parse::<Timestamp>().unwrap().to_zoned_datetime(TimeZoneDatabase::bundled().get(zone).unwrap())
}

/// The last and the next time of a pattern, seen from a time.
fn around(pattern: &str, now: &str, zone: &str) -> [String; 2] {
    let pattern = Pattern::parse(pattern).unwrap();
    let now = local(now, zone);
    [pattern.last(&now), pattern.next(&now)].map(|found| found.unwrap().timestamp().to_string())
}

#[test]
fn times_are_local() {
    let found = around("0 8 * * MON-FRI", "2026-01-02T12:00:00Z", "Europe/Berlin");
    assert_eq!(found, ["2026-01-02T07:00:00Z", "2026-01-05T07:00:00Z"]);
    let found = around("0 8 * * MON-FRI", "2026-07-03T12:00:00Z", "Europe/Berlin");
    assert_eq!(found, ["2026-07-03T06:00:00Z", "2026-07-06T06:00:00Z"]);
    let found = around("30 9 1 * *", "2026-01-01T00:00:00Z", "Asia/Kolkata");
    assert_eq!(found, ["2025-12-01T04:00:00Z", "2026-01-01T04:00:00Z"]);
}

#[test]
fn days_of_the_month_and_of_the_week_are_alternatives_if_both_are_given() {
    let found = around("0 0 13 * FRI", "2026-01-10T00:00:00Z", "UTC");
    assert_eq!(found, ["2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z"]);
    let found = around("0 0 */10 * FRI", "2026-01-12T00:00:00Z", "UTC");
    assert_eq!(found, ["2025-11-21T00:00:00Z", "2026-05-01T00:00:00Z"], "a day that begins with * restricts");
    let found = around("0 0 29 2 *", "2097-01-01T00:00:00Z", "UTC");
    assert_eq!(found, ["2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"], "2100 has none");
}

#[test]
fn now_is_of_the_last_and_not_of_the_next() {
    let found = around("0 8 * * *", "2026-01-02T08:00:00Z", "UTC");
    assert_eq!(found, ["2026-01-02T08:00:00Z", "2026-01-03T08:00:00Z"]);
}

#[test]
fn a_time_that_is_skipped_in_spring_comes_when_the_clock_has_gone_forward() {
    // On 2026-03-29 it is 03:00 right after 01:59 in Berlin.
    let found = around("30 2 * * *", "2026-03-29T00:30:00Z", "Europe/Berlin");
    assert_eq!(found, ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z"]);
}

#[test]
fn a_time_that_comes_twice_in_autumn_counts_once() {
    // On 2026-10-25 it is 02:30 twice in Berlin, at 00:30 and at 01:30 UTC.
    let found = around("30 2 * * *", "2026-10-25T00:00:00Z", "Europe/Berlin");
    assert_eq!(found, ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z"]);
    let found = around("30 2 * * *", "2026-10-25T01:45:00Z", "Europe/Berlin");
    assert_eq!(found, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
}

proptest! {
    /// Going back and then forward again leads to the same next time: none lies in between.
    #[test]
    fn last_and_next_agree(
        pattern in prop::sample::select(vec!["30 2 * * *", "0 8 * * MON-FRI", "0 0 1 * *", "15 3 * * SUN", "0 3 29 2 *", "*/20 * * * *"]),
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
        minutes in 0..10 * 366 * 24 * 60_i64,
    ) {
        let now = local("2026-01-01T00:00:00Z", zone) + SignedDuration::from_mins(minutes);
        let found = Pattern::parse(pattern).unwrap();
        let (last, next) = (found.last(&now).unwrap(), found.next(&now).unwrap());
        prop_assert!(last <= now && now < next, "{last} {now} {next}");
        prop_assert_eq!(found.next(&last).unwrap(), next.clone(), "from {} by way of {}", now, last);
        prop_assert_eq!(found.last(&(next - SignedDuration::from_secs(1))).unwrap(), last);
    }
}
