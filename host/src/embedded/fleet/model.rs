//! A fleet cluster as values: units, machines, and what becomes of them as time goes by.
//!
//! No I/O and no clock: every call is told how long the server has been running, and whatever fleet's engine and
//! agents would have done until then is done first, pass by pass. Nothing happens while nobody asks.

mod agent;
mod engine;
mod write;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::behaviour::{Behaviour, Timings};
use super::systemd::{Found, Kept, Registry, Systemd};
use crate::fleet::DesiredState;

use agent::Placement;
use dynamite_units::UnitOption;
pub use write::{Failure, Put, PutBody};

/// A machine of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// 32 hexadecimal digits, as in `/etc/machine-id`.
    pub id: String,
    /// What `MachineMetadata` asks for.
    pub metadata: BTreeMap<String, String>,
    /// Its address.
    pub primary_ip: String,
}

/// A unit as fleet's API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitView {
    /// The whole name.
    pub name: String,
    /// The target state, as it was put.
    pub desired: String,
    /// The computed state; `None` for a global unit, of which fleet cannot tell.
    pub current: Option<DesiredState>,
    /// The machine it is scheduled on.
    pub machine: Option<String>,
    /// Its options, as fleetd reads them from its own text.
    pub options: Arc<[UnitOption]>,
}

/// What systemd says of a unit on a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// systemd's active state.
    pub active: &'static str,
    /// The hash of the loaded version.
    pub hash: String,
    /// systemd's load state.
    pub load: &'static str,
    /// The machine.
    pub machine: String,
    /// The unit.
    pub name: String,
    /// systemd's sub state.
    pub sub: &'static str,
}

struct Stored {
    options: Arc<[UnitOption]>,
    hash: String,
    /// Any text: fleet does not check it on an update.
    target: String,
    scope: Scope,
    /// Index of the machine.
    scheduled: Option<usize>,
    /// No new version is loaded before.
    reload_at: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    OneMachine,
    Global,
}

struct Host {
    machine: Machine,
    /// How many units are scheduled on it.
    load: usize,
    /// When a launched template wedged its agent.
    wedged_at: Option<Duration>,
}

/// The cluster.
pub struct Cluster {
    timings: Timings,
    systemd: Box<dyn Systemd>,
    registry: Box<dyn Registry>,
    units: BTreeMap<String, Stored>,
    hosts: Vec<Host>,
    placements: BTreeMap<(String, usize), Placement>,
    /// Units that the next pass of the engine looks at, besides the constrained ones.
    engine_work: BTreeSet<String>,
    engine_due: Option<Duration>,
    /// Units whose place depends on other units or on machines, and every unit that once found no place.
    constrained: BTreeSet<String>,
    /// Units of which it was said that no machine takes them.
    homeless: BTreeSet<String>,
    /// Units that the next pass of the agents looks at.
    agent_work: BTreeSet<String>,
    agent_due: Option<Duration>,
}

impl Cluster {
    /// An empty cluster of these machines.
    #[must_use]
    pub fn new(
        timings: Timings,
        machines: Vec<Machine>,
        systemd: Box<dyn Systemd>,
        registry: Box<dyn Registry>,
    ) -> Self {
        let hosts = machines.into_iter().map(|machine| Host { machine, load: 0, wedged_at: None }).collect();
        Self {
            timings,
            systemd,
            registry,
            units: BTreeMap::new(),
            hosts,
            placements: BTreeMap::new(),
            engine_work: BTreeSet::new(),
            engine_due: None,
            constrained: BTreeSet::new(),
            homeless: BTreeSet::new(),
            agent_work: BTreeSet::new(),
            agent_due: None,
        }
    }

    /// Goes on where a former server was ended: with the units it kept, and what systemd has loaded of them.
    pub fn restore(&mut self, kept: Vec<Kept>, found: Vec<Found>) {
        for unit in kept {
            let scheduled = unit.machine.as_deref().and_then(|id| self.host(id));
            let stored = Stored::new(Arc::from(unit.options), unit.target);
            self.note_constraints(&unit.name, &stored.options);
            self.units.insert(unit.name.clone(), stored);
            self.schedule(&unit.name, scheduled);
            self.changed(Duration::ZERO, &unit.name);
        }
        for unit in found {
            self.take_over(unit);
        }
    }

