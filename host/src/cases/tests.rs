//! Case files with mistakes and without, played before pretended policies.

use std::path::Path;

use dynamite_core::{Observation, Proposal, Verdict};

use super::FORMAT;
use super::decider::{Builtin, Pure, Subject};
use super::file::{Kind, Suite, read, read_text};
use super::fit::misfits;
use super::play::{Played, play};
use crate::wasm::{CallError, Limits, Log, Run};

/// A policy that is a function of what it sees and of its state.
pub(crate) struct Fake<F>(pub(crate) F);

impl<F: Fn(&Observation, &[u8]) -> Result<Verdict, CallError>> Pure for Fake<F> {
    fn name(&self) -> String {
        "fake 1.0.0".to_owned()
    }

    fn validate(&self, config: &str, _: &Limits) -> Run<()> {
        let refused = || Err(CallError::Refused("`bad` is bad".to_owned()));
        run(if config.contains("bad") { refused() } else { Ok(()) })
    }

    fn decide(&self, _: &str, seen: &Observation, state: &[u8], _: &Limits) -> Run<Verdict> {
        run((self.0)(seen, state))
    }
}

fn run<T>(result: Result<T, CallError>) -> Run<T> {
    Run { result, fuel: 1_000, memory_bytes: 65_536, log: Log::default() }
}

#[expect(clippy::unnecessary_wraps, reason = "it is what a policy answers")]
pub(crate) fn verdict(
    proposal: Proposal,
    reason: impl Into<String>,
    state: &[u8],
) -> Result<Verdict, CallError> {
    Ok(Verdict { proposal, reason: reason.into(), state: state.to_vec(), wake_at: None })
}

/// One instance for each ten of the newest samples together; counts its decisions in its state.
pub(crate) fn tens(seen: &Observation, state: &[u8]) -> Result<Verdict, CallError> {
    let newest = seen.windows[0].series.iter().filter_map(|series| series.values.last());
    let sum: f64 = newest.sum();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let wanted = (sum / 10.0).ceil() as u32;
    let count = state.first().copied().unwrap_or(0).saturating_add(1);
    verdict(Proposal::To(wanted), format!("{sum} is carried, call {count}"), &[count])
}

pub(crate) fn suite(text: &str) -> Suite {
    read_text("cases.yaml", text, Path::new("nowhere"), Kind::Cases)
        .unwrap_or_else(|report| panic!("{report}"))
}

fn played(text: &str, subject: &dyn Subject) -> Played {
    play(&suite(text).cases[0], subject)
}

#[test]
fn mistakes_are_shown_with_their_place() {
    let text = "
policy: {metric: cpu, perod: 5, limits: {memory: 1TiB}}
service: {min_instance: 3, max_instance: 2, instances: some}
cases:
  - name: a
    windows: {a: {ramp: [1], for: 5m}, b: {ramp: [1, 2]}, c: {every: 0s, value: 1, for: 5m}, d: yes, e: {file: no.csv}}
    expect: {hold: true, scale_up: 1}
  - name: a
    expect: {reasn: x}
  - steps:
      - {at: 10s}
      - {at: 5s, load: high}
      - {every: 10s}
    expect: {instances: 3}
  - name: b
    expect: {}
";
    let report = read_text("cases.yaml", text, Path::new("nowhere"), Kind::Cases).unwrap_err();
    insta::assert_snapshot!(report);
}

#[test]
fn a_device_is_not_waited_for() {
    let report = read(Path::new("/dev/null"), Kind::Cases).unwrap_err();
    assert!(report.to_string().contains("it is no file"), "{report}");
}

#[test]
fn what_has_no_effect_is_a_mistake() {
    let text = "
policy: {metric: cpu, period: 5, period_unit: minute}
start_takes: 5s
cases:
  - name: a
    start_takes: 10s
    windows:
      a: {file: recorded.csv, noise: 5, keep_times: true, ago: 5s}
      b: {values: [1, 2], keep_times: true, period: 5m, seed: 3}
      c: {value: 1, instance: web@9.service}
    expect: {hold: true, within: 2}
  - name: b
    service: {instances: 2}
    steps:
      - {at: 10s, windows: {1: {value: 5, instance: 2}, 2: 7}, load: -5}
      - {at: 20s, instances: 1, windows: {x: {value: 5, instance: 2}}, load: {ramp: [5, -1], period: 5s}}
    expect: {ends_at: 2}
";
    let report = read_text("cases.yaml", text, Path::new("nowhere"), Kind::Cases).unwrap_err();
    insta::assert_snapshot!(report);
}

