//! The command line of `dynamite policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::CacheArgs;
use crate::cases::FORMAT;

/// What to do with a policy.
#[derive(Clone, Debug, Subcommand)]
pub enum PolicyCommand {
    /// Write a new policy in Rust: a crate that builds at once, with cases that test it
    New(NewArgs),
    /// Show what a module says of itself, and what it needs
    Inspect(InspectArgs),
    /// Put a policy to cases in YAML files; exits 1 if one fails
    #[command(after_long_help = FORMAT, after_help = "`--help` describes the case files.")]
    Test(TestArgs),
    /// Make one decision and show all that comes of it
    Run(DecideArgs),
    /// Measure decisions over windows of several sizes
    Bench(BenchArgs),
}

/// Flags of `policy new`.
#[derive(Args, Clone, Debug)]
pub struct NewArgs {
    /// The name: lower-case letters, digits, `-` and `_`
    pub name: String,

    /// The folder to write, which must be empty or not there [default: NAME]
    #[arg(long, value_name = "DIR")]
    pub path: Option<PathBuf>,
}

/// Flags of `policy inspect`.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// The module
    #[arg(value_name = "FILE")]
    pub module: PathBuf,

    /// What the answer looks like
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,

    /// Where to keep compiled modules.
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// Flags of `policy test`.
#[derive(Args, Clone, Debug)]
pub struct TestArgs {
    /// The module, then the case files; with --builtin, case files alone
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,

    /// Test this built-in policy instead of a module
    #[arg(long, value_enum, value_name = "NAME")]
    pub builtin: Option<BuiltinPolicy>,

    /// Only cases whose name contains this
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,

    /// What the report looks like; what keeps cases from being run goes to standard error, and there is no report then
    #[arg(long, value_enum, default_value_t = ReportFormat::Human)]
    pub format: ReportFormat,

    /// Where to keep compiled modules.
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// Flags of `policy run`.
#[derive(Args, Clone, Debug)]
pub struct DecideArgs {
    /// The module
    #[arg(value_name = "FILE")]
    pub module: PathBuf,

    /// What the policy sees: a YAML file with the keys of a case, or with cases; see `dynamite policy test --help`
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,

    /// Which of the cases, by its name; only its first decision is made
    #[arg(long, value_name = "NAME")]
    pub case: Option<String>,

    /// The state that the policy is given; none at first
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,

    /// Where the state that it answers with is written
    #[arg(long, value_name = "FILE")]
    pub state_out: Option<PathBuf>,

    /// What the answer looks like
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,

    /// Where to keep compiled modules.
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// Flags of `policy bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// The module
    #[arg(value_name = "FILE")]
    pub module: PathBuf,

    /// A YAML file with the keys of a case, or with cases, for its policy and service; its samples are not used
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,

    /// Which of the cases, by its name
    #[arg(long, value_name = "NAME", requires = "input")]
    pub case: Option<String>,

    /// The sizes of windows, such as `10x60` for 10 series of 60 samples; several with commas
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_value = "1x60,10x60,100x60,10x600")]
    pub sizes: Vec<Size>,

    /// How often each decision is made
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rounds: u32,

    /// Where to keep compiled modules.
    #[command(flatten)]
    pub cache: CacheArgs,
}

/// The size of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How many series.
    pub series: u32,
    /// How many samples in each.
    pub samples: u32,
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let size = text.split_once('x').and_then(|(series, samples)| {
            let (series, samples) = (series.parse().ok()?, samples.parse().ok()?);
            ((1..=10_000).contains(&series) && (1..=10_000).contains(&samples))
                .then_some(Self { series, samples })
        });
        size.ok_or_else(|| "write for example `10x60`: 10 series of 60 samples, each up to 10000".to_owned())
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&format!("{}x{}", self.series, self.samples))
    }
}

/// A policy that is part of Dynamite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BuiltinPolicy {
    /// The threshold rule.
    Threshold,
}

/// What an answer looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Lines for people.
    Human,
    /// A JSON object.
    Json,
}

/// What a report of tests looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Lines for people, like those of `cargo test`.
    Human,
    /// A JSON object.
    Json,
    /// `JUnit` XML, which build servers read.
    #[value(help = "JUnit XML, which build servers read")]
    Junit,
}
