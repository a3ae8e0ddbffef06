//! The modules that tests run: built from the crates in this workspace, once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What a module is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Nothing but the interface.
    Bare,
    /// A system interface, which Dynamite offers with nothing in it.
    Wasi,
}

impl Target {
    fn triple(self) -> &'static str {
        match self {
            Self::Bare => "wasm32-unknown-unknown",
            Self::Wasi => "wasm32-wasip2",
        }
    }
}

/// The module of a crate, built if need be.
///
/// # Errors
/// That it cannot be built.
pub fn module(package: &str, target: Target) -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "policy", "--package", package, "--target", target.triple()])
        .current_dir(root)
        // What the test runner itself was built with is of no use to modules.
        .env_remove("RUSTFLAGS")
        .output()?;
    ensure!(output.status.success(), "{package}: {}", String::from_utf8_lossy(&output.stderr));
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(folder.join(target.triple()).join("policy").join(format!("{}.wasm", package.replace('-', "_"))))
}
