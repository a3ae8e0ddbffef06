//! What reports look like.

use std::time::Duration;

use super::super::test::tested;
use super::{Report, human, json, junit};
use crate::cases::tests::{Fake, suite, tens};

const CASES: &str = "
policy: {metric: cpu, period: 1, period_unit: minute}
service: {max_instance: 9, instances: 2}
cases:
  - {name: passes, windows: {a: 55}, expect: {scale_to: 6}}
  - {name: 'scales up to <four>', windows: {a: [10, 20], b: 30}, expect: {scale_to: 3, within: 1, reason: four}}
  - name: follows the load
    closed_loop: true
    steps:
      - {at: 0s, load: 20, expect: {hold: true}}
      - {every: 10s, for: 60s, load: {ramp: [20, 80]}, expect: {scale_down: 1}}
    expect: {instances: [2, 3], never_above: 5, ends_at: 3, changes_at_most: 1}
";

/// The report, as if it had taken no time.
fn report(filter: Option<&str>) -> Report {
    let mut report = tested(&Fake(tens), &[suite(CASES)], filter);
    report.took = Duration::ZERO;
    report.suites.iter_mut().flat_map(|suite| &mut suite.cases).for_each(|case| case.took = Duration::ZERO);
    report
}

fn written(write: impl Fn(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn for_people() {
    insta::assert_snapshot!(written(|out| human(&report(None), out).unwrap()));
}

#[test]
fn for_people_when_all_is_well() {
    insta::assert_snapshot!(written(|out| human(&report(Some("passes")), out).unwrap()));
}

#[test]
fn as_json() {
    insta::assert_snapshot!(written(|out| json(&report(None), out).unwrap()));
}

#[test]
fn as_junit() {
    insta::assert_snapshot!(written(|out| junit(&report(None), out).unwrap()));
}
