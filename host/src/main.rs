//! The `dynamite` command: reads its arguments and hands over.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use dynamite::cli::{
    ADMIN_ADDRESS_DEFAULT, Admin, CheckArgs, Cli, Command, EXIT_FAILURE, EXIT_OK, GenerateArgs, HealthArgs,
    LogFormat, RunArgs,
};
use dynamite::embedded::units;
use dynamite::engine::Chain;
use dynamite::{admin, config, daemon, demo, generate, policy_cli, telemetry};
use tokio::runtime::{Builder, Runtime};

fn main() -> anyhow::Result<ExitCode> {
    let code = match Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit()).command {
        Command::Run(args) => run(&args)?,
        Command::Check(args) => check(&args)?,
        Command::Health(args) => health(&args)?,
        Command::Schema => {
            writeln!(io::stdout(), "{:#}", config::schema())?;
            EXIT_OK
        }
        Command::Stop(args) => {
            telemetry::init(LogFormat::Human, None);
            writeln!(io::stdout(), "{} units stopped", runtime()?.block_on(daemon::stop(&args))?)?;
            EXIT_OK
        }
        Command::Supervise(args) => {
            units::supervisor::supervise(&args.folder)?;
            EXIT_OK
        }
        Command::Demo(args) => told(runtime()?.block_on(demo::run(&args)))?,
        Command::Register(args) => told(runtime()?.block_on(demo::register::register(&args)))?,
        Command::Generate(args) => generate(&args)?,
        Command::Policy(command) => policy_cli::run(&command, &mut io::stdout().lock())?,
    };
    Ok(code.into())
}

/// One thread serves everything: nothing here computes for long, and handing work to others costs more than it takes.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// What the process exits with, once people know what went wrong.
fn told(ended: anyhow::Result<()>) -> io::Result<u8> {
    let Err(error) = ended else { return Ok(EXIT_OK) };
    writeln!(io::stderr(), "error: {error:#}")?;
    Ok(EXIT_FAILURE)
}

fn run(args: &RunArgs) -> anyhow::Result<u8> {
    telemetry::init(args.log_format, args.log_level);
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(args));
    // A decision of a policy that is under way is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Ok(EXIT_OK),
        Err(error) => {
            writeln!(io::stderr(), "{}", Chain(&error))?;
            Ok(error.exit_code())
        }
    }
}

fn health(args: &HealthArgs) -> anyhow::Result<u8> {
    let (ready, line) = match args.admin {
        Some(Admin::Off) => (false, "the admin endpoint is off, so there is nobody to ask".to_owned()),
        Some(Admin::At(address)) => ask(address)?,
        None => ask(ADMIN_ADDRESS_DEFAULT)?,
    };
    writeln!(io::stdout(), "{line}")?;
    Ok(if ready { EXIT_OK } else { EXIT_FAILURE })
}

fn ask(address: SocketAddr) -> io::Result<(bool, String)> {
    Ok(runtime()?.block_on(admin::ask(address)))
}

fn check(args: &CheckArgs) -> anyhow::Result<u8> {
    let path = args.config_file();
    let mut modules = config::ModuleLoader::new(args.files.cache.folder());
    let loaded = config::load(&path, &args.files.service_folders, config::parse_unit, &mut modules);
    write!(io::stderr(), "{}", loaded.report)?;
    writeln!(io::stdout(), "{}: {}", path.display(), loaded.summary())?;
    Ok(if loaded.report.errors() == 0 { EXIT_OK } else { EXIT_FAILURE })
}

fn generate(args: &GenerateArgs) -> anyhow::Result<u8> {
    // What etcd's clients say of servers that are gone.
    telemetry::init(LogFormat::Human, None);
    runtime()?.block_on(generate::run(args, &mut io::stdout().lock()))
}
