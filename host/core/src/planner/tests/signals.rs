//! Windows: what is kept, what is let go, and what is shown.

use super::*;
use crate::planner::series::SignalIndex;
use crate::planner::signals::{SERIES_SAMPLES_MAX, Writer};

fn kept(span: i64) -> Spec {
    let span = SignedDuration::from_secs(span);
    Spec { signals: vec![KeptSignal { signal: signal(), span }], ..spec(&[web(Given::default())]) }
}

fn told(fixture: &mut Fixture, id: &str, seconds: &[i64], now: i64) -> Effects {
    let mut batch = batch(Stretch::Live);
    let series = fixture.series(id, seconds[0] * 1_000, &mut batch);
    batch.readings = seconds.iter().map(|second| Reading { series, at: at(*second), value: 50.0 }).collect();
    fixture.planner.take(Input::Samples(batch), at(now))
}

#[test]
fn what_a_series_has_left_a_window_behind_is_let_go() {
    let mut fixture = Fixture::new(kept(10), &TWO);
    assert_eq!(told(&mut fixture, "i", &[0, 5, 10], 10).released, []);
    assert_eq!(
        told(&mut fixture, "j", &[100], 100).released,
        [],
        "another series says nothing about this one"
    );
    let series = SeriesId { place: 0, life: 0 };
    assert_eq!(told(&mut fixture, "i", &[11], 100).released, [(series, at(1))]);
}

#[test]
fn a_sample_not_newer_than_the_last_is_ignored() {
    let mut fixture = Fixture::new(kept(60), &TWO);
    told(&mut fixture, "i", &[10], 10);
    told(&mut fixture, "i", &[9, 10], 11);
    told(&mut fixture, "j", &[9], 11);
    let counts = fixture.planner.signals.counts();
    assert_eq!((counts.samples, counts.late), (2, 2));
}

#[test]
fn a_series_silent_for_its_window_and_a_day_goes() {
    let mut fixture = Fixture::new(kept(10), &TWO);
    told(&mut fixture, "i", &[600], 600);
    let day = 24 * 3_600;
    assert_eq!(fixture.planner.take(Input::Tick, at(600 + 9 + day)).dropped, []);
    assert_eq!(
        fixture.planner.take(Input::Tick, at(600 + 10 + day)).dropped,
        [SeriesId { place: 0, life: 0 }]
    );
    assert_eq!(fixture.planner.take(Input::Tick, at(600 + 10 + day)).dropped, []);
}

#[test]
fn a_policy_sees_a_silent_series_for_its_window_and_a_minute() {
    for (period, shown) in [(300, 360), (0, 86_400)] {
        let mut fixture = Fixture::new(kept(period), &TWO);
        // The clock of whoever writes is five minutes behind.
        told(&mut fixture, "i", &[300], 600);
        let window =
            WindowSpec { signal: signal(), unit: "".into(), span: SignedDuration::from_secs(period) };
        let seen = |second| {
            let seen = fixture.planner.signals.seen(SignalIndex(0), &window, at(second), |_| Writer::Unknown);
            seen.series.len()
        };
        assert_eq!([seen(600), seen(600 + shown), seen(601 + shown)], [1, 1, 0], "over {period}s");
    }
}

#[test]
fn memory_stays_bounded_whatever_comes() {
    let mut fixture = Fixture::new(kept(3_600_000), &TWO);
    let beyond = i64::try_from(SERIES_SAMPLES_MAX).unwrap() + 10;
    let seconds: Vec<i64> = (0..beyond).collect();
    let effects = told(&mut fixture, "i", &seconds, beyond);
    assert_eq!(effects.released.last(), Some(&(SeriesId { place: 0, life: 0 }, at(10))));
    let counts = fixture.planner.signals.counts();
    assert_eq!(counts.too_many, 10);
    let full = effects.events.iter().filter(|event| matches!(event, Event::SampleSkipped { .. }));
    assert_eq!(full.count(), 1, "said once");
}

#[test]
fn a_series_that_was_never_opened_is_nobodys() {
    let mut fixture = Fixture::new(kept(10), &TWO);
    let mut unknown = batch(Stretch::Live);
    let series = SeriesId { place: 7, life: 3 };
    unknown.readings.push(Reading { series, at: at(0), value: 95.0 });
    assert_eq!(fixture.take(Input::Samples(unknown), 0), NOTHING);
    let other = SignalSpec { metric: "mem".into(), ..signal() };
    let mut unread = batch(Stretch::Live);
    unread.opened.push(Opened { series, signal: other, instance: "i".to_owned(), at: at(0) });
    unread.readings.push(Reading { series, at: at(0), value: 95.0 });
    assert_eq!(fixture.take(Input::Samples(unread), 0), NOTHING);
}
