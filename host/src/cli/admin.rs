//! The command line of the admin endpoint: where `run` listens, and whom `health` asks.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::str::FromStr;

use clap::Args;

/// Where `run` answers `/healthz` and `/readyz` unless told otherwise. Nothing well known has this port, and it is outside
/// the range from which systems give ports to clients.
pub const ADMIN_ADDRESS_DEFAULT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 7479));

/// Whether and where there is an admin endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// There is none.
    Off,
    /// At this address; port 0 takes a free one, which the log names.
    At(SocketAddr),
}

impl FromStr for Admin {
    type Err = &'static str;

    /// Reads `IP:PORT`, or `off`, or nothing, which means the same.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "" | "off" => Ok(Self::Off),
            address => address
                .parse()
                .map(Self::At)
                .map_err(|_| "write `127.0.0.1:7479`, `[::1]:7479` or the like, or `off`"),
        }
    }
}

/// Flags of `health`.
#[derive(Args, Clone, Debug)]
pub struct HealthArgs {
    /// Where the Dynamite to be asked has its admin endpoint [default: 127.0.0.1:7479]
    #[arg(long, env = "DYNAMITE_ADMIN", value_name = "ADDRESS")]
    pub admin: Option<Admin>,
}
