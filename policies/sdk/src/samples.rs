//! A stretch of samples of one series, and statistics of it.

use std::time::Duration;

use crate::{Line, Timestamp};

/// One measured value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured; finite.
    pub value: f64,
}

/// Samples in the order of their time, borrowed from a series. Cheap to copy.
///
/// A statistic is `None` when there are too few samples for it, or when it is too large for a number.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Samples<'a> {
    at: &'a [Timestamp],
    values: &'a [f64],
}

impl<'a> Samples<'a> {
    /// Of two columns; what one of them has more than the other is left out.
    pub(crate) fn new(at: &'a [Timestamp], values: &'a [f64]) -> Self {
        let length = at.len().min(values.len());
        Self { at: &at[..length], values: &values[..length] }
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.values.is_empty()
    }

    /// Their values, oldest first.
    #[must_use]
    pub fn values(self) -> &'a [f64] {
        self.values
    }

    /// They, oldest first.
    #[must_use]
    pub fn iter(self) -> impl DoubleEndedIterator<Item = Sample> + ExactSizeIterator + 'a {
        self.at.iter().zip(self.values).map(|(&at, &value)| Sample { at, value })
    }

    /// Those at `at` or later.
    #[must_use]
    pub fn since(self, at: Timestamp) -> Self {
        let start = self.at.partition_point(|&time| time < at);
        Self { at: &self.at[start..], values: &self.values[start..] }
    }

    /// Those later than `at`.
    #[must_use]
    pub fn after(self, at: Timestamp) -> Self {
        let start = self.at.partition_point(|&time| time <= at);
        Self { at: &self.at[start..], values: &self.values[start..] }
    }

    /// Those earlier than `at`.
    #[must_use]
    pub fn before(self, at: Timestamp) -> Self {
        let end = self.at.partition_point(|&time| time < at);
        Self { at: &self.at[..end], values: &self.values[..end] }
    }

    /// The newest alone.
    #[must_use]
    pub fn newest(self) -> Self {
        let start = self.len().saturating_sub(1);
        Self { at: &self.at[start..], values: &self.values[start..] }
    }

    /// The oldest.
    #[must_use]
    pub fn first(self) -> Option<Sample> {
        self.iter().next()
    }

    /// The newest.
    #[must_use]
    pub fn latest(self) -> Option<Sample> {
        self.iter().next_back()
    }

    /// The time from the oldest to the newest.
    #[must_use]
    pub fn span(self) -> Duration {
        let ends = self.first().zip(self.latest());
        ends.map_or(Duration::ZERO, |(first, last)| Duration::from_millis(last.at.saturating_sub(first.at)))
    }

    /// The sum of the values.
    #[must_use]
    pub fn sum(self) -> Option<f64> {
        finite(self.values.iter().sum())
    }

    /// The mean of the values.
    #[must_use]
    pub fn mean(self) -> Option<f64> {
        mean(self.values)
    }

    /// The smallest value.
    #[must_use]
    pub fn min(self) -> Option<f64> {
        self.values.iter().copied().min_by(f64::total_cmp)
    }

    /// The largest value.
    #[must_use]
    pub fn max(self) -> Option<f64> {
        self.values.iter().copied().max_by(f64::total_cmp)
    }

    /// The value below which `percent` of the values lie, with straight lines between neighbours: 50 is the median.
    #[must_use]
    pub fn percentile(self, percent: f64) -> Option<f64> {
        percentile(self.values.to_vec(), percent)
    }

    /// How much a counter grows in a second. A value below the one before means that it began anew at zero.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        let grown: f64 =
            self.values.windows(2).map(|two| if two[1] < two[0] { two[1] } else { two[1] - two[0] }).sum();
        finite(grown / self.span().as_secs_f64()).filter(|_| self.len() > 1)
    }

    /// The line that fits them best, by least squares.
    #[must_use]
    pub fn fit(self) -> Option<Line> {
        Line::through(self)
    }

    /// How much the values rise in a second, by least squares.
    #[must_use]
    pub fn slope(self) -> Option<f64> {
        self.fit().map(|line| line.slope)
    }

    /// The share, from 0 to 1, of the time between `from` and `to` that the samples speak for.
    ///
    /// A sample speaks for the time since the one before, and the newest also for the time after it; in both cases for at
    /// most twice the usual distance, which is the median of all of them. Fewer than two speak for nothing.
    #[must_use]
    pub fn coverage(self, from: Timestamp, to: Timestamp) -> f64 {
        let mut gaps: Vec<u64> = self.at.windows(2).map(|two| two[1].saturating_sub(two[0])).collect();
        gaps.sort_unstable();
        let Some(&median) = gaps.get(gaps.len() / 2) else { return 0.0 };
        let reach = median.saturating_mul(2);
        let spoken_for = |start: u64, end: u64| end.min(to).saturating_sub(start.max(from));
        let since_the_one_before =
            self.at.windows(2).map(|two| spoken_for(two[0].max(two[1].saturating_sub(reach)), two[1]));
        let after_the_newest = self.latest().map(|last| spoken_for(last.at, last.at.saturating_add(reach)));
        let covered: u64 = since_the_one_before.chain(after_the_newest).sum();
        let whole = to.saturating_sub(from).max(1);
        (Duration::from_millis(covered).as_secs_f64() / Duration::from_millis(whole).as_secs_f64()).min(1.0)
    }
}

/// The value below which `percent` of the values lie.
pub(crate) fn percentile(mut values: Vec<f64>, percent: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let place = (percent / 100.0).clamp(0.0, 1.0) * index_to_f64(last);
    let below = (0..last).take_while(|&index| index_to_f64(index + 1) <= place).count();
    let part = place - index_to_f64(below);
    finite(values[below] * (1.0 - part) + values[(below + 1).min(last)] * part)
}

/// The mean of numbers, also of those whose sum is too large for a number; none of none.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    mean_of(values.iter().copied())
}

/// The same of an iterator.
pub(crate) fn mean_of(values: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let (count, sum) = values.clone().fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    let count = Some(index_to_f64(count)).filter(|&count| count > 0.0)?;
    finite(sum / count).or_else(|| finite(values.map(|value| value / count).sum()))
}

pub(crate) fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}

#[expect(clippy::cast_precision_loss, reason = "nobody has 2^52 samples")]
fn index_to_f64(index: usize) -> f64 {
    index as f64
}

#[cfg(test)]
mod tests;
