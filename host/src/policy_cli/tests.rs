//! The commands on real modules, which are put together from text.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::run;
use crate::cli::{Cli, Command};
use crate::wasm::sha256_of;
use crate::wasm::test_modules::Policy;

/// A folder with a module and files.
struct Folder(TempDir);

impl Folder {
    fn new(policy: &Policy<'_>) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.path("policy.wasm"), policy.build()).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text).unwrap();
        self
    }

    /// Carries out a command line; words that begin with `@` are files of the folder. Times are left out of what is said.
    fn run(&self, line: &str) -> (u8, String) {
        let word = |word: &str| match word.strip_prefix('@') {
            Some(name) => self.path(name).into_os_string(),
            None => word.into(),
        };
        let cache = (!line.starts_with("new ")).then_some(["--cache-dir", "@cache"]);
        let words = line.split_whitespace().chain(cache.into_iter().flatten()).map(word);
        let args = ["dynamite", "policy"].map(Into::into).into_iter().chain(words);
        let Ok(Command::Policy(command)) = Cli::read(args).map(|cli| cli.command) else { panic!("{line}") };
        let mut out = Vec::new();
        let code = run(&command, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap().replace(&format!("{}/", self.0.path().display()), "");
        (code, text)
    }
}

/// A policy with a schema.
fn policy() -> Policy<'static> {
    Policy { schema: r#"{"type":"object"}"#, ..Policy::default() }
}

const CASES: &str = "
policy: {metric: cpu}
cases:
  - {name: it holds, windows: {a: 5}, expect: {hold: true, reason: test}}
  - {name: it grows, windows: {a: 500}, expect: {scale_up: 1}}
";

#[test]
fn inspect_shows_what_a_module_is() {
    let folder = Folder::new(&policy());
    let bytes = fs::read(folder.path("policy.wasm")).unwrap();
    let (code, said) = folder.run("inspect @policy.wasm");
    assert_eq!(code, 0);
    let kib = format!("{} KiB", bytes.len().div_ceil(1024));
    insta::assert_snapshot!(said.replace(&sha256_of(&bytes), "[sha256]").replace(&kib, "[size]"));
    let (_, json) = folder.run("inspect @policy.wasm --format json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["kind"], &json["version"]), (&"core module".into(), &"1.2.3".into()));
    assert_eq!((&json["wit_version"], &json["bytes"]), (&"0.1.0".into(), &bytes.len().into()));
}

#[test]
fn test_fails_if_a_case_does() {
    let folder = Folder::new(&policy()).with("cases.yaml", CASES);
    let (code, said) = folder.run("test @policy.wasm @cases.yaml");
    assert_eq!(code, 1);
    insta::assert_snapshot!(said.rsplit_once("finished in").unwrap().0);
    let (code, said) = folder.run("test @policy.wasm @cases.yaml --filter holds --format json");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &json["passed"], &json["filtered_out"]), (0, &1.into(), &1.into()));
    assert!(json["files"][0]["cases"][0]["fuel_max"].as_u64().unwrap() > 0);
    let wrong = Folder::new(&policy()).with("cases.yaml", "cases: [{nam: a}]");
    assert_eq!(wrong.run("test @policy.wasm @cases.yaml"), (1, String::new()));
}

#[test]
fn hostile_modules_fail_their_own_cases_alone() {
    let error = |text: &str, limits: &str| {
        format!("cases: [{{name: a, policy: {{limits: {limits}}}, expect: {{error: \"{text}\"}}}}]")
    };
    for (decide, limits, text) in [
        ("(unreachable)", "{}", "it trapped"),
        ("(loop (br 0)) (i32.const 0)", "{fuel: 10000}", "used up its fuel of 10000"),
        ("(loop (br 0)) (i32.const 0)", "{fuel: 1000000000000, time: 5ms}", "did not end within 5ms"),
        ("(i32.const 96)", "{}", "it says: no"),
    ] {
        let folder = Folder::new(&Policy { decide, ..policy() }).with("cases.yaml", &error(text, limits));
        let (code, said) = folder.run("test @policy.wasm @cases.yaml");
        assert_eq!(code, 0, "{decide}: {said}");
    }
    let refusing = Folder::new(&Policy { validate: "(i32.const 64)", ..policy() });
    let refusing = refusing.with("cases.yaml", &error("refuses the configuration: it says: no", "{}"));
    assert_eq!(refusing.run("test @policy.wasm @cases.yaml").0, 0);
}

#[test]
fn run_shows_one_decision() {
    let folder = Folder::new(&policy()).with("in.yaml", "policy: {metric: cpu}\nwindows: {a: [1, 2]}");
    let (code, said) = folder.run("run @policy.wasm --input @in.yaml --state-out @state");
    assert_eq!(code, 0);
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("took")).collect();
    insta::assert_snapshot!(lines.join("\n"));
    assert_eq!(fs::read(folder.path("state")).unwrap(), b"");
    let (code, json) = folder.run("run @policy.wasm --input @in.yaml --state @state --format json");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["decision"], &json["instances_wanted"]), (0, &"hold".into(), &1.into()));
    let broken = Folder::new(&Policy { decide: "(unreachable)", ..policy() }).with("in.yaml", "windows: {}");
    assert_eq!(broken.run("run @policy.wasm --input @in.yaml").0, 1, "samples of no metric");
    let broken = broken.with("in.yaml", "config: {}");
    let (code, said) = broken.run("run @policy.wasm --input @in.yaml");
    assert!(code == 1 && said.starts_with("failed    it trapped"), "{said}");
}

