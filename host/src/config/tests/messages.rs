//! What people read, mistake by mistake.

use std::fmt::Write as _;

use std::path::Path;

use super::{Files, ModuleLoader};

/// Each case, a blank line apart, with its report. Cases start with a comment that says what is wrong.
fn reports(cases: &str) -> String {
    reports_of(cases, |case| Files::new(case))
}

/// The same with other files beside the configuration.
pub(super) fn reports_of(cases: &str, files: fn(&str) -> Files) -> String {
    let mut shown = String::new();
    for case in cases.trim().split("\n\n") {
        let report = files(case).report();
        assert!(!report.is_empty(), "nothing was found wrong with\n{case}");
        let title = case.lines().next().expect("a comment");
        writeln!(shown, "{title}\n\n{report}").expect("a string takes everything");
    }
    shown
}

macro_rules! snapshots {
    ($($name:ident: $file:literal,)*) => {
        $(
            #[test]
            fn $name() {
                insta::assert_snapshot!(reports(include_str!($file)));
            }
        )*
    };
}

snapshots! {
    the_form_of_the_file_is_checked: "cases/form.yaml",
    values_of_the_wrong_form_get_help: "cases/values.yaml",
    names_must_stand_for_something: "cases/references.yaml",
    numbers_must_make_sense_together: "cases/numbers.yaml",
    paths_and_endpoints_are_checked: "cases/paths.yaml",
    policies_are_checked: "cases/policies.yaml",
    unit_files_are_checked: "cases/units.yaml",
}

#[test]
fn unit_files_are_looked_for_everywhere() {
    let files = Files::new(
        "Service: {a: {name_of_unit_file: apache@}, b: {name_of_unit_file: bad}, c: {name_of_unit_file: dir}}",
    );
    files.write("more/apache@.service", "");
    files.write("units/bad.service", "Unit.A=b\nnonsense\n\tmore nonsense\n");
    files.write("units/dir.service/x", "");
    let extra = ["units", "more", "more/../more"].map(|name| files.path().join(name));
    let loaded =
        super::load(&files.path().join("config.yaml"), &extra, super::parse, &mut ModuleLoader::default());
    let report = loaded.report.to_string().replace(&format!("{}/", files.path().display()), "");
    insta::assert_snapshot!(report);
}

#[test]
fn a_unit_that_fleet_runs_everywhere_cannot_be_scaled() {
    let files = Files::new(
        "Service:\n  a: {name_of_unit_file: apache@, attached_service: b}\n  \
         b: {name_of_unit_file: log@, type: attached_service}\n  c: {name_of_unit_file: web@}",
    );
    files.write("units/apache@.service", "X-Fleet.Global=Yes\n");
    files.write("units/log@.service", "X-Fleet.Global=false\nX-Fleet.Global=T\n");
    files.write("units/web@.service", "X-Fleet.Global=true\nX-Fleet.Global=no\nService.Global=true\n");
    insta::assert_snapshot!(files.report());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let loaded =
        super::load(Path::new("/nowhere/config.yaml"), &[], super::parse, &mut ModuleLoader::default());
    insta::assert_snapshot!(loaded.report);
}

#[test]
fn every_mistake_is_reported_in_one_run() {
    let files = Files::new(include_str!("cases/everything.yaml"));
    files.write("units/bad@.service", "nonsense\n");
    let report = files.report();
    assert!(report.matches("error: ").count() >= 15);
    insta::assert_snapshot!(report);
}
