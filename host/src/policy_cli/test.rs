//! `dynamite policy test`: puts a policy to the cases in YAML files, and reports.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use super::report::{self, CaseResult, Report, SuiteResult};
use crate::cases::decider::{Builtin, Subject};
use crate::cases::file::{Kind, Suite, read};
use crate::cases::play::play;
use crate::cli::{BuiltinPolicy, EXIT_FAILURE, EXIT_OK, ReportFormat, TestArgs};
use crate::wasm::Limits;

pub(super) fn run(args: &TestArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let (module, files) = match (args.builtin, args.files.split_first()) {
        (None, Some((module, files))) => (Some(module), files),
        _ => (None, &*args.files),
    };
    if let (Some(module), []) = (module, files) {
        let builtin = "or `--builtin threshold` and case files";
        anyhow::bail!(
            "`{}` alone cannot be tested: give a module and case files, {builtin}",
            module.display()
        );
    }
    let Some(suites) = suites(files)? else { return Ok(EXIT_FAILURE) };
    let subject: Box<dyn Subject> = match (args.builtin, module) {
        (None, Some(module)) => {
            let module = super::load(module, &widest(&suites), &args.cache)?;
            if !super::fit(&suites, &module)? {
                return Ok(EXIT_FAILURE);
            }
            Box::new(module)
        }
        (Some(BuiltinPolicy::Threshold), _) | (None, None) => Box::new(Builtin),
    };
    let report = tested(&*subject, &suites, args.filter.as_deref());
    match args.format {
        ReportFormat::Human => report::human(&report, out)?,
        ReportFormat::Json => report::json(&report, out)?,
        ReportFormat::Junit => report::junit(&report, out)?,
    }
    if report.cases() == 0 {
        // A build that tests nothing must not be green.
        writeln!(io::stderr(), "error: no case was run: the files have none, or none with this name")?;
        return Ok(EXIT_FAILURE);
    }
    Ok(if report.failed() == 0 { EXIT_OK } else { EXIT_FAILURE })
}

/// The cases of all files; nothing, once everything that is wrong with them has been said.
fn suites(files: &[PathBuf]) -> io::Result<Option<Vec<Suite>>> {
    let mut suites = Vec::new();
    let mut wrong = 0;
    for file in files {
        match read(file, Kind::Cases) {
            Ok(suite) => suites.push(suite),
            Err(report) => {
                write!(io::stderr(), "{report}")?;
                wrong += 1;
            }
        }
    }
    Ok((wrong == 0).then_some(suites))
}

/// What a module is loaded with: a large one needs more than the default to say its name.
fn widest(suites: &[Suite]) -> Limits {
    let cases = suites.iter().flat_map(|suite| &suite.cases);
    cases.map(|case| case.policy.limits).fold(Limits::default(), |widest, limits| Limits {
        memory_bytes: widest.memory_bytes.max(limits.memory_bytes),
        fuel: widest.fuel.max(limits.fuel),
        time: widest.time.max(limits.time),
    })
}

/// Plays every case whose name contains the filter.
pub(super) fn tested(subject: &dyn Subject, suites: &[Suite], filter: Option<&str>) -> Report {
    let mut report =
        Report { policy: subject.name(), suites: Vec::new(), filtered_out: 0, took: Duration::ZERO };
    let began = super::stopwatch();
    for suite in suites {
        let mut result = SuiteResult { file: suite.file.clone(), cases: Vec::new() };
        for case in &suite.cases {
            if filter.is_some_and(|part| !case.name.contains(part)) {
                report.filtered_out += 1;
                continue;
            }
            let began = super::stopwatch();
            let played = play(case, subject);
            let (name, line) = (case.name.clone(), case.at.line);
            result.cases.push(CaseResult { name, line, played, took: began.elapsed() });
        }
        report.suites.push(result);
    }
    report.took = began.elapsed();
    report
}
