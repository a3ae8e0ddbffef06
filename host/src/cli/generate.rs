//! The command line of `dynamite generate`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::EtcdArgs;
use crate::config::etcd_paths::base_path;
use crate::metrics::parse_timestamp;

/// What is said of `--etcd-endpoint`.
const ENDPOINT_HELP: &str = "etcd: `ip:port`, `http://ip:port` or `https://ip:port`; repeatable, or several with commas \
                             [default: 127.0.0.1:2379]";

/// Flags of `generate`.
#[derive(Args, Clone, Debug)]
// There is no configuration file that could say it.
#[command(mut_arg("endpoints", |arg| arg.help(ENDPOINT_HELP)))]
pub struct GenerateArgs {
    /// The description, YAML
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Which etcd.
    #[command(flatten)]
    pub etcd: EtcdArgs,

    /// Where instances register [default: the description's, or /services]
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub application_base_path: Option<String>,

    /// Where metrics are written [default: the description's, or /metrics]
    #[arg(long, value_name = "PATH", value_parser = path)]
    pub metrics_base_path: Option<String>,

    /// Write as fast as etcd takes it, with time stamps that end now unless --start says otherwise
    #[arg(long)]
    pub fast: bool,

    /// The first time stamp: RFC 3339 such as 2026-01-01T12:00:00Z, or unix seconds or milliseconds; means --fast
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub start: Option<Timestamp>,

    /// Print keys and values, and write nothing; means --fast
    #[arg(long)]
    pub dry_run: bool,
}

impl GenerateArgs {
    /// Whether nothing is waited for.
    #[must_use]
    pub fn is_fast(&self) -> bool {
        self.fast || self.dry_run || self.start.is_some()
    }
}

fn path(text: &str) -> Result<String, String> {
    base_path(text).map_err(|(message, help)| format!("it {message}: {help}"))
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let help = "write for example `2026-01-01T12:00:00Z`, or unix seconds or milliseconds";
    parse_timestamp(text).ok_or_else(|| help.to_owned())
}
