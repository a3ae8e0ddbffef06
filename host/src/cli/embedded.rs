//! Flags of `run --embedded`, and the hidden command that runs a unit for it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use rustix::process::getuid;

/// Flags of `run` about etcd and fleet within the process.
#[derive(Args, Clone, Debug)]
pub struct EmbeddedArgs {
    /// Serve etcd and fleet in this process, and run units as processes of this machine
    #[arg(long, env = "DYNAMITE_EMBEDDED", conflicts_with_all = ["endpoints", "fleet_endpoint"])]
    pub embedded: bool,

    /// Where everything is kept.
    #[command(flatten)]
    pub data: DataArgs,

    /// Where --embedded serves etcd; whoever reaches it can run programs here
    #[arg(long, alias = "listen_etcd", env = "DYNAMITE_LISTEN_ETCD", value_name = "IP:PORT")]
    #[arg(default_value_t = local(2379))]
    pub listen_etcd: SocketAddr,

    /// Where --embedded serves fleet; whoever reaches it can run programs here
    #[arg(long, alias = "listen_fleet", env = "DYNAMITE_LISTEN_FLEET", value_name = "IP:PORT")]
    #[arg(default_value_t = local(49153))]
    pub listen_fleet: SocketAddr,
}

/// The flag for the folder of `run --embedded`.
#[derive(Args, Clone, Debug)]
pub struct DataArgs {
    /// Where --embedded keeps everything [default: /var/lib/dynamite for root, otherwise dynamite in `XDG_STATE_HOME`
    /// or ~/.local/state]
    #[arg(long, alias = "data_dir", env = "DYNAMITE_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

impl DataArgs {
    /// The folder, given or not, as an absolute path; none if there is no place for it.
    #[must_use]
    pub fn folder(&self) -> Option<PathBuf> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(folder) = &self.data_dir {
            return std::path::absolute(folder).ok();
        }
        if getuid().is_root() {
            return Some("/var/lib/dynamite".into());
        }
        let state = variable("XDG_STATE_HOME").filter(|folder| folder.is_absolute());
        let state = state.or_else(|| Some(variable("HOME")?.join(".local/state")));
        state.map(|state| state.join("dynamite"))
    }
}

/// Flags of `stop`.
#[derive(Args, Clone, Debug)]
pub struct StopArgs {
    /// Where everything is kept.
    #[command(flatten)]
    pub data: DataArgs,
}

/// Arguments of `supervise`, which `run --embedded` starts for each unit.
#[derive(Args, Clone, Debug)]
pub struct SuperviseArgs {
    /// The folder of the unit
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
