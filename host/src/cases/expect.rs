//! What a case expects: of one decision, or of the whole course of them.

mod read;

use dynamite_core::{Proposal, Verdict};
use jiff::{SignedDuration, Timestamp};

use super::amount::written;
use crate::wasm::Line;

/// One thing that is expected of a decision.
#[derive(Clone, Debug, PartialEq)]
enum Want {
    /// As many instances as there are; or anything else.
    Hold(bool),
    To(u32),
    Up(u32),
    Down(u32),
    Stop(Vec<String>),
    /// So many instances, after the bounds.
    Instances(u32),
    /// The reason contains this.
    Reason(String),
    /// A line of the log contains this.
    Log(String),
    /// It asks to be woken after that time; `None`: it does not ask.
    WakeIn(Option<SignedDuration>),
    /// It fails, and the error contains this.
    Error(String),
}

/// What is expected of a decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Expectation {
    wants: Vec<Want>,
    /// How far off a number of instances may be.
    within: u32,
}

/// What is expected of the number of instances over a whole case.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Course {
    instances: Option<Vec<u32>>,
    never_above: Option<u32>,
    never_below: Option<u32>,
    starts_at: Option<u32>,
    ends_at: Option<u32>,
    changes_at_most: Option<u32>,
}

/// What a policy answered, with what the daemon would make of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answered {
    /// When it was asked.
    pub(crate) now: Timestamp,
    /// The verdict, or why there is none.
    pub(crate) result: Result<Verdict, String>,
    /// The instances that are wanted then, within the bounds.
    pub(crate) wanted: u32,
    /// What it logged.
    pub(crate) log: Vec<Line>,
}

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Mismatch {
    /// What was expected, in words.
    pub(crate) expected: String,
    /// What it was.
    pub(crate) got: String,
}

impl Expectation {
    /// Whether an error is expected.
    pub(crate) fn wants_error(&self) -> bool {
        self.wants.iter().any(|want| matches!(want, Want::Error(_)))
    }

    /// Everything in which the answer differs.
    pub(crate) fn compare(&self, answered: &Answered) -> Vec<Mismatch> {
        self.wants.iter().filter_map(|want| self.mismatch(want, answered)).collect()
    }

    fn mismatch(&self, want: &Want, answered: &Answered) -> Option<Mismatch> {
        let off = |expected: String, got: String| Some(Mismatch { expected, got });
        let verdict = match (&answered.result, want) {
            (Err(error), Want::Error(part)) if error.contains(part) => return None,
            (Err(error), _) => return off(self.described(want), format!("error: {error}")),
            (Ok(verdict), Want::Error(_)) => return off(self.described(want), said(&verdict.proposal)),
            (Ok(verdict), _) => verdict,
        };
        let near = |wanted: u32, got: u32| wanted.abs_diff(got) <= self.within;
        let proposal = &verdict.proposal;
        let decision = || said(proposal);
        let (fits, got) = match (want, proposal) {
            (Want::Hold(hold), _) => ((*proposal == Proposal::Hold) == *hold, decision()),
            (Want::To(wanted), Proposal::To(got))
            | (Want::Up(wanted), Proposal::Up(got))
            | (Want::Down(wanted), Proposal::Down(got)) => (near(*wanted, *got), decision()),
            (Want::Stop(wanted), Proposal::Stop(got)) => (same(wanted, got), decision()),
            (Want::To(_) | Want::Up(_) | Want::Down(_) | Want::Stop(_) | Want::Error(_), _) => {
                (false, decision())
            }
            (Want::Instances(wanted), _) => {
                (near(*wanted, answered.wanted), format!("{} instances ({})", answered.wanted, decision()))
            }
            (Want::Reason(part), _) => {
                (verdict.reason.contains(part), format!("the reason `{}`", verdict.reason))
            }
            (Want::Log(part), _) => {
                (answered.log.iter().any(|line| line.text.contains(part)), "no such line".to_owned())
            }
            (Want::WakeIn(wanted), _) => {
                let got = verdict.wake_at.map(|at| at.duration_since(answered.now));
                (
                    *wanted == got,
                    got.map_or("no wish to wake".to_owned(), |got| format!("wake in {}", written(got))),
                )
            }
        };
        if fits { None } else { off(self.described(want), got) }
    }

    fn described(&self, want: &Want) -> String {
        let counted = |text: String| match self.within {
            0 => text,
            within => format!("{text}, within {within}"),
        };
        match want {
            Want::Hold(true) => "hold".to_owned(),
            Want::Hold(false) => "anything but hold".to_owned(),
            Want::To(count) => counted(said(&Proposal::To(*count))),
            Want::Up(count) => counted(said(&Proposal::Up(*count))),
            Want::Down(count) => counted(said(&Proposal::Down(*count))),
            Want::Stop(names) => said(&Proposal::Stop(names.clone())),
            Want::Instances(count) => counted(format!("{count} instances")),
            Want::Reason(part) => format!("a reason with `{part}`"),
            Want::Log(part) => format!("a line in the log with `{part}`"),
            Want::WakeIn(Some(span)) => format!("wake in {}", written(*span)),
            Want::WakeIn(None) => "no wish to wake".to_owned(),
            Want::Error(part) => format!("an error with `{part}`"),
        }
    }
}

