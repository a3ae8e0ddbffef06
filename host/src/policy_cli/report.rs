//! The report of `dynamite policy test`.

use std::time::Duration;

use crate::cases::play::Played;

mod human;
mod json;
mod junit;

pub(super) use human::write as human;
pub(super) use json::write as json;
pub(super) use junit::write as junit;

/// What came of all cases.
#[derive(Debug)]
pub(super) struct Report {
    /// What was tested.
    pub(super) policy: String,
    pub(super) suites: Vec<SuiteResult>,
    /// Cases that were not asked for.
    pub(super) filtered_out: usize,
    /// How long all of them took.
    pub(super) took: Duration,
}

/// What came of the cases of one file.
#[derive(Debug)]
pub(super) struct SuiteResult {
    pub(super) file: String,
    pub(super) cases: Vec<CaseResult>,
}

/// What came of one case.
#[derive(Debug)]
pub(super) struct CaseResult {
    pub(super) name: String,
    /// Its line in the file.
    pub(super) line: usize,
    pub(super) played: Played,
    pub(super) took: Duration,
}

impl CaseResult {
    pub(super) fn passed(&self) -> bool {
        self.played.failures.is_empty()
    }
}

impl SuiteResult {
    fn failed(&self) -> usize {
        self.cases.iter().filter(|case| !case.passed()).count()
    }
}

impl Report {
    /// How many cases there were.
    pub(super) fn cases(&self) -> usize {
        self.suites.iter().map(|suite| suite.cases.len()).sum()
    }

    /// How many cases failed.
    pub(super) fn failed(&self) -> usize {
        self.suites.iter().map(SuiteResult::failed).sum()
    }
}

#[cfg(test)]
mod tests;
