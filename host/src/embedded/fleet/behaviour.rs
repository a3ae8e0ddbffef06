//! What stands in for systemd: how a unit behaves once it is started, and how long fleet's own passes take.

use std::time::Duration;

use dynamite_units::UnitOption;

use super::systemd::SystemdState;

/// How long fleet takes for its part. Every duration may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From a change to the pass of the engine that gives units a machine or takes it away.
    pub engine_delay: Duration,
    /// From a change to the pass of the agent that loads, starts, stops and unloads.
    pub agent_delay: Duration,
    /// From one pass of the agent to the next while work is left.
    pub agent_period: Duration,
    /// How often systemd's states are read; what is shorter is missed.
    pub sample_period: Duration,
    /// From the removal of an old version of a unit to the loading of the new one.
    pub replace_gap: Duration,
    /// How long the states of a machine outlive the last time that it published them.
    pub row_ttl: Duration,
    /// How many units a pass removes.
    pub unload: Unload,
}

/// How many units a pass of the agent removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unload {
    /// Every one that is due.
    All,
    /// One a machine: with newer versions of systemd fleet stops its pass after the first removal.
    OnePerPass,
}

impl Timings {
    /// Everything at once.
    #[must_use]
    pub fn instant() -> Self {
        Self {
            engine_delay: Duration::ZERO,
            agent_delay: Duration::ZERO,
            agent_period: Duration::ZERO,
            sample_period: Duration::ZERO,
            replace_gap: Duration::ZERO,
            row_ttl: Duration::ZERO,
            unload: Unload::All,
        }
    }

    /// About what a single idle machine with fleet 1.0 and systemd 252 takes.
    #[must_use]
    pub fn real() -> Self {
        Self {
            engine_delay: Duration::from_secs(1),
            agent_delay: Duration::from_secs(1),
            agent_period: Duration::from_secs(5),
            sample_period: Duration::from_secs(1),
            replace_gap: Duration::from_secs(5),
            row_ttl: Duration::from_secs(30),
            unload: Unload::OnePerPass,
        }
    }
}

/// What a unit does once it is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// How long it is activating.
    pub start: Duration,
    /// What happens then.
    pub life: Life,
    /// How long it is deactivating when it is stopped.
    pub stop: Duration,
}

/// What a unit does when it is done starting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs until it is stopped.
    Runs,
    /// It never comes up.
    Fails,
    /// It runs, then fails.
    Crashes {
        /// How long it runs.
        after: Duration,
    },
    /// It runs, then ends well.
    Finishes {
        /// How long it runs.
        after: Duration,
    },
    /// It ends at once and counts as active, like a oneshot unit with `RemainAfterExit`.
    Exits,
    /// It runs, dies, waits and is restarted by systemd, over and over.
    Restarts {
        /// How long it runs each time.
        up: Duration,
        /// How long it waits each time.
        down: Duration,
    },
    /// systemd refuses it, like a service with nothing to execute.
    BadSetting,
}

/// What was last done to a loaded unit, and when, counted from the start of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing yet.
    Dead,
    /// It was killed.
    Failed,
    /// It was started.
    Started(Duration),
    /// It was stopped while it was up.
    Stopping(Duration),
}

const DEAD: (&str, &str) = ("inactive", "dead");
const FAILED: (&str, &str) = ("failed", "failed");
const RUNNING: (&str, &str) = ("active", "running");

impl Behaviour {
    /// Starts at once, runs for ever, stops at once.
    pub const RUNS: Self = Self::of(Life::Runs);
    /// Fails at once.
    pub const FAILS: Self = Self::of(Life::Fails);

    /// Starts and stops at once and lives like this.
    #[must_use]
    pub const fn of(life: Life) -> Self {
        Self { start: Duration::ZERO, life, stop: Duration::ZERO }
    }

