//! `dynamite policy`: for authors of policies, without etcd or fleet.
//!
//! Each subcommand has a file of its own. All of them run modules as the daemon does, and under its limits.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Context as _;

use crate::cli::PolicyCommand;
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

/// Loads a module without a cache: authors build a new one every minute.
fn load(path: &Path, limits: &Limits) -> anyhow::Result<Module> {
    let host = Host::new(None).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    host.load_file(path, limits, None)
        .with_context(|| format!("the module `{}` cannot be used", path.display()))
}

/// The time on a clock that only tells people how long something took.
fn stopwatch() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
