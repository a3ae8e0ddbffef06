//! Stabilization: the smallest and the largest number that was wanted over some time.

use dynamite_policy::prelude::*;

/// How many numbers are kept: far more than a service has instances, as only those that still can count are kept.
const KEPT_MAX: usize = 700;

/// What was wanted lately. Only numbers that can still become the smallest or the largest are kept.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Wanted {
    /// For scaling up, `(time, number)`: oldest first, smallest first.
    up: Vec<(Timestamp, u32)>,
    /// For scaling down, `(time, number)`: oldest first, largest first.
    down: Vec<(Timestamp, u32)>,
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
        let smallest = add(&mut self.up, now, wanted, up_seconds, |kept| kept < wanted);
        let largest = add(&mut self.down, now, wanted, down_seconds, |kept| kept > wanted);
        count.max(smallest).min(largest)
    }
}

/// Adds a number in place of those that it makes needless, and returns the oldest that is young enough.
fn add(
    kept: &mut Vec<(Timestamp, u32)>,
    now: Timestamp,
    wanted: u32,
    seconds: u64,
    still_counts: impl Fn(u32) -> bool,
) -> u32 {
    let age_max = seconds.saturating_mul(1_000);
    kept.retain(|&(at, number)| at <= now && now - at < age_max && still_counts(number));
    kept.push((now, wanted));
    if kept.len() > KEPT_MAX {
        // The oldest rules; the one after it is the next to, by which time it will hardly matter.
        kept.remove(1);
    }
    kept[0].1
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
            [8, 8, 8, 5, 5, 3]
        );
    }

    #[test]
    fn up_goes_to_the_smallest_of_the_window() {
        assert_eq!(run((60, 0), &[(0, 12), (30, 20), (59, 15), (60, 20), (119, 30)]), [12, 12, 12, 15, 20]);
    }

    #[test]
    fn a_wish_in_between_holds() {
        assert_eq!(run((60, 60), &[(0, 12), (10, 5), (20, 12)]), [12, 10, 10]);
    }

    #[test]
    fn little_is_kept() {
        let mut wanted = Wanted::default();
        for second in 0..3_000 {
            wanted.stabilize(second * 1_000, 10, 5_000 - u32::try_from(second).unwrap(), (3_600, 3_600));
        }
        assert_eq!((wanted.up.len(), wanted.down.len()), (1, KEPT_MAX));
        assert_eq!(wanted.down[0].1, 5_000);
    }
}
