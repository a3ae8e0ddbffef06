//! How often a unit may be started: systemd's start limit.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// So many starts within so long, and no more.
#[derive(Clone, Debug)]
pub(super) struct StartLimit {
    burst: usize,
    interval: Duration,
    starts: VecDeque<Instant>,
}

impl StartLimit {
    /// systemd's default.
    pub(super) const BURST_DEFAULT: usize = 5;
    /// systemd's default.
    pub(super) const INTERVAL_DEFAULT: Duration = Duration::from_secs(10);

    /// A burst or an interval of zero is no limit.
    pub(super) fn new(burst: usize, interval: Duration) -> Self {
        Self { burst, interval, starts: VecDeque::new() }
    }

    /// Counts a start; false when there were too many.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        if self.burst == 0 || self.interval.is_zero() {
            return true;
        }
        while self.starts.front().is_some_and(|start| now.duration_since(*start) >= self.interval) {
            self.starts.pop_front();
        }
        let allowed = self.starts.len() < self.burst;
        if allowed {
            self.starts.push_back(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_allowed_and_the_next_start_waits_for_the_interval() {
        let begin = Instant::now();
        let mut limit = StartLimit::new(2, Duration::from_secs(10));
        let mut allowed = |second| limit.allows(begin + Duration::from_secs(second));
        assert_eq!([0, 1, 2, 9, 10, 10, 11].map(&mut allowed), [true, true, false, false, true, false, true]);
    }

    #[test]
    fn zero_is_no_limit() {
        for mut limit in [StartLimit::new(0, Duration::from_secs(1)), StartLimit::new(1, Duration::ZERO)] {
            let now = Instant::now();
            assert!((0..100).all(|_| limit.allows(now)));
        }
    }
}
