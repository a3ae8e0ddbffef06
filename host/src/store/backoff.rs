//! Waiting between attempts to reach a server that does not answer, with jitter so that clients do not march in step.

use std::time::Duration;

use super::Error;
use crate::engine::Chain;

/// The first wait: long enough for a restarting etcd not to be hammered, too short for people to notice.
const WAIT_MIN: Duration = Duration::from_millis(50);
/// The longest wait: what an operator accepts between etcd's return and ours.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How long to wait after the next failure.
#[derive(Debug)]
pub(super) struct Backoff {
    wait: Duration,
    /// The last attempt failed.
    is_away: bool,
    rng: fastrand::Rng,
}

impl Backoff {
    pub(super) fn new(rng: fastrand::Rng) -> Self {
        Self { wait: WAIT_MIN, is_away: false, rng }
    }

    /// The attempt to follow `prefix` went well: the next failure waits for the shortest time again.
    pub(super) fn followed(&mut self, prefix: &str) {
        self.wait = WAIT_MIN;
        if std::mem::replace(&mut self.is_away, false) {
            tracing::info!(prefix, "following etcd works again");
        }
    }

    /// Following `prefix` was interrupted: says so once, until it works again.
    pub(super) fn interrupted(&mut self, error: &Error, prefix: &str) {
        if !std::mem::replace(&mut self.is_away, true) {
            tracing::warn!(error = %Chain(error), prefix, "following etcd was interrupted; trying again");
        }
    }

    /// The time to wait now, between half and all of a bound that doubles up to [`WAIT_MAX`].
    fn next(&mut self) -> Duration {
        let wait = self.wait.mul_f64(0.5 + self.rng.f64() / 2.0);
        self.wait = (self.wait * 2).min(WAIT_MAX);
        wait
    }

    /// Waits.
    pub(super) async fn pause(&mut self) {
        tokio::time::sleep(self.next()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_start_over_after_a_success() {
        let mut backoff = Backoff::new(fastrand::Rng::with_seed(1));
        assert!(backoff.next() <= WAIT_MIN);
        for _ in 0..20 {
            assert!(backoff.next() <= WAIT_MAX);
        }
        assert!(backoff.next() >= WAIT_MAX / 2);
        backoff.followed("/p");
        assert!(backoff.next() <= WAIT_MIN);
    }
}
