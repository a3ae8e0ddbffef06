//! Units as real processes: what systemd is to fleet, on a machine that has none.
//!
//! Each unit that is started has a [`supervisor`], a process of its own that outlives Dynamite, and an `actor`, a task
//! in Dynamite that keeps the supervisor to what is wanted. What is wanted is on disk before anything is done about it,
//! and a supervisor exists exactly as long as its socket answers: so whichever process dies at whatever moment, the next
//! Dynamite neither starts a unit twice nor leaves one behind.

mod actor;
mod definition;
mod folder;
mod identity;
mod limit;
mod link;
mod message;
mod outcome;
mod processes;
mod signals;
pub mod supervisor;
mod watcher;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamite_units::UnitOption;
use rustix::process::getuid;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::fleet::{Found, Place, Systemd, SystemdState};
use actor::{Actor, Needed};
use folder::Folder;
use identity::Identity;
use message::{Order, Stage, Start, Status, Wanted};

pub use watcher::Watcher;

pub(in crate::embedded) use folder::{Keep, entries, file_name, read as read_json, write as write_json};

/// What a unit is that cannot be run.
const BAD: SystemdState = SystemdState { load: "bad-setting", active: "inactive", sub: "dead" };

/// Where units are kept, and how they are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of everything that is kept of units.
    pub folder: PathBuf,
    /// The program whose command `supervise` runs a unit.
    pub program: PathBuf,
    /// The machine ID, 32 hexadecimal digits.
    pub machine: String,
}

/// Every unit of this machine. When it is dropped, they run on.
pub struct Units {
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    program: PathBuf,
    machine: String,
    hostname: String,
    boot: String,
    era: String,
    units: Mutex<BTreeMap<String, Unit>>,
    /// A unit was forgotten, or is somewhere else.
    changed: Notify,
    /// What the IDs of starts are taken from.
    rng: Mutex<fastrand::Rng>,
}

struct Unit {
    /// Whether fleet has it loaded; otherwise it is on its way out.
    loaded: Loaded,
    state: SystemdState,
    /// What is wanted of its processes; `None` as long as it was never started.
    order: Option<Order>,
    actor: Option<(AbortHandle, Arc<Notify>)>,
}

impl Unit {
    fn is_down(&self) -> bool {
        matches!(self.state.active, "inactive" | "failed")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loaded {
    Yes,
    No,
}

impl Units {
    /// Finds the units that are there, and looks after them from now on. Must be called within a runtime. Starts take their
    /// IDs from `rng`, which must give others than it gave a former Dynamite, or another one on this machine.
    ///
    /// # Errors
    /// What keeps the folder from being made or read.
    pub fn open(options: Options, rng: fastrand::Rng) -> io::Result<(Self, Vec<Found>)> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&options.folder)?;
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let boot = text("/proc/sys/kernel/random/boot_id");
        // A container that is started again has another first process, on a machine that ran on.
        let first = processes::start_time(1).unwrap_or_default();
        // A copy of the data is about the processes of the original, which are none of its own.
        let place = fs::metadata(&options.folder)?;
        let shared = Arc::new(Shared {
            root: options.folder,
            program: options.program,
            machine: options.machine,
            hostname: text("/proc/sys/kernel/hostname"),
            era: format!("{boot} {first} {}:{}", place.dev(), place.ino()),
            boot,
            units: Mutex::default(),
            changed: Notify::new(),
            rng: Mutex::new(rng),
        });
        let mut found = Vec::new();
        for path in entries(&shared.root)? {
            let folder = Folder::at(path);
            if let Some(order) = folder.order() {
                found.extend(shared.adopt(&folder, order));
            } else if let Err(error) = folder.remove() {
                tracing::warn!(path = %folder.path().display(), %error, "a folder of no unit cannot be removed");
            }
        }
        Ok((Self { shared }, found))
    }

