//! The command line: its commands and flags, their environment variables, and what the process exits with.
//!
//! Nothing here acts. A flag beats its environment variable, and both beat the configuration file. A variable that is set
//! but empty counts as not set: that is how compose files hand on what nobody gave.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::{ETCD_ENDPOINT_DEFAULT, FleetEndpoint, etcd_url};
use crate::wasm;

pub use admin::{ADMIN_ADDRESS_DEFAULT, Admin, HealthArgs};
pub use demo::{DemoArgs, RegisterArgs};
pub use embedded::{DataArgs, EmbeddedArgs, StopArgs, SuperviseArgs};
pub use generate::GenerateArgs;
pub use policy::{
    BenchArgs, BuiltinPolicy, DecideArgs, Format, InspectArgs, NewArgs, PolicyCommand, ReportFormat, Size,
    TestArgs,
};

/// All went well.
pub const EXIT_OK: u8 = 0;
/// `check` found errors, `health` that it is not ready, or something failed that has no number of its own.
pub const EXIT_FAILURE: u8 = 1;
/// The command line is wrong; clap's own choice.
pub const EXIT_USAGE: u8 = 2;
/// etcd refused `run` for good, such as its password (`EX_UNAVAILABLE`): a restart helps once etcd is put right.
pub const EXIT_REFUSED: u8 = 69;
/// The operating system refused `run` something, such as to listen at `--admin` (`EX_OSERR`): a restart may help.
pub const EXIT_SYSTEM: u8 = 71;
/// `run` was given a configuration or files with errors (`EX_CONFIG`): a restart will not help.
pub const EXIT_CONFIG: u8 = 78;

/// Where the configuration file is unless told otherwise.
pub const CONFIG_FILE_DEFAULT: &str = "/etc/dynamite/config.yaml";

/// The whole command line.
#[derive(Clone, Debug, Parser)]
#[command(name = "dynamite", version, about, max_term_width = 100, subcommand_required = true)]
#[command(
    after_help = "Without a command, `dynamite FLAGS` is `dynamite run FLAGS`; see `dynamite run --help`."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Scale the services until told to stop (SIGTERM, SIGINT); the default
    Run(Box<RunArgs>),
    /// Report everything that is wrong with a configuration; asks neither etcd nor fleet, exits 1 on errors
    Check(CheckArgs),
    /// Ask a Dynamite that runs on this machine whether it is ready; exits 1 if it is not
    Health(HealthArgs),
    /// Print the JSON Schema of the configuration
    Schema,
    /// See it scale within a minute, without etcd or fleet
    Demo(DemoArgs),
    /// Register an instance in etcd for as long as this runs; what a unit of the demo does
    #[command(hide = true)]
    Register(Box<RegisterArgs>),
    /// Write metrics and registrations into etcd as a file describes them, to try a configuration
    #[command(after_long_help = crate::generate::FORMAT, after_help = "`--help` describes the file.")]
    Generate(Box<GenerateArgs>),
    /// Write, inspect, test and measure scaling policies in WebAssembly
    #[command(subcommand)]
    Policy(Box<PolicyCommand>),
    /// Stop every unit that `run --embedded` left running
    Stop(StopArgs),
    /// Run a unit for `run --embedded`
    #[command(hide = true)]
    Supervise(SuperviseArgs),
}

impl Cli {
    /// Reads a command line, program name first. Flags without a command are those of `run`.
    ///
    /// # Errors
    ///
    /// What clap has to say, help and version included.
    pub fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut args: Vec<OsString> = args.into_iter().collect();
        let first = args.get(1).map(|arg| arg.to_string_lossy().into_owned());
        let is_bare = first.is_none_or(|first| {
            first.starts_with('-') && !matches!(first.as_str(), "-h" | "--help" | "-V" | "--version")
        });
        if is_bare {
            args.insert(args.len().min(1), "run".into());
        }
        let command = Self::command().mut_subcommands(|command| command.mut_args(without_empty_variable));
        Self::from_arg_matches(&command.try_get_matches_from(args)?)
    }
}

