//! How a policy that was asked failed, and what its run took.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How a policy failed. What a policy did before it failed has no effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyError {
    /// In which way.
    pub kind: FailureKind,
    /// In words for the operator.
    pub words: String,
}

/// The ways in which a policy fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// It used up its fuel.
    Fuel,
    /// It did not end in time.
    Time,
    /// It asked for too much memory, or too deep a stack.
    Memory,
    /// It trapped, panicked or ended itself.
    Trap,
    /// It answered with something that cannot be taken, or named instances that there are not.
    Answer,
    /// It answered with an error of its own.
    Refusal,
    /// There is nothing that decides: its module cannot be used.
    Unusable,
    /// Its run was lost with what ran it.
    Lost,
}

impl PolicyError {
    /// A failure of some kind.
    pub fn new(kind: FailureKind, words: impl Into<String>) -> Self {
        Self { kind, words: words.into() }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl std::error::Error for PolicyError {}

/// What a run of a policy took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Work, in units of fuel; the same input always takes the same.
    pub fuel: u64,
    /// Its memory at the end, in bytes.
    pub memory_bytes: usize,
    /// On the clock.
    #[serde(with = "span")]
    pub took: Duration,
}

/// Writes a duration as every other one in events: `PT0.0012S`.
mod span {
    use std::time::Duration;

    use jiff::SignedDuration;
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        SignedDuration::try_from(*duration).map_err(S::Error::custom)?.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from(SignedDuration::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
