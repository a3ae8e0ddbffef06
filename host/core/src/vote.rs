//! What policies say. A threshold that fires and a policy that was asked say it in the same words.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Direction, Firing, PolicyError, PolicyId, Slot};

/// What a policy said of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vote {
    /// The policy.
    pub policy: PolicyId,
    /// When: of a threshold the time of the sample that fired, of others the time of the answer.
    pub at: Timestamp,
    /// What it wants.
    pub wish: Wish,
    /// Why.
    pub grounds: Grounds,
}

/// What a policy wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// It has no say.
    Abstain(Abstention),
    /// As many instances as there are.
    Stay,
    /// So many.
    To(u32),
    /// So many more.
    More(u32),
    /// So many less.
    Less {
        /// How many.
        by: u32,
        /// Which ones.
        who: Victims,
    },
}

/// Why a policy has no say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Abstention {
    /// It was not asked yet, or its metrics have no samples.
    NoData,
    /// Its last decision failed.
    Failed,
    /// It acts in one direction only, and did not want to go there.
    OneWay,
}

/// Which instances go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Victims {
    /// Those in the highest slots.
    Highest,
    /// This one, or the one in the highest slot if there is no such instance.
    Prefer(Slot),
    /// Of these as many as can go.
    Exactly(Vec<Slot>),
}

/// Why a policy wants what it wants.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grounds {
    /// A threshold was passed for long enough.
    Threshold(Box<Firing>),
    /// Its own words.
    Words {
        /// The words; may be empty.
        text: Arc<str>,
        /// Whether it was shown any sample, or reads none.
        has_data: bool,
    },
    /// It failed.
    Failure(PolicyError),
    /// It was not asked yet.
    Silence,
}

impl Vote {
    /// What stands for a policy that has not been asked yet.
    #[must_use]
    pub fn none_yet(policy: PolicyId, at: Timestamp) -> Self {
        Self { policy, at, wish: Wish::Abstain(Abstention::NoData), grounds: Grounds::Silence }
    }

    /// The count that is wanted where there are `count` instances. Saturates.
    #[must_use]
    pub fn count_from(&self, count: u32) -> u32 {
        self.wish.count_from(count)
    }

    /// The direction of a threshold; a policy that is asked may go either way.
    #[must_use]
    pub fn direction_of_threshold(&self) -> Option<Direction> {
        match (&self.grounds, &self.wish) {
            (Grounds::Threshold(_), Wish::Less { .. }) => Some(Direction::Down),
            (Grounds::Threshold(_), _) => Some(Direction::Up),
            _ => None,
        }
    }
}

impl Wish {
    /// The count that is wanted where there are `count` instances. Saturates.
    #[must_use]
    pub fn count_from(&self, count: u32) -> u32 {
        match self {
            Self::Abstain(_) | Self::Stay => count,
            Self::To(wanted) => *wanted,
            Self::More(more) => count.saturating_add(*more),
            Self::Less { by, .. } => count.saturating_sub(*by),
        }
    }
}

/// Why a policy keeps another from scaling down, or from scaling down as far as that one wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objection {
    /// The policy.
    pub policy: PolicyId,
    /// What it last wanted.
    pub wish: Wish,
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { policy, wish } = self;
        match wish {
            Wish::Abstain(Abstention::NoData) => write!(f, "{policy} has no data yet"),
            Wish::Abstain(Abstention::Failed) => write!(f, "{policy} failed, so nothing goes"),
            Wish::To(count) => write!(f, "{policy} wants {count}"),
            _ => write!(f, "{policy} wants no fewer"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_count_from_what_there_is_and_saturate() {
        for (wish, wanted) in [
            (Wish::Stay, 3),
            (Wish::Abstain(Abstention::Failed), 3),
            (Wish::To(7), 7),
            (Wish::More(u32::MAX), u32::MAX),
            (Wish::Less { by: 9, who: Victims::Highest }, 0),
            (Wish::Less { by: 2, who: Victims::Exactly(vec![Slot(1), Slot(2)]) }, 1),
        ] {
            assert_eq!(wish.count_from(3), wanted, "{wish:?}");
        }
    }
}
