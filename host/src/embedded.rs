//! etcd and fleet inside the process, for a machine that has neither: [`Embedded`] serves both over HTTP, keeps
//! everything in one folder, and runs units as processes that outlive it.
//!
//! [`fleet`] by itself, with nothing behind it, is what tests and benchmarks use.

pub mod etcd;
pub mod fleet;
mod go;
mod http;
mod machine;
mod registry;
pub mod units;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::config::FleetEndpoint;
use etcd::EtcdServer;
use fleet::{Backing, FleetServer, Machine};
use registry::Files;
use units::{Units, Watcher};

/// The program that is running, even after its file was replaced.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// The file that the process holds that uses a data directory.
const LOCK: &str = "lock";
/// The folder of its units.
const UNITS: &str = "units";
/// What may be in a folder that is taken for an empty one.
const OURS: [&str; 5] = [LOCK, "etcd", "fleet", "machine-id", "lost+found"];

/// How long to wait for a former process to let go of the data: it may be ending just now.
const LOCK_LIMIT: Duration = Duration::from_secs(2);

/// How often the lock is tried meanwhile.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Where things are.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder in which everything is kept; it is made if need be.
    pub data_dir: PathBuf,
    /// Where to serve etcd; port 0 takes a free one.
    pub etcd: SocketAddr,
    /// Where to serve fleet; port 0 takes a free one.
    pub fleet: SocketAddr,
    /// A unix socket on which to serve fleet too.
    pub fleet_socket: Option<PathBuf>,
}

/// Why etcd and fleet cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder cannot be used.
    #[error("the data directory `{}` cannot be used", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another process uses the folder.
    #[error("the data directory `{}` is in use by another `dynamite`; end that one, or take another --data-dir", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The folder is somebody else's.
    #[error("`{}` has other things in it and is no data directory of Dynamite; take an empty folder, or one that is not there yet", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// etcd cannot be served.
    #[error("etcd cannot be served; --listen-etcd takes another address than {address}")]
    Etcd {
        /// Where it was to listen.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// What etcd keeps cannot be used.
    #[error("etcd cannot be served")]
    Store(#[source] etcd::Error),
    /// Units do not end.
    #[error("these units do not end, and their supervisors cannot be killed: {}", units.join(", "))]
    Endless {
        /// Their names.
        units: Vec<String>,
    },
    /// fleet cannot be served.
    #[error("fleet cannot be served; --listen-fleet takes another address than {address}")]
    Fleet {
        /// Where it was to listen.
        address: SocketAddr,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// A running etcd and fleet. When it is dropped they end, and units run on.
#[derive(Debug)]
pub struct Embedded {
    etcd: EtcdServer,
    fleet: FleetServer,
    units: Watcher,
    /// Held for as long as the data is in use.
    _lock: File,
}

impl Embedded {
    /// Binds and serves, with everything that is in the folder. Units that should run and do not are started.
    /// IDs are taken from `rng`, which must be seeded otherwise at every start.
    ///
    /// # Errors
    /// That the folder or an address cannot be used.
    pub async fn start(options: Options, rng: fastrand::Rng) -> Result<Self, Error> {
        Self::start_with(options, PathBuf::from(THIS_PROGRAM), rng).await
    }

    /// The same in a program that is not `dynamite` itself: units are run by the `dynamite` that is named.
    ///
    /// # Errors
    /// That the folder or an address cannot be used.
    pub async fn start_with(
        options: Options,
        program: PathBuf,
        mut rng: fastrand::Rng,
    ) -> Result<Self, Error> {
        let root = options.data_dir.clone();
        let data = |source| Error::Data { path: root.clone(), source };
        if !is_data_dir(&root) && !is_empty(&root).map_err(data)? {
            return Err(Error::Foreign { path: root });
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(data)?;
        let lock = lock(&root).await?;
        let etcd = etcd::Options {
            listen: options.etcd,
            data_dir: Some(root.join("etcd")),
            ..etcd::Options::default()
        };
        let failed = |error| match error {
            etcd::Error::Listen { address, source } => Error::Etcd { address, source },
            other => Error::Store(other),
        };
        let etcd = EtcdServer::start(etcd, rng.fork()).await.map_err(failed)?;
        let machine = machine::id(&root, &mut rng).map_err(data)?;
        let (registry, kept) = Files::open(root.join("fleet")).map_err(data)?;
        let units = units::Options { folder: root.join(UNITS), program, machine: machine.clone() };
        let (units, found) = Units::open(units, rng).map_err(data)?;
        let watcher = units.watcher();
        let primary_ip = options.fleet.ip().to_string();
        let serving = fleet::Options {
            tcp: Some(options.fleet),
            unix: options.fleet_socket,
            machines: vec![Machine { id: machine, metadata: BTreeMap::new(), primary_ip }],
            ..fleet::Options::default()
        };
        let backing = Backing { systemd: Box::new(units), registry: Box::new(registry), kept, found };
        let failed = |source| Error::Fleet { address: options.fleet, source };
        let fleet = FleetServer::start_on(serving, backing).await.map_err(failed)?;
        Ok(Self { etcd, fleet, units: watcher, _lock: lock })
    }

    /// Where etcd is, as a URL.
    #[must_use]
    pub fn etcd_endpoint(&self) -> String {
        self.etcd.endpoint()
    }

    /// Where fleet is.
    #[must_use]
    pub fn fleet_endpoint(&self) -> FleetEndpoint {
        self.fleet.endpoint()
    }

    /// Stops every unit and forgets it, which takes as long as the units take to end, and returns how many were up.
    ///
    /// # Errors
    /// That some units do not end whatever is done.
    pub async fn stop_units(&self) -> Result<usize, Error> {
        let up = self.units.up();
        self.fleet.clear();
        self.units.end_all().await.map_err(|units| Error::Endless { units })?;
        Ok(up)
    }

    /// Stops every unit as if the machine went down: the next start of the same data brings them back.
    pub async fn suspend_units(&self) {
        if let Err(units) = self.units.suspend().await {
            tracing::error!("{}", Error::Endless { units });
        }
    }

    /// Ends etcd and fleet. Units run on.
    pub async fn stop(self) {
        self.fleet.stop().await;
        self.etcd.stop().await;
    }
}

/// Whether a folder has been used before.
#[must_use]
pub fn is_data_dir(root: &Path) -> bool {
    root.join(LOCK).is_file() && root.join(UNITS).is_dir()
}

/// Whether there is nothing in a folder, or no folder: a new file system has one of its own, and a start that failed leaves
/// its lock.
fn is_empty(root: &Path) -> io::Result<bool> {
    match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
        Ok(entries) => {
            let mut names = entries.map(|entry| entry.map(|entry| entry.file_name()));
            names.try_fold(true, |empty, name| {
                let name = name?;
                Ok(empty && OURS.iter().any(|ours| name == **ours))
            })
        }
    }
}

/// Takes the folder for this process.
async fn lock(root: &Path) -> Result<File, Error> {
    let data = |source| Error::Data { path: root.to_owned(), source };
    let file = File::create(root.join(LOCK)).map_err(data)?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(data(error)),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_LIMIT => sleep(LOCK_PAUSE).await,
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { path: root.to_owned() }),
        }
    }
}
