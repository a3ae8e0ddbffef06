//! An etcd of its own: the keys API, v2, over HTTP, as etcd 3.4 serves it with `--enable-v2`.
//!
//! Clients cannot tell it from etcd as far as v2 goes; there is no v3, no login and no second member. It costs nothing
//! while nobody asks.

mod api;
mod engine;
mod event;
mod failure;
mod form;
mod history;
mod hub;
mod json;
mod key;
mod member;
mod request;
mod serve;
mod stats;
mod store;
mod tree;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::http::{self, Crowd};
use crate::clock::{Clock as _, SystemClock};
use engine::Engine;
use member::Member;
use serve::Shared;
use store::Store;

/// Connections served at a time: half of the usual 1,024 open files.
const CONNECTIONS_MAX: usize = 512;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The folder to keep everything in; it is made if it is not there. `None` keeps it in memory only.
    pub data_dir: Option<PathBuf>,
    /// How many connections are served at a time, at least 1; for one more, the quietest is closed.
    pub connections_max: usize,
}

impl Default for Options {
    /// A free port on the loopback, in memory only.
    fn default() -> Self {
        let listen = (Ipv4Addr::LOCALHOST, 0).into();
        Self { listen, data_dir: None, connections_max: CONNECTIONS_MAX }
    }
}

/// What keeps a server from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: choose another address or end what listens there")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// A running server. It ends when it is dropped.
pub struct EtcdServer {
    address: SocketAddr,
    tasks: JoinSet<()>,
}

impl EtcdServer {
    /// Opens the store, binds, and serves.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let address = options.listen;
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut random = fastrand::Rng::new();
        let member = Member {
            cluster_id: format!("{:x}", random.u64(1..)),
            id: format!("{:x}", random.u64(1..)),
            client_url: format!("http://{address}"),
            term: 2,
            started: SystemClock.now(),
        };
        let engine = Engine::new(Store::new(store::BYTES_MAX), None);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&engine).expire());
        let crowd = Crowd::new(options.connections_max);
        tasks.spawn(http::accept(Arc::new(Shared { engine, member }), crowd, listener));
        Ok(Self { address, tasks })
    }

    /// Where clients reach it, such as `http://127.0.0.1:2379`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the server.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

impl fmt::Debug for EtcdServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EtcdServer").field("address", &self.address).finish_non_exhaustive()
    }
}