    /// What a unit file lets one expect: no `ExecStart` in a service is refused, `/bin/false` fails, a oneshot that
    /// remains exits, and everything else runs.
    #[must_use]
    pub fn expected(name: &str, options: &[UnitOption]) -> Self {
        let last = |key: &str| {
            let mut found = options.iter().filter(|option| option.section == "Service" && option.name == key);
            found.next_back().map_or("", |option| option.value.as_str())
        };
        let command = last("ExecStart");
        let is_service = name.ends_with(".service");
        Self::of(match command.split_whitespace().next() {
            None if is_service => Life::BadSetting,
            Some("/bin/false" | "/usr/bin/false") => Life::Fails,
            _ if last("Type") == "oneshot" && last("RemainAfterExit") == "yes" => Life::Exits,
            _ if last("Type") == "oneshot" => Life::Finishes { after: Duration::ZERO },
            _ => Life::Runs,
        })
    }

    /// systemd's words at `now` for a unit to which `phase` was the last thing done.
    #[must_use]
    pub fn state(&self, phase: Phase, now: Duration) -> SystemdState {
        let load = if self.life == Life::BadSetting { "bad-setting" } else { "loaded" };
        let (active, sub) = match phase {
            _ if self.life == Life::BadSetting => DEAD,
            Phase::Failed => FAILED,
            Phase::Stopping(at) if now < at + self.stop => ("deactivating", "stop"),
            Phase::Dead | Phase::Stopping(_) => DEAD,
            Phase::Started(at) => match now.saturating_sub(at).checked_sub(self.start) {
                None => ("activating", "start-pre"),
                Some(up) => self.life.state(up),
            },
        };
        SystemdState { load, active, sub }
    }
}

impl Life {
    /// The active and sub state this long after the start was done.
    fn state(self, since: Duration) -> (&'static str, &'static str) {
        match self {
            Self::Fails => FAILED,
            Self::Crashes { after } if since >= after => FAILED,
            Self::Finishes { after } if since < after => RUNNING,
            Self::Finishes { .. } | Self::BadSetting => DEAD,
            Self::Exits => ("active", "exited"),
            Self::Restarts { up, down } => {
                let cycle = (up + down).as_nanos().max(1);
                if since.as_nanos() % cycle < up.as_nanos() {
                    RUNNING
                } else {
                    ("activating", "auto-restart")
                }
            }
            Self::Runs | Self::Crashes { .. } => RUNNING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(behaviour: Behaviour, phase: Phase, expected: &[(u64, &str)]) {
        for (second, words) in expected {
            let state = behaviour.state(phase, Duration::from_secs(*second));
            assert_eq!(format!("{} {} {}", state.load, state.active, state.sub), *words, "at {second} s");
        }
    }

    #[test]
    fn a_slow_start_and_a_crash_come_after_each_other() {
        let seconds = Duration::from_secs;
        let behaviour =
            Behaviour { start: seconds(2), life: Life::Crashes { after: seconds(3) }, stop: seconds(4) };
        let started = Phase::Started(seconds(10));
        check(behaviour, Phase::Dead, &[(0, "loaded inactive dead")]);
        check(behaviour, started, &[(10, "loaded activating start-pre"), (12, "loaded active running")]);
        check(behaviour, started, &[(14, "loaded active running"), (15, "loaded failed failed")]);
        check(
            behaviour,
            Phase::Stopping(seconds(20)),
            &[(23, "loaded deactivating stop"), (24, "loaded inactive dead")],
        );
    }

    #[test]
    fn each_life_has_its_words() {
        let one = Duration::from_secs(1);
        let started = Phase::Started(Duration::ZERO);
        for (life, words) in [
            (Life::Runs, "loaded active running"),
            (Life::Fails, "loaded failed failed"),
            (Life::Exits, "loaded active exited"),
            (Life::Finishes { after: one }, "loaded inactive dead"),
            (Life::Restarts { up: one, down: one }, "loaded activating auto-restart"),
            (Life::BadSetting, "bad-setting inactive dead"),
        ] {
            check(Behaviour::of(life), started, &[(1, words)]);
        }
    }
}
