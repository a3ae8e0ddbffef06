//! The container image: built with podman where there is neither a Docker daemon nor a registry, looked into, and run.

pub mod image;
pub mod run;
pub mod tools;

use std::path::PathBuf;

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Tells people how far it is.
#[expect(clippy::print_stdout, reason = "it takes minutes")]
pub fn say(text: &str) {
    println!("container: {text}");
}
