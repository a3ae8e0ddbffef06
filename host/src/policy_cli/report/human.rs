//! The report for people, in the manner of `cargo test`.

use std::io::{self, Write};

use super::{CaseResult, Report};
use crate::cases::play::Failure;

/// Writes it.
pub(in super::super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    for suite in &report.suites {
        let (count, s) = (suite.cases.len(), if suite.cases.len() == 1 { "" } else { "s" });
        writeln!(out, "\nrunning {count} case{s} of {} on {}", suite.file, report.policy)?;
        for case in &suite.cases {
            writeln!(out, "case {} ... {}", case.name, if case.passed() { "ok" } else { "FAILED" })?;
        }
    }
    let failed = || {
        let cases =
            report.suites.iter().flat_map(|suite| suite.cases.iter().map(|case| (&*suite.file, case)));
        cases.filter(|(_, case)| !case.passed())
    };
    if report.failed() > 0 {
        writeln!(out, "\nfailures:")?;
        for (file, case) in failed() {
            writeln!(out, "\n---- {} ({file}:{}) ----", case.name, case.line)?;
            failures(file, case, out)?;
        }
        writeln!(out, "\nfailures:")?;
        for (_, case) in failed() {
            writeln!(out, "    {}", case.name)?;
        }
    }
    let result = if report.failed() == 0 { "ok" } else { "FAILED" };
    let (passed, failed, filtered) = (report.cases() - report.failed(), report.failed(), report.filtered_out);
    let counts = format!("{passed} passed; {failed} failed; {filtered} filtered out");
    writeln!(out, "\ntest result: {result}. {counts}; finished in {:.2}s", report.took.as_secs_f64())
}

pub(super) fn failures(file: &str, case: &CaseResult, out: &mut dyn Write) -> io::Result<()> {
    for (index, failure) in case.played.failures.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        one_failure(file, failure, out)?;
    }
    match case.played.failures_left_out {
        0 => Ok(()),
        1 => writeln!(out, "\n1 more decision failed"),
        more => writeln!(out, "\n{more} more decisions failed"),
    }
}

fn one_failure(file: &str, failure: &Failure, out: &mut dyn Write) -> io::Result<()> {
    let moment = failure.moment.as_ref().map(|moment| format!("{moment}, ")).unwrap_or_default();
    writeln!(out, "{moment}expected at {file}:{}", failure.line)?;
    for mismatch in &failure.mismatches {
        writeln!(out, "  - {}", mismatch.expected)?;
        writeln!(out, "  + {}", mismatch.got)?;
    }
    for violation in &failure.violations {
        writeln!(out, "  ! {violation}")?;
    }
    let mut row = |key: &str, value: &str| writeln!(out, "  {key:<9}{value}");
    if let Some(decision) = &failure.decision {
        row("decided:", decision)?;
    }
    if let Some(reason) = &failure.reason {
        row("reason:", reason)?;
    }
    for (index, line) in failure.seen.iter().enumerate() {
        row(if index == 0 { "seen:" } else { "" }, line)?;
    }
    for (index, line) in failure.log.iter().enumerate() {
        row(if index == 0 { "log:" } else { "" }, line)?;
    }
    Ok(())
}
