//! How processes and units end, and what systemd makes of it: clean or not, and whether the unit is started again.

use serde::{Deserialize, Serialize};

use super::signals;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// Why a unit ended; systemd's `Result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// Cleanly.
    Success,
    /// A process ended with an unclean status, or could not be executed.
    ExitCode,
    /// A process was killed.
    Signal,
    /// Something took too long.
    Timeout,
    /// Something that it needs is not there.
    Resources,
    /// It was started too often.
    StartLimitHit,
}

/// What may end cleanly in which ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// `ExecStart`: the signals with which daemons are ended are clean too.
    Main,
    /// Every other command.
    Control,
}

/// Exit statuses and signals, as `SuccessExitStatus` lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ExitSet(Vec<Exit>);

/// `Restart`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Restart {
    /// Never.
    #[default]
    No,
    /// Whatever happened.
    Always,
    /// When it ended cleanly.
    OnSuccess,
    /// When it did not.
    OnFailure,
    /// When it was killed or took too long.
    OnAbnormal,
    /// When it was killed.
    OnAbort,
    /// When its watchdog barked; there is none here, so never.
    OnWatchdog,
}

impl Exit {
    /// What to say of the process.
    pub(super) fn words(self) -> String {
        match self {
            Self::Code(code) => format!("exited with status {code}"),
            Self::Signal(number) => format!("was killed by SIG{}", signals::name(number)),
        }
    }

    /// What it means for the unit.
    pub(super) fn outcome(self, role: Role, also_clean: &ExitSet) -> Outcome {
        let clean_signals = ["HUP", "INT", "TERM", "PIPE"];
        match self {
            _ if also_clean.contains(self) => Outcome::Success,
            Self::Code(0) => Outcome::Success,
            Self::Code(_) => Outcome::ExitCode,
            Self::Signal(number)
                if role == Role::Main && clean_signals.contains(&signals::name(number).as_str()) =>
            {
                Outcome::Success
            }
            Self::Signal(_) => Outcome::Signal,
        }
    }
}

impl Outcome {
    /// systemd's word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::ExitCode => "exit-code",
            Self::Signal => "signal",
            Self::Timeout => "timeout",
            Self::Resources => "resources",
            Self::StartLimitHit => "start-limit-hit",
        }
    }

    /// The first thing that went wrong counts.
    pub(super) fn or(self, later: Self) -> Self {
        if self == Self::Success { later } else { self }
    }
}

impl Restart {
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "no" => Self::No,
            "always" => Self::Always,
            "on-success" => Self::OnSuccess,
            "on-failure" => Self::OnFailure,
            "on-abnormal" => Self::OnAbnormal,
            "on-abort" => Self::OnAbort,
            "on-watchdog" => Self::OnWatchdog,
            _ => return None,
        })
    }

    /// Whether a unit that ended like this is started again.
    pub(super) fn applies(self, outcome: Outcome) -> bool {
        match self {
            Self::No | Self::OnWatchdog => false,
            Self::Always => true,
            Self::OnSuccess => outcome == Outcome::Success,
            Self::OnFailure => outcome != Outcome::Success,
            Self::OnAbnormal => !matches!(outcome, Outcome::Success | Outcome::ExitCode),
            Self::OnAbort => outcome == Outcome::Signal,
        }
    }
}

impl ExitSet {
    /// Adds a status from 0 to 255 or a signal; false when the text is neither.
    pub(super) fn add(&mut self, text: &str) -> bool {
        let exit = match text.parse::<u8>() {
            Ok(code) => Some(Exit::Code(code.into())),
            Err(_) => signals::parse(text).map(|signal| Exit::Signal(signal.as_raw())),
        };
        self.0.extend(exit);
        exit.is_some()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn contains(&self, exit: Exit) -> bool {
        self.0.contains(&exit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_may_be_ended_by_signals_and_a_command_may_not() {
        let none = ExitSet::default();
        for (exit, main, control) in [
            (Exit::Code(0), Outcome::Success, Outcome::Success),
            (Exit::Code(1), Outcome::ExitCode, Outcome::ExitCode),
            (Exit::Code(143), Outcome::ExitCode, Outcome::ExitCode),
            (Exit::Signal(15), Outcome::Success, Outcome::Signal),
            (Exit::Signal(1), Outcome::Success, Outcome::Signal),
            (Exit::Signal(9), Outcome::Signal, Outcome::Signal),
            (Exit::Signal(11), Outcome::Signal, Outcome::Signal),
        ] {
            assert_eq!(exit.outcome(Role::Main, &none), main, "{exit:?}");
            assert_eq!(exit.outcome(Role::Control, &none), control, "{exit:?}");
        }
    }

    #[test]
    fn more_can_be_called_clean() {
        let mut set = ExitSet::default();
        assert!(set.add("143") && set.add("SIGKILL") && !set.add("256") && !set.add("nope"));
        assert_eq!(Exit::Code(143).outcome(Role::Main, &set), Outcome::Success);
        assert_eq!(Exit::Signal(9).outcome(Role::Main, &set), Outcome::Success);
        assert_eq!(Exit::Code(9).outcome(Role::Main, &set), Outcome::ExitCode);
    }

    #[test]
    fn each_setting_of_restart_has_its_row_in_the_manual() {
        let outcomes = [Outcome::Success, Outcome::ExitCode, Outcome::Signal, Outcome::Timeout];
        for (word, expected) in [
            ("no", [false, false, false, false]),
            ("always", [true, true, true, true]),
            ("on-success", [true, false, false, false]),
            ("on-failure", [false, true, true, true]),
            ("on-abnormal", [false, false, true, true]),
            ("on-abort", [false, false, true, false]),
            ("on-watchdog", [false, false, false, false]),
        ] {
            let restart = Restart::parse(word).unwrap();
            assert_eq!(outcomes.map(|outcome| restart.applies(outcome)), expected, "{word}");
        }
        assert_eq!(Restart::parse("sometimes"), None);
    }
}