    /// Sees units come to an end.
    #[must_use]
    pub fn watcher(&self) -> Watcher {
        Watcher { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Units {
    fn drop(&mut self) {
        for unit in self.shared.units().values() {
            if let Some((actor, _)) = &unit.actor {
                actor.abort();
            }
        }
    }
}

impl Systemd for Units {
    fn load(&mut self, _: Duration, place: Place<'_>, _: &str, options: &[UnitOption]) {
        let name = place.unit;
        let reading = definition::read(&self.shared.identity(name), options);
        for doubt in &reading.doubts {
            tracing::warn!(unit = name, "{name}: {doubt}");
        }
        if !reading.unused.is_empty() {
            tracing::debug!(unit = name, "{name}: without effect here: {}", reading.unused.join(", "));
        }
        let state = match reading.definition {
            Ok(_) => Stage::Dead.state(),
            Err(refusals) => {
                for refusal in refusals {
                    tracing::error!(unit = name, "{name}: {refusal}");
                }
                BAD
            }
        };
        let mut units = self.shared.units();
        let fresh = || Unit { loaded: Loaded::Yes, state, order: None, actor: None };
        let unit = units.entry(name.to_owned()).or_insert_with(fresh);
        (unit.loaded, unit.state) = (Loaded::Yes, state);
    }

    fn start(&mut self, _: Duration, place: Place<'_>, hash: &str, options: &[UnitOption]) {
        let mut units = self.shared.units();
        let Some(unit) = units.get_mut(place.unit).filter(|unit| unit.state != BAD) else { return };
        let start = Start {
            identity: self.shared.identity(place.unit),
            hash: hash.to_owned(),
            options: options.to_vec(),
            invocation: self.shared.new_id(),
            era: self.shared.era.clone(),
        };
        unit.state = Stage::Start.state();
        self.shared.want(place.unit, unit, Order { wanted: Wanted::Launched, start });
    }

    fn stop(&mut self, _: Duration, place: Place<'_>) {
        let mut units = self.shared.units();
        let Some(unit) = units.get_mut(place.unit) else { return };
        let Some(order) = unit.order.clone() else { return };
        if matches!(unit.state.active, "active" | "activating") {
            unit.state = Stage::Stop.state();
        }
        self.shared.want(place.unit, unit, Order { wanted: Wanted::Loaded, ..order });
    }

    fn unload(&mut self, _: Duration, place: Place<'_>) {
        self.shared.unload(place.unit);
    }

    fn state(&self, _: Duration, place: Place<'_>) -> SystemdState {
        self.shared.units().get(place.unit).map_or(Stage::Dead.state(), |unit| unit.state)
    }
}

impl Shared {
    fn units(&self) -> MutexGuard<'_, BTreeMap<String, Unit>> {
        self.units.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// 32 hexadecimal digits that nobody else has.
    fn new_id(&self) -> String {
        format!("{:032x}", self.rng.lock().unwrap_or_else(PoisonError::into_inner).u128(..))
    }

    fn folder(&self, name: &str) -> Folder {
        Folder::of(&self.root, name)
    }

    fn identity(&self, name: &str) -> Identity {
        Identity {
            name: name.to_owned(),
            hostname: self.hostname.clone(),
            machine: self.machine.clone(),
            boot: self.boot.clone(),
            user: getuid().as_raw(),
        }
    }

    /// Takes over a unit from a former Dynamite.
    fn adopt(self: &Arc<Self>, folder: &Folder, order: Order) -> Option<Found> {
        let name = order.start.identity.name.clone();
        let of_this_start = |status: &Status| status.invocation == order.start.invocation;
        let stage = folder.status().filter(of_this_start).map_or(Stage::Start, |status| status.stage);
        let stage = if order.start.era == self.era { stage } else { Stage::Start };
        let loaded = if order.wanted == Wanted::Gone { Loaded::No } else { Loaded::Yes };
        let found = (loaded == Loaded::Yes).then(|| Found {
            name: name.clone(),
            hash: order.start.hash.clone(),
            launched: order.wanted == Wanted::Launched,
        });
        let mut units = self.units();
        let mut unit = Unit { loaded, state: stage.state(), order: Some(order), actor: None };
        self.wake(&name, &mut unit);
        units.insert(name, unit);
        found
    }

    /// Writes down what is wanted of a unit, and has its actor look at it.
    fn want(self: &Arc<Self>, name: &str, unit: &mut Unit, order: Order) {
        if let Err(error) = self.folder(name).write_order(&order) {
            tracing::error!(unit = name, %error, "{name}: what is wanted of it cannot be written");
            if order.wanted == Wanted::Launched {
                unit.state = Stage::Failed.state();
                return;
            }
        }
        unit.order = Some(order);
        self.wake(name, unit);
    }

    /// Stops a unit if it is up, and forgets it.
    fn unload(self: &Arc<Self>, name: &str) {
        let mut units = self.units();
        let Some(unit) = units.get_mut(name) else { return };
        unit.loaded = Loaded::No;
        match unit.order.clone() {
            Some(order) => self.want(name, unit, Order { wanted: Wanted::Gone, ..order }),
            None => drop(units.remove(name)),
        }
        self.changed.notify_waiters();
    }

    fn wake(self: &Arc<Self>, name: &str, unit: &mut Unit) {
        let (_, wake) = unit.actor.get_or_insert_with(|| {
            let wake = Arc::new(Notify::new());
            let actor = Actor::new(name, Arc::clone(self), Arc::clone(&wake));
            (tokio::spawn(actor.run()).abort_handle(), wake)
        });
        wake.notify_one();
    }

    fn order(&self, name: &str) -> Option<Order> {
        self.units().get(name).and_then(|unit| unit.order.clone())
    }

    /// Shows where a unit is.
    fn show(&self, name: &str, stage: Stage) {
        if let Some(unit) = self.units().get_mut(name).filter(|unit| unit.state != BAD) {
            unit.state = stage.state();
        }
        self.changed.notify_waiters();
    }

    /// Shows what a supervisor says, if it is the one that is wanted, or says how it is ending.
    fn hear(&self, name: &str, status: &Status) {
        let Some(Order { wanted, start }) = self.order(name) else { return };
        let is_wanted = start.invocation == status.invocation;
        let is_up = matches!(status.stage.state().active, "active" | "activating");
        if if wanted == Wanted::Launched { is_wanted } else { !is_up } {
            self.show(name, status.stage);
        }
    }

    /// A unit that has no process and is to have none is down, also if it never came to start.
    fn rest(&self, name: &str) {
        if self.units().get(name).is_some_and(|unit| !unit.is_down()) {
            self.show(name, Stage::Dead);
        }
    }

    /// After the loss of a start: another one in its place if that is still wanted, and how the unit is shown.
    fn replace(self: &Arc<Self>, name: &str, lost: &Start, stage: Stage, invocation: Option<String>) {
        let mut units = self.units();
        let Some(unit) = units.get_mut(name) else { return };
        let Some(order) = unit.order.clone() else { return };
        if order.wanted == Wanted::Launched && order.start.invocation == lost.invocation {
            unit.state = stage.state();
            if let Some(invocation) = invocation {
                tracing::warn!(unit = name, "{name}: it was not running any more, and is started again");
                let start = Start { invocation, era: self.era.clone(), ..order.start };
                self.want(name, unit, Order { wanted: Wanted::Launched, start });
            }
        }
    }

    /// Forgets a unit that is down, unless it is wanted again.
    fn forget(&self, name: &str) -> Needed {
        let mut units = self.units();
        let Some(unit) = units.get_mut(name) else { return Needed::No };
        if unit.order.as_ref().is_none_or(|order| order.wanted != Wanted::Gone) {
            return Needed::Yes;
        }
        if let Err(error) = self.folder(name).remove() {
            tracing::warn!(unit = name, %error, "{name}: what was kept of it cannot be removed");
        }
        (unit.order, unit.actor) = (None, None);
        if unit.loaded == Loaded::No {
            units.remove(name);
        }
        self.changed.notify_waiters();
        Needed::No
    }
}
