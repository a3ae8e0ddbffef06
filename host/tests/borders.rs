//! Which crate may use which: the arrows of `docs/architecture.md`, held against what cargo knows.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Every crate of the host, and those of the others that it may use. What is not here fails.
const ARROWS: [(&str, &[&str]); 3] =
    [("dynamite-core", &[]), ("dynamite-units", &[]), ("dynamite", &["dynamite-core", "dynamite-units"])];
/// The core decides, and nothing else: what it may use of the world.
const CORE_USES: [&str; 3] = ["indexmap", "jiff", "serde"];

/// The names of what each package of the workspace uses, but in tests and builds.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter().map(|package| {
        let used = package["dependencies"].as_array().unwrap().iter().filter(|used| used["kind"].is_null());
        let names = used.map(|used| used["name"].as_str().unwrap().to_owned());
        (package["name"].as_str().unwrap().to_owned(), names.collect())
    });
    packages.collect()
}

/// The crates of the host by name, as far as they lie in its folder.
fn is_of_the_host(name: &str) -> bool {
    ARROWS.iter().any(|(known, _)| *known == name)
}

#[test]
fn no_crate_uses_another_than_it_may() {
    let all = dependencies();
    for (name, allowed) in ARROWS {
        let used = all.get(name).unwrap_or_else(|| panic!("there is no crate {name}"));
        for other in used.iter().filter(|other| is_of_the_host(other)) {
            assert!(allowed.contains(&other.as_str()), "{name} uses {other}, which it may not");
        }
    }
}

#[test]
fn the_core_uses_nothing_of_the_world() {
    assert_eq!(dependencies()["dynamite-core"], CORE_USES);
}

#[test]
fn every_crate_of_the_host_has_its_arrows() {
    let folder = std::fs::read_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    let crates = folder.map(|entry| entry.unwrap().path()).filter(|path| path.join("Cargo.toml").is_file());
    for path in crates {
        let name = format!("dynamite-{}", path.file_name().unwrap().to_string_lossy());
        assert!(is_of_the_host(&name), "{name} is not in the list of arrows");
    }
}
