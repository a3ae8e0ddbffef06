//! A straight line through samples.

use std::time::Duration;

use crate::samples::{finite, mean};
use crate::{Samples, Timestamp};

/// A straight line: a value at a time, and how much it rises in a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// A time.
    pub at: Timestamp,
    /// The value then.
    pub value: f64,
    /// The rise in a second.
    pub slope: f64,
}

impl Line {
    /// The line with the least sum of squared distances; none if all samples have one time.
    pub(crate) fn through(samples: Samples<'_>) -> Option<Self> {
        let start = samples.first()?.at;
        let end = samples.latest()?.at;
        let seconds: Vec<f64> = samples.iter().map(|sample| seconds_between(start, sample.at)).collect();
        let middle = mean(&seconds)?;
        let level = mean(samples.values())?;
        let mut spread = 0.0;
        let mut together = 0.0;
        for (second, value) in seconds.iter().zip(samples.values()) {
            spread += (second - middle) * (second - middle);
            together += (second - middle) * (value - level);
        }
        let slope = finite(together / spread)?;
        let value = finite(level + slope * (seconds_between(start, end) - middle))?;
        Some(Self { at: end, value, slope })
    }

    /// The value that it has at `at`; infinite if that is too large for a number.
    #[must_use]
    pub fn value_at(self, at: Timestamp) -> f64 {
        self.value + self.slope * seconds_between(self.at, at)
    }
}

/// Negative if `to` is the earlier of the two.
fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    let distance = Duration::from_millis(from.abs_diff(to)).as_secs_f64();
    if to < from { -distance } else { distance }
}
