//! Everything that outlives a simulated process: keys and leases, units and what systemd makes of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dynamite_units::UnitOption;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::FakePolicy;
use crate::fleet::{DesiredState, Unit, UnitState};
use crate::store::Change;

/// How long systemd takes to bring a unit up or to let it go.
pub(super) const SYSTEMD_TIME: Duration = Duration::from_millis(1_500);

#[derive(Debug)]
pub(super) struct FakeUnit {
    pub(super) options: Vec<UnitOption>,
    pub(super) desired: DesiredState,
    pub(super) launched_at: Option<Instant>,
    pub(super) broken: bool,
}

/// Everything that outlives a process.
#[derive(Debug)]
pub(crate) struct Universe {
    /// When it began: time is counted from there, whatever was simulated before.
    pub(super) began: Instant,
    pub(super) keys: BTreeMap<String, String>,
    pub(super) leases: BTreeMap<String, Instant>,
    pub(super) followers: Vec<(String, mpsc::UnboundedSender<Change>)>,
    pub(super) units: BTreeMap<String, FakeUnit>,
    pub(super) rows_until: BTreeMap<String, Instant>,
    /// How often each unit was created.
    pub(crate) created: BTreeMap<String, u32>,
    /// Every change to a unit, in order.
    pub(crate) history: Vec<String>,
    /// Units whose names contain one of these never run.
    pub(crate) broken: BTreeSet<String>,
    /// The calls so far of the process that may die, and after how many it does.
    pub(super) calls: u64,
    pub(super) dies_at: Option<u64>,
    /// Told when it does.
    pub(crate) death: Arc<Notify>,
    pub(super) failures: Option<fastrand::Rng>,
    /// What decides where a module would.
    pub(crate) policy: FakePolicy,
}

impl Default for Universe {
    /// An empty one, which begins now.
    fn default() -> Self {
        Self {
            began: Instant::now(),
            keys: BTreeMap::new(),
            leases: BTreeMap::new(),
            followers: Vec::new(),
            units: BTreeMap::new(),
            rows_until: BTreeMap::new(),
            created: BTreeMap::new(),
            history: Vec::new(),
            broken: BTreeSet::new(),
            calls: 0,
            dies_at: None,
            death: Arc::default(),
            failures: None,
            policy: FakePolicy::default(),
        }
    }
}

impl Universe {
    /// A key's value.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.keys.get(key).map(String::as_str)
    }

    /// The keys below a path.
    pub(crate) fn below(&self, prefix: &str) -> Vec<&str> {
        self.keys.keys().map(String::as_str).filter(|key| key.starts_with(&format!("{prefix}/"))).collect()
    }

    /// Writes a key.
    pub(crate) fn put(&mut self, key: &str, value: &str) {
        self.keys.insert(key.to_owned(), value.to_owned());
        self.tell(&Change::Put { key: key.to_owned(), value: value.to_owned() });
    }

    pub(super) fn remove(&mut self, key: &str) {
        if self.keys.remove(key).is_some() {
            self.tell(&Change::Delete { key: key.to_owned() });
        }
    }

    /// Loses every key.
    pub(crate) fn wipe(&mut self) {
        self.keys.clear();
        self.leases.clear();
    }

    pub(super) fn tell(&mut self, change: &Change) {
        let (Change::Put { key, .. } | Change::Delete { key }) = change else { return };
        self.followers
            .retain(|(prefix, follower)| !key.starts_with(prefix) || follower.send(change.clone()).is_ok());
    }

    pub(super) fn expire(&mut self) {
        let now = Instant::now();
        let expired: Vec<String> =
            self.leases.iter().filter(|(_, end)| **end <= now).map(|(key, _)| key.clone()).collect();
        for key in expired {
            self.leases.remove(&key);
            self.remove(&key);
        }
    }

    /// The units that fleet was told to launch.
    pub(crate) fn launched(&self) -> Vec<&str> {
        let launched = self.units.iter().filter(|(_, unit)| unit.desired == DesiredState::Launched);
        launched.map(|(name, _)| &**name).collect()
    }

    /// A unit of somebody else.
    pub(crate) fn add_foreign(&mut self, name: &str) {
        let options = vec![UnitOption { section: "X".into(), name: "Theirs".into(), value: "1".into() }];
        let unit = FakeUnit { options, desired: DesiredState::Inactive, launched_at: None, broken: false };
        self.units.insert(name.to_owned(), unit);
    }

    /// Loses a unit.
    pub(crate) fn lose(&mut self, name: &str) {
        self.units.remove(name);
    }

    /// Makes a running unit fail.
    pub(crate) fn crash(&mut self, name: &str) {
        if let Some(unit) = self.units.get_mut(name) {
            unit.broken = true;
        }
    }

    pub(super) fn row(&self, name: &str, unit: Option<&FakeUnit>) -> Option<UnitState> {
        let state = |active: &str, sub: &str, hash| UnitState {
            name: name.to_owned(),
            hash,
            machine: "m".to_owned(),
            load: "loaded".to_owned(),
            active: active.to_owned(),
            sub: sub.to_owned(),
        };
        let Some(unit) = unit else {
            let lingers = self.rows_until.get(name).is_some_and(|until| *until > Instant::now());
            return lingers.then(|| state("deactivating", "stop", String::new()));
        };
        let launched_at = unit.launched_at?;
        let hash = dynamite_units::hash(&unit.options);
        Some(match () {
            () if launched_at.elapsed() < SYSTEMD_TIME => state("activating", "start-pre", hash),
            () if unit.broken => state("failed", "failed", hash),
            () => state("active", "running", hash),
        })
    }

    pub(super) fn unit(&self, name: &str) -> Option<Unit> {
        let unit = self.units.get(name)?;
        Some(Unit {
            name: name.to_owned(),
            desired: Some(unit.desired),
            current: Some(if unit.launched_at.is_some() {
                DesiredState::Launched
            } else {
                DesiredState::Inactive
            }),
            machine: unit.launched_at.map(|_| "m".to_owned()),
            options: unit.options.clone(),
        })
    }
}
