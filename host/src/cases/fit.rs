//! Whether the configurations in case files are such as a module takes, by its JSON Schema: a mistake in one is shown with its
//! place, as in the configuration of the daemon.

use std::collections::HashMap;

use super::file::Suite;
use crate::config::Report;
use crate::config::read::Reader;
use crate::config::report::Source;
use crate::config::violations::violations;

/// Everything in which the configurations of a file do not fit a schema. Those of cases that expect an error are theirs.
///
/// # Errors
/// What is wrong with the schema.
pub(crate) fn misfits(suite: &Suite, schema: &str) -> Result<Report, String> {
    let source = Source::new(suite.file.clone(), &suite.text);
    let mut report = Report::default();
    let mut reader = Reader { source: &source, report: &mut report };
    let mut known = HashMap::new();
    for case in &suite.cases {
        if case.steps.iter().filter_map(|step| step.expect.as_ref()).any(|expect| expect.wants_error()) {
            continue;
        }
        let config = case.policy.config.to_string();
        if !known.contains_key(&config) {
            known.insert(config.clone(), violations(schema, &config)?);
        }
        for violation in known.get(&config).into_iter().flatten() {
            reader.violation(violation, case.policy.written.as_ref(), case.at);
        }
    }
    report.sort(&suite.file);
    Ok(report)
}
