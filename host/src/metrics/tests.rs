//! What comes out of keys that go in.

use dynamite_core::SERIES_MAX;

use super::*;

const BASE: i64 = 1_438_089_350;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(BASE + second).unwrap()
}

fn signal(metric: &str, aggregated: bool) -> KeptSignal {
    let signal = SignalSpec { service_type: "web".into(), metric: metric.into(), aggregated };
    KeptSignal { signal, span: jiff::SignedDuration::ZERO }
}

fn of(signals: &[KeptSignal]) -> Metrics {
    Metrics::new("/metrics", Cleanup::WhenUnneeded, signals)
}

fn key(instance: &str, second: i64) -> String {
    format!("/metrics/web/{instance}/cpu/{}", BASE + second)
}

fn put(key: &str, value: &str) -> Change {
    Change::Put { key: key.to_owned(), value: value.to_owned() }
}

/// What comes of one change, ten minutes after the first sample.
fn one(metrics: &mut Metrics, key: &str, value: &str) -> SampleBatch {
    let mut batches = metrics.take(&[put(key, value)], at(600));
    batches.pop().unwrap_or_else(|| metrics.batch())
}

fn values(batch: &SampleBatch) -> Vec<f64> {
    batch.readings.iter().map(|reading| reading.value).collect()
}

#[test]
fn a_series_is_opened_once_and_then_read() {
    let mut metrics = of(&[signal("cpu", false)]);
    let first = one(&mut metrics, &key("i", 1), "5");
    let series = SeriesId { place: 0, life: 0 };
    let opened = Opened { series, signal: signal("cpu", false).signal, instance: "i".to_owned(), at: at(1) };
    assert_eq!(
        (&first.opened, &first.readings),
        (&vec![opened], &vec![Reading { series, at: at(1), value: 5.0 }])
    );
    let second = one(&mut metrics, &key("i", 2), "6");
    assert_eq!((second.opened.len(), values(&second)), (0, vec![6.0]));
    assert_eq!(one(&mut metrics, &key("j", 2), "7").opened[0].series.place, 1);
}

#[test]
fn a_snapshot_is_told_apart_from_what_comes_after() {
    let mut metrics = of(&[signal("cpu", false)]);
    let changes = [
        put(&key("i", 0), "1"),
        Change::SnapshotStart,
        put(&key("i", 1), "1"),
        Change::SnapshotEnd,
        put(&key("i", 2), "1"),
    ];
    let batches = metrics.take(&changes, at(600));
    let stretches: Vec<_> = batches.iter().map(|batch| (batch.stretch, batch.readings.len())).collect();
    assert_eq!(stretches, [(Stretch::Live, 1), (Stretch::SnapshotEnd, 1), (Stretch::Live, 1)]);
    let begun = metrics.take(&[Change::SnapshotStart, put(&key("i", 3), "1")], at(600));
    assert_eq!(begun[0].stretch, Stretch::Snapshot);
    let ended = metrics.take(&[Change::SnapshotEnd], at(600));
    assert_eq!((ended.len(), ended[0].stretch), (1, Stretch::SnapshotEnd), "told even if nothing is in it");
}

#[test]
fn aggregated_and_other_metrics_are_told_apart() {
    let mut metrics = of(&[signal("cpu", true)]);
    assert_eq!(values(&one(&mut metrics, "/metrics/web/cpu/1438089350", "1")), [1.0]);
    for key in [&*key("i", 1), "/metrics/db/cpu/1438089350", "/metrics/web/mem/1438089350", "/else/web/cpu/1"]
    {
        assert!(one(&mut metrics, key, "1").is_empty(), "{key}");
    }
}

#[test]
fn a_value_with_several_fields_is_a_sample_of_each() {
    let mut metrics = of(&[signal("time.p50", false), signal("time.p95", false)]);
    let text = r#"{"p50": 1, "p95": 2}"#;
    let first = one(&mut metrics, "/metrics/web/i/time/1438089350", text);
    assert_eq!((first.opened.len(), values(&first)), (2, vec![1.0, 2.0]));
    let half = one(&mut metrics, "/metrics/web/i/time/1438089351", r#"{"p95": 3}"#);
    assert_eq!((values(&half), half.skipped[0].why), (vec![3.0], Skipped::BadValue));
    let [p50, p95] = [0, 1].map(|place| SeriesId { place, life: 0 });
    metrics.release(p95, at(9));
    assert_eq!(metrics.unneeded(), 0, "the other field needs them still");
    metrics.release(p50, at(1));
    assert_eq!(metrics.take_unneeded(9), ["/metrics/web/i/time/1438089350"]);
}

#[test]
fn bad_values_and_times_are_told_once_a_prefix() {
    let mut metrics = of(&[signal("cpu", false)]);
    let mut skipped = |key: &str, value| {
        let batch = one(&mut metrics, key, value);
        batch.skipped.first().map(|skipped| (skipped.why, skipped.first_at.is_some()))
    };
    assert_eq!(skipped(&key("i", 1), "ten"), Some((Skipped::BadValue, true)));
    assert_eq!(skipped(&key("i", 2), "NaN"), Some((Skipped::BadValue, false)));
    assert_eq!(skipped(&key("j", 2), "{}"), Some((Skipped::BadValue, true)));
    assert_eq!(skipped("/metrics/web/i/cpu/noon", "1"), Some((Skipped::BadTime, true)));
    assert_eq!(
        skipped("/metrics/web/i/cpu/9438089350", "1"),
        Some((Skipped::BadTime, false)),
        "centuries ahead"
    );
    assert_eq!(skipped(&key("i", 3), "1"), None, "the series goes on");
    assert_eq!(skipped(&key("i", 3), "2"), Some((Skipped::Late, false)), "a key that is written again");
}

#[test]
fn keys_are_unneeded_when_their_samples_are() {
    let mut metrics = of(&[signal("cpu", false)]);
    for second in [0, 5, 10] {
        one(&mut metrics, &key("i", second), "1");
    }
    let series = SeriesId { place: 0, life: 0 };
    metrics.release(series, at(5));
    assert_eq!(metrics.take_unneeded(9), [key("i", 0)]);
    one(&mut metrics, &key("i", 3), "1");
    assert_eq!(metrics.take_unneeded(9), [key("i", 3)], "it comes too late to be needed");
    metrics.forget(series);
    assert_eq!(metrics.take_unneeded(9), [key("i", 5), key("i", 10)]);
    let again = one(&mut metrics, &key("i", 11), "1");
    assert_eq!(again.opened[0].series, SeriesId { place: 0, life: 1 }, "it is another series");
    metrics.release(series, at(99));
    assert_eq!(metrics.unneeded(), 0, "what is said of the former one is no matter");
}

#[test]
fn cleaning_up_can_be_turned_off() {
    let mut metrics = Metrics::new("/metrics", Cleanup::Never, &[signal("cpu", false)]);
    one(&mut metrics, &key("i", 0), "1");
    metrics.forget(SeriesId { place: 0, life: 0 });
    assert_eq!(metrics.unneeded(), 0);
}

#[test]
fn memory_stays_bounded_whatever_comes() {
    let mut metrics = of(&[signal("cpu", false)]);
    for step in 0..100_010 {
        one(&mut metrics, &format!("/metrics/web/i/cpu/{}", BASE * 1_000 + step), "1");
    }
    assert_eq!(metrics.unneeded(), 10, "the oldest go");
    let mut refused = 0;
    for series in 0..SERIES_MAX + 10 {
        refused += one(&mut metrics, &key(&format!("many{series}"), 1), "1").skipped.len();
    }
    assert_eq!(refused, 11, "one is there already");
}
