//! Descriptions that are right become a timetable, and others are reported with the place of every mistake.

use std::path::Path;

use super::description::Description;
use super::read::{read as read_file, read_text};
use super::timetable::Timetable;
use crate::cli::{Cli, Command};

fn read(text: &str) -> Description {
    read_text("load.yaml", text, (None, None)).unwrap_or_else(|report| panic!("{report}"))
}

/// One metric with these phases, of a single instance.
fn metric(more: &str) -> Description {
    read(&format!("metrics: [{{service_type: web, metric: cpu, instances: [a], {more}}}]"))
}

/// What is due, as `seconds value`.
fn values(description: &Description) -> Vec<(f64, String)> {
    let due = Timetable::new(description);
    due.flat_map(|due| due.samples.into_iter().map(move |(_, value)| (due.after.as_secs_f64(), value)))
        .collect()
}

fn check(more: &str, expected: &[(f64, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(at, value)| (*at, (*value).to_owned())).collect();
    assert_eq!(values(&metric(more)), expected, "{more}");
}

#[test]
fn phases_follow_each_other_and_each_begins_with_a_sample() {
    check(
        "every: 5s, phases: [{for: 10s, value: 1}, {for: 5s, value: 2}]",
        &[(0.0, "1"), (5.0, "1"), (10.0, "2")],
    );
    check("phases: [{for: 11s, value: 1}, {for: 1s, value: 2}]", &[(0.0, "1"), (10.0, "1"), (11.0, "2")]);
    check("every: 1s, phases: [{for: 500ms, value: 1, every: 250ms}]", &[(0.0, "1"), (0.25, "1")]);
}

#[test]
fn ramps_are_exact_at_both_ends_and_waves_begin_at_their_lowest() {
    check("every: 1s, phases: [{for: 3s, ramp: [10, 20]}]", &[(0.0, "10"), (1.0, "15"), (2.0, "20")]);
    check("every: 2s, phases: [{for: 5s, wave: [0, 8], period: 4s}]", &[(0.0, "0"), (2.0, "8"), (4.0, "0")]);
}

#[test]
fn listed_values_say_how_long_they_take() {
    check(
        "every: 1s, phases: [{values: [1, 2]}, {for: 1s, value: 3}]",
        &[(0.0, "1"), (1.0, "2"), (2.0, "3")],
    );
    check("every: 1s, phases: [{values: [1, 2], for: 3s}]", &[(0.0, "1"), (1.0, "2"), (2.0, "2")]);
}

#[test]
fn random_values_stay_within_their_bounds_and_are_the_same_again() {
    let of = |seed| {
        read(&format!(
            "{{seed: {seed}, metrics: [{{service_type: w, metric: c, instances: [a, b], phases: [{{for: 1h, random: [3, 7]}}]}}]}}"
        ))
    };
    let drawn = values(&of(1));
    assert!(drawn.iter().all(|(_, value)| (3.0..=7.0).contains(&value.parse::<f64>().unwrap())), "{drawn:?}");
    assert_eq!(drawn.len(), 720);
    assert_eq!(values(&of(1)), drawn);
    assert_ne!(values(&of(2)), drawn);
}

#[test]
fn metrics_of_several_paces_are_merged_in_time() {
    let description = read(
        "registrations: {web: {a: w@1, b: w@2}}
metrics:
  - {service_type: web, metric: cpu, every: 2s, phases: [{for: 4s, value: 1}]}
  - {service_type: lb, metric: time, metric_aggregated: true, template: '{\"p95\": {value}}', every: 3s,
     phases: [{for: 6s, value: 2.5}]}",
    );
    let due: Vec<String> = Timetable::new(&description)
        .map(|due| format!("{} {:?} {:?}", due.after.as_secs_f64(), due.begins, due.samples))
        .collect();
    insta::assert_snapshot!(due.join("\n"));
    assert_eq!((description.samples(), description.length().as_secs()), (6, 3));
    assert_eq!(description.registrations[1].key("/services"), "/services/web/b/service_instance_name");
}

#[test]
fn every_mistake_is_reported() {
    let text = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("src/generate/tests/mistakes.yaml"),
    );
    let report = read_text("load.yaml", &text.unwrap(), (None, None)).unwrap_err();
    insta::assert_snapshot!(report);
}