    fn host(&self, id: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host.machine.id == id)
    }

    /// From the next start on, units whose name matches the pattern behave like this, where nothing is real.
    pub fn behave(&mut self, pattern: &str, behaviour: Behaviour) {
        self.systemd.behave(pattern, behaviour);
    }

    /// One unit; `None` when fleet does not know it, an error when its target state is poisoned.
    pub fn unit(&mut self, now: Duration, name: &str) -> Result<Option<UnitView>, Failure> {
        self.advance(now);
        let Some(stored) = self.units.get(name) else { return Ok(None) };
        if stored.is_poisoned() {
            return Err(Failure::Internal);
        }
        Ok(Some(self.view(now, name, stored)))
    }

    /// Every unit that a listing shows, by name: neither poisoned ones nor those that etcd hides.
    pub fn units(&mut self, now: Duration) -> Vec<UnitView> {
        self.advance(now);
        let listed = |(name, stored): &(&String, &Stored)| !name.starts_with('_') && !stored.is_poisoned();
        self.units.iter().filter(listed).map(|(name, stored)| self.view(now, name, stored)).collect()
    }

    /// What systemd says, by unit and machine.
    pub fn rows(&mut self, now: Duration) -> Vec<Row> {
        self.advance(now);
        let visible = |(key, placement): (&(String, usize), &Placement)| {
            let state = self.row_state(now, key, placement)?;
            let (name, host) = key;
            Some(Row {
                active: state.active,
                hash: placement.hash.clone(),
                load: state.load,
                machine: self.hosts[*host].machine.id.clone(),
                name: name.clone(),
                sub: state.sub,
            })
        };
        let mut rows: Vec<Row> = self.placements.iter().filter_map(visible).collect();
        rows.sort_by(|a, b| (&a.name, &a.machine).cmp(&(&b.name, &b.machine)));
        rows
    }

    /// The machines, by their order in the cluster.
    pub fn machines(&self) -> impl Iterator<Item = &Machine> {
        self.hosts.iter().map(|host| &host.machine)
    }

    /// Sets a key of a machine's metadata, or takes it away, and has the engine look at the units that may now fit.
    pub fn set_metadata(&mut self, now: Duration, id: &str, key: &str, value: Option<String>) {
        self.advance(now);
        let Some(host) = self.hosts.iter_mut().find(|host| host.machine.id == id) else { return };
        match value {
            Some(value) => host.machine.metadata.insert(key.to_owned(), value),
            None => host.machine.metadata.remove(key),
        };
        let constrained: Vec<String> = self.constrained.iter().cloned().collect();
        for name in &constrained {
            self.wake_engine(now, name);
        }
    }

    fn view(&self, now: Duration, name: &str, stored: &Stored) -> UnitView {
        UnitView {
            name: name.to_owned(),
            desired: stored.target.clone(),
            current: (stored.scope == Scope::OneMachine).then(|| self.current(now, name, stored)),
            machine: stored.scheduled.map(|host| self.hosts[host].machine.id.clone()),
            options: Arc::clone(&stored.options),
        }
    }

    fn current(&self, now: Duration, name: &str, stored: &Stored) -> DesiredState {
        let place = stored.scheduled.and_then(|host| {
            let key = (name.to_owned(), host);
            let placement = self.placements.get(&key)?;
            self.row_state(now, &key, placement).map(|_| placement)
        });
        match place {
            None => DesiredState::Inactive,
            Some(placement) if placement.is_launched() => DesiredState::Launched,
            Some(_) => DesiredState::Loaded,
        }
    }

    /// Does every pass of the engine and the agents that was due until now, in order.
    pub fn advance(&mut self, now: Duration) {
        loop {
            let due = |at: Option<Duration>| at.filter(|at| *at <= now);
            match (due(self.engine_due), due(self.agent_due)) {
                (None, None) => return,
                (Some(engine), agent) if agent.is_none_or(|agent| engine <= agent) => {
                    self.engine_due = None;
                    self.engine_pass(engine);
                }
                (_, agent) => {
                    self.agent_due = None;
                    self.agent_pass(agent.unwrap_or(now));
                }
            }
        }
    }

    fn wake_engine(&mut self, at: Duration, name: &str) {
        self.engine_work.insert(name.to_owned());
        let due = at + self.timings.engine_delay;
        self.engine_due = Some(self.engine_due.map_or(due, |known| known.min(due)));
    }

    fn wake_agent(&mut self, at: Duration, name: &str) {
        self.agent_work.insert(name.to_owned());
        let due = at + self.timings.agent_delay;
        self.agent_due = Some(self.agent_due.map_or(due, |known| known.min(due)));
    }
}

impl Stored {
    fn new(options: Arc<[UnitOption]>, target: String) -> Self {
        let scope = if dynamite_units::is_global(&options) { Scope::Global } else { Scope::OneMachine };
        let hash = dynamite_units::hash(&options);
        Self { options, hash, target, scope, scheduled: None, reload_at: Duration::ZERO }
    }

    fn is_poisoned(&self) -> bool {
        DesiredState::from_word(&self.target).is_none()
    }

    fn wanted(&self) -> DesiredState {
        DesiredState::from_word(&self.target).unwrap_or(DesiredState::Inactive)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cluster").field("units", &self.units.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
