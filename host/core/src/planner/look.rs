//! What an orchestrator knows, as the planner is told of it.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::Loss;

/// How a unit of ours that should run is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It runs.
    Up,
    /// On its way, or nobody can say at the moment.
    Pending,
    /// Nobody brings it up by himself any more.
    Lost(Loss),
}

/// Every unit that the orchestrator knows, ours or not, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look(pub IndexMap<Box<str>, Health>);

impl Look {
    /// How a unit is doing.
    pub(super) fn health(&self, unit: &str) -> Health {
        self.0.get(unit).cloned().unwrap_or(Health::Lost(Loss::Vanished))
    }
}
