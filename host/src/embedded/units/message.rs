//! What Dynamite and the supervisor of a unit tell each other, and what is written down about a unit.
//!
//! A supervisor may be of an older version than the Dynamite that finds it. So nothing here is taken out or renamed, and
//! what is unknown is skipped.

use dynamite_units::UnitOption;
use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::outcome::Outcome;
use crate::embedded::fleet::SystemdState;

/// The one order that a supervisor takes, a line by itself.
pub(super) const STOP: &str = "stop\n";

/// What fleet wants of a unit. It is written before anything is done about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    /// What is to become of it.
    pub(super) wanted: Wanted,
    /// How it is started.
    pub(super) start: Start,
}

/// What is to become of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Wanted {
    /// It was started, once.
    Launched,
    /// It is stopped.
    Loaded,
    /// It is stopped and forgotten.
    Gone,
}

/// One start of a unit, with all that it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Start {
    /// Who it is.
    pub(super) identity: Identity,
    /// fleet's hash of its options.
    pub(super) hash: String,
    /// Its options.
    pub(super) options: Vec<UnitOption>,
    /// The ID of this start, 32 hexadecimal digits; every process of the unit has it in its environment.
    pub(super) invocation: String,
    /// The time between two starts of the machine, or of the container, in which it was ordered, and the folder.
    pub(super) era: String,
}

/// How a unit is, as its supervisor keeps it in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Status {
    /// Which start this is about.
    pub(super) invocation: String,
    /// Where it is.
    pub(super) stage: Stage,
    /// How it went so far.
    pub(super) outcome: Outcome,
    /// The main process, while there is one.
    pub(super) main_pid: Option<i32>,
    /// Whether the supervisor is done, so that nothing will change.
    pub(super) ended: bool,
}

/// systemd's states of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// About to start.
    Start,
    /// In `ExecStartPre`.
    StartPre,
    /// In `ExecStartPost`.
    StartPost,
    /// Up.
    Running,
    /// Up without a process.
    Exited,
    /// In `ExecStop`.
    Stop,
    /// Told to end.
    StopSigterm,
    /// Killed.
    StopSigkill,
    /// In `ExecStopPost`.
    StopPost,
    /// What is left is told to end.
    FinalSigterm,
    /// What is left is killed.
    FinalSigkill,
    /// Waiting for a restart.
    AutoRestart,
    /// Down.
    Dead,
    /// Down, and not as it should be.
    Failed,
}

/// What a supervisor tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Report {
    /// How the unit is now.
    Status(Status),
    /// A line of its output.
    Line(String),
    /// So many lines of output were left out here.
    Dropped(u64),
    /// Something that happened to the unit.
    Note(Level, String),
}

/// How important a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// It will not be tried again.
    Error,
    /// It went wrong.
    Warn,
    /// It was done.
    Info,
    /// It went as it should.
    Debug,
}

impl Stage {
    /// systemd's words.
    pub(super) fn state(self) -> SystemdState {
        let (active, sub) = match self {
            Self::Start => ("activating", "start"),
            Self::StartPre => ("activating", "start-pre"),
            Self::StartPost => ("activating", "start-post"),
            Self::Running => ("active", "running"),
            Self::Exited => ("active", "exited"),
            Self::Stop => ("deactivating", "stop"),
            Self::StopSigterm => ("deactivating", "stop-sigterm"),
            Self::StopSigkill => ("deactivating", "stop-sigkill"),
            Self::StopPost => ("deactivating", "stop-post"),
            Self::FinalSigterm => ("deactivating", "final-sigterm"),
            Self::FinalSigkill => ("deactivating", "final-sigkill"),
            Self::AutoRestart => ("activating", "auto-restart"),
            Self::Dead => ("inactive", "dead"),
            Self::Failed => ("failed", "failed"),
        };
        SystemdState { load: "loaded", active, sub }
    }
}