impl Course {
    /// Everything in which the numbers of instances, from the start on, differ.
    pub(crate) fn compare(&self, counts: &[u32]) -> Vec<Mismatch> {
        let (first, last) = (counts.first().copied().unwrap_or(0), counts.last().copied().unwrap_or(0));
        let (low, high) =
            (counts.iter().min().copied().unwrap_or(0), counts.iter().max().copied().unwrap_or(0));
        let mut course = counts.to_vec();
        course.dedup();
        let changes = u32::try_from(course.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let mut wrong = Vec::new();
        let mut check = |fits: bool, expected: String, got: String| {
            if !fits {
                wrong.push(Mismatch { expected, got });
            }
        };
        if let Some(wanted) = &self.instances {
            check(
                *wanted == course,
                format!("instances {}", listed(wanted)),
                format!("instances {}", listed(&course)),
            );
        }
        if let Some(most) = self.never_above {
            check(high <= most, format!("never above {most}"), format!("{high} instances"));
        }
        if let Some(least) = self.never_below {
            check(low >= least, format!("never below {least}"), format!("{low} instances"));
        }
        if let Some(start) = self.starts_at {
            check(first == start, format!("starts at {start}"), format!("starts at {first}"));
        }
        if let Some(end) = self.ends_at {
            check(last == end, format!("ends at {end}"), format!("ends at {last}"));
        }
        if let Some(most) = self.changes_at_most {
            check(
                changes <= most,
                format!("changes at most {most}"),
                format!("{changes} changes: {}", listed(&course)),
            );
        }
        wrong
    }
}

/// A proposal in words.
pub(crate) fn said(proposal: &Proposal) -> String {
    match proposal {
        Proposal::Hold => "hold".to_owned(),
        Proposal::To(count) => format!("scale to {count}"),
        Proposal::Up(count) => format!("scale up by {count}"),
        Proposal::Down(count) => format!("scale down by {count}"),
        Proposal::Stop(names) => format!("stop {}", names.join(", ")),
    }
}

fn listed(counts: &[u32]) -> String {
    const SHOWN_MAX: usize = 40;
    let shown: Vec<String> = counts.iter().take(SHOWN_MAX).map(ToString::to_string).collect();
    format!("{}{}", shown.join(" -> "), if counts.len() > SHOWN_MAX { " -> ..." } else { "" })
}

fn same(wanted: &[String], got: &[String]) -> bool {
    let sorted = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names
    };
    sorted(wanted) == sorted(got)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(proposal: Proposal, wanted: u32) -> Answered {
        let verdict =
            Verdict { proposal, reason: "1.5 of the target".to_owned(), state: Vec::new(), wake_at: None };
        Answered { now: Timestamp::UNIX_EPOCH, result: Ok(verdict), wanted, log: Vec::new() }
    }

    fn fits(wants: &[Want], within: u32, answered: &Answered) -> bool {
        Expectation { wants: wants.to_vec(), within }.compare(answered).is_empty()
    }

    #[test]
    fn numbers_may_be_off_by_so_much() {
        let five = answered(Proposal::To(5), 5);
        for (want, within, expected) in [
            (Want::To(5), 0, true),
            (Want::To(4), 0, false),
            (Want::To(4), 1, true),
            (Want::Instances(6), 1, true),
            (Want::Up(5), 9, false),
            (Want::Hold(false), 0, true),
            (Want::Hold(true), 0, false),
            (Want::Reason("target".to_owned()), 0, true),
            (Want::Error(String::new()), 0, false),
            (Want::WakeIn(None), 0, true),
        ] {
            assert_eq!(fits(std::slice::from_ref(&want), within, &five), expected, "{want:?}");
        }
    }

    #[test]
    fn names_may_be_in_any_order() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let stop = answered(Proposal::Stop(names(&["b", "a"])), 1);
        assert!(fits(&[Want::Stop(names(&["a", "b"]))], 0, &stop));
        assert!(!fits(&[Want::Stop(names(&["a"]))], 0, &stop));
    }

    #[test]
    fn an_error_is_no_hold() {
        let failed = Answered { result: Err("it trapped".to_owned()), ..answered(Proposal::Hold, 1) };
        assert!(!fits(&[Want::Hold(true)], 0, &failed));
        assert!(fits(&[Want::Error("trap".to_owned())], 0, &failed));
    }

    #[test]
    fn a_course_is_compared_without_repetitions() {
        let course = Course { instances: Some(vec![2, 3, 2]), changes_at_most: Some(1), ..Course::default() };
        let wrong = course.compare(&[2, 2, 3, 3, 2]);
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].got, "2 changes: 2 -> 3 -> 2");
    }
}
