//! How a service bears attempts that fail: with growing pauses, and in the end by being degraded.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{BackingOff, Reason};

/// How many attempts to start an instance may fail in a row before the service is degraded.
const ATTEMPTS_MAX: u32 = 4;
/// The pause after the first failed attempt; it doubles with each.
pub(super) const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause between attempts, and the one at which a degraded service below its minimum goes on.
pub(super) const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Failures this far apart have nothing to do with each other.
pub(super) const FAILURES_APART: SignedDuration = SignedDuration::from_mins(5);
/// An instance that lived this long did start, and a degraded service without failures for this long has recovered.
pub(super) const STABLE: SignedDuration = SignedDuration::from_mins(1);

/// The failed attempts of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    failures: u32,
    failed_at: Option<Timestamp>,
    degraded: Option<String>,
}

/// What a failure came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verge {
    /// There will be further attempts soon.
    GoesOn,
    /// The service is degraded, as it was before.
    StillDegraded,
    /// The service has become degraded.
    Degraded,
}

impl Attempts {
    /// How many failed in a row.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The last error, when every attempt failed.
    #[must_use]
    pub fn degraded(&self) -> Option<&str> {
        self.degraded.as_deref()
    }

    /// A new decision is a new chance.
    pub fn begin_anew(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure.
    pub fn failed(&mut self, error: &str, now: Timestamp) -> Verge {
        if self.failed_at.is_some_and(|failed| now.duration_since(failed) > FAILURES_APART) {
            self.failures = 0;
        }
        self.failures += 1;
        self.failed_at = Some(now);
        if self.failures < ATTEMPTS_MAX {
            return Verge::GoesOn;
        }
        match self.degraded.replace(error.to_owned()) {
            Some(_) => Verge::StillDegraded,
            None => Verge::Degraded,
        }
    }

    /// Why it is degraded.
    #[must_use]
    pub fn reason(&self) -> Reason {
        let error = self.degraded.clone().unwrap_or_default();
        Reason::GaveUp { attempts: self.failures, error }
    }

    /// Whether a degraded service, all of whose instances are up, has recovered; it is not degraded then any more.
    pub fn recovered(&mut self, all_up: bool, now: Timestamp) -> bool {
        let calm = self.failed_at.is_none_or(|failed| now.duration_since(failed) > STABLE);
        let recovered = self.degraded.is_some() && calm && all_up;
        if recovered {
            self.degraded = None;
        }
        recovered
    }

    /// What the next attempt waits for; `None`: nothing.
    #[must_use]
    pub fn backing_off(&self) -> Option<BackingOff> {
        let pause = match self.failures {
            0 => return None,
            failures if failures >= ATTEMPTS_MAX => PAUSE_MAX,
            failures => PAUSE_MIN * (1 << (failures - 1)),
        };
        let pause = SignedDuration::try_from(pause).unwrap_or(STABLE);
        Some(BackingOff { attempts: self.failures, pause })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn pauses_grow_until_the_service_is_degraded_and_it_recovers_when_calm() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.backing_off(), None);
        let mut seen = Vec::new();
        for second in 0..5 {
            let verge = attempts.failed("no", at(second));
            seen.push((verge, attempts.backing_off().unwrap().pause.as_secs()));
        }
        let goes_on = [1, 2, 4].map(|pause| (Verge::GoesOn, pause));
        assert_eq!(seen[..3], goes_on);
        assert_eq!(seen[3..], [(Verge::Degraded, 60), (Verge::StillDegraded, 60)]);
        assert_eq!(attempts.reason().to_string(), "gave up after 5 failed attempts: no");
        assert!(!attempts.recovered(true, at(64)), "too soon");
        assert!(!attempts.recovered(false, at(65)), "not all are up");
        assert!(attempts.recovered(true, at(65)));
        assert!(!attempts.recovered(true, at(66)), "once");
    }

    #[test]
    fn failures_far_apart_have_nothing_to_do_with_each_other() {
        let mut attempts = Attempts::default();
        for second in [0, 301, 602] {
            attempts.failed("no", at(second));
        }
        assert_eq!(attempts.failures(), 1);
    }
}
