//! A fleet of its own: API v1 over TCP and a unix socket, with a model of scheduling and systemd behind it.
//!
//! It answers as fleet 1.0 does, down to its oddities, and costs nothing while nobody asks. What runs the units is
//! exchangeable: by default nothing does, and a [`Behaviour`] tells what would become of them; a [`Backing`] brings a
//! [`Systemd`] that runs them, and a [`Registry`] that outlives the server.

pub mod api;
pub mod behaviour;
pub mod model;
mod record;
mod serve;
mod simulated;
mod systemd;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dynamite_units::UnitOption;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

pub use behaviour::{Behaviour, Life, Timings, Unload};
pub use model::{Failure, Machine, Row, UnitView};
pub use record::{CarriedOut, Fault, Request};
pub use simulated::Runner;
pub use systemd::{Forgetful, Found, Kept, Place, Registry, Systemd, SystemdState};

use super::http;
use crate::config::FleetEndpoint;
use crate::crowd::Crowd;
use crate::fleet::DesiredState;
use model::{Cluster, PutBody};
use serve::Shared;
use simulated::Simulated;

/// fleet's own `token_limit`.
const PAGE_ITEMS: u16 = 100;

/// Connections served at a time: half of the usual 1,024 open files.
const CONNECTIONS_MAX: usize = 512;

/// How a server is set up.
#[derive(Clone)]
pub struct Options {
    /// Where to listen for TCP; port 0 takes a free one. `None` does not.
    pub tcp: Option<SocketAddr>,
    /// The unix socket to listen on. `None` does not.
    pub unix: Option<PathBuf>,
    /// How long fleet takes.
    pub timings: Timings,
    /// The machines of the cluster.
    pub machines: Vec<Machine>,
    /// How units behave, where nothing runs them.
    pub runner: Runner,
    /// Items a page, at least 1.
    pub page_items: u16,
    /// How many connections are served at a time, at least 1; for one more, the quietest is closed.
    pub connections_max: usize,
}

impl Default for Options {
    /// A free port on the loopback, one machine, everything at once.
    fn default() -> Self {
        let machine = Machine {
            id: "0123456789abcdef0123456789abcdef".into(),
            metadata: [("region".to_owned(), "local".to_owned())].into(),
            primary_ip: "127.0.0.1".into(),
        };
        Self {
            tcp: Some((Ipv4Addr::LOCALHOST, 0).into()),
            unix: None,
            timings: Timings::instant(),
            machines: vec![machine],
            runner: Arc::new(Behaviour::expected),
            page_items: PAGE_ITEMS,
            connections_max: CONNECTIONS_MAX,
        }
    }
}

/// What stands behind a server.
pub struct Backing {
    /// What runs the units.
    pub systemd: Box<dyn Systemd>,
    /// Where units are kept.
    pub registry: Box<dyn Registry>,
    /// What the registry has kept from a former server.
    pub kept: Vec<Kept>,
    /// What is loaded already.
    pub found: Vec<Found>,
}

/// A running server. It ends when it is dropped.
pub struct FleetServer {
    shared: Arc<Shared>,
    crowd: Arc<Crowd>,
    address: Option<SocketAddr>,
    path: Option<PathBuf>,
    socket: Option<SocketFile>,
    tasks: JoinSet<()>,
}

impl FleetServer {
    /// Binds and serves, in memory and without running anything. The error is that of binding an address or a path.
    pub async fn start(options: Options) -> io::Result<Self> {
        let systemd = Box::new(Simulated::new(Arc::clone(&options.runner)));
        let registry = Box::new(Forgetful);
        Self::start_on(options, Backing { systemd, registry, kept: Vec::new(), found: Vec::new() }).await
    }

    /// Binds and serves what stands behind it. The error is that of binding an address or a path.
    pub async fn start_on(options: Options, backing: Backing) -> io::Result<Self> {
        let mut cluster = Cluster::new(options.timings, options.machines, backing.systemd, backing.registry);
        cluster.restore(backing.kept, backing.found);
        cluster.advance(std::time::Duration::ZERO);
        let shared = Arc::new(Shared::new(cluster, options.page_items.max(1)));
        let crowd = Crowd::new(options.connections_max, http::QUIET_MAX);
        let (address, path) = (options.tcp, options.unix);
        let mut server = Self { shared, crowd, address, path, socket: None, tasks: JoinSet::new() };
        server.open().await?;
        Ok(server)
    }