/// The argument, no longer asking for an environment variable that is empty.
fn without_empty_variable(arg: Arg) -> Arg {
    let is_empty = arg.get_env().and_then(std::env::var_os).is_some_and(|value| value.is_empty());
    if is_empty { arg.env(Resettable::<clap::builder::OsStr>::Reset) } else { arg }
}

/// Which files to read, and where to keep what is made of them.
#[derive(Args, Clone, Debug)]
pub struct FileArgs {
    /// The configuration file [default: /etc/dynamite/config.yaml]
    #[arg(short = 'c', long, alias = "config_file", env = "DYNAMITE_CONFIG_FILE", value_name = "FILE")]
    pub config_file: Option<PathBuf>,

    /// One more folder with unit files; repeatable, or several with commas
    #[arg(short = 's', long = "service-folder", alias = "service_folder", env = "DYNAMITE_SERVICE_FOLDER")]
    #[arg(value_name = "FOLDER", value_delimiter = ',')]
    pub service_folders: Vec<PathBuf>,

    /// Where to keep compiled modules.
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// Where to keep compiled modules.
#[derive(Args, Clone, Debug)]
pub struct CacheArgs {
    /// The folder for compiled policy modules, which nobody else may write [default: /var/cache/dynamite for root,
    /// otherwise dynamite in `XDG_CACHE_HOME` or ~/.cache]
    #[arg(long, alias = "cache_dir", env = "DYNAMITE_CACHE_DIR", value_name = "FOLDER")]
    pub cache_dir: Option<PathBuf>,
}

impl CacheArgs {
    /// The folder for compiled modules, given or not; none if there is no place for it.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        self.cache_dir.clone().or_else(wasm::cache_folder_default)
    }
}

impl FileArgs {
    /// The configuration file, given or not.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config_file.clone().unwrap_or_else(|| CONFIG_FILE_DEFAULT.into())
    }
}

/// Flags of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// The configuration file; beats --config-file
    #[arg(value_name = "CONFIG")]
    pub config: Option<PathBuf>,

    /// Which files to read.
    #[command(flatten)]
    pub files: FileArgs,
}

impl CheckArgs {
    /// The configuration file to check.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| self.files.config_file())
    }
}

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Which files to read.
    #[command(flatten)]
    pub files: FileArgs,

    /// fleet: `ip:port`, `http://ip:port` or `unix:///path` [default: the configuration file's, or
    /// `unix:///var/run/fleet.sock`]
    #[arg(
        short = 'f',
        long,
        alias = "fleet_endpoint",
        env = "DYNAMITE_FLEET_ENDPOINT",
        value_name = "ENDPOINT"
    )]
    pub fleet_endpoint: Option<FleetEndpoint>,

    /// Which etcd.
    #[command(flatten)]
    pub etcd: EtcdArgs,

    /// Whether to do without both.
    #[command(flatten)]
    pub embedded: EmbeddedArgs,

    /// What log lines look like
    #[arg(long, alias = "log_format", env = "DYNAMITE_LOG_FORMAT", value_enum, default_value_t = LogFormat::Human)]
    pub log_format: LogFormat,

    /// The least important lines that are logged; beats `RUST_LOG` [default: `RUST_LOG`, or info]
    #[arg(long, alias = "log_level", env = "DYNAMITE_LOG_LEVEL", value_enum, value_name = "LEVEL")]
    pub log_level: Option<LogLevel>,

    /// How long a standby waits after the last sign of life of the leader, in seconds, 2 to 60
    #[arg(
        long,
        alias = "lease_ttl",
        env = "DYNAMITE_LEASE_TTL",
        value_name = "SECONDS",
        default_value_t = 5
    )]
    #[arg(value_parser = clap::value_parser!(u64).range(2..=60))]
    pub lease_ttl: u64,

    /// A file to write everything that happens to, as lines of JSON after those that it has
    #[arg(long, env = "DYNAMITE_EVENTS", value_name = "FILE")]
    pub events: Option<PathBuf>,

    /// A file to write everything to that decisions follow from, as lines of JSON after those that it has
    #[arg(long, env = "DYNAMITE_INPUTS", value_name = "FILE", hide = true)]
    pub inputs: Option<PathBuf>,

    /// Where to answer `/healthz` and `/readyz`, or `off` [default: 127.0.0.1:7479, and no matter if that is taken]
    #[arg(long, env = "DYNAMITE_ADMIN", value_name = "ADDRESS")]
    pub admin: Option<Admin>,
}

