//! Why a service is decided about, and how decisions and their actions are told apart.

use serde::{Deserialize, Serialize};

use super::{Loss, ServiceId, Slot, Vote};

/// Tells decisions apart, over all terms of leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DecisionId {
    /// The term in which it was made: when it began, in milliseconds since 1970.
    pub term: i64,
    /// Which of that term, from 1.
    pub number: u64,
}

/// Tells actions apart: which action of which decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ActionId {
    /// The decision.
    pub decision: DecisionId,
    /// Which of its actions, from 0.
    pub index: usize,
}

/// Why a service is looked at. A decision has exactly one cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A policy said something.
    Vote(Vote),
    /// There may be something to fill up or to shrink: at the start, after an action, after the bounds changed.
    Review,
    /// An instance was lost.
    Lost {
        /// Which.
        slot: Slot,
        /// How.
        loss: Loss,
    },
    /// Units that are attached to an instance that is well were lost.
    AttachedLost {
        /// Which instance.
        slot: Slot,
        /// Which units, and how.
        units: Vec<(String, Loss)>,
    },
    /// A former run left an instance, or had begun something with it.
    Left {
        /// Which.
        slot: Slot,
        /// What is known of it.
        found: Found,
    },
    /// A former run left an instance that the specification does not know any more.
    Unknown {
        /// Its unit.
        unit: String,
    },
    /// Somebody told Dynamite to.
    Command(Command),
}

/// What is known of an instance that a former run left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It was being removed.
    Stopping,
    /// It was being started, and is not recorded yet.
    Starting,
    /// It is recorded and lost.
    Lost(Loss),
    /// It is recorded and not certain to be well, or was being started once more.
    Doubtful,
}

/// What somebody may tell Dynamite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// To have so many instances of a service, within its bounds.
    Scale {
        /// The service.
        service: ServiceId,
        /// How many.
        to: u32,
    },
}
