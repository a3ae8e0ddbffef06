//! The one place that reads the time of day. Everything else is given a [`Clock`] or a timestamp.
//!
//! Waiting is done with `tokio::time`, which tests and the simulator pause.

use jiff::Timestamp;

/// A source of the time of day.
pub trait Clock: Send + Sync {
    /// The time now, UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
