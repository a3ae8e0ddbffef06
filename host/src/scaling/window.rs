//! Samples, and the window of them that a series keeps.

use std::collections::VecDeque;

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
#[derive(Clone, Debug)]
pub struct Window {
    span: SignedDuration,
    samples: VecDeque<Sample>,
}

impl Window {
    /// An empty window over `span`. With a span of zero it holds the newest sample alone.
    #[must_use]
    pub fn new(span: SignedDuration) -> Self {
        Self { span, samples: VecDeque::new() }
    }

    /// Adds a sample at the place its time gives it, and drops what is now older than the span, or more than
    /// `samples_max`. False, and nothing is added, when there is one of that time or it is older than the span.
    pub fn insert(&mut self, sample: Sample, samples_max: usize) -> bool {
        if self.oldest_wanted().is_some_and(|oldest| sample.at < oldest) {
            return false;
        }
        let place = self.samples.partition_point(|present| present.at < sample.at);
        if self.samples.get(place).is_some_and(|present| present.at == sample.at) {
            return false;
        }
        self.samples.insert(place, sample);
        let oldest = self.oldest_wanted();
        while self.samples.front().is_some_and(|first| Some(first.at) < oldest)
            || self.samples.len() > samples_max
        {
            self.samples.pop_front();
        }
        true
    }

    /// Keeps samples over another span from now on.
    pub fn set_span(&mut self, span: SignedDuration) {
        self.span = span;
        let oldest = self.oldest_wanted();
        while self.samples.front().is_some_and(|first| Some(first.at) < oldest) {
            self.samples.pop_front();
        }
    }

    /// The newest sample.
    #[must_use]
    pub fn newest(&self) -> Option<Sample> {
        self.samples.back().copied()
    }

    /// The oldest sample.
    #[must_use]
    pub fn oldest(&self) -> Option<Sample> {
        self.samples.front().copied()
    }

    /// The time before which no sample is wanted any more: a span before the newest.
    #[must_use]
    pub fn oldest_wanted(&self) -> Option<Timestamp> {
        let newest = self.samples.back()?;
        Some(newest.at.saturating_sub(self.span).unwrap_or(Timestamp::MIN))
    }

    /// The samples newer than `time`, oldest first; all of them for `None`.
    pub fn since(&self, time: Option<Timestamp>) -> impl Iterator<Item = Sample> + '_ {
        let start = time.map_or(0, |time| self.samples.partition_point(|sample| sample.at <= time));
        self.samples.range(start..).copied()
    }

    /// The samples of `oldest` and later, oldest first.
    #[must_use]
    pub fn from(&self, oldest: Timestamp) -> impl ExactSizeIterator<Item = Sample> + '_ {
        let start = self.samples.partition_point(|sample| sample.at < oldest);
        self.samples.range(start..).copied()
    }

    /// How many samples it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
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
                prop_assert_eq!(window.insert(sample(second, value), usize::MAX), wanted);
                if wanted {
                    model.insert(second, value);
                    let newest = *model.keys().next_back().unwrap();
                    model.retain(|&at, _| at >= newest - span);
                }
                let expected: Vec<_> = model.iter().map(|(&second, &value)| sample(second, value)).collect();
                prop_assert_eq!(window.since(None).collect::<Vec<_>>(), expected);
            }
        }
    }

    #[test]
    fn it_never_holds_more_than_it_may() {
        let mut window = Window::new(SignedDuration::from_secs(1000));
        for second in 0..10 {
            window.insert(sample(second, 1.0), 3);
        }
        let held: Vec<_> = window.since(None).collect();
        assert_eq!(held, [sample(7, 1.0), sample(8, 1.0), sample(9, 1.0)]);
        assert_eq!(window.since(Some(sample(8, 0.0).at)).count(), 1);
        assert_eq!(window.from(sample(8, 0.0).at).len(), 2);
    }
}
