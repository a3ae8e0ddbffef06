//! What fleet's agents drive: systemd, or whatever stands in for it.

use std::time::Duration;

use dynamite_units::UnitOption;

use super::behaviour::Behaviour;

/// A unit on a machine: its name, and the index of the machine in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The whole name.
    pub unit: &'a str,
    /// The machine.
    pub machine: usize,
}

/// systemd's three words for a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SystemdState {
    /// Whether the file was understood.
    pub load: &'static str,
    /// The coarse state.
    pub active: &'static str,
    /// The fine state.
    pub sub: &'static str,
}

/// What an agent asks of systemd. No call waits: what takes time shows in [`state`](Self::state). `at` is when fleet
/// asked, counted from the start of the server.
pub trait Systemd: Send {
    /// Reads a unit file. A unit that was loaded before is unloaded first.
    fn load(&mut self, at: Duration, place: Place<'_>, hash: &str, options: &[UnitOption]);
    /// Starts a loaded unit. One that is up is left alone.
    fn start(&mut self, at: Duration, place: Place<'_>, hash: &str, options: &[UnitOption]);
    /// Stops a unit if it is up.
    fn stop(&mut self, at: Duration, place: Place<'_>);
    /// Stops a unit if it is up, and forgets it.
    fn unload(&mut self, at: Duration, place: Place<'_>);
    /// What is to be said of a loaded unit.
    fn state(&self, at: Duration, place: Place<'_>) -> SystemdState;

    /// Whether a launched template wedges the machine, as happens to fleet itself. Otherwise it is refused.
    fn is_wedged_by_templates(&self) -> bool {
        false
    }
    /// From the next start on, units whose name matches the pattern behave like this, where nothing is real.
    fn behave(&mut self, _pattern: &str, _behaviour: Behaviour) {}
    /// Makes a unit fail that is up, where nothing is real; false when none is.
    fn crash(&mut self, _at: Duration, _unit: &str) -> bool {
        false
    }
}

/// Keeps what fleet keeps in etcd: its units, and where they are.
pub trait Registry: Send {
    /// Keeps a unit, before anything is done about it.
    fn keep(&mut self, unit: &Kept) -> std::io::Result<()>;
    /// Forgets a unit. One that is not there is a success.
    fn forget(&mut self, name: &str) -> std::io::Result<()>;
}

/// A registry that forgets everything with the server.
#[derive(Clone, Copy, Debug)]
pub struct Forgetful;

impl Registry for Forgetful {
    fn keep(&mut self, _: &Kept) -> std::io::Result<()> {
        Ok(())
    }

    fn forget(&mut self, _: &str) -> std::io::Result<()> {
        Ok(())
    }
}

/// A unit as fleet keeps it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Kept {
    /// The whole name.
    pub name: String,
    /// The unit file.
    pub options: Vec<UnitOption>,
    /// The target state as it was put: any text.
    pub target: String,
    /// The machine it is scheduled on.
    pub machine: Option<String>,
}

/// A unit that systemd has loaded already when the server starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The whole name.
    pub name: String,
    /// The hash of the loaded version.
    pub hash: String,
    /// Whether it was started since it was loaded, and not stopped since.
    pub launched: bool,
}
