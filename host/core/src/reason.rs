//! Why a decision was what it was: one enum for every reason there is, in words for people.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Objection, Operator, PolicyError, PolicyId, ServiceId};

/// A threshold policy that fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    /// The policy.
    pub policy: PolicyId,
    /// The metric.
    pub metric: Arc<str>,
    /// The instance id of the series; `None` for an aggregated metric.
    pub instance: Option<String>,
    /// The value of the sample that fired.
    pub value: f64,
    /// The comparison.
    pub operator: Operator,
    /// What the value was compared with.
    pub threshold: f64,
    /// How long samples had satisfied the comparison by then.
    pub lasted: SignedDuration,
    /// The time of the sample that fired.
    pub at: Timestamp,
}

/// How a unit of ours was lost. The words are the orchestrator's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// The orchestrator does not know it any more.
    Vanished,
    /// It failed, with what is known of that.
    Failed(String),
    /// Its process ended without a failure.
    Ended,
    /// Somebody changed what is wanted of it.
    NotLaunched,
}

/// Why a decision was what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A threshold policy fired.
    Threshold(Box<Firing>),
    /// A policy that was asked wants another count.
    Policy {
        /// The policy.
        policy: PolicyId,
        /// Its own words.
        words: Arc<str>,
        /// The count that it wants.
        wanted: u32,
        /// The count that is made.
        made: u32,
    },
    /// A policy that was asked wants, within bounds and its direction, what there is.
    Stays {
        /// The policy.
        policy: PolicyId,
        /// Its own words.
        words: Arc<str>,
    },
    /// A decision of a policy came to nothing.
    PolicyFailed {
        /// The policy.
        policy: PolicyId,
        /// What happened.
        error: PolicyError,
    },
    /// Another policy does not want fewer instances, or cannot say.
    Objected(Objection),
    /// The policy scaled in this direction not long ago.
    CoolingDown {
        /// The policy.
        policy: PolicyId,
        /// Until then.
        until: Timestamp,
    },
    /// There are fewer instances than wanted: at the start, after a failed attempt, or after the bounds changed.
    BelowWanted {
        /// Instances there are.
        count: u32,
        /// Instances there should be.
        wanted: u32,
    },
    /// There are more instances than `max_instance` allows, as it was lowered.
    AboveMaximum {
        /// Instances there are.
        count: u32,
        /// The bound.
        max: u32,
    },
    /// Somebody told Dynamite to have so many.
    Told {
        /// The count.
        to: u32,
    },
    /// The configuration does not name the service, or the unit file, any more.
    NotConfigured,
    /// The unit was lost by itself.
    Lost(Loss),
    /// A former run wrote down that it was about to do this.
    Resumed,
    /// `max_instance` stops it.
    AtMaximum {
        /// Instances there are.
        count: u32,
        /// The bound.
        max: u32,
    },
    /// `min_instance` stops it.
    AtMinimum {
        /// Instances there are.
        count: u32,
        /// The bound.
        min: u32,
    },
    /// The policy may not scale that way.
    OneWay,
    /// The policy was shown no sample, so it has no say about less.
    NoData,
    /// The instance that would go is still coming up.
    StillStarting {
        /// Its unit.
        unit: String,
    },
    /// The instance that would go is going already.
    AlreadyStopping {
        /// Its unit.
        unit: String,
    },
    /// Every number is taken.
    NoFreeNumber,
    /// Services that must run first do not run yet.
    WaitingFor {
        /// The first of them.
        service: ServiceId,
    },
    /// Attempts failed and the next one is not due.
    BackingOff {
        /// How many failed in a row.
        attempts: u32,
        /// Until the next one.
        pause: SignedDuration,
    },
    /// Every attempt failed; the next decision tries again.
    GaveUp {
        /// How many failed in a row.
        attempts: u32,
        /// What the last one said.
        error: String,
    },
}

