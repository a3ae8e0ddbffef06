//! The command line of `dynamite demo`, and of what its units do.

use std::path::PathBuf;

use clap::Args;

use super::EtcdArgs;

/// Flags of `demo`.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// Go on until Ctrl-C, and say where the servers are
    #[arg(long)]
    pub keep: bool,

    /// Write lines, on a terminal too
    #[arg(long)]
    pub plain: bool,

    /// Where the chart is written
    #[arg(long, value_name = "FILE", default_value = "dynamite-demo.svg")]
    pub chart: PathBuf,

    /// A module that scales the workers in place of the demo's own policy
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,

    /// The configuration of that module, JSON [default: {}]
    #[arg(long, value_name = "JSON", requires = "policy", value_parser = json)]
    pub policy_config: Option<serde_json::Value>,
}

/// Flags of `register`.
#[derive(Args, Clone, Debug)]
pub struct RegisterArgs {
    /// The type of the service
    #[arg(value_name = "TYPE")]
    pub service_type: String,

    /// The id of the instance
    pub id: String,

    /// The name of its unit
    pub unit: String,

    /// Which etcd.
    #[command(flatten)]
    pub etcd: EtcdArgs,
}

fn json(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
