//! What a run leaves to the next, as far as decisions follow from it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cooldown, Direction, PastAction, PolicyId, ServiceId, Spent};

/// What is about to be done to an instance. Written before the orchestrator is asked, removed after the result is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// What.
    pub action: IntentAction,
    /// The instance's unit and those attached to it, each with the hashes of what it may have been made from, to tell our
    /// units from ones that somebody else made under these names.
    pub units: BTreeMap<String, BTreeSet<String>>,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// The cooldown that came with the decision, in case the process dies before it is written to its own key.
    #[serde(default)]
    pub cooldown: Option<CooldownRecord>,
}

/// What is about to be done to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentAction {
    /// It is started.
    Start,
    /// It is removed.
    Stop,
}

/// A policy's cooldown, and what was done when it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CooldownRecord {
    /// Which way the service was scaled.
    pub direction: Direction,
    /// The policy that did.
    pub policy: PolicyId,
    /// The time of the sample that fired, or of the answer.
    pub fired_at: Timestamp,
    /// The time from which on it may scale that way again.
    pub until: Timestamp,
    /// How many instances there were.
    #[serde(default)]
    pub instances_before: u32,
    /// How many there were to be.
    #[serde(default)]
    pub instances_after: u32,
}

impl CooldownRecord {
    /// What was done.
    #[must_use]
    pub fn action(&self) -> PastAction {
        PastAction { at: self.fired_at, before: self.instances_before, after: self.instances_after }
    }

    /// The cooldown.
    #[must_use]
    pub fn cooldown(&self) -> Cooldown {
        Cooldown { fired_at: self.fired_at, until: self.until }
    }
}

impl From<&Spent> for CooldownRecord {
    fn from(spent: &Spent) -> Self {
        Self {
            direction: spent.direction,
            policy: spent.policy.clone(),
            fired_at: spent.cooldown.fired_at,
            until: spent.cooldown.until,
            instances_before: spent.before,
            instances_after: spent.after,
        }
    }
}

/// What a run left.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stored {
    /// The instances by service and unit, each with the units attached to it.
    pub instances: BTreeMap<ServiceId, BTreeMap<String, Vec<String>>>,
    /// The intents by service and unit.
    pub intents: BTreeMap<ServiceId, BTreeMap<String, Intent>>,
    /// The cooldowns by service.
    pub cooldowns: BTreeMap<ServiceId, Vec<CooldownRecord>>,
    /// What policies want to be given, by service and policy.
    pub policy_states: BTreeMap<ServiceId, BTreeMap<PolicyId, Vec<u8>>>,
}

impl Stored {
    /// The latest cooldown of a policy in a direction of a service.
    #[must_use]
    pub fn cooldown(&self, service: &ServiceId, direction: Direction, policy: &PolicyId) -> Option<Cooldown> {
        let of_service = self.cooldowns.get(service)?;
        let matching =
            of_service.iter().filter(|record| record.direction == direction && record.policy == *policy);
        matching.map(CooldownRecord::cooldown).max_by_key(|cooldown| cooldown.fired_at)
    }

    /// The last action in a direction of a service, by whichever policy.
    #[must_use]
    pub fn last_action(&self, service: &ServiceId, direction: Direction) -> Option<PastAction> {
        let of_service = self.cooldowns.get(service)?;
        let matching = of_service.iter().filter(|record| record.direction == direction);
        matching.map(CooldownRecord::action).max_by_key(|action| action.at)
    }

    /// What a policy wants to be given; nothing at first.
    #[must_use]
    pub fn policy_state(&self, service: &ServiceId, policy: &PolicyId) -> &[u8] {
        let states = self.policy_states.get(service);
        states.and_then(|states| states.get(policy)).map_or(&[], Vec::as_slice)
    }
}
