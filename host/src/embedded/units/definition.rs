//! What a unit file asks for, as far as it can be done here: typed, and beyond it valid.
//!
//! The rules are those of systemd 252 for services. What systemd would refuse is refused, and so is what cannot be done
//! without it but changes what a unit is, such as `Type=forking`; what only tunes is dropped.

mod command;
mod environment;
mod read;
mod span;
mod specifiers;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

pub(super) use command::{Command, Failure, Variables};
pub(super) use environment::{Environment, FILE_BYTES_MAX};
pub(super) use read::read;

use super::limit::StartLimit;
use super::outcome::{ExitSet, Restart};

/// A service.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// `ExecStartPre`.
    pub(super) start_pre: Vec<Command>,
    /// `ExecStart`.
    pub(super) start: Command,
    /// `ExecStartPost`.
    pub(super) start_post: Vec<Command>,
    /// `ExecStop`.
    pub(super) stop: Vec<Command>,
    /// `ExecStopPost`.
    pub(super) stop_post: Vec<Command>,
    /// `Environment`.
    pub(super) environment: Environment,
    /// `EnvironmentFile`.
    pub(super) environment_files: Vec<File>,
    /// `WorkingDirectory`; the root by default.
    pub(super) working_directory: File,
    /// `Restart`.
    pub(super) restart: Restart,
    /// `RestartSec`; `None` is for ever.
    pub(super) restart_pause: Option<Duration>,
    /// `RestartPreventExitStatus`.
    pub(super) restart_prevented_by: ExitSet,
    /// `RestartForceExitStatus`.
    pub(super) restart_forced_by: ExitSet,
    /// `SuccessExitStatus`.
    pub(super) also_clean: ExitSet,
    /// `StartLimitIntervalSec` and `StartLimitBurst`.
    pub(super) start_limit: StartLimit,
    /// `TimeoutStartSec`, of each command; `None` is for ever.
    pub(super) start_timeout: Option<Duration>,
    /// `TimeoutStopSec`, of each command and each signal; `None` is for ever.
    pub(super) stop_timeout: Option<Duration>,
    /// `KillSignal`.
    pub(super) kill_signal: Signal,
    /// `KillMode`.
    pub(super) kill_mode: KillMode,
    /// `RemainAfterExit`.
    pub(super) after_exit: AfterExit,
}

/// A file or folder that may have to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    /// An absolute path.
    pub(super) path: PathBuf,
    /// What it means if it is not there.
    pub(super) absence: Failure,
}

/// Who is sent `KillSignal`; in the end all are killed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum KillMode {
    /// Every process of the unit.
    #[default]
    All,
    /// Only the main process.
    Mixed,
}

/// What a unit is once its main process has ended cleanly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum AfterExit {
    /// Inactive.
    #[default]
    Stops,
    /// Still active.
    Remains,
}

#[cfg(test)]
mod tests;
