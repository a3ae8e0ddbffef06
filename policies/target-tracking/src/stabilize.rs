//! Stabilization: the smallest and the largest number that was wanted over some time.

use dynamite_policy::prelude::*;

/// What was wanted lately.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Wanted {
    up: Recent,
    down: Recent,
}

impl Wanted {
    /// Adds what is wanted now, and says what it comes to: `count` moves up only to the smallest number of the time for
    /// `up_seconds`, and down only to the largest of the time for `down_seconds`.
    pub(crate) fn stabilize(
        &mut self,
        now: Timestamp,
        count: u32,
        wanted: u32,
        (up_seconds, down_seconds): (u64, u64),
    ) -> u32 {
        self.up.begin(now, count);
        self.down.begin(now, count);
        let smallest = self.up.lowest(now, wanted, Duration::from_secs(up_seconds));
        let largest = self.down.highest(now, wanted, Duration::from_secs(down_seconds));
        count.max(smallest).min(largest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `(second, wanted)` with 10 instances throughout.
    fn run(windows: (u64, u64), steps: &[(u64, u32)]) -> Vec<u32> {
        let mut wanted = Wanted::default();
        steps.iter().map(|&(second, number)| wanted.stabilize(second * 1_000, 10, number, windows)).collect()
    }

    #[test]
    fn without_a_window_the_newest_counts() {
        assert_eq!(run((0, 0), &[(0, 12), (0, 5), (1, 15)]), [12, 5, 15]);
    }

    #[test]
    fn down_goes_to_the_largest_of_the_window() {
        assert_eq!(
            run((0, 300), &[(0, 8), (100, 4), (299, 5), (300, 4), (400, 3), (600, 3)]),
            [10, 10, 10, 5, 5, 3]
        );
    }

    #[test]
    fn up_goes_to_the_smallest_of_the_window() {
        assert_eq!(run((60, 0), &[(0, 12), (30, 20), (59, 15), (60, 20), (119, 30)]), [10, 10, 10, 15, 20]);
    }

    #[test]
    fn a_wish_in_between_holds() {
        assert_eq!(run((60, 60), &[(0, 12), (10, 5), (20, 12)]), [10, 10, 10]);
    }
}