impl Reason {
    /// Whether the two reasons are of one kind, so that the second need not be told again.
    #[must_use]
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threshold(firing) => firing.fmt(f),
            Self::Policy { policy, words, wanted, made } => {
                let blank = if words.is_empty() { "" } else { " " };
                write!(f, "{policy}: {words}{blank}")?;
                if wanted == made {
                    write!(f, "(to {made})")
                } else {
                    write!(f, "(wants {wanted}, gets {made})")
                }
            }
            Self::Stays { policy, words } => write!(f, "{policy}: {words}"),
            Self::PolicyFailed { policy, error } => write!(f, "{policy} failed: {error}"),
            Self::Objected(objection) => objection.fmt(f),
            Self::CoolingDown { policy, until } => {
                write!(f, "{policy} rests until {until} (cooldown_period)")
            }
            Self::BelowWanted { count, wanted } => write!(f, "{count} of {wanted} wanted"),
            Self::AboveMaximum { count, max } => write!(f, "{count} are more than {max} (max_instance)"),
            Self::Told { to } => write!(f, "told to have {to}"),
            Self::NotConfigured => f.write_str("not in the configuration any more"),
            Self::Lost(loss) => loss.fmt(f),
            Self::Resumed => f.write_str("begun before a restart"),
            Self::AtMaximum { count, max } => write!(f, "{count} of {max} (max_instance)"),
            Self::AtMinimum { count, min } => write!(f, "{count} of {min} (min_instance)"),
            Self::OneWay => f.write_str("it may not scale that way"),
            Self::NoData => f.write_str("it has no data"),
            Self::StillStarting { unit } => write!(f, "{unit} is still starting"),
            Self::AlreadyStopping { unit } => write!(f, "{unit} is already stopping"),
            Self::NoFreeNumber => f.write_str("no free instance number"),
            Self::WaitingFor { service } => write!(f, "waiting for {service} (service_dependency)"),
            Self::BackingOff { attempts, pause } => {
                write!(f, "{attempts} failed attempts, next in {pause:#}")
            }
            Self::GaveUp { attempts, error } => {
                write!(f, "gave up after {attempts} failed attempts: {error}")
            }
        }
    }
}

impl fmt::Display for Firing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, metric, value, operator, threshold, lasted, .. } = self;
        write!(f, "{policy}: {metric}")?;
        if let Some(instance) = &self.instance {
            write!(f, " of {instance}")?;
        }
        let lasted = SignedDuration::from_millis_i128(lasted.as_millis());
        let value = rounded(*value, *threshold);
        write!(f, " is {value} ({operator} {threshold} for {lasted:#})")
    }
}

/// A value with the six digits that people read, or with all where it would look like the threshold.
fn rounded(value: f64, threshold: f64) -> f64 {
    let short: f64 = format!("{value:.5e}").parse().unwrap_or(value);
    if short.total_cmp(&threshold).is_eq() { value } else { short }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vanished => f.write_str("fleet does not know it any more"),
            Self::Failed(states) => write!(f, "failed ({states})"),
            Self::Ended => f.write_str("its process ended"),
            Self::NotLaunched => f.write_str("its target state was changed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_six_digits_unless_they_hide_why_it_fired() {
        let shown =
            [88.018_207_360_6, 0.000_123_456_78, -5.0, 123_456_789.0].map(|value| rounded(value, 80.0));
        assert_eq!(format!("{shown:?}"), "[88.0182, 0.000123457, -5.0, 123457000.0]");
        assert_eq!(rounded(80.000_000_1, 80.0).to_string(), "80.0000001");
    }

    #[test]
    fn a_reason_is_written_down_and_read_again() {
        for reason in [
            Reason::AtMaximum { count: 2, max: 2 },
            Reason::Lost(Loss::Failed("failed/failed".to_owned())),
            Reason::BackingOff { attempts: 2, pause: SignedDuration::from_secs(2) },
            Reason::Resumed,
        ] {
            let text = serde_json::to_string(&reason).unwrap();
            assert_eq!(serde_json::from_str::<Reason>(&text).unwrap(), reason, "{text}");
        }
    }
}
