//! Tables and properties of the reader of unit files.

use proptest::prelude::*;

use super::*;
use crate::lexer;
use crate::{hash, serialize};

fn check(text: &str, expected: &[(&str, &str, &str)]) {
    let options = parse(text).unwrap_or_else(|errors| panic!("{text:?}: {errors:?}"));
    let found: Vec<_> =
        options.iter().map(|o| (o.section.as_str(), o.name.as_str(), o.value.as_str())).collect();
    assert_eq!(found, expected, "{text:?}");
    assert_eq!(lexer::parse(&serialize(&options)).unwrap(), options, "fleet gives it back unchanged");
}

fn check_errors(text: &str, expected: &[&str]) {
    let errors = parse(text).expect_err(text);
    let found: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{text:?}");
}

#[test]
fn options_come_in_order_with_repeated_and_empty_ones() {
    check(
        "# a comment\n; another\n\n[Unit]\nDescription = My app \nAfter=\n\n[Service]\nExecStartPre=-/bin/a\n\
         ExecStartPre=/bin/b\n[Install]\nWantedBy=x\n[X-Fleet]\nConflicts=a@*.service",
        &[
            ("Unit", "Description", "My app"),
            ("Unit", "After", ""),
            ("Service", "ExecStartPre", "-/bin/a"),
            ("Service", "ExecStartPre", "/bin/b"),
            ("Install", "WantedBy", "x"),
            ("X-Fleet", "Conflicts", "a@*.service"),
        ],
    );
}

#[test]
fn sections_are_brought_together() {
    let expected = [("A", "x", "1"), ("A", "z", "3"), ("B", "y", "2")];
    check("[A]\nx=1\n[B]\ny=2\n[A]\nz=3\n", &expected);
}

#[test]
fn continuations_are_kept_as_written() {
    check("[S]\nA=x \\\n  y \\\n\tz\t\nB=1\n", &[("S", "A", "x \\\n  y \\\n\tz"), ("S", "B", "1")]);
    check("[S]\nA=\\\n  y\n", &[("S", "A", "\\\n  y")]);
    check("[S]\nA=x \\\n[T]\n", &[("S", "A", "x \\\n[T]")]);
}

#[test]
fn comments_within_a_continuation_are_left_out() {
    check("[S]\nA=x \\\n# no\n  ; no \\\n  y\nB=1\n", &[("S", "A", "x \\\n  y"), ("S", "B", "1")]);
}

#[test]
fn a_blank_line_or_the_end_of_the_file_ends_a_continuation() {
    check("[S]\nA=x \\\n\nB=1\n", &[("S", "A", "x \\\n"), ("S", "B", "1")]);
    check("[S]\nA=x \\\n", &[("S", "A", "x \\\n")]);
    check("[S]\nA=x \\", &[("S", "A", "x \\\n")]);
    check("[S]\nA=x \\\n \t\nB=1", &[("S", "A", "x \\\n"), ("S", "B", "1")]);
}

#[test]
fn an_escaped_backslash_at_the_end_does_not_continue_a_line() {
    check("[S]\nA=x\\\\\nB=1\n", &[("S", "A", "x\\\\\n"), ("S", "B", "1")]);
    check("[S]\nA=x\\\\\\\ny\nB=1\n", &[("S", "A", "x\\\\\\\ny"), ("S", "B", "1")]);
}

#[test]
fn files_without_options_are_empty() {
    for text in ["", "\n\n", "# only this", "[Service]\n"] {
        check(text, &[]);
    }
}

#[test]
fn every_mistake_is_named_with_its_place() {
    check_errors(
        "ExecStart=/bin/a\n[Service\n  ExecStart\n[Unit] x\n=1\n[ a ]\n[]\nA=b \\ \nB=c\n",
        &[
            "line 1, column 1: `ExecStart=/bin/a` stands before the first section; a header such as `[Service]` is missing",
            "line 2, column 1: `[Service` lacks its closing `]`",
            "line 3, column 3: `ExecStart` has no `=`; if it continues the line above, that one must end in a backslash",
            "line 4, column 8: `x` stands behind the `]` of a section header",
            "line 5, column 1: nothing stands before the `=`",
            "line 6, column 1: `[ a ]` does not name a section",
            "line 7, column 1: `[]` does not name a section",
            "line 8, column 6: blanks follow the backslash, so the line does not continue; take them out",
        ],
    );
}

