//! What a new policy consists of: templates, and a copy of the SDK and the contract, all of them part of this program.

/// A file: its path in the new folder, and its text.
pub(super) type File = (&'static str, &'static str);

/// What is filled in with names.
pub(super) const TEMPLATES: [File; 7] = [
    ("Cargo.toml", include_str!("template/Cargo.toml")),
    (".cargo/config.toml", include_str!("template/config.toml")),
    (".gitignore", "target/\n"),
    ("rust-toolchain.toml", include_str!("template/rust-toolchain.toml")),
    ("README.md", include_str!("template/README.md")),
    ("src/lib.rs", include_str!("template/lib.rs")),
    ("cases/basics.yaml", include_str!("template/cases.yaml")),
];

/// The files of the SDK, without its own tests.
macro_rules! sdk {
    ($($path:literal),* $(,)?) => {
        [$((concat!("dynamite-policy/", $path), include_str!(concat!("../../../../policies/sdk/", $path)))),*]
    };
}

/// What is copied as it is.
pub(super) const SDK: [File; 17] = sdk![
    "Cargo.toml",
    "README.md",
    "src/bindings.rs",
    "src/fit.rs",
    "src/glue.rs",
    "src/lib.rs",
    "src/log.rs",
    "src/observation.rs",
    "src/policy.rs",
    "src/recent.rs",
    "src/samples.rs",
    "src/testing.rs",
    "src/testing/stress.rs",
    "src/verdict.rs",
    "src/view.rs",
    "src/window.rs",
    "wit/policy.wit",
];
