//! Whatever the file holds, the answer is a report, and it comes soon.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use super::{EXAMPLE, Files, parse, restored};
use crate::config::{ModuleLoader, load};

/// How long any text may take, on a machine that is busy with other tests and without optimisation.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first line of the report, which must come in time.
fn first_line(text: impl AsRef<[u8]>) -> String {
    let files = Files::new(text);
    let start = tokio::time::Instant::now();
    let report = files.report();
    assert!(start.elapsed() < PATIENCE, "it took {:?}", start.elapsed());
    report.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn monsters_get_a_short_answer() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..10 {
        let (previous, aliases) = (level - 1, format!("*a{}, ", level - 1).repeat(9));
        writeln!(bomb, "a{level}: &a{level} [{aliases}*a{previous}]").expect("a string takes everything");
    }
    let services = |line: &dyn Fn(usize) -> String| {
        (0..9_000).fold("Service:\n".to_owned(), |text, index| text + &line(index) + "\n")
    };
    let mut said = String::new();
    for (what, text) in [
        ("ten megabytes", vec![b'a'; 10 * 1024 * 1024]),
        ("an alias bomb", bomb.into_bytes()),
        ("deep lists", "[".repeat(100_000).into_bytes()),
        ("deep maps", "{a: ".repeat(100_000).into_bytes()),
        ("deep blocks", "- ".repeat(100_000).into_bytes()),
        ("no UTF-8", b"Service:\n  a: \xff\xfe\n".to_vec()),
        ("zeros", vec![0; 100_000]),
        ("blanks", vec![b' '; 1_000_000]),
        ("many unknown keys", services(&|index| format!("  s{index}: {{nme: web}}")).into_bytes()),
        (
            "many dependencies",
            services(&|index| format!("  s{index}: {{service_dependency: [s{}]}}", index + 1)).into_bytes(),
        ),
        ("many duplicates", "a: 1\n".repeat(40_000).into_bytes()),
    ] {
        writeln!(said, "{what}: {}", first_line(text)).expect("a string takes everything");
    }
    insta::assert_snapshot!(said);
}

#[test]
fn a_report_has_an_end() {
    let text = (0..1_000).fold(String::new(), |text, index| text + &format!("key{index}: 1\n"));
    let report = Files::new(text).report();
    assert!(report.ends_with("... and 900 more\n"), "{}", &report[report.len() - 200..]);
}

#[test]
fn a_device_and_a_folder_are_no_configuration() {
    for path in ["/dev/zero", "/dev/null", "/"] {
        assert!(load(path.as_ref(), &[], parse, &mut ModuleLoader::default()).config.is_none(), "{path}");
    }
}

/// A change of a few bytes: where (in thousandths), how many go, what comes.
fn mutation() -> impl Strategy<Value = (usize, usize, String)> {
    let piece = prop_oneof![
        "[ -~\\n\\t]{0,3}",
        proptest::sample::select(vec![
            "*a",
            "&a ",
            "<<: ",
            "- ",
            ": ",
            "\n",
            "  ",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "'",
            "|",
            "#",
            "!!int ",
            "? ",
            "---\n",
            "null",
            "-1",
            "1e999",
            ".nan",
            "é",
            "\u{0}",
            "\u{2028}",
            "apache",
            "99999999999",
        ])
        .prop_map(str::to_owned),
    ];
    (0..1_000_usize, 0..6_usize, piece)
}

fn mutated(text: &str, mutations: &[(usize, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, gone, piece) in mutations {
        let start = chars.len() * at / 1_000;
        let end = chars.len().min(start + gone);
        chars.splice(start..end, piece.chars());
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_example_is_reported(mutations in proptest::collection::vec(mutation(), 1..5)) {
        let files = Files::new(mutated(EXAMPLE, &mutations));
        let loaded = files.load();
        prop_assert_eq!(loaded.config.is_some(), loaded.report.errors() == 0);
        let text = loaded.report.to_string();
        prop_assert!(text.len() < 100_000);
    }

    #[test]
    fn garbage_is_reported(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let loaded = Files::new(&bytes).load();
        prop_assert!(loaded.config.is_none());
        prop_assert!(!loaded.report.to_string().is_empty());
    }

    #[test]
    fn stored_garbage_is_reported(text in "\\PC{0,200}", damage in proptest::collection::vec(mutation(), 1..4)) {
        prop_assert!(restored(&text, &[]).config.is_none());
        let original = mutated(include_str!("cases/original.json"), &damage);
        let loaded = restored(&original, &["apache"]);
        prop_assert!(loaded.report.errors() > 0);
    }
}