#[test]
fn a_file_without_content_or_with_too_much_is_refused() {
    let mut said = String::new();
    for text in [
        "",
        "metrics: [",
        "{application_base_path: /a, metrics_base_path: /a/b, registrations: {web: {a: w@1}}}",
        "metrics: [{service_type: w, metric: c, instances: [a], every: 1ms, phases: [{for: 10h, value: 1}]}]",
        "metrics: [{service_type: w, metric: c, instances: [a, b], every: 1ms, phases: [{for: 10m, value: 1}]}]",
    ] {
        said += &read_text("load.yaml", text, (None, None)).unwrap_err().to_string();
        said += "\n";
    }
    insta::assert_snapshot!(said);
}

#[test]
fn what_would_become_no_number_is_refused() {
    for (more, wrong) in [
        ("phases: [{for: 1m, ramp: [1e308, -1e308], noise: 1e308}]", "too large"),
        ("noise: 1e308, phases: [{values: [1, -1e308]}]", "too large"),
        ("phases: [{for: 1m, wave: [-1e308, 1e308], period: 1m}]", "too large"),
        ("template: '1{value}', phases: [{for: 1m, value: 1}]", "no JSON with -1.5 in it"),
        ("template: '{value}.5', phases: [{for: 1m, value: 1}]", "no JSON with 1.5 in it"),
    ] {
        let text = format!("metrics: [{{service_type: w, metric: c, instances: [a], {more}}}]");
        let report = read_text("load.yaml", &text, (None, None)).unwrap_err();
        assert!(report.errors() == 1 && report.to_string().contains(wrong), "{more}: {report}");
    }
    let drawn = values(&metric("phases: [{for: 1h, random: [-1e308, 1e308]}]"));
    assert!(drawn.iter().all(|(_, value)| value.parse::<f64>().unwrap().is_finite()));
    let text = "metrics: [{service_type: w, metric: c, instances: [], phases: [{for: 1m, value: 1}]}]";
    let report = read_text("load.yaml", text, (None, None)).unwrap_err().to_string();
    assert!(report.contains("`instances` is empty"), "{report}");
}

#[test]
fn what_is_no_file_is_not_read() {
    for path in ["/dev/zero", "/"] {
        let Ok(Command::Generate(args)) =
            Cli::read(["dynamite", "generate", path].map(Into::into)).map(|cli| cli.command)
        else {
            panic!("{path}");
        };
        let report = read_file(&args).unwrap_err().to_string();
        assert!(report.contains(&format!("`{path}` cannot be read: it is no file")), "{report}");
    }
}

#[test]
fn paths_from_the_command_line_beat_those_of_the_file() {
    let text = "{application_base_path: /a, metrics_base_path: /b, registrations: {web: {a: w@1}}}";
    let description = read_text("load.yaml", text, (Some("/c"), None)).unwrap();
    assert_eq!((&*description.application_base, &*description.metrics_base), ("/c", "/b"));
}

#[test]
fn the_words_for_people_say_what_a_phase_does() {
    let description = metric(
        "every: 1s, phases: [{for: 1m, value: 20}, {for: 30s, ramp: [20, 95.5]}, {for: 2m, random: [90, 100]},
          {for: 10m, wave: [5, 95], period: 2m}, {values: [1, 2], noise: 2}]",
    );
    let words: Vec<String> = description.metrics[0].phases.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "20, for 1m",
            "20 to 95.5, for 30s",
            "95, give or take 5, for 2m",
            "between 5 and 95 every 2m, for 10m",
            "2 values, give or take 2, for 2s"
        ]
    );
}

#[test]
fn the_example_is_right() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/generate/load.yaml");
    let description = read(&std::fs::read_to_string(path).unwrap());
    assert_eq!((description.registrations.len(), description.metrics.len()), (2, 2));
}
