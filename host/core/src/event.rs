//! What happens in the planner, told once. Logs, records and people are readers of these.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ActionId, Decision, Difference, Outcome, PolicyError, Reason, ServiceId, Slot, Usage, Use};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A decision was made; it may be to hold.
    Decided(Box<Decision>),
    /// An action has ended.
    ActionEnded {
        /// The action.
        action: ActionId,
        /// The service.
        service: ServiceId,
        /// The slot; `None`: of something that is not configured any more.
        slot: Option<Slot>,
        /// The unit of the instance.
        unit: String,
        /// What came of it.
        outcome: Outcome,
        /// How many instances of the service are up now.
        running: u32,
        /// How many attempts failed in a row.
        failures: u32,
    },
    /// Every attempt to start an instance failed.
    ServiceDegraded {
        /// The service.
        service: ServiceId,
        /// Why.
        reason: Reason,
    },
    /// A degraded service is well again.
    ServiceRecovered {
        /// The service.
        service: ServiceId,
    },
    /// A policy that was asked has answered, or failed.
    PolicyAnswered {
        /// The policy and its service.
        #[serde(flatten)]
        of: Use,
        /// How long after it was due.
        delay: SignedDuration,
        /// What its run took.
        usage: Usage,
        /// How it failed, if it did.
        error: Option<PolicyError>,
    },
    /// A policy has begun to fail, or fails in another way.
    PolicyFails {
        /// The policy and its service.
        #[serde(flatten)]
        of: Use,
        /// How.
        error: PolicyError,
        /// Since when it fails.
        since: Timestamp,
    },
    /// A policy that failed works again.
    PolicyWorks {
        /// The policy and its service.
        #[serde(flatten)]
        of: Use,
    },
    /// Samples that were there before the start have been read: policies may act from now on.
    PoliciesLive {
        /// How many samples were read.
        samples: u64,
    },
    /// Something under the metrics path gave no sample.
    SampleSkipped {
        /// Where.
        key: String,
        /// Why.
        why: Skipped,
        /// How much was read and skipped so far.
        counts: Counts,
    },
    /// There are more registrations than are kept.
    RegistrationsFull {
        /// How many are.
        max: usize,
    },
    /// The specification has become another.
    ConfigurationChanged {
        /// In what.
        difference: Difference,
    },
}

/// Why something under the metrics path gave no sample. Each is counted; the first of its kind in a place is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// It is not newer than the newest sample of its series.
    Late,
    /// It has no time, or one more than a day ahead.
    BadTime,
    /// It has no finite number.
    BadValue,
    /// There are more series or samples than are kept.
    TooMany,
}

/// How many samples were read and skipped since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Samples taken in.
    pub samples: u64,
    /// Not newer than the newest of the series.
    pub late: u64,
    /// Without a time.
    pub bad_time: u64,
    /// Without a number.
    pub bad_value: u64,
    /// Beyond the bounds on memory.
    pub too_many: u64,
}

impl Counts {
    /// Counts what was skipped.
    pub fn skip(&mut self, why: Skipped) {
        let counter = match why {
            Skipped::Late => &mut self.late,
            Skipped::BadTime => &mut self.bad_time,
            Skipped::BadValue => &mut self.bad_value,
            Skipped::TooMany => &mut self.too_many,
        };
        *counter += 1;
    }
}
