//! The `dynamite` command: reads its arguments and hands over.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use dynamite::cli::{
    ADMIN_ADDRESS_DEFAULT, Admin, CheckArgs, Cli, Command, EXIT_FAILURE, EXIT_OK, GenerateArgs, HealthArgs,
    LogFormat, RunArgs, StopArgs,
};
use dynamite::embedded::units;
use dynamite::engine::Chain;
use dynamite::{admin, config, daemon, demo, generate, policy_cli, telemetry};
use mimalloc::MiMalloc;
use tokio::runtime::{Builder, Runtime};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let code = act(cli.command).unwrap_or_else(|error| {
        let cause = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if cause == Some(io::ErrorKind::BrokenPipe) {
            // Whoever read it has seen enough.
            return EXIT_OK;
        }
        // There is nobody left to tell if this fails.
        let _ = writeln!(io::stderr(), "error: {error:#}");
        EXIT_FAILURE
    });
    code.into()
}

fn act(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Run(args) => return run(&args),
        Command::Check(args) => return check(&args),
        Command::Health(args) => return health(&args),
        Command::Policy(command) => return policy_cli::run(&command, &mut io::stdout().lock()),
        Command::Generate(args) => return generate(&args),
        Command::Schema => writeln!(io::stdout(), "{:#}", config::schema())?,
        Command::Stop(args) => stop(&args)?,
        Command::Demo(args) => runtime()?.block_on(demo::run(&args, randomness()))?,
        Command::Supervise(args) => units::supervisor::supervise(&args.folder)?,
        Command::Register(args) => runtime()?.block_on(demo::register::register(&args, randomness()))?,
    }
    Ok(EXIT_OK)
}

/// One thread serves everything: nothing here computes for long, and handing work to others costs more than it takes.
fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// What all randomness of the process is taken from: everything else is handed a generator, or a seed.
#[expect(clippy::disallowed_methods, reason = "this is the one place that is not given a seed")]
fn randomness() -> fastrand::Rng {
    fastrand::Rng::new()
}

fn run(args: &RunArgs) -> anyhow::Result<u8> {
    let log = telemetry::init(args.log_format, args.log_level);
    let runtime = runtime()?;
    let ended = runtime.block_on(daemon::run(args, randomness()));
    // A decision of a policy that is under way is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Ok(EXIT_OK),
        Err(error) => {
            match args.log_format {
                LogFormat::Human => {
                    // The last word comes last, and the code says the same should nobody hear it.
                    drop(log);
                    let _is_heard = writeln!(io::stderr(), "{}", Chain(&error));
                }
                LogFormat::Json => tracing::error!(exit_code = error.exit_code(), "{}", Chain(&error)),
            }
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

fn stop(args: &StopArgs) -> anyhow::Result<()> {
    let _log = telemetry::init(LogFormat::Human, None);
    let units = runtime()?.block_on(daemon::stop(args, randomness()))?;
    Ok(writeln!(io::stdout(), "{units} units stopped")?)
}

fn generate(args: &GenerateArgs) -> anyhow::Result<u8> {
    // What etcd's clients say of servers that are gone.
    let _log = telemetry::init(LogFormat::Human, None);
    runtime()?.block_on(generate::run(args, randomness(), &mut io::stdout().lock()))
}
