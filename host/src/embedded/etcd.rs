//! An etcd of its own: the keys API, v2, over HTTP, as etcd 3.4 serves it with `--enable-v2`.
//!
//! Clients cannot tell it from etcd as far as v2 goes; there is no v3, no login and no second member. It costs nothing
//! while nobody asks.

mod api;
mod disk;
mod engine;
mod event;
mod failure;
mod form;
mod history;
mod hub;
mod json;
mod keeper;
mod key;
mod member;
mod record;
mod request;
mod serve;
mod stats;
mod store;
mod tree;
mod write;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::http;
use crate::clock::{Clock as _, SystemClock};
use crate::crowd::Crowd;
use disk::{Disk, Identity};
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
    /// The folder cannot be used.
    #[error("cannot keep the store in the folder `{}`: choose another one or give this process the right to write there", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file cannot be read or written.
    #[error("cannot use `{}`: see to its rights and to the disk, then start again", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Another process has the file open.
    #[error("`{}` is in use by another process: end that or choose another folder", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is not one that this program wrote, or no longer.
    #[error("`{}` is damaged, or no store of Dynamite: put back a copy, or move it away to start with an empty one", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the database says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no thread for the store.
    #[error("cannot start a thread for the store")]
    Thread(#[source] std::io::Error),
}

/// A running server. It ends when it is dropped.
pub struct EtcdServer {
    address: SocketAddr,
    tasks: JoinSet<()>,
    store: Stored,
}

impl EtcdServer {
    /// Opens the store, binds, and serves. A new store takes its IDs from `rng`.
    pub async fn start(options: Options, rng: fastrand::Rng) -> Result<Self, Error> {
        let address = options.listen;
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (store, identity) = Stored::open(options.data_dir, rng).await?;
        let member = Member {
            cluster_id: format!("{:x}", identity.cluster),
            id: format!("{:x}", identity.member),
            address,
            term: identity.term,
            started: SystemClock.now(),
        };
        let engine = Arc::clone(&store.engine);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&engine).expire());
        let crowd = Crowd::new(options.connections_max, http::QUIET_MAX);
        tasks.spawn(http::accept(Arc::new(Shared { engine, member }), crowd, listener));
        Ok(Self { address, tasks, store })
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

    /// Ends the server; afterwards the folder is free for another one.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.store.close().await;
    }
}

/// The store, and the thread that keeps it.
struct Stored {
    engine: Arc<Engine>,
    thread: Option<JoinHandle<()>>,
}

impl Stored {
    async fn open(folder: Option<PathBuf>, mut rng: fastrand::Rng) -> Result<(Self, Identity), Error> {
        let Some(folder) = folder else {
            let identity = Identity { term: 2, ..Identity::random(&mut rng) };
            let engine = Engine::new(Store::new(store::BYTES_MAX), None);
            return Ok((Self { engine, thread: None }, identity));
        };
        let open = move || {
            let (disk, kept) = Disk::open(&folder, &mut rng)?;
            let store = Store::restored(kept.nodes, kept.events, store::BYTES_MAX);
            // One call is enough: it is for all that has happened until it is heard.
            let (calls, work) = mpsc::sync_channel(1);
            let engine = Engine::new(store, Some(calls));
            let thread = keeper::start(Arc::clone(&engine), disk, work).map_err(Error::Thread)?;
            Ok((Self { engine, thread: Some(thread) }, kept.identity))
        };
        let opened = tokio::task::spawn_blocking(open).await;
        opened.unwrap_or_else(|error| Err(Error::Thread(std::io::Error::other(error))))
    }

    async fn close(mut self) {
        self.engine.end();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say, and it does not panic.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.engine.end();
    }
}

impl fmt::Debug for EtcdServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EtcdServer").field("address", &self.address).finish_non_exhaustive()
    }
}
