//! Which instance an instance id belongs to, as instances register themselves:
//! `<application_base_path>/<service_type>/<instance id>/service_instance_name` holds the name of the unit.

use std::collections::HashMap;

use crate::config::{Config, Role};
use crate::store::Change;

use super::board::Board;

/// The most registrations that are kept; as many as there may be series.
const REGISTRATIONS_MAX: usize = crate::metrics::SERIES_MAX;
/// The key that holds the name of the unit.
const NAME_KEY: &str = "service_instance_name";

/// The instance that an id belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) service: usize,
    pub(crate) number: u32,
}

/// Every registration that names a unit of a configured service.
#[derive(Debug)]
pub(crate) struct Registrations {
    base: String,
    /// From a unit's name up to and with its `@` (or its whole name) to the service.
    services: HashMap<String, usize>,
    /// By service type, then by instance id.
    owners: HashMap<String, HashMap<String, Owner>>,
    count: usize,
    full: bool,
}

impl Registrations {
    pub(crate) fn new(config: &Config, board: &Board) -> Self {
        let scaled = config.services.values().filter(|service| service.role == Role::Scaled);
        let services = scaled
            .filter_map(|service| {
                Some((stem(&service.unit.name).to_owned(), *board.by_name.get(&service.name)?))
            })
            .collect();
        let base = config.etcd.application_base.clone();
        Self { base, services, owners: HashMap::new(), count: 0, full: false }
    }

    /// The instance that writes under this type and id.
    pub(crate) fn owner(&self, service_type: &str, id: &str) -> Option<Owner> {
        self.owners.get(service_type)?.get(id).copied()
    }

    /// Takes in a change below the application's path.
    pub(crate) fn take(&mut self, change: &Change, board: &Board) {
        match change {
            Change::SnapshotStart => {
                self.owners.clear();
                self.count = 0;
            }
            Change::Put { key, value } => {
                let Some((service_type, id)) = self.parse(key) else { return };
                let (service_type, id) = (service_type.to_owned(), id.to_owned());
                self.remove(&service_type, &id);
                if let Some(owner) = self.find(value, board) {
                    self.add(service_type, id, owner);
                }
            }
            Change::Delete { key } => {
                if let Some((service_type, id)) = self.parse(key) {
                    let (service_type, id) = (service_type.to_owned(), id.to_owned());
                    self.remove(&service_type, &id);
                }
            }
            Change::DeleteTree { prefix } => self.remove_tree(&prefix.clone()),
            Change::SnapshotEnd | Change::Oversized { .. } => {}
        }
    }

    fn parse<'k>(&self, key: &'k str) -> Option<(&'k str, &'k str)> {
        let mut parts = key.strip_prefix(&self.base)?.strip_prefix('/')?.split('/');
        let (service_type, id, name) = (parts.next()?, parts.next()?, parts.next()?);
        (name == NAME_KEY && parts.next().is_none()).then_some((service_type, id))
    }

    fn find(&self, value: &str, board: &Board) -> Option<Owner> {
        let value = value.trim().trim_matches('"');
        let unit = if value.ends_with(".service") { value.to_owned() } else { format!("{value}.service") };
        let service = *self.services.get(stem(&unit))?;
        let file = &board.posts[service].service.unit;
        let number = if file.is_template() { file.number_of(&unit)? } else { 0 };
        Some(Owner { service, number })
    }

    fn add(&mut self, service_type: String, id: String, owner: Owner) {
        if self.count >= REGISTRATIONS_MAX {
            if !std::mem::replace(&mut self.full, true) {
                tracing::warn!(max = REGISTRATIONS_MAX, "too many registrations; further ones are not read");
            }
            return;
        }
        self.count += 1;
        self.owners.entry(service_type).or_default().insert(id, owner);
    }

    fn remove(&mut self, service_type: &str, id: &str) {
        if self.owners.get_mut(service_type).and_then(|by_id| by_id.remove(id)).is_some() {
            self.count -= 1;
        }
    }

    fn remove_tree(&mut self, prefix: &str) {
        let Some(below) = prefix.strip_prefix(&self.base) else {
            if self.base.starts_with(prefix) {
                self.owners.clear();
                self.count = 0;
            }
            return;
        };
        let mut parts = below.split('/').skip(1);
        match (parts.next(), parts.next()) {
            (None, _) => {
                self.owners.clear();
                self.count = 0;
            }
            (Some(service_type), None) => {
                let gone = self.owners.remove(service_type);
                self.count -= gone.map_or(0, |gone| gone.len());
            }
            (Some(service_type), Some(id)) => {
                let (service_type, id) = (service_type.to_owned(), id.to_owned());
                self.remove(&service_type, &id);
            }
        }
    }
}

/// The part of a unit's name that all instances of its template share: with the `@`; the whole name if it has none.
fn stem(unit: &str) -> &str {
    unit.find('@').map_or(unit, |at| &unit[..=at])
}
