//! House rules that no lint knows: how long files and functions are, what the core may use, what has no place in the tree.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file that is one concept. Tests beside the code count too.
const FILE_LINES_MAX: usize = 420;

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut folders = vec![root.join("host"), root.join("policies"), root.join("tests")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    assert!(sources.len() > 40, "the sources are where they are looked for");
    sources
}

/// Fails with every line in which `wrong` finds something.
fn check(rule: &str, wrong: impl Fn(&Path, &str) -> Vec<String>) {
    let found: Vec<String> = sources().iter().flat_map(|(path, text)| wrong(path, text)).collect();
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

#[test]
fn files_are_short() {
    check("a file is one concept", |path, text| {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX { vec![format!("{}: {lines} lines", path.display())] } else { Vec::new() }
    });
}

#[test]
fn the_core_uses_nothing_but_itself_and_time() {
    let outside = ["std::", "jiff::", "serde::", "indexmap::", "proptest::"];
    let inside = ["super::", "self::", "crate::scaling::", "Phase::"];
    let allowed = [&outside[..], &inside].concat();
    check("scaling is pure", |path, text| {
        if !path.to_string_lossy().contains("src/scaling") {
            return Vec::new();
        }
        let uses = text.lines().filter_map(|line| line.trim_start().strip_prefix("use "));
        let foreign = uses.filter(|used| !allowed.iter().any(|allowed| used.starts_with(allowed)));
        foreign.map(|used| format!("{}: {used}", path.display())).collect()
    });
}

#[test]
fn nothing_is_left_over() {
    let marks = ["TO", "FIX", "X", "HA"].into_iter().zip(["DO:", "ME", "XX:", "CK:"]);
    let marks: Vec<String> = marks.map(|(start, end)| format!("{start}{end}")).collect();
    check("finish it or leave it out", |path, text| {
        let lines = text.lines().filter(|line| marks.iter().any(|mark| line.contains(mark)));
        lines.map(|line| format!("{}: {line}", path.display())).collect()
    });
}

#[test]
fn modules_have_their_own_file_names_and_say_what_they_are_for() {
    check("no mod.rs, and `//!` on top", |path, text| {
        let named_mod = path.file_name().is_some_and(|name| name == "mod.rs");
        if named_mod || !text.starts_with("//!") { vec![path.display().to_string()] } else { Vec::new() }
    });
}