#[test]
fn configurations_are_held_against_the_schema_with_their_places() {
    let text = "
policy: {metric: cpu, config: {target: much}}
cases:
  - {name: a, expect: {hold: true}}
  - {name: b, expect: {hold: true}}
  - {name: c, config: {target: 5, tolerence: 1}, expect: {hold: true}}
  - {name: d, config: {target: nothing}, expect: {error: refused}}
  - {name: e, policy: {config: {target: }}, expect: {hold: true}}
";
    let schema = r#"{"properties": {"target": {"type": "number"}, "tolerance": {"type": "number"}},
        "required": ["target"], "additionalProperties": false}"#;
    insta::assert_snapshot!(misfits(&suite(text), schema).unwrap());
    let report = misfits(&suite("cases: [{name: a, expect: {hold: true}}]"), schema).unwrap();
    assert!(report.to_string().contains("cases.yaml:1:16"), "at the name of the case: {report}");
    assert!(misfits(&suite(text), r#"{"type": 5}"#).is_err());
}

#[test]
fn a_load_is_shared_and_of_an_aggregated_metric_all_of_it_is_seen() {
    let text = "
policy: {metric: cpu, metric_aggregated: true}
service: {max_instance: 9, instances: 2}
cases:
  - {name: a, steps: [{at: 0s, load: 60, expect: {scale_to: 6, reason: 60 is carried}}]}
  - {name: b, service: {min_instance: 0, instances: 0}, steps: [{at: 0s, load: 20, expect: {scale_to: 2}}]}
  - {name: c, policy: {metric_aggregated: false}, steps: [{at: 0s, load: 60, expect: {scale_to: 6}}]}
";
    for case in suite(text).cases {
        assert_eq!(play(&case, &Fake(tens)).failures, Vec::new(), "{}", case.name);
    }
}

/// How many series there are.
fn series(seen: &Observation, _: &[u8]) -> Result<Verdict, CallError> {
    verdict(Proposal::To(1), format!("{} series", seen.windows[0].series.len()), &[])
}

#[test]
fn a_series_stays_until_it_has_been_silent_for_its_window() {
    let text = "
policy: {metric: cpu, period: 30}
service: {instances: 3}
cases:
  - name: a
    closed_loop: true
    steps:
      - {at: 0s, load: 30, expect: {reason: 3 series}}
      - {every: 10s, for: 90s, load: 30, expect: {reason: 3 series}}
      - {at: 91s, load: 30, expect: {reason: 1 series}}
    expect: {instances: [3, 1]}
";
    assert_eq!(played(text, &Fake(series)).failures, Vec::new());
}

#[test]
fn a_policy_without_data_scales_up_and_not_down_as_in_the_daemon() {
    let text = "
policy: {metric: cpu}
service: {min_instance: 1, max_instance: 9, instances: 3}
cases:
  - {name: a, expect: {scale_to: 1, instances: 3}}
  - {name: b, closed_loop: true, steps: [{at: 0s}, {at: 10s}], expect: {instances: [3]}}
  - {name: c, windows: {a: 5}, expect: {scale_to: 1, instances: 1}}
";
    let less = |_: &Observation, _: &[u8]| verdict(Proposal::To(1), "", &[]);
    for case in suite(text).cases {
        assert_eq!(play(&case, &Fake(less)).failures, Vec::new(), "{}", case.name);
    }
    let more = |_: &Observation, _: &[u8]| verdict(Proposal::To(4), "", &[]);
    let text =
        "cases: [{name: a, policy: {metric: cpu}, service: {max_instance: 9}, expect: {instances: 4}}]";
    assert_eq!(played(text, &Fake(more)).failures, Vec::new());
}

#[test]
fn no_policy_sees_a_sample_before_its_time() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("day.csv"), "2026-01-01T11:59:50Z,1\n2026-01-01T12:00:10Z,2\n")
        .unwrap();
    let text = "
