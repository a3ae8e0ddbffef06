//! The report as one JSON object.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{CaseResult, Report, SuiteResult};

/// Writes it.
pub(in super::super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let object = json!({
        "policy": report.policy,
        "passed": report.cases() - report.failed(),
        "failed": report.failed(),
        "filtered_out": report.filtered_out,
        "seconds": report.took.as_secs_f64(),
        "files": report.suites.iter().map(suite).collect::<Vec<_>>(),
    });
    writeln!(out, "{object:#}")
}

fn suite(suite: &SuiteResult) -> Value {
    json!({ "file": suite.file, "cases": suite.cases.iter().map(case).collect::<Vec<_>>() })
}

fn case(case: &CaseResult) -> Value {
    let played = &case.played;
    let cost = played.cost_max;
    json!({
        "name": case.name,
        "line": case.line,
        "result": if case.passed() { "passed" } else { "failed" },
        "decisions": played.decisions,
        "fuel_max": cost.map(|cost| cost.fuel),
        "memory_bytes_max": cost.map(|cost| cost.memory_bytes),
        "seconds": case.took.as_secs_f64(),
        "failures": played.failures,
        "failures_left_out": played.failures_left_out,
    })
}
