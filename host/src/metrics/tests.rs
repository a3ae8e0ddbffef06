//! What comes out of keys that go in.

use super::*;
use crate::engine::test_config::{Given, config};

const BASE: i64 = 1_438_089_350;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BASE + second).unwrap()
}

/// Metrics of a configuration with one policy, and the time now, ten minutes after the first sample.
struct Fixture {
    metrics: Metrics,
    now: Timestamp,
}

impl Fixture {
    fn new(metric: &str, aggregated: bool, period: i64) -> Self {
        let config = config(&Given { metric, aggregated, period, ..Given::default() });
        Self { metrics: Metrics::new(&config), now: at(600) }
    }

    fn put(&mut self, key: &str, value: &str) -> Option<Skipped> {
        self.metrics.put(key, value, self.now).map(|(skipped, _)| skipped)
    }

    /// Puts samples of instance `i` at these seconds.
    fn put_all(&mut self, seconds: impl IntoIterator<Item = i64>) {
        for second in seconds {
            assert_eq!(self.put(&key("i", second), "1"), None, "{second}");
        }
    }

    /// The seconds of the samples that come out.
    fn fresh(&mut self) -> Vec<i64> {
        let fresh = self.metrics.fresh(self.now, true);
        fresh.iter().map(|fresh| fresh.sample.at.as_second() - BASE).collect()
    }

    fn unneeded(&mut self) -> Vec<String> {
        self.metrics.take_unneeded(usize::MAX)
    }
}

fn key(instance: &str, second: i64) -> String {
    format!("/metrics/web/{instance}/cpu/{}", BASE + second)
}

#[test]
fn samples_come_out_once_and_in_the_order_of_their_time() {
    let mut fixture = Fixture::new("cpu", false, 60);
    fixture.put_all([3, 1, 2]);
    fixture.put(&key("j", 2), "1");
    assert_eq!(fixture.fresh(), [1, 2, 2, 3]);
    assert_eq!(fixture.fresh(), [] as [i64; 0]);
}

#[test]
fn a_sample_not_newer_than_the_last_is_ignored() {
    let mut fixture = Fixture::new("cpu", false, 60);
    fixture.put_all([10]);
    assert_eq!(fixture.fresh(), [10]);
    assert_eq!(fixture.put(&key("i", 9), "1"), Some(Skipped::Late));
    assert_eq!(fixture.put(&key("i", 10), "2"), Some(Skipped::Late));
    assert_eq!(fixture.fresh(), [] as [i64; 0]);
    assert_eq!(fixture.put(&key("j", 9), "1"), None, "another series has its own order");
}

#[test]
fn aggregated_and_other_metrics_are_told_apart() {
    let mut fixture = Fixture::new("cpu", true, 60);
    assert_eq!(fixture.put("/metrics/web/cpu/1438089350", "1"), None);
    for key in [&*key("i", 1), "/metrics/db/cpu/1438089350", "/metrics/web/mem/1438089350", "/else/web/cpu/1"]
    {
        assert_eq!(fixture.put(key, "1"), None, "{key}");
    }
    assert_eq!(fixture.fresh(), [0]);
    assert_eq!(fixture.metrics.counts().samples, 1);
}

#[test]
fn bad_values_and_times_are_counted_and_reported_once_a_prefix() {
    let mut fixture = Fixture::new("cpu", false, 60);
    let now = fixture.now;
    let mut put = |key: &str, value| fixture.metrics.put(key, value, now);
    assert_eq!(put(&key("i", 1), "ten"), Some((Skipped::BadValue, true)));
    assert_eq!(put(&key("i", 2), "NaN"), Some((Skipped::BadValue, false)));
    assert_eq!(put(&key("j", 2), "{}"), Some((Skipped::BadValue, true)));
    assert_eq!(put("/metrics/web/i/cpu/noon", "1"), Some((Skipped::BadTime, true)));
    assert_eq!(put("/metrics/web/i/cpu/9438089350", "1"), Some((Skipped::BadTime, false)), "centuries ahead");
    assert_eq!(put(&key("i", 3), "1"), None, "the series goes on");
    let counts = fixture.metrics.counts();
    assert_eq!((counts.samples, counts.bad_value, counts.bad_time), (1, 3, 2));
}

#[test]
fn a_key_is_unneeded_when_its_series_has_left_it_a_window_behind() {
    let mut fixture = Fixture::new("cpu", false, 10);
    fixture.put_all([0, 5, 10]);
    assert_eq!(fixture.unneeded(), [] as [String; 0]);
    fixture.put(&key("j", 100), "1");
    assert_eq!(fixture.unneeded(), [] as [String; 0], "another series says nothing about this one");
    fixture.put_all([11]);
    assert_eq!(fixture.unneeded(), [key("i", 0)]);
    fixture.put(&key("i", 500), "nonsense");
    assert_eq!(fixture.unneeded(), [] as [String; 0], "a bad value says nothing about time");
}

#[test]
fn a_series_silent_for_its_window_and_a_day_goes_with_its_keys() {
    let mut fixture = Fixture::new("cpu", false, 10);
    fixture.put_all([600]);
    fixture.fresh();
    let day = SignedDuration::from_hours(24);
    assert!(fixture.metrics.drop_silent(at(600 + 9) + day).is_empty());
    assert_eq!(fixture.metrics.drop_silent(at(600 + 10) + day).len(), 1);
    assert_eq!(fixture.unneeded(), [key("i", 600)]);
    assert_eq!(fixture.metrics.next_silence(), None);
}

#[test]
fn a_policy_sees_a_silent_series_for_its_window_and_a_minute() {
    for (period, shown) in [(300, 360), (0, 86_400)] {
        let config = config(&Given { metric: "cpu", period, ..Given::default() });
        let mut metrics = Metrics::new(&config);
        let window = &config.policies["hot"].windows[0];
        let signal = metrics.subscribe(window);
        // The clock of whoever writes is five minutes behind.
        metrics.put(&key("i", 300), "1", at(600));
        metrics.fresh(at(600), true);
        let seen = |second| metrics.seen(signal, window, at(second), |_| Writer::Unknown).series.len();
        assert_eq!([seen(600), seen(600 + shown), seen(601 + shown)], [1, 1, 0], "over {period}s");
    }
}

#[test]
fn cleaning_up_can_be_turned_off() {
    let mut config = config(&Given { period: 10, ..Given::default() });
    config.etcd.cleanup = Cleanup::Never;
    let mut metrics = Metrics::new(&config);
    for second in [0, 5, 100] {
        metrics.put(&key("i", second), "1", at(600));
    }
    assert_eq!(metrics.unneeded(), 0);
}

#[test]
fn memory_stays_bounded_whatever_comes() {
    let mut fixture = Fixture::new("cpu", false, 3_600_000);
    let now = fixture.now;
    let beyond = i64::try_from(SERIES_SAMPLES_MAX).unwrap() + 10;
    let first = at(600).as_millisecond() - beyond;
    for step in 0..beyond {
        fixture.metrics.put(&format!("/metrics/web/i/cpu/{}", first + step), "1", now);
    }
    assert_eq!(fixture.metrics.samples_held, SERIES_SAMPLES_MAX);
    assert_eq!(fixture.unneeded().len(), 10);
    for series in 0..SERIES_MAX + 10 {
        fixture.metrics.put(&key(&format!("many{series}"), 1), "1", now);
    }
    assert_eq!(fixture.metrics.series.len(), SERIES_MAX);
    assert_eq!(fixture.metrics.counts().too_many, 10 + 11);
}
