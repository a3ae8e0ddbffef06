//! The report as `JUnit` XML: a suite for each file, and the text of the failure as people would read it.
//!
//! It is a handful of elements, so they are written as they are.

use std::io::{self, Write};
use std::time::Duration;

use super::{CaseResult, Report, SuiteResult};

/// Writes it.
pub(in super::super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>")?;
    let (cases, failed) = (report.cases(), report.failed());
    let (name, time) = (escaped(&report.policy), seconds(report.took));
    writeln!(out, "<testsuites name=\"{name}\" tests=\"{cases}\" failures=\"{failed}\" time=\"{time}\">")?;
    for suite in &report.suites {
        one_suite(suite, out)?;
    }
    writeln!(out, "</testsuites>")
}

fn one_suite(suite: &SuiteResult, out: &mut dyn Write) -> io::Result<()> {
    let file = escaped(&suite.file);
    let (cases, failed) = (suite.cases.len(), suite.failed());
    let time = seconds(suite.cases.iter().map(|case| case.took).sum());
    writeln!(out, "  <testsuite name=\"{file}\" tests=\"{cases}\" failures=\"{failed}\" time=\"{time}\">")?;
    for case in &suite.cases {
        one_case(&suite.file, case, out)?;
    }
    writeln!(out, "  </testsuite>")
}

fn one_case(file: &str, case: &CaseResult, out: &mut dyn Write) -> io::Result<()> {
    let (name, time) = (escaped(&case.name), seconds(case.took));
    let shown = escaped(file);
    write!(
        out,
        "    <testcase name=\"{name}\" classname=\"{shown}\" file=\"{shown}\" line=\"{}\"",
        case.line
    )?;
    if case.passed() {
        return writeln!(out, " time=\"{time}\"/>");
    }
    writeln!(out, " time=\"{time}\">")?;
    let mut text = Vec::new();
    super::human::failures(file, case, &mut text)?;
    let first = case.played.failures.first();
    let message = first.and_then(|failure| {
        let mismatch =
            failure.mismatches.first().map(|it| format!("expected {}, got {}", it.expected, it.got));
        mismatch.or_else(|| failure.violations.first().cloned())
    });
    let message = escaped(&message.unwrap_or_default());
    writeln!(
        out,
        "      <failure message=\"{message}\">{}</failure>",
        escaped(&String::from_utf8_lossy(&text))
    )?;
    writeln!(out, "    </testcase>")
}

fn seconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64())
}

/// A text as it may stand in XML, in an attribute too. Characters that XML does not have are replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push('\n'),
            char if char.is_control() || ('\u{fffe}'..='\u{ffff}').contains(&char) => {
                escaped.push('\u{fffd}');
            }
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_does_not_have_is_replaced() {
        assert_eq!(escaped("a<\"b\">&\u{1}\u{ffff}\n"), "a&lt;&quot;b&quot;&gt;&amp;\u{fffd}\u{fffd}\n");
    }
}
