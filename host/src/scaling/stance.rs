//! Several policies on one service: the largest count that any of them wants wins, and whoever cannot say what it wants
//! keeps instances from going, never from coming.

use super::Reason;

/// What a policy in a module last said of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stance {
    /// It was not asked yet, or its metrics have no samples.
    NoData,
    /// Its last decision failed.
    Failed,
    /// It has no say: it acts in one direction only, and did not want to go there.
    Abstains,
    /// It wants as many as there are.
    Stays,
    /// It wants that many.
    Wants(u32),
}

/// Why a policy keeps another from scaling down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The policy.
    pub policy: String,
    /// What it last said.
    pub stance: Stance,
}

/// How far a service with `count` instances may be scaled down to `wanted`, given what its other policies said.
///
/// # Errors
/// The objection, if it may not be scaled down at all.
pub fn lowest<'s>(
    count: u32,
    wanted: u32,
    others: impl IntoIterator<Item = (&'s str, Stance)>,
) -> Result<u32, Reason> {
    let mut lowest = wanted;
    for (policy, stance) in others {
        match stance {
            Stance::Abstains => continue,
            Stance::Wants(theirs) if theirs < count => {
                lowest = lowest.max(theirs);
                continue;
            }
            Stance::Wants(_) | Stance::Stays | Stance::NoData | Stance::Failed => {}
        }
        return Err(Reason::Objected(Objection { policy: policy.to_owned(), stance }));
    }
    Ok(lowest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wanted: u32, others: &[Stance], expected: Option<u32>) {
        let others = others.iter().map(|stance| ("other", *stance));
        assert_eq!(lowest(5, wanted, others).ok(), expected);
    }

    #[test]
    fn the_largest_count_wins_and_who_cannot_say_objects() {
        check(2, &[], Some(2));
        check(2, &[Stance::Abstains], Some(2));
        check(2, &[Stance::Wants(3), Stance::Wants(1)], Some(3));
        check(2, &[Stance::Wants(5)], None);
        check(2, &[Stance::Wants(7)], None);
        for stance in [Stance::Stays, Stance::NoData, Stance::Failed] {
            check(2, &[Stance::Wants(1), stance], None);
        }
    }
}
