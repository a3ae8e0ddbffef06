//! The largest or smallest number of the last while, for policies that do not follow every turn.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// How many numbers are kept: far more than a service has instances, as only those that still can count are kept.
const KEPT_MAX: usize = 700;

/// The numbers of the last while, for a policy's state: either [`highest`](Self::highest) or [`lowest`](Self::lowest) is
/// asked of it, always the same.
///
/// Scaling down only to the highest number of instances that was wanted in the last minutes is what the HPA calls a
/// stabilization window. The JSON takes at most 20 kB.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Recent {
    /// `(time, number)`, oldest first: each younger one lies behind the older ones, and will count when they are gone.
    kept: Vec<(Timestamp, u32)>,
}

impl Recent {
    /// Adds a number if there is none yet: what there is when the first decision is made. Without it that one would see
    /// nothing but itself. The HPA does the same.
    pub fn begin(&mut self, now: Timestamp, number: u32) {
        if self.kept.is_empty() {
            self.kept.push((now, number));
        }
    }

    /// Adds a number, and returns the largest of those younger than `span`, the new one among them.
    pub fn highest(&mut self, now: Timestamp, number: u32, span: Duration) -> u32 {
        self.add(now, number, span, |kept| kept > number)
    }

    /// Adds a number, and returns the smallest of those younger than `span`, the new one among them.
    pub fn lowest(&mut self, now: Timestamp, number: u32, span: Duration) -> u32 {
        self.add(now, number, span, |kept| kept < number)
    }

    fn add(
        &mut self,
        now: Timestamp,
        number: u32,
        span: Duration,
        still_counts: impl Fn(u32) -> bool,
    ) -> u32 {
        let young = |at: Timestamp| at <= now && u128::from(now - at) < span.as_millis();
        self.kept.retain(|&(at, kept)| young(at) && still_counts(kept));
        self.kept.push((now, number));
        if self.kept.len() > KEPT_MAX {
            // The oldest counts now; the one after it would only later, and not much differently than the next.
            self.kept.remove(1);
        }
        self.kept[0].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seconds: u64, steps: &[(u64, u32)], add: fn(&mut Recent, u64, u32, Duration) -> u32) -> Vec<u32> {
        let mut recent = Recent::default();
        let span = Duration::from_secs(seconds);
        steps.iter().map(|&(second, number)| add(&mut recent, second * 1_000, number, span)).collect()
    }

    #[test]
    fn what_there_was_counts_at_the_first_decision() {
        let mut recent = Recent::default();
        let span = Duration::from_mins(1);
        let mut highest = |second: u64, count, number| {
            recent.begin(second * 1_000, count);
            recent.highest(second * 1_000, number, span)
        };
        assert_eq!(highest(0, 5, 1), 5);
        assert_eq!(highest(30, 5, 1), 5);
        assert_eq!(highest(60, 5, 1), 1, "it wanted one for a minute");
        assert_eq!(highest(200, 4, 1), 1);
    }

    #[test]
    fn the_largest_of_the_span_counts() {
        let steps = [(0, 8), (100, 4), (299, 5), (300, 4), (400, 3), (600, 3)];
        assert_eq!(run(300, &steps, Recent::highest), [8, 8, 8, 5, 5, 3]);
        assert_eq!(run(0, &steps, Recent::highest), [8, 4, 5, 4, 3, 3]);
    }

    #[test]
    fn the_smallest_of_the_span_counts() {
        let steps = [(0, 12), (30, 20), (59, 15), (60, 20), (119, 30)];
        assert_eq!(run(60, &steps, Recent::lowest), [12, 12, 12, 15, 20]);
    }

    #[test]
    fn little_is_kept() {
        let mut recent = Recent::default();
        for second in 0..3_000 {
            recent.highest(second * 1_000, u32::MAX - u32::try_from(second).unwrap(), Duration::MAX);
        }
        assert_eq!((recent.kept.len(), recent.kept[0].1), (KEPT_MAX, u32::MAX));
        assert!(serde_json::to_vec(&recent).unwrap().len() < 20_480);
    }
}
