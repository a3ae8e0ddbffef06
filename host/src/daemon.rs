//! The daemon: from flags to adapters, then [`lead::serve`] until a signal comes.

use std::future::Future;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use crate::cli::{EmbeddedArgs, EtcdApi, EtcdArgs, RunArgs, StopArgs};
use crate::clock::SystemClock;
use crate::config::Modules as Loaded;
use crate::config::{self, Config, ModuleLoader, Report};
use crate::embedded::{self, Embedded};
use crate::engine::{Chain, Parts, World};
use crate::fleet::http::HttpFleet;
use crate::lead;
use crate::modules::LiveModules;
use crate::record::{self, Stored};
use crate::store::connect::{AnyStore, Api, Settings, connect};
use crate::store::{self, Store};

/// How often etcd is tried at the start while it does not answer.
const CONNECT_PAUSE: Duration = Duration::from_secs(1);

/// What the daemon runs on.
#[derive(Debug)]
pub struct Real;

impl World for Real {
    type Store = AnyStore;
    type Fleet = HttpFleet;
    type Clock = SystemClock;
    type Modules = LiveModules;
}

/// A configuration, and the modules of its policies.
type Ready = (Config, Loaded);

/// Why the daemon did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration has errors; nothing was written to etcd or fleet.
    #[error("the configuration has errors\n{0}")]
    Config(Report),
    /// There is no configuration file, and none is stored either.
    #[error("there is no configuration file `{}`, and etcd has no stored configuration", path.display())]
    NoConfig {
        /// Where the file was looked for.
        path: PathBuf,
    },
    /// A setting of etcd cannot work.
    #[error("etcd cannot be used")]
    Store(#[from] store::Error),
    /// A setting of fleet cannot work.
    #[error("fleet cannot be used")]
    Fleet(#[from] crate::fleet::Error),
    /// etcd and fleet cannot be served.
    #[error("--embedded is not possible")]
    Embedded(#[from] embedded::Error),
    /// There is no place for the data of `--embedded`.
    #[error("there is no home folder to keep data in; name a folder with --data-dir")]
    NoDataDir,
    /// Signals cannot be waited for.
    #[error("signals cannot be waited for")]
    Signal(#[source] std::io::Error),
}

/// Runs until SIGTERM or SIGINT. The services keep running.
///
/// # Errors
/// What makes a start useless; everything else is waited out.
pub async fn run(args: &RunArgs) -> Result<(), Error> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;
    // The end of the first process of a container ends every other.
    let takes_units_along = args.embedded.embedded && std::process::id() == 1;
    let shutdown = async {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        if takes_units_along {
            tracing::info!(
                signal = name,
                "ending, and the services with this container; they come back with it"
            );
        } else {
            tracing::info!(signal = name, "ending; the services keep running");
        }
    };
    tokio::pin!(shutdown);
    let path = args.files.config_file();
    let mut loader = ModuleLoader::new(args.files.cache_dir());
    let from_file = read_file(&path, &args.files.service_folders, &mut loader)?;
    let mut rng = fastrand::Rng::new();
    let embedded = if args.embedded.embedded { Some(start_embedded(&args.embedded).await?) } else { None };
    let known_etcd = from_file.as_ref().and_then(|(config, _)| config.etcd_endpoint.as_deref());
    let mut settings = settings(&args.etcd, known_etcd, rng.u64(..));
    if let Some(embedded) = &embedded {
        (settings.endpoints, settings.api) = (vec![embedded.etcd_endpoint()], Api::V2);
    }
    let (store, (config, modules)) = tokio::select! {
        () = &mut shutdown => return Ok(()),
        ready = reach(&settings, from_file, &path, &mut loader) => ready?,
    };
    let endpoint = match &embedded {
        Some(embedded) => embedded.fleet_endpoint(),
        None => args.fleet_endpoint(config.fleet_endpoint.as_ref()),
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), fleet = %endpoint, etcd = settings.endpoints.join(","), "started");
    let holder = holder(&mut rng);
    let modules = LiveModules::new(&config, loader.into_host(), &modules);
    let parts = Parts { store, fleet: HttpFleet::new(&endpoint)?, clock: SystemClock, modules, rng };
    let ttl = Duration::from_secs(args.lease_ttl);
    let ended = Box::pin(lead::serve::<Real, _>(parts, &holder, ttl, |_| Ok(config.clone()), shutdown)).await;
    if let Some(embedded) = embedded {
        if takes_units_along {
            embedded.suspend_units().await;
        } else {
            tracing::info!(
                "units run on; `dynamite run --embedded` finds them again, `dynamite stop` ends them"
            );
        }
        embedded.stop().await;
    }
    ended
}

/// Stops every unit that `run --embedded` left running, and returns how many there were.
///
/// # Errors
/// That the data cannot be used, as it is while a `dynamite` runs.
pub async fn stop(args: &StopArgs) -> Result<usize, Error> {
    let data_dir = args.data.folder().ok_or(Error::NoDataDir)?;
    let free_port = (Ipv4Addr::LOCALHOST, 0).into();
    let options = embedded::Options { data_dir, etcd: free_port, fleet: free_port, fleet_socket: None };
    let embedded = Embedded::start(options).await?;
    let units = embedded.stop_units().await;
    embedded.stop().await;
    Ok(units)
}

/// Serves etcd and fleet in this process.
async fn start_embedded(args: &EmbeddedArgs) -> Result<Embedded, Error> {
    let data_dir = args.data.folder().ok_or(Error::NoDataDir)?;
    for (what, address) in [("etcd", args.listen_etcd), ("fleet", args.listen_fleet)] {
        if !address.ip().is_loopback() {
            tracing::warn!(%address, "{what} is served beyond this machine: whoever reaches it can run programs here");
        }
    }
    let options = embedded::Options {
        data_dir: data_dir.clone(),
        etcd: args.listen_etcd,
        fleet: args.listen_fleet,
        fleet_socket: None,
    };
    let embedded = Embedded::start(options).await?;
    tracing::info!(etcd = embedded.etcd_endpoint(), fleet = %embedded.fleet_endpoint(), data = %data_dir.display(), "etcd and fleet are served here");
    Ok(embedded)
}

/// The configuration in the file; `None` when there is no file.
fn read_file(path: &Path, folders: &[PathBuf], loader: &mut ModuleLoader) -> Result<Option<Ready>, Error> {
    if matches!(path.symlink_metadata(), Err(error) if error.kind() == ErrorKind::NotFound) {
        return Ok(None);
    }
    ready(config::load(path, folders, config::parse_unit, loader)).map(Some)
}

/// What was loaded, if it is without errors.
fn ready(mut loaded: config::Loaded) -> Result<Ready, Error> {
    let modules = std::mem::take(&mut loaded.modules);
    let (config, report) = loaded.into_result().map_err(Error::Config)?;
    warn(&report);
    Ok((config, modules))
}

fn warn(report: &Report) {
    for warning in report.messages() {
        tracing::warn!("configuration: {warning}");
    }
}

fn settings(args: &EtcdArgs, from_file: Option<&str>, seed: u64) -> Settings {
    Settings {
        endpoints: args.endpoints(from_file),
        api: match args.api {
            EtcdApi::V2 => Api::V2,
            EtcdApi::V3 => Api::V3,
            EtcdApi::Auto => Api::Auto,
        },
        ca: args.ca_file.clone(),
        client_cert: args.cert_file.clone(),
        client_key: args.key_file.clone(),
        user: args.user.clone(),
        password: args.password.clone(),
        seed,
    }
}

/// Connects to etcd, and takes the stored configuration from there if there is no file.
async fn reach(
    settings: &Settings,
    from_file: Option<Ready>,
    path: &Path,
    loader: &mut ModuleLoader,
) -> Result<(AnyStore, Ready), Error> {
    if from_file.is_none() {
        tracing::warn!(path = %path.display(), "there is no configuration file; using the stored configuration");
    }
    let store = patiently("connecting to etcd", || connect(settings.clone())).await?;
    if let Some(ready) = from_file {
        return Ok((store, ready));
    }
    let entries = patiently("reading the stored configuration", || store.list(record::ROOT)).await?;
    let stored = Stored::read(entries.iter().map(|entry| (&*entry.key, &*entry.value)));
    let Some(text) = &stored.configuration else { return Err(Error::NoConfig { path: path.to_owned() }) };
    let base = path.parent().unwrap_or(Path::new(""));
    let units: IndexMap<_, _> = stored.all_unit_options().collect();
    Ok((store, ready(config::from_stored(text, &units, base, loader))?))
}

/// Repeats a call to etcd while its failure may pass.
async fn patiently<T, Call: Future<Output = Result<T, store::Error>>>(
    what: &str,
    mut call: impl FnMut() -> Call,
) -> Result<T, store::Error> {
    let mut told = false;
    loop {
        match call().await {
            Err(error) if error.is_transient() => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(error = %Chain(&error), "{what} failed; trying again");
                }
                sleep(CONNECT_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// A name for this process that no other bears: machine, process and chance.
fn holder(rng: &mut fastrand::Rng) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}-{:08x}", host.trim(), std::process::id(), rng.u32(..))
}