impl RunArgs {
    /// Where fleet is: the flag, or the configuration file, or fleet's own socket.
    #[must_use]
    pub fn fleet_endpoint(&self, from_file: Option<&FleetEndpoint>) -> FleetEndpoint {
        self.fleet_endpoint.as_ref().or(from_file).cloned().unwrap_or_default()
    }
}

/// Flags about etcd.
#[derive(Args, Clone, Debug)]
pub struct EtcdArgs {
    /// etcd: `ip:port`, `http://ip:port` or `https://ip:port`; repeatable, or several with commas [default: the
    /// configuration file's, or 127.0.0.1:2379]
    #[arg(short = 'e', long = "etcd-endpoint", alias = "etcd_endpoint", env = "DYNAMITE_ETCD_ENDPOINT")]
    #[arg(value_name = "ENDPOINT", value_delimiter = ',', value_parser = etcd_url)]
    pub endpoints: Vec<String>,

    /// Which of the APIs of etcd to use
    #[arg(long = "etcd-api", alias = "etcd_api", env = "DYNAMITE_ETCD_API", value_enum)]
    #[arg(default_value_t = EtcdApi::Auto)]
    pub api: EtcdApi,

    /// The certificate authority that signed etcd's certificate, PEM
    #[arg(long = "etcd-ca-file", alias = "etcd_ca_file", env = "DYNAMITE_ETCD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,

    /// The certificate to show to etcd, PEM
    #[arg(long = "etcd-cert-file", alias = "etcd_cert_file", env = "DYNAMITE_ETCD_CERT_FILE")]
    #[arg(value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<PathBuf>,

    /// The key of that certificate, PEM
    #[arg(long = "etcd-key-file", alias = "etcd_key_file", env = "DYNAMITE_ETCD_KEY_FILE")]
    #[arg(value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<PathBuf>,

    /// The user to log in to etcd as
    #[arg(long = "etcd-user", alias = "etcd_user", env = "DYNAMITE_ETCD_USER", hide_env_values = true)]
    #[arg(value_name = "NAME", requires = "password")]
    pub user: Option<String>,

    /// That user's password; better given in the environment, where other users cannot see it
    #[arg(
        long = "etcd-password",
        alias = "etcd_password",
        env = "DYNAMITE_ETCD_PASSWORD",
        hide_env_values = true
    )]
    #[arg(value_name = "PASSWORD", requires = "user")]
    pub password: Option<String>,
}

impl EtcdArgs {
    /// Where etcd is, as URLs, at least one: the flags, or the configuration file, or this machine.
    #[must_use]
    pub fn endpoints(&self, from_file: Option<&str>) -> Vec<String> {
        if self.endpoints.is_empty() {
            return vec![from_file.unwrap_or(ETCD_ENDPOINT_DEFAULT).to_owned()];
        }
        self.endpoints.clone()
    }
}

/// Which of etcd's APIs to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EtcdApi {
    /// The HTTP API of etcd 2, which etcd 3.5 and earlier have too if asked.
    V2,
    /// The gRPC API of etcd 3.
    V3,
    /// Whichever the server has.
    Auto,
}

/// What log lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people, with colour on a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// How important a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// What failed for good.
    Error,
    /// What went wrong and is being dealt with.
    Warn,
    /// What was done.
    Info,
    /// Why it was done.
    Debug,
    /// Everything.
    Trace,
}

mod admin;
mod demo;
mod embedded;
mod generate;
mod policy;
#[cfg(test)]
mod tests;