#[test]
fn run_and_bench_take_a_case_of_a_file() {
    let folder = Folder::new(&policy()).with("cases.yaml", CASES);
    assert_eq!(folder.run("run @policy.wasm --input @cases.yaml").0, 1, "which of the two?");
    let (code, said) = folder.run("run @policy.wasm --input @cases.yaml --case nothing");
    assert_eq!((code, &*said), (1, ""));
    let folder = folder.with("one.yaml", &CASES.replace("it grows", "it-grows"));
    let (code, said) = folder.run("run @policy.wasm --input @one.yaml --case it-grows");
    assert!(code == 0 && said.contains("the newest 500") || said.contains("1 sample, 500"), "{said}");
    let (code, said) =
        folder.run("bench @policy.wasm --input @one.yaml --case it-grows --sizes 1x1 --rounds 2");
    assert_eq!((code, said.lines().count()), (0, 3), "{said}");
    let only = CASES.lines().filter(|line| !line.contains("it grows")).collect::<Vec<_>>().join("\n");
    let folder = folder.with("only.yaml", &only);
    assert_eq!(folder.run("run @policy.wasm --input @only.yaml").0, 0, "there is but one");
}

#[test]
fn what_is_compiled_is_kept() {
    let folder = Folder::new(&policy()).with("in.yaml", "config: {}");
    for line in ["inspect @policy.wasm", "run @policy.wasm --input @in.yaml", "bench @policy.wasm --rounds 1"]
    {
        assert_eq!(folder.run(line).0, 0, "{line}");
        assert_eq!(fs::read_dir(folder.path("cache")).unwrap().count(), 1, "{line}");
    }
}

#[test]
fn a_run_that_names_unknown_instances_fails() {
    // A verdict to stop (4) the instances in the list at 300, of which there is one: the text at 512.
    let refusal = "nobody@1.service";
    let store = |at: usize, value: usize| format!("(i32.store (i32.const {at}) (i32.const {value}))");
    let stores = [(8, 4), (12, 300), (16, 1), (300, 512), (304, refusal.len())];
    let decide = stores.map(|(at, value)| store(at, value)).concat() + "(i32.const 0)";
    let stops = Policy { refusal, decide: &decide, ..policy() };
    let folder = Folder::new(&stops).with("in.yaml", "config: {}");
    let (code, said) = folder.run("run @policy.wasm --input @in.yaml");
    assert!(code == 1 && said.contains("failed    it wants `nobody@1.service` to stop"), "{said}");
}

#[test]
fn a_configuration_that_does_not_fit_the_schema_is_a_mistake_of_the_file() {
    let schema = r#"{"properties": {"target": {"type": "number"}}, "required": ["target"]}"#;
    let folder = Folder::new(&Policy { schema, ..policy() }).with("cases.yaml", CASES);
    assert_eq!(folder.run("test @policy.wasm @cases.yaml"), (1, String::new()), "nothing is run");
    let folder = folder.with("cases.yaml", &format!("config: {{target: 5}}{CASES}"));
    assert!(folder.run("test @policy.wasm @cases.yaml").1.contains("1 passed; 1 failed"));
    let folder = folder.with("cases.yaml", &format!("config: {{target: much}}{CASES}"));
    assert_eq!(folder.run("run @policy.wasm --input @cases.yaml").0, 1);
}

#[test]
fn bench_has_a_line_for_each_size() {
    let folder = Folder::new(&policy());
    let (code, said) = folder.run("bench @policy.wasm --sizes 1x2,3x4 --rounds 3");
    assert_eq!(code, 0);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(
        lines[0].contains("the same on every machine") && lines[3].trim_start().starts_with("3x4"),
        "{said}"
    );
    let loops = Folder::new(&Policy { decide: "(loop (br 0)) (i32.const 0)", ..policy() });
    let (code, said) = loops.run("bench @policy.wasm --sizes 1x1");
    assert!(code == 1 && said.contains("used up its fuel"), "{said}");
}

#[test]
fn what_cannot_be_used_is_an_error_and_not_a_panic() {
    let folder = Folder::new(&policy()).with("cases.yaml", CASES);
    for line in [
        "inspect @nowhere.wasm",
        "inspect @cases.yaml",
        "test @policy.wasm",
        "test @nowhere.wasm @cases.yaml",
        "test @policy.wasm @nowhere.yaml",
        "run @policy.wasm --input @nowhere.yaml",
        "new 2fast",
    ] {
        assert_eq!(folder.run(line).0, 1, "{line}");
    }
}
