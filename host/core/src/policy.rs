//! What a policy is shown of a service and its metrics, and what it answers.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ServiceId;

/// The samples of one instance, or of all instances together, oldest first, in two columns of one length.
///
/// They are shared by everybody who is shown them, as a series may be shown to a thousand policies at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeenSeries {
    /// The instance id; empty when the metric is aggregated.
    pub id: Arc<str>,
    /// The unit of the service whose samples these are, if an instance of that id has registered.
    pub instance: Option<Arc<str>>,
    /// The times in milliseconds since the epoch, strictly ascending.
    pub at_ms: Arc<[u64]>,
    /// The values, finite.
    pub values: Arc<[f64]>,
}

/// One metric over some time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeenWindow {
    /// The type under which the metric is written.
    pub service_type: Arc<str>,
    /// The metric as configured.
    pub metric: Arc<str>,
    /// Its unit as configured; empty if none is.
    pub unit: Arc<str>,
    /// Whether there is one series for all instances.
    pub aggregated: bool,
    /// How far a series reaches back from its newest sample, in milliseconds.
    pub length_ms: u64,
    /// The series by id.
    pub series: Vec<SeenSeries>,
}

/// Where an instance is in its life, as policies are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InstanceState {
    /// Being started.
    Starting,
    /// Up.
    Running,
    /// Being removed; it does not count any more.
    Stopping,
    /// Lost, and about to be replaced.
    Failed,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SeenInstance {
    /// The name of its unit.
    pub name: String,
    /// Its number; 0 if its unit file is no template.
    pub number: u32,
    /// Where it is in its life.
    pub state: InstanceState,
    /// Since when.
    pub since: Timestamp,
}

/// The service that is decided about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeenService {
    /// Its name.
    pub name: ServiceId,
    /// Its type.
    pub service_type: Arc<str>,
    /// `min_instance`.
    pub min: u32,
    /// `max_instance`; `None`: no limit.
    pub max: Option<u32>,
    /// Its instances by number.
    pub instances: Vec<SeenInstance>,
}

impl SeenService {
    /// The instances that a decision counts from: all but those that are going.
    #[must_use]
    pub fn count(&self) -> u32 {
        let counted = self.instances.iter().filter(|instance| instance.state != InstanceState::Stopping);
        u32::try_from(counted.count()).unwrap_or(u32::MAX)
    }
}

/// The last time a service was scaled in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAction {
    /// When it was decided.
    pub at: Timestamp,
    /// How many instances there were.
    pub before: u32,
    /// How many there were to be.
    pub after: u32,
}

/// Everything a policy knows when it decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The time of the decision.
    pub now: Timestamp,
    /// The service.
    pub service: SeenService,
    /// A window for each metric of the policy, in the order of its configuration.
    pub windows: Vec<SeenWindow>,
    /// The last time it was scaled up.
    pub last_up: Option<PastAction>,
    /// The last time it was scaled down.
    pub last_down: Option<PastAction>,
}

impl Observation {
    /// Whether the policy reads metrics and not one of them has a sample.
    #[must_use]
    pub fn lacks_data(&self) -> bool {
        !self.windows.is_empty()
            && self.windows.iter().flat_map(|window| &window.series).all(|series| series.values.is_empty())
    }
}

/// What a policy wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Proposal {
    /// As many instances as there are.
    Hold,
    /// So many.
    To(u32),
    /// So many more.
    Up(u32),
    /// So many less.
    Down(u32),
    /// Instances of these names go.
    Stop(Vec<String>),
}

impl Proposal {
    /// The count that is wanted where there are `count` instances now. Saturates.
    #[must_use]
    pub fn wanted(&self, count: u32) -> u32 {
        match self {
            Self::Hold => count,
            Self::To(wanted) => *wanted,
            Self::Up(more) => count.saturating_add(*more),
            Self::Down(less) => count.saturating_sub(*less),
            Self::Stop(names) => count.saturating_sub(u32::try_from(names.len()).unwrap_or(u32::MAX)),
        }
    }
}

/// What a policy answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What it wants.
    pub proposal: Proposal,
    /// Why, for people.
    pub reason: String,
    /// What it wants to be given next time.
    pub state: Vec<u8>,
    /// When it wants to be asked again at the latest.
    pub wake_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_count_from_what_there_is_and_saturate() {
        for (proposal, wanted) in [
            (Proposal::Hold, 3),
            (Proposal::To(7), 7),
            (Proposal::Up(u32::MAX), u32::MAX),
            (Proposal::Down(9), 0),
            (Proposal::Stop(vec!["a".to_owned(), "b".to_owned()]), 1),
        ] {
            assert_eq!(proposal.wanted(3), wanted, "{proposal:?}");
        }
    }
}
