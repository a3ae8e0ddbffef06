//! Which instance an instance id belongs to, as instances register themselves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Turn;
use super::services::ServiceTable;
use super::signals::SERIES_MAX;
use crate::{Event, ServiceId, Slot};

/// The most registrations that are kept; as many as there may be series.
const REGISTRATIONS_MAX: usize = SERIES_MAX;

/// A change to who writes under which id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistrationChange {
    /// Whatever was known is not so any more: everything follows.
    Cleared,
    /// An instance has registered.
    Registered {
        /// The type under which it did.
        kind: String,
        /// Its instance id.
        id: String,
        /// The name of its unit, with or without `.service`.
        unit: String,
    },
    /// An instance is not registered any more.
    Gone {
        /// The type under which it was.
        kind: String,
        /// Its instance id.
        id: String,
    },
    /// No instance is registered under a type any more.
    KindGone {
        /// The type.
        kind: String,
    },
    /// All that was there before the start has been told.
    Complete,
}

/// The instance that an id belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) service: ServiceId,
    pub(super) slot: Slot,
    /// The name of its unit.
    pub(super) unit: Arc<str>,
    /// The type of the service.
    pub(super) kind: Arc<str>,
}

#[derive(Clone, Debug)]
struct Registration {
    unit: Box<str>,
    /// `None`: its unit is of no service that is configured.
    owner: Option<Owner>,
}

/// Every registration.
#[derive(Clone, Debug, Default)]
pub(super) struct Registrations {
    /// By service type, then by instance id.
    all: BTreeMap<String, HashMap<String, Registration>>,
    count: usize,
    is_full: bool,
}

impl Registrations {
    /// The instance that writes under this type and id.
    pub(super) fn owner(&self, kind: &str, id: &str) -> Option<&Owner> {
        self.all.get(kind)?.get(id)?.owner.as_ref()
    }

    /// Takes in a change.
    pub(super) fn take(&mut self, change: RegistrationChange, services: &ServiceTable, turn: &mut Turn<'_>) {
        match change {
            RegistrationChange::Cleared => (self.all, self.count) = (BTreeMap::new(), 0),
            RegistrationChange::Registered { kind, id, unit } => self.add(kind, id, &unit, services, turn),
            RegistrationChange::Gone { kind, id } => self.remove(&kind, &id),
            RegistrationChange::KindGone { kind } => {
                self.count -= self.all.remove(&kind).map_or(0, |gone| gone.len());
            }
            RegistrationChange::Complete => {}
        }
    }

    /// Finds the owners anew, as there are other services.
    pub(super) fn specify(&mut self, services: &ServiceTable) {
        for registration in self.all.values_mut().flat_map(HashMap::values_mut) {
            registration.owner = owner(&registration.unit, services);
        }
    }

    fn add(&mut self, kind: String, id: String, unit: &str, services: &ServiceTable, turn: &mut Turn<'_>) {
        self.remove(&kind, &id);
        if self.count >= REGISTRATIONS_MAX {
            if !std::mem::replace(&mut self.is_full, true) {
                turn.tell(Event::RegistrationsFull { max: REGISTRATIONS_MAX });
            }
            return;
        }
        self.count += 1;
        let owner = owner(unit, services);
        self.all.entry(kind).or_default().insert(id, Registration { unit: unit.into(), owner });
    }

    fn remove(&mut self, kind: &str, id: &str) {
        if self.all.get_mut(kind).and_then(|by_id| by_id.remove(id)).is_some() {
            self.count -= 1;
        }
    }
}

fn owner(unit: &str, services: &ServiceTable) -> Option<Owner> {
    let unit = if unit.ends_with(".service") { unit.to_owned() } else { format!("{unit}.service") };
    let (state, slot) = services.instance(&unit)?;
    let spec = state.spec();
    let unit = spec.unit_name(slot).into();
    Some(Owner { service: spec.id.clone(), slot, unit, kind: spec.kind.clone() })
}
