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
    let inside = ["super::", "self::", "crate::", "Phase::"];
    let allowed = [&outside[..], &inside].concat();
    check("the core is pure", |path, text| {
        if !path.to_string_lossy().contains("core/src") {
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

#[test]
fn every_select_is_biased() {
    check("the same events in the same order give the same effects", |path, text| {
        unbiased(text).into_iter().map(|line| format!("{}:{line}", path.display())).collect()
    });
}

#[test]
fn no_generator_is_made_from_nothing() {
    check("clippy forbids `Rng::new`, and cannot name this one", |path, text| {
        let code = code(text);
        let lines = code.lines().enumerate().filter(|(_, line)| line.contains("Rng::default"));
        lines.map(|(at, _)| format!("{}:{}", path.display(), at + 1)).collect()
    });
}

#[test]
fn a_select_is_found_in_code_alone() {
    for (source, lines) in [
        ("select! { biased; }\nselect!{\n// Why.\n/* How. */ biased; }", vec![]),
        ("tokio::select! {\n    () = a => {}\n}\nselect! { biassed }\nselect!(biased_one)", vec![1, 4, 5]),
        ("// select! {\n/* select! { */ r#\"\" select! {\"# \"\\\" select! {\"", vec![]),
        ("'\"' select! {} '\\'' '\"' \"\n\" &'a select! {} 'b\n", vec![1, 2]),
        ("select! { \"biased\" }\nselect! { // biased;\n}", vec![1, 2]),
    ] {
        assert_eq!(unbiased(source), lines, "{source}");
    }
}

/// The lines of every `select!` that begins with something else than `biased;`.
fn unbiased(source: &str) -> Vec<usize> {
    let code = code(source);
    let is_biased = |rest: &str| {
        let first = rest.trim_start().trim_start_matches(['{', '(', '[']).trim_start();
        first.strip_prefix("biased").is_some_and(|rest| rest.trim_start().starts_with(';'))
    };
    let found = code.match_indices("select!").filter(|(at, name)| !is_biased(&code[at + name.len()..]));
    found.map(|(at, _)| code[..at].matches('\n').count() + 1).collect()
}

/// A source without its comments, strings and characters, in as many lines.
fn code(source: &str) -> String {
    let (mut code, mut rest) = (String::new(), source);
    while let Some(next) = rest.chars().next() {
        let length = words(rest);
        if length == 0 {
            code.push(next);
        } else {
            code.push(' ');
            code.extend(rest[..length].matches('\n'));
        }
        rest = &rest[length.max(next.len_utf8())..];
    }
    code
}

/// How long the comment, string or character is that a text begins with, in bytes; 0 for none.
fn words(text: &str) -> usize {
    let until =
        |start: usize, end: &str| text[start..].find(end).map_or(text.len(), |at| start + at + end.len());
    let hashes = text.bytes().skip(1).take_while(|byte| *byte == b'#').count();
    match text.as_bytes() {
        [b'/', b'/', ..] => until(2, "\n"),
        [b'/', b'*', ..] => until(2, "*/"),
        [b'r', ..] if text[1 + hashes..].starts_with('"') => {
            until(2 + hashes, &format!("\"{}", "#".repeat(hashes)))
        }
        [b'"', rest @ ..] => {
            let mut is_escaped = false;
            let end = rest.iter().position(|byte| {
                let ends = *byte == b'"' && !is_escaped;
                is_escaped = *byte == b'\\' && !is_escaped;
                ends
            });
            end.map_or(text.len(), |at| at + 2)
        }
        [b'\'', b'\\', ..] => until(3, "'"),
        // Anything else behind the mark is a lifetime.
        [b'\'', ..] => match text[1..].chars().next() {
            Some(one) if text[1 + one.len_utf8()..].starts_with('\'') => 2 + one.len_utf8(),
            _ => 0,
        },
        _ => 0,
    }
}