#[test]
fn windows_files_and_binary_files_are_named_as_such() {
    check_errors(
        "\u{feff}[S]\r\nA=1\r\n",
        &[
            "line 1, column 1: the file starts with a byte order mark; save it as plain UTF-8",
            "line 1, column 4: a carriage return; save the file with Unix line ends (LF, not CRLF)",
        ],
    );
    check_errors("[S]\nA=\0b\n", &["line 2, column 3: a NUL byte: is this a binary file?"]);
    let errors = parse_bytes(b"[S]\nA=\xff").unwrap_err();
    assert_eq!(errors, [Error { line: 2, column: 3, problem: Problem::NotUtf8 }]);
    let huge = vec![b'a'; FILE_BYTES_MAX + 1];
    let errors = parse_bytes(&huge).unwrap_err();
    assert_eq!(errors[0].problem, Problem::FileTooLong { bytes: FILE_BYTES_MAX + 1 });
}

#[test]
fn long_lines_are_refused_where_fleet_refuses_them() {
    check(&format!("[S]\nA={}\n", "v".repeat(2045)), &[("S", "A", &"v".repeat(2045))]);
    check_errors(
        &format!("[S]\n\nAB={}\n", "v".repeat(2045)),
        &["line 3, column 1: a line of `AB` is longer than 2047 bytes; break it with a backslash"],
    );
}

#[test]
fn a_file_of_garbage_gives_a_bounded_number_of_errors() {
    let errors = parse(&"x\n".repeat(10_000)).unwrap_err();
    assert_eq!(errors.len(), ERRORS_MAX);
    assert_eq!(excerpt("a\x1b[0m"), "a\u{fffd}[0m");
    assert_eq!(excerpt(&"é".repeat(100)).chars().count(), EXCERPT_CHARS_MAX + 1);
}

/// Values as [`parse`] gives them: trimmed lines, every one but the last ending in a backslash.
fn value() -> impl Strategy<Value = String> {
    let line = "[a-zA-Z0-9/%$é\u{a0}=#;\\[\\]\"'-][a-zA-Z0-9/ =#;\\[\\]\"'é-]{0,20}";
    (proptest::collection::vec(line, 0..4), any::<bool>()).prop_map(|(lines, dangling)| {
        let mut lines: Vec<String> = lines.iter().map(|line| line.trim().to_owned()).collect();
        lines.retain(|line| !line.is_empty() && !line.starts_with(['#', ';']));
        let end = if dangling && !lines.is_empty() { " \\\n" } else { "" };
        lines.join(" \\\n") + end
    })
}

fn options() -> impl Strategy<Value = Vec<UnitOption>> {
    let option = ("[A-Z][A-Za-z-]{0,8}", "[A-Za-z][A-Za-z0-9-]{0,10}", value())
        .prop_map(|(section, name, value)| UnitOption { section, name, value });
    proptest::collection::vec(option, 0..12)
}

proptest! {
    #[test]
    fn options_survive_the_way_through_text(options in options()) {
        let text = serialize(&options);
        let options = grouped(options);
        prop_assert_eq!(&parse(&text).unwrap(), &options);
        prop_assert_eq!(&lexer::parse(&text).unwrap(), &options);
    }

    #[test]
    fn what_is_parsed_is_what_fleet_gives_back(lines in proptest::collection::vec("[\\[\\] \t\\\\#;=aéX-]{0,9}", 0..14)) {
        let text = format!("[S]\n{}", lines.join("\n"));
        if let Ok(options) = parse(&text) {
            let back = lexer::parse(&serialize(&options)).unwrap();
            prop_assert_eq!(&back, &options);
            prop_assert_eq!(hash(&back), hash(&options));
            prop_assert_eq!(parse(&serialize(&options)).unwrap(), back);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC*|[\\x00-\\x7f\u{feff}\u{2028}é]{0,200}") {
        let _ = parse(&text);
        let _ = lexer::parse(&text);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_bytes(&bytes);
    }
}
