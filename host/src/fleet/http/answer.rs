//! fleet's answers. It leaves out what is empty, so every field is optional.

use dynamite_units::UnitOption;
use serde::Deserialize;

use crate::fleet::{DesiredState, Unit, UnitState};

/// A page of a listing.
pub(super) trait Page {
    /// What is listed.
    type Item;
    /// The last part of its path.
    const COLLECTION: &'static str;
    /// The items and the token of the next page.
    fn into_parts(self) -> (Vec<Self::Item>, Option<String>);
}

#[derive(Deserialize)]
pub(super) struct Units {
    #[serde(default)]
    units: Option<Vec<ListedUnit>>,
    #[serde(default, rename = "nextPageToken")]
    next: Option<String>,
}

impl Page for Units {
    type Item = ListedUnit;
    const COLLECTION: &'static str = "units";

    fn into_parts(self) -> (Vec<ListedUnit>, Option<String>) {
        (self.units.unwrap_or_default(), self.next)
    }
}

#[derive(Deserialize)]
pub(super) struct States {
    #[serde(default)]
    states: Option<Vec<StateRow>>,
    #[serde(default, rename = "nextPageToken")]
    next: Option<String>,
}

impl Page for States {
    type Item = StateRow;
    const COLLECTION: &'static str = "state";

    fn into_parts(self) -> (Vec<StateRow>, Option<String>) {
        (self.states.unwrap_or_default(), self.next)
    }
}

/// A unit without its options, which are skipped while reading.
#[derive(Deserialize)]
pub(super) struct ListedUnit {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "desiredState")]
    desired: String,
    #[serde(default, rename = "currentState")]
    current: String,
    #[serde(default, rename = "machineID")]
    machine: String,
}

/// A unit with its options.
#[derive(Deserialize)]
pub(super) struct OneUnit {
    #[serde(flatten)]
    listed: ListedUnit,
    #[serde(default)]
    options: Option<Vec<LooseOption>>,
}

#[derive(Deserialize)]
struct LooseOption {
    #[serde(default)]
    section: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

impl ListedUnit {
    /// The unit; `None` for one without a name, which nobody could ask for.
    pub(super) fn into_unit(self) -> Option<Unit> {
        (!self.name.is_empty()).then(|| Unit {
            desired: DesiredState::from_word(&self.desired),
            current: DesiredState::from_word(&self.current),
            machine: Some(self.machine).filter(|machine| !machine.is_empty()),
            name: self.name,
            options: Vec::new(),
        })
    }
}

impl OneUnit {
    /// The unit that was asked for under this name.
    pub(super) fn into_unit(self, name: &str) -> Unit {
        let options = self.options.unwrap_or_default().into_iter();
        let options =
            options.map(|LooseOption { section, name, value }| UnitOption { section, name, value }).collect();
        Unit {
            desired: DesiredState::from_word(&self.listed.desired),
            current: DesiredState::from_word(&self.listed.current),
            machine: Some(self.listed.machine).filter(|machine| !machine.is_empty()),
            name: name.to_owned(),
            options,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct StateRow {
    #[serde(default)]
    name: String,
    #[serde(default)]
    hash: String,
    #[serde(default, rename = "machineID")]
    machine: String,
    #[serde(default, rename = "systemdLoadState")]
    load: String,
    #[serde(default, rename = "systemdActiveState")]
    active: String,
    #[serde(default, rename = "systemdSubState")]
    sub: String,
}

impl StateRow {
    /// The row; `None` for one without a name.
    pub(super) fn into_state(self) -> Option<UnitState> {
        let Self { name, hash, machine, load, active, sub } = self;
        (!name.is_empty()).then_some(UnitState { name, hash, machine, load, active, sub })
    }
}

/// The one form of fleet's own errors.
#[derive(Deserialize)]
pub(super) struct FleetError {
    /// fleet's words; may be empty.
    #[serde(default)]
    pub(super) message: String,
}

impl FleetError {
    /// The error in a body; `None` when fleet did not write it.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Envelope {
            error: FleetError,
        }
        serde_json::from_slice::<Envelope>(body).ok().map(|envelope| envelope.error)
    }
}
