//! `dynamite policy`: for authors of policies, without etcd or fleet.
//!
//! Each subcommand has a file of its own. All of them run modules as the daemon does, and under its limits.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;

use crate::cases::file::{Kind, Suite, read};
use crate::cases::fit::misfits;
use crate::cli::{CacheArgs, PolicyCommand};
use crate::wasm::{Host, Limits, Module};

mod bench;
mod decide;
mod inspect;
mod new;
mod report;
mod test;
#[cfg(test)]
mod tests;

/// Carries out a command, and writes what it has to say; what keeps it from that goes to standard error. Returns what the
/// process exits with.
///
/// # Errors
/// That nothing can be written.
pub fn run(command: &PolicyCommand, out: &mut dyn Write) -> anyhow::Result<u8> {
    let result = match command {
        PolicyCommand::New(args) => new::run(args, out),
        PolicyCommand::Inspect(args) => inspect::run(args, out),
        PolicyCommand::Test(args) => test::run(args, out),
        PolicyCommand::Run(args) => decide::run(args, out),
        PolicyCommand::Bench(args) => bench::run(args, out),
    };
    match result {
        // Whoever read the output has seen enough: `dynamite policy test ... | head`.
        Err(error) if is_broken_pipe(&error) => Ok(crate::cli::EXIT_OK),
        Err(error) => {
            writeln!(io::stderr(), "error: {error:#}")?;
            Ok(crate::cli::EXIT_FAILURE)
        }
        Ok(code) => Ok(code),
    }
}

/// Whether whoever read the output went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Loads a module, compiled if it is in the cache.
fn load(path: &Path, limits: &Limits, cache: &CacheArgs) -> anyhow::Result<Module> {
    let host = Host::new(cache.folder().as_deref()).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    host.load_file(path, limits, None)
        .with_context(|| format!("the module `{}` cannot be used", path.display()))
}

/// What is in an input; nothing, once everything that is wrong with it has been said.
fn input(path: &Path) -> anyhow::Result<Option<Suite>> {
    match read(path, Kind::Input) {
        Ok(suite) => Ok(Some(suite)),
        Err(report) => {
            write!(io::stderr(), "{report}")?;
            Ok(None)
        }
    }
}

/// Whether the configurations of cases fit the schema of a module. If not, everything that is wrong with them was said.
fn fit(suites: &[Suite], module: &Module) -> anyhow::Result<bool> {
    let mut fit = true;
    for suite in suites {
        let report = misfits(suite, &module.description().config_schema).map_err(|error| {
            anyhow::anyhow!("the JSON Schema of the module's `config` is broken: {error}")
        })?;
        write!(io::stderr(), "{report}")?;
        fit &= report.errors() == 0;
    }
    Ok(fit)
}

/// The time on a clock that only tells people how long something took.
fn stopwatch() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
