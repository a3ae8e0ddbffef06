//! An instance with the units that are attached to it: what is started, stopped and intended together.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::fleet::{UnitOption, unit_file};
use crate::record::{Action, InstanceRecord, Intent};
use crate::scaling::Reason;

/// A unit as it shall be.
#[derive(Clone, Debug)]
pub(crate) struct PlannedUnit {
    pub(crate) name: String,
    pub(crate) options: Arc<[UnitOption]>,
}

/// An instance with its attached units.
#[derive(Clone, Debug)]
pub(crate) struct Crew {
    /// The place of the service on the board; `None` when it is not configured any more.
    pub(crate) service: Option<usize>,
    pub(crate) service_name: Arc<str>,
    pub(crate) number: u32,
    pub(crate) instance: PlannedUnit,
    pub(crate) attached: Vec<PlannedUnit>,
}

impl Crew {
    /// Every unit, in the order in which they are submitted and removed: attached ones first.
    pub(super) fn units(&self) -> impl Iterator<Item = &PlannedUnit> {
        self.attached.iter().chain([&self.instance])
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.units().map(|unit| &*unit.name).collect()
    }

    /// What is about to be done to the crew, on top of what a former run wrote down.
    pub(crate) fn intent(&self, action: Action, reason: &Reason, before: Option<&Intent>) -> Intent {
        let mut intent =
            Intent { action, units: BTreeMap::new(), reason: reason.to_string(), cooldown: None };
        if let Some(before) = before {
            intent.units.clone_from(&before.units);
            intent.cooldown.clone_from(&before.cooldown);
        }
        for unit in self.units() {
            intent.units.entry(unit.name.clone()).or_default().insert(unit_file::hash(&unit.options));
        }
        intent
    }

    /// Adds the attached units that were recorded under other names than those that are configured now.
    pub(super) fn also_remove(&mut self, record: Option<&InstanceRecord>, intent: Option<&Intent>) {
        let recorded = record.into_iter().flat_map(|record| &record.attached);
        let intended = intent.into_iter().flat_map(|intent| intent.units.keys());
        for name in recorded.chain(intended) {
            let known = *name == self.instance.name || self.attached.iter().any(|unit| unit.name == *name);
            if !known {
                self.attached.push(PlannedUnit { name: name.clone(), options: [].into() });
            }
        }
    }
}
