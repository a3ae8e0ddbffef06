//! Samples, and the window of them that a series keeps.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One measured value.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured; finite.
    pub value: f64,
}

/// The samples of a series over a span that ends with the newest one, in the order of their time, no two of one time.
///
/// They are kept in columns, as policies are shown them: showing a window is copying two pieces of memory.
#[derive(Clone, Debug)]
pub struct Window {
    span: SignedDuration,
    times: VecDeque<Timestamp>,
    /// The same in milliseconds since the epoch; 0 for what is before it.
    times_ms: VecDeque<u64>,
    values: VecDeque<f64>,
}

impl Window {
    /// An empty window over `span`. With a span of zero it holds the newest sample alone.
    #[must_use]
    pub fn new(span: SignedDuration) -> Self {
        let (times, times_ms, values) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { span, times, times_ms, values }
    }

    /// Adds a sample at the place its time gives it, and drops what is now older than the span, or more than
    /// `samples_max`. What is newer than `keep_after` stays, however old. False, and nothing is added, when there is one of
    /// that time or it would not stay.
    pub fn insert(&mut self, sample: Sample, samples_max: usize, keep_after: Timestamp) -> bool {
        let Sample { at, value } = sample;
        if at <= keep_after && self.oldest_wanted().is_some_and(|oldest| at < oldest) {
            return false;
        }
        let place = self.place(at);
        if self.times.get(place) == Some(&at) {
            return false;
        }
        self.times.insert(place, at);
        self.times_ms.insert(place, u64::try_from(at.as_millisecond()).unwrap_or(0));
        self.values.insert(place, value);
        self.drop_old(samples_max, keep_after);
        true
    }

    /// Keeps samples over another span from now on.
    pub fn set_span(&mut self, span: SignedDuration) {
        self.span = span;
        self.trim();
    }

    /// Drops what is older than the span, whatever it was kept for.
    pub fn trim(&mut self) {
        self.drop_old(usize::MAX, Timestamp::MAX);
    }

    fn drop_old(&mut self, samples_max: usize, keep_after: Timestamp) {
        let oldest = self.oldest_wanted();
        let is_old = |first: Option<Timestamp>| first < oldest && first <= Some(keep_after);
        while is_old(self.times.front().copied()) || self.len() > samples_max {
            self.times.pop_front();
            self.times_ms.pop_front();
            self.values.pop_front();
        }
    }

    /// How many samples are before a time.
    fn place(&self, time: Timestamp) -> usize {
        // Most samples are newer than all before them.
        match self.times.back() {
            Some(newest) if *newest < time => self.times.len(),
            _ => self.times.partition_point(|present| *present < time),
        }
    }

    fn get(&self, place: usize) -> Option<Sample> {
        Some(Sample { at: *self.times.get(place)?, value: *self.values.get(place)? })
    }

    /// The newest sample.
    #[must_use]
    pub fn newest(&self) -> Option<Sample> {
        self.get(self.len().checked_sub(1)?)
    }

    /// The oldest sample.
    #[must_use]
    pub fn oldest(&self) -> Option<Sample> {
        self.get(0)
    }

    /// The time before which no sample is wanted any more: a span before the newest.
    #[must_use]
    pub fn oldest_wanted(&self) -> Option<Timestamp> {
        let newest = self.times.back()?;
        Some(newest.saturating_sub(self.span).unwrap_or(Timestamp::MIN))
    }

    /// The samples newer than `time`, oldest first; all of them for `None`.
    pub fn since(&self, time: Option<Timestamp>) -> impl Iterator<Item = Sample> + '_ {
        let start = time.map_or(0, |time| self.times.partition_point(|present| *present <= time));
        let pairs = self.times.range(start..).zip(self.values.range(start..));
        pairs.map(|(at, value)| Sample { at: *at, value: *value })
    }

    /// The times in milliseconds and the values of the samples of `oldest` and later, oldest first.
    #[must_use]
    pub fn columns_from(&self, oldest: Timestamp) -> (Arc<[u64]>, Arc<[f64]>) {
        let start = self.place(oldest);
        (column(&self.times_ms, start), column(&self.values, start))
    }

    /// How many samples it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
}

/// A copy of the end of a column.
fn column<T: Copy>(all: &VecDeque<T>, start: usize) -> Arc<[T]> {
    match all.as_slices() {
        // In one piece, as it is after every insertion that made room: copied at once.
        (all, []) => all[start..].into(),
        _ => all.range(start..).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn sample(second: i64, value: f64) -> Sample {
        Sample { at: Timestamp::new(1_438_089_350 + second, 0).unwrap(), value }
    }

    proptest! {
        #[test]
        fn it_holds_the_first_sample_of_each_time_within_the_span_of_the_newest_in_order(
            samples in prop::collection::vec((0..100_i64, -1e6..1e6_f64), 0..200),
            span in 0..60_i64,
        ) {
            let mut window = Window::new(SignedDuration::from_secs(span));
            let mut model: BTreeMap<i64, f64> = BTreeMap::new();
            for (second, value) in samples {
                let oldest = model.keys().next_back().map(|newest| newest - span);
                let wanted = oldest.is_none_or(|oldest| second >= oldest) && !model.contains_key(&second);
                prop_assert_eq!(window.insert(sample(second, value), usize::MAX, Timestamp::MAX), wanted);
                if wanted {
                    model.insert(second, value);
                    let newest = *model.keys().next_back().unwrap();
                    model.retain(|&at, _| at >= newest - span);
                }
                let expected: Vec<_> = model.iter().map(|(&second, &value)| sample(second, value)).collect();
                prop_assert_eq!(window.since(None).collect::<Vec<_>>(), expected);
                let middle = sample(50, 0.0).at;
                let (times, values) = window.columns_from(middle);
                let later: Vec<Sample> = window.since(None).filter(|sample| sample.at >= middle).collect();
                let ms = |sample: &Sample| u64::try_from(sample.at.as_millisecond()).unwrap();
                prop_assert_eq!(times, later.iter().map(ms).collect::<Arc<[_]>>());
                prop_assert_eq!(values, later.iter().map(|sample| sample.value).collect::<Arc<[_]>>());
            }
        }
    }

    #[test]
    fn it_never_holds_more_than_it_may() {
        let mut window = Window::new(SignedDuration::from_secs(1000));
        for second in 0..10 {
            window.insert(sample(second, 1.0), 3, Timestamp::MIN);
        }
        let held: Vec<_> = window.since(None).collect();
        assert_eq!(held, [sample(7, 1.0), sample(8, 1.0), sample(9, 1.0)]);
        assert_eq!(window.since(Some(sample(8, 0.0).at)).count(), 1);
        assert_eq!(
            window.columns_from(sample(8, 0.0).at),
            ([1_438_089_358_000, 1_438_089_359_000].into(), [1.0; 2].into())
        );
    }

    #[test]
    fn what_is_to_be_kept_stays_until_it_is_trimmed_in_whatever_order_it_came() {
        let mut window = Window::new(SignedDuration::from_secs(10));
        let keep_after = sample(0, 0.0).at;
        for second in [30, 5, 0, 20] {
            window.insert(sample(second, 1.0), usize::MAX, keep_after);
        }
        let seconds = |window: &Window| {
            window.since(None).map(|sample| sample.at.as_second() - 1_438_089_350).collect::<Vec<_>>()
        };
        assert_eq!(seconds(&window), [5, 20, 30]);
        window.trim();
        assert_eq!(seconds(&window), [20, 30]);
    }
}
