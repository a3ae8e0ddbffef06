//! What follows from an input: questions to policies, actions, records to write, samples that nobody needs, and what is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{
    ActionId, Blueprint, CooldownRecord, Event, Intent, IntentAction, Observation, Reason, SeriesId,
    ServiceId, Slot, Use,
};

/// What follows from an input.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Effects {
    /// To be asked, each answered by an input of its own.
    pub questions: Vec<Question>,
    /// To be carried out side by side, each ended by an input of its own.
    pub orders: Vec<Order>,
    /// What is to be written.
    pub records: Records,
    /// Samples that nobody needs any more: of each series those before a time.
    pub released: Vec<(SeriesId, Timestamp)>,
    /// Series that have been silent for long: nothing of them is needed.
    pub dropped: Vec<SeriesId>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

/// What is out of date in the state store.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Records {
    /// Services whose template says something else.
    pub templates: BTreeSet<ServiceId>,
    /// Services that became degraded or recovered.
    pub service_statuses: BTreeSet<ServiceId>,
    /// Policies whose state changed.
    pub policy_states: BTreeSet<Use>,
    /// Policies that failed or work again.
    pub policy_statuses: BTreeSet<Use>,
}

/// What a policy is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    /// The policy, and the service that it is asked about.
    #[serde(flatten)]
    pub of: Use,
    /// What is seen of the service.
    pub seen: Observation,
    /// The state that it answered with the last time; empty at first.
    #[serde(serialize_with = "bytes")]
    pub state: Arc<[u8]>,
}

fn bytes<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes[..].serialize(serializer)
}

/// An action to carry out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Order {
    /// The action.
    pub id: ActionId,
    /// The instance, with what is attached to it.
    pub plan: InstancePlan,
    /// What is to be done.
    pub task: Task,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Bring the instance up.
    Start {
        /// Which of the units that are there already may be touched.
        claim: Claim,
        /// What is written down before.
        intent: Intent,
        /// The attached units that are recorded of it; `None` if it is not recorded.
        recorded: Option<Vec<String>>,
        /// Units that it was begun with and that are not configured any more: they go first.
        former: Vec<String>,
        /// The pause before.
        after: Duration,
    },
    /// Take the instance away.
    Stop {
        /// What is written down before.
        intent: Intent,
    },
    /// Bring one attached unit up again.
    Mend {
        /// The unit.
        unit: PlannedUnit,
    },
}

/// Which of the units that are there already may be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// None: the slot is new.
    New,
    /// Those with the unit file that the intent of a former run names.
    Intended,
    /// Those that are recorded too. They are kept if they are well.
    Recorded,
    /// The same. The instance is lost, unless the orchestrator says otherwise when asked again.
    Lost,
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The instance is up, and recorded.
    Started,
    /// Somebody else's unit has the name; nothing was touched.
    Taken,
    /// The instance did not come up, and is gone again.
    Failed(String),
    /// The instance is gone.
    Stopped,
    /// The attached unit was looked after; if in vain, the next look will tell.
    Mended,
}

/// A unit as it shall be.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedUnit {
    /// Its name.
    pub name: String,
    /// What it is made from; `None` for one that is not configured any more, and can only be removed.
    #[serde(serialize_with = "hash")]
    pub blueprint: Option<Arc<Blueprint>>,
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
fn hash<S: Serializer>(blueprint: &Option<Arc<Blueprint>>, serializer: S) -> Result<S::Ok, S::Error> {
    blueprint.as_ref().map(|blueprint| &blueprint.hash).serialize(serializer)
}

/// An instance with the units that are attached to it: what is started, stopped and intended together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InstancePlan {
    /// Its service.
    pub service: ServiceId,
    /// Its slot; `None` when it is not configured any more.
    pub slot: Option<Slot>,
    /// Its own unit.
    pub instance: PlannedUnit,
    /// The attached ones.
    pub attached: Vec<PlannedUnit>,
}

impl InstancePlan {
    /// Every unit, in the order in which they are submitted and removed: attached ones first.
    pub fn units(&self) -> impl Iterator<Item = &PlannedUnit> {
        self.attached.iter().chain([&self.instance])
    }

    /// Their names.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.units().map(|unit| &*unit.name).collect()
    }

    /// The names of the attached units.
    #[must_use]
    pub fn attached_names(&self) -> Vec<String> {
        self.attached.iter().map(|unit| unit.name.clone()).collect()
    }

    /// What is about to be done to it, on top of what a former run wrote down.
    #[must_use]
    pub fn intent(
        &self,
        action: IntentAction,
        reason: &Reason,
        before: Option<&Intent>,
        cooldown: Option<CooldownRecord>,
    ) -> Intent {
        let (mut units, mut known) = (BTreeMap::<String, BTreeSet<String>>::new(), None);
        if let Some(before) = before {
            units.clone_from(&before.units);
            known.clone_from(&before.cooldown);
        }
        for unit in self.units() {
            let hashes = units.entry(unit.name.clone()).or_default();
            hashes.extend(unit.blueprint.as_ref().map(|blueprint| blueprint.hash.clone()));
        }
        Intent { action, units, reason: reason.to_string(), cooldown: cooldown.or(known) }
    }

    /// The same with the attached units that it was begun with, if that is known, instead of those that are configured now.
    #[must_use]
    pub fn begun_with(mut self, begun: Option<&BTreeSet<&String>>) -> Self {
        let Some(begun) = begun else { return self };
        self.attached.retain(|unit| begun.contains(&unit.name));
        for name in begun {
            if self.units().all(|unit| unit.name != **name) {
                self.attached.push(PlannedUnit { name: (*name).clone(), blueprint: None });
            }
        }
        self
    }
}