policy: {metric: cpu, period: 60}
cases:
  - name: a
    windows: {a: {file: day.csv, keep_times: true}}
    steps:
      - {at: 0s, expect: {reason: 1 samples}}
      - {at: 10s, expect: {reason: 2 samples}}
  - {name: b, windows: {a: {file: day.csv, keep_times: true}}, expect: {reason: 1 samples}}
";
    let samples = |seen: &Observation, _: &[u8]| {
        verdict(Proposal::Hold, format!("{} samples", seen.windows[0].series[0].values.len()), &[])
    };
    for case in read_text("cases.yaml", text, folder.path(), Kind::Cases).unwrap().cases {
        assert_eq!(play(&case, &Fake(samples)).failures, Vec::new(), "{}", case.name);
    }
}

#[test]
fn in_a_closed_loop_only_those_go_that_are_up() {
    let text = "
policy: {metric: cpu}
service: {max_instance: 9, instances: 2}
cases:
  - name: a
    closed_loop: true
    start_takes: 20s
    steps:
      - {at: 0s, load: 30}
      - {at: 10s, load: 0}
      - {at: 20s, load: 0}
    expect: {instances: [2, 3, 2, 1]}
";
    let newest = |seen: &Observation, _: &[u8]| {
        let now = u64::try_from(seen.now.as_millisecond()).unwrap_or_default();
        let now = |series: &&dynamite_core::SeenSeries| series.at_ms.last() == Some(&now);
        let fresh = seen.windows[0].series.iter().filter(now).filter_map(|series| series.values.last());
        let sum: f64 = fresh.sum();
        verdict(Proposal::To(if sum > 20.0 { 3 } else { 0 }), "", &[])
    };
    assert_eq!(played(text, &Fake(newest)).failures, Vec::new());
}

#[test]
fn what_a_file_says_is_laid_under_each_case() {
    let text = "
policy: {metric: cpu, config: {target: 60, deep: {a: 1, b: 2}}}
config: {target: 70}
service: {max_instance: 5}
cases:
  - {name: a, config: {deep: {b: 3}}, service: {max_instance: }, windows: {}, expect: {hold: true}}
";
    let case = suite(text).cases.remove(0);
    assert_eq!(case.policy.config, serde_json::json!({ "target": 70, "deep": { "a": 1, "b": 3 } }));
    assert_eq!(case.service.bounds().max, None);
}

#[test]
fn state_is_carried_over_and_time_goes_on() {
    let text = "
policy: {metric: cpu, period: 1, period_unit: minute}
cases:
  - name: a
    service: {max_instance: 9}
    windows: {a: [10, 11]}
    steps:
      - {at: 10s, windows: {b: 20}, expect: {scale_to: 4, reason: call 1}}
      - {at: 20s, windows: {b: 30}, expect: {instances: 5, reason: [41 is carried, call 2]}}
";
    let played = played(text, &Fake(tens));
    assert_eq!((played.failures, played.decisions), (Vec::new(), 2));
}

#[test]
fn a_closed_loop_follows_within_bounds_cooldown_and_starting_time() {
    let text = "
policy: {metric: cpu, cooldown_period: 30}
service: {min_instance: 2, max_instance: 4, instances: 2}
cases:
  - name: a
    closed_loop: true
    start_takes: 20s
    steps:
      - {every: 10s, for: 30s, load: 30, expect: {scale_to: 3}}
      - {every: 10s, for: 60s, load: {ramp: [30, 90]}}
      - {every: 10s, for: 60s, load: 0}
    expect: {instances: [2, 3, 4, 2], never_above: 4, ends_at: 2}
";
    assert_eq!(played(text, &Fake(tens)).failures, Vec::new());
}

#[test]
fn a_policy_that_is_not_pure_is_found_out() {
    let calls = std::cell::Cell::new(0);
    let fickle = Fake(|_: &Observation, _: &[u8]| {
        calls.set(calls.get() + 1);
        verdict(Proposal::Up(calls.get()), "", &[])
    });
    let text = "cases: [{name: a, expect: {hold: false}}]";
    let found = played(text, &fickle).failures.remove(0).violations;
    let said = "it is not deterministic: the same input gave scale up by 1 () with a state of 0 bytes, \
                and then scale up by 2 () with a state of 0 bytes";
    assert_eq!(found, [said]);
    let forgetful = Fake(|_: &Observation, state: &[u8]| match state {
        [] => verdict(Proposal::Hold, "", b"unreadable"),
        _ => Err(CallError::Trapped("what is this?".to_owned())),
    });
    let found = played("cases: [{name: a, expect: {hold: true}}]", &forgetful).failures.remove(0).violations;
    assert_eq!(found, ["it does not take back the state that it gave: it trapped: what is this?"]);
}

