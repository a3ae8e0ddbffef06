//! The samples of all series of a window together.

use crate::samples::{mean, mean_of, percentile};
use crate::{Sample, Samples, Series, Timestamp};

/// A stretch of every series of a window. Series without samples in it are left out.
#[derive(Clone, Debug)]
pub struct View<'a> {
    series: Vec<(&'a Series, Samples<'a>)>,
}

impl<'a> View<'a> {
    pub(crate) fn new(series: impl Iterator<Item = (&'a Series, Samples<'a>)>) -> Self {
        Self { series: series.filter(|(_, samples)| !samples.is_empty()).collect() }
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.series.iter().map(|(_, samples)| samples.len()).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Every series with its samples, by id.
    #[must_use]
    pub fn each(
        &self,
    ) -> impl DoubleEndedIterator<Item = (&'a Series, Samples<'a>)> + ExactSizeIterator + '_ {
        self.series.iter().copied()
    }

    /// The series whose newest sample is of `at` or later.
    #[must_use]
    pub fn fresh(&self, at: Timestamp) -> Self {
        let fresh = |samples: Samples<'_>| samples.latest().is_some_and(|newest| newest.at >= at);
        Self::new(self.each().filter(|&(_, samples)| fresh(samples)))
    }

    /// The samples at `at` or later.
    #[must_use]
    pub fn since(&self, at: Timestamp) -> Self {
        Self::new(self.each().map(|(series, samples)| (series, samples.since(at))))
    }

    /// The newest sample of each series.
    #[must_use]
    pub fn newest(&self) -> Self {
        Self::new(self.each().map(|(series, samples)| (series, samples.newest())))
    }

    /// A statistic of each series that has it, such as `view.of_each(Samples::mean)`.
    #[must_use]
    pub fn of_each(&self, statistic: impl Fn(Samples<'a>) -> Option<f64>) -> Vec<f64> {
        self.series.iter().filter_map(|&(_, samples)| statistic(samples)).collect()
    }

    /// The sum over all series of a statistic of each.
    #[must_use]
    pub fn sum_of(&self, statistic: impl Fn(Samples<'a>) -> Option<f64>) -> Option<f64> {
        let each = self.of_each(statistic);
        Some(each.iter().sum::<f64>()).filter(|sum| sum.is_finite() && !each.is_empty())
    }

    /// The mean over all series of a statistic of each: a series counts once, however many samples it has.
    #[must_use]
    pub fn mean_of(&self, statistic: impl Fn(Samples<'a>) -> Option<f64>) -> Option<f64> {
        mean(&self.of_each(statistic))
    }

    fn values(&self) -> impl Iterator<Item = f64> + Clone {
        self.series.iter().flat_map(|(_, samples)| samples.values()).copied()
    }

    /// All samples in the order of their time, as if they were of one series.
    #[must_use]
    pub fn pool(&self) -> Pool {
        Pool::new(self.series.iter().flat_map(|(_, samples)| samples.iter()).collect())
    }

    /// The newest sample of all.
    #[must_use]
    pub fn latest(&self) -> Option<Sample> {
        self.series.iter().filter_map(|(_, samples)| samples.latest()).max_by_key(|sample| sample.at)
    }

    /// The mean of all samples.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        mean_of(self.values())
    }

    /// The smallest value.
    #[must_use]
    pub fn min(&self) -> Option<f64> {
        self.of_each(Samples::min).into_iter().min_by(f64::total_cmp)
    }

    /// The largest value.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        self.of_each(Samples::max).into_iter().max_by(f64::total_cmp)
    }

    /// The value below which `percent` of all values lie.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let values: Vec<f64> = self.values().collect();
        percentile(values, percent)
    }

    /// How much the counters grow in a second, all together.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        self.sum_of(Samples::rate)
    }

    /// How much the values rise in a second, by least squares over all samples.
    #[must_use]
    pub fn slope(&self) -> Option<f64> {
        self.pool().samples().slope()
    }

    /// The mean [coverage](Samples::coverage) of the series; 0 if there are none.
    #[must_use]
    pub fn coverage(&self, from: Timestamp, to: Timestamp) -> f64 {
        self.mean_of(|samples| Some(samples.coverage(from, to))).unwrap_or(0.0)
    }
}

/// Samples that are not of one series, such as those of several, in the order of their time.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    at: Vec<Timestamp>,
    values: Vec<f64>,
}

impl Pool {
    /// Of samples in any order.
    #[must_use]
    pub fn new(mut samples: Vec<Sample>) -> Self {
        samples.sort_by_key(|sample| sample.at);
        Self {
            at: samples.iter().map(|sample| sample.at).collect(),
            values: samples.iter().map(|sample| sample.value).collect(),
        }
    }

    /// They.
    #[must_use]
    pub fn samples(&self) -> Samples<'_> {
        Samples::new(&self.at, &self.values)
    }
}

#[cfg(test)]
mod tests;
