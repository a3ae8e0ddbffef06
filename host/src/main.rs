//! The `dynamite` command: reads its arguments and hands over.

use std::io::{self, Write};
use std::process::ExitCode;

use dynamite::cli::{CheckArgs, Cli, Command, EXIT_FAILURE, EXIT_OK, RunArgs};
use dynamite::config::{self, ParseUnit};

/// How unit files are read.
// Plug in fleet::unit_file here; until then a unit file counts as right and empty.
const PARSE_UNIT: ParseUnit = |_| Ok(Vec::new());

fn main() -> anyhow::Result<ExitCode> {
    match Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit()).command {
        Command::Run(args) => run(*args),
        Command::Check(args) => check(&args),
        Command::Schema => {
            writeln!(io::stdout(), "{:#}", config::schema())?;
            Ok(EXIT_OK.into())
        }
    }
}

// dynamite::daemon::run(args) goes here; a configuration with errors exits with cli::EXIT_CONFIG.
#[expect(clippy::needless_pass_by_value, reason = "the daemon will take it")]
fn run(args: RunArgs) -> anyhow::Result<ExitCode> {
    anyhow::bail!("running is not built yet ({})", args.files.config_file().display())
}

fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let path = args.config_file();
    let loaded = config::load(&path, &args.files.service_folders, PARSE_UNIT);
    write!(io::stderr(), "{}", loaded.report)?;
    writeln!(io::stdout(), "{}: {}", path.display(), loaded.summary())?;
    Ok(if loaded.config.is_some() { EXIT_OK } else { EXIT_FAILURE }.into())
}