#[test]
fn errors_are_failures_unless_expected() {
    let broken = Fake(|_: &Observation, _: &[u8]| Err(CallError::Refused("no".to_owned())));
    assert!(played("cases: [{name: a, expect: {error: says}}]", &broken).failures.is_empty());
    assert_eq!(played("cases: [{name: a, expect: {hold: true}}]", &broken).failures.len(), 1);
    let text = "cases: [{name: a, config: {x: bad}, expect: {error: is bad}}]";
    assert!(played(text, &Fake(tens)).failures.is_empty(), "the configuration is refused");
    let astray =
        Fake(|_: &Observation, _: &[u8]| verdict(Proposal::Stop(vec!["web@9.service".to_owned()]), "", &[]));
    let text = "cases: [{name: a, expect: {error: there is no such instance}}]";
    assert!(played(text, &astray).failures.is_empty());
}

#[test]
fn the_built_in_rule_takes_the_keys_of_a_configuration() {
    let text = "
policy: {metric: cpu, comparative_operator: gt, threshold: 90, period: 15, cooldown_period: 60, direction: up}
cases:
  - name: a
    steps:
      - {at: 0s, windows: {a: 95}, expect: {hold: true}}
      - {at: 15s, windows: {a: 95}, expect: {scale_up: 1, reason: for 15s}}
      - {at: 16s, windows: {a: 95}, expect: {hold: true, reason: cools down}}
";
    assert_eq!(played(text, &Builtin).failures, Vec::new());
    let refused = played("cases: [{name: a, expect: {error: gives no rule}}]", &Builtin);
    assert_eq!(refused.failures, Vec::new());
}

#[test]
fn the_built_in_rule_passes_the_table_of_its_twin() {
    let text = include_str!("../../../policies/threshold/cases/conformance.yaml");
    for case in suite(text).cases {
        assert_eq!(play(&case, &Builtin).failures, Vec::new(), "{}", case.name);
    }
}

/// The lines of the description of the format between two others, as far as they are indented.
fn described(from: &str, until: &str) -> String {
    let lines =
        FORMAT.lines().skip_while(|line| !line.starts_with(from)).take_while(|line| !line.starts_with(until));
    let lines: Vec<&str> = lines.map(|line| line.strip_prefix("  ").unwrap_or_default()).collect();
    lines.join("\n") + "\n"
}

#[test]
fn what_the_description_of_the_format_shows_can_be_read() {
    let text = described("  policy:", "Samples.") + &described("    - name: follows", "`load` is");
    let cases = suite(&text).cases;
    assert_eq!(cases.iter().map(|case| case.steps.len()).collect::<Vec<_>>(), [1, 31]);
    let series = FORMAT.lines().filter_map(|line| Some(line.strip_prefix("  {")?.split_once('}')?.0));
    let series: Vec<&str> = series.filter(|series| !series.starts_with("file")).collect();
    assert!(series.len() > 3);
    for series in series {
        let text = format!(
            "cases: [{{name: a, policy: {{metric: a, period: 999, period_unit: hour}}, windows: {{a: {{{series}}}}}, \
             expect: {{hold: true}}}}]"
        );
        assert!(!suite(&text).cases[0].steps[0].given[0].samples.is_empty(), "{series}");
    }
}

#[test]
fn what_a_threshold_saw_is_what_there_was_before_it_decided() {
    let text = "
policy: {metric: cpu, config: {comparative_operator: gt, threshold: 90, period_seconds: 0, cooldown_seconds: 60, direction: up}}
cases: [{name: a, service: {instances: 2}, windows: {a: [95]}, expect: {hold: true}}]
";
    let failure = played(text, &Builtin).failures.remove(0);
    assert!(failure.seen.iter().any(|fact| fact.contains("2 instances")), "{:?}", failure.seen);
}
