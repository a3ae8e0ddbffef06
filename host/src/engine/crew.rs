//! An instance with the units that are attached to it: what is started, stopped and intended together.

use std::collections::{BTreeMap, BTreeSet};
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

    /// The same with the attached units that it was started with, as recorded or intended, instead of those that are
    /// configured now. One that is not configured any more has no options: it can only be removed.
    pub(super) fn begun_with(mut self, record: Option<&InstanceRecord>, intent: Option<&Intent>) -> Self {
        let begun = begun(record, intent);
        if record.is_some() || intent.is_some() {
            self.attached.retain(|unit| begun.contains(&&unit.name));
        }
        for name in begun {
            if self.units().all(|unit| unit.name != *name) {
                self.attached.push(PlannedUnit { name: name.clone(), options: [].into() });
            }
        }
        self
    }

    /// The attached units that it was begun with, as recorded or intended, and that are not configured any more.
    pub(super) fn former<'r>(&self, record: Option<&'r InstanceRecord>, intent: &'r Intent) -> Vec<&'r str> {
        let mut former = begun(record, Some(intent));
        former.retain(|name| self.units().all(|unit| unit.name != **name));
        former.into_iter().map(String::as_str).collect()
    }
}

/// The names of the units that an instance was begun with.
fn begun<'r>(record: Option<&'r InstanceRecord>, intent: Option<&'r Intent>) -> BTreeSet<&'r String> {
    let recorded = record.into_iter().flat_map(|record| &record.attached);
    recorded.chain(intent.into_iter().flat_map(|intent| intent.units.keys())).collect()
}