    /// Listens again after [`close`](Self::close), at the same places and with every unit as it would be by now.
    pub async fn open(&mut self) -> io::Result<()> {
        self.close().await;
        if let Some(address) = self.address {
            let listener = TcpListener::bind(address).await?;
            self.address = Some(listener.local_addr()?);
            self.tasks.spawn(http::accept(Arc::clone(&self.shared), Arc::clone(&self.crowd), listener));
        }
        if let Some(path) = self.path.clone() {
            let listener = bind_unix(&path)?;
            self.socket = Some(SocketFile(path));
            self.tasks.spawn(http::accept(Arc::clone(&self.shared), Arc::clone(&self.crowd), listener));
        }
        Ok(())
    }

    /// Closes the listeners and every connection, as if fleetd were down: connecting is refused, and units live on.
    pub async fn close(&mut self) {
        self.tasks.shutdown().await;
        self.socket = None;
    }

    /// Where the server is reached: over TCP if it listens there, else over its unix socket.
    #[must_use]
    pub fn endpoint(&self) -> FleetEndpoint {
        match self.address {
            Some(address) => FleetEndpoint::Tcp { host: address.ip().to_string(), port: address.port() },
            None => self.unix_endpoint().unwrap_or_else(|| FleetEndpoint::Unix(PathBuf::new())),
        }
    }

    /// The unix socket, if the server listens on one.
    #[must_use]
    pub fn unix_endpoint(&self) -> Option<FleetEndpoint> {
        self.path.clone().map(FleetEndpoint::Unix)
    }

    /// The address, if the server listens on TCP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Every unit that a listing would show now.
    #[must_use]
    pub fn units(&self) -> Vec<UnitView> {
        self.shared.cluster().units(self.shared.now())
    }

    /// What systemd says now, as far as fleet has published it.
    #[must_use]
    pub fn states(&self) -> Vec<Row> {
        self.shared.cluster().rows(self.shared.now())
    }

    /// The requests so far, oldest first; after very many, the oldest are forgotten.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.record().list()
    }

    /// How many requests came so far.
    #[must_use]
    pub fn request_count(&self) -> u64 {
        self.shared.record().count()
    }

    /// Forgets the requests so far; their numbers go on.
    pub fn forget_requests(&self) {
        self.shared.record().forget();
    }

    /// Every request from now on, as soon as its headers are read and before it is carried out.
    #[must_use]
    pub fn arrivals(&self) -> broadcast::Receiver<Request> {
        self.shared.record().subscribe()
    }

    /// From their next start on, units whose name matches (`*`, `?`) behave like this. The last rule counts.
    pub fn behave(&self, pattern: &str, behaviour: Behaviour) {
        self.shared.cluster().behave(pattern, behaviour);
    }

    /// From their next start on, units whose name matches fail at once.
    pub fn fail(&self, pattern: &str) {
        self.behave(pattern, Behaviour::FAILS);
    }

    /// Kills a unit that is up; false when it is not.
    #[must_use]
    pub fn crash(&self, name: &str) -> bool {
        self.shared.cluster().crash(self.shared.now(), name)
    }

    /// The next so many requests end like this. Faults that were ordered before come first.
    pub fn fault(&self, fault: Fault, times: u32) {
        self.shared.faults().add(None, fault, times);
    }

    /// The next so many requests with this method end like this.
    pub fn fault_on(&self, method: &str, fault: Fault, times: u32) {
        self.shared.faults().add(Some(method), fault, times);
    }

    /// No more faults.
    pub fn heal(&self) {
        self.shared.faults().clear();
    }

    /// Puts a unit as another client of fleet would.
    pub fn put_foreign(
        &self,
        name: &str,
        options: &[UnitOption],
        desired: DesiredState,
    ) -> Result<(), Failure> {
        let options = options.iter().cloned().map(Some).collect();
        let body = PutBody { desired: desired.as_str().to_owned(), options };
        self.shared.cluster().put(self.shared.now(), name, body).map(|_| ())
    }

    /// Removes a unit as another client of fleet would.
    pub fn delete_foreign(&self, name: &str) -> Result<(), Failure> {
        self.shared.cluster().delete(self.shared.now(), name)
    }

    /// Removes every unit, also those that no listing shows.
    pub fn clear(&self) {
        self.shared.cluster().clear(self.shared.now());
    }

    /// Ends the server.
    pub async fn stop(mut self) {
        self.close().await;
    }
}

impl fmt::Debug for FleetServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FleetServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Binds a unix socket, also where a server that is gone has left its own.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let error = match UnixListener::bind(path) {
        Ok(listener) => return Ok(listener),
        Err(error) => error,
    };
    let abandoned = std::os::unix::net::UnixStream::connect(path)
        .is_err_and(|refused| refused.kind() == io::ErrorKind::ConnectionRefused);
    if error.kind() != io::ErrorKind::AddrInUse || !abandoned {
        return Err(error);
    }
    std::fs::remove_file(path)?;
    UnixListener::bind(path)
}

/// Removes the socket with its server.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have been quicker.
        let _ = std::fs::remove_file(&self.0);
    }
}
