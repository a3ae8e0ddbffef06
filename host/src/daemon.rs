//! The daemon: from flags to adapters, then [`lead::serve`] until a signal comes.

use std::future::Future;
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::sleep;

use crate::admin;
use crate::cli::{
    EXIT_CONFIG, EXIT_FAILURE, EXIT_REFUSED, EXIT_SYSTEM, EmbeddedArgs, EtcdApi, EtcdArgs, RunArgs, StopArgs,
};
use crate::clock::{Clock, SystemClock};
use crate::config::Modules as Loaded;
use crate::config::{self, Config, ModuleLoader, Report};
use crate::embedded::{self, Embedded};
use crate::engine::{Chain, Parts, World};
use crate::fleet::http::HttpFleet;
use crate::health::Health;
use crate::journal::{self, EngineEvent, Fate, FileJournal, Journal, Journals, Log};
use crate::lead;
use crate::modules::LiveModules;
use crate::record::{self, Contents};
use crate::signals::told_to_end;
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

/// A configuration, and the modules of its policies, or why they cannot be used.
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
    /// No units were ever run from there.
    #[error("`{}` is no data directory of Dynamite; name the one that was used with --data-dir", path.display())]
    NothingToStop {
        /// The folder.
        path: PathBuf,
    },
    /// Signals cannot be waited for.
    #[error("signals cannot be waited for")]
    Signal(#[source] std::io::Error),
    /// A file for events cannot be written.
    #[error("`{}` cannot be written", path.display())]
    Events {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The address of the admin endpoint cannot be listened at.
    #[error("the admin endpoint cannot be opened; see --admin")]
    Admin(#[source] std::io::Error),
}

impl Error {
    /// What the process exits with, so that its supervisor knows whether a restart may help.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::NoConfig { .. }
            | Self::Store(store::Error::Setting(_))
            | Self::Fleet(_)
            | Self::NoDataDir
            | Self::NothingToStop { .. } => EXIT_CONFIG,
            Self::Store(_) => EXIT_REFUSED,
            Self::Embedded(embedded::Error::Endless { .. }) => EXIT_FAILURE,
            Self::Signal(_) | Self::Admin(_) | Self::Events { .. } | Self::Embedded(_) => EXIT_SYSTEM,
        }
    }
}

/// Runs until SIGTERM or SIGINT. The services keep running.
///
/// # Errors
/// What makes a start useless; everything else is waited out.
pub async fn run(args: &RunArgs, rng: fastrand::Rng) -> Result<(), Error> {
    let told = told_to_end().map_err(Error::Signal)?;
    let journal = journal(args)?;
    let ending = async {
        let signal = told.await;
        let services = if takes_units_along(args) { Fate::EndToo } else { Fate::RunOn };
        tell(&journal, EngineEvent::Ending { signal, services });
    };
    serve(args, journal.clone(), rng, ending).await
}

fn tell(journal: &Arc<dyn Journal>, event: EngineEvent) {
    journal.tell(SystemClock.now(), event);
}

/// The log, and the files that were asked for.
fn journal(args: &RunArgs) -> Result<Arc<dyn Journal>, Error> {
    let mut journals: Vec<Arc<dyn Journal>> = vec![Arc::new(Log::default())];
    let opened =
        |path: &Path| journal::open(path).map_err(|source| Error::Events { path: path.to_owned(), source });
    if let Some(path) = &args.events {
        journals.push(Arc::new(FileJournal::of_events(opened(path)?)));
    }
    if let Some(path) = &args.inputs {
        journals.push(Arc::new(FileJournal::of_inputs(opened(path)?)));
    }
    Ok(Arc::new(Journals(journals)))
}

/// Runs until `shutdown` is ready, and tells `journal` what happens. The services keep running. All
/// randomness comes from `rng`.
///
/// # Errors
/// As [`run`].
pub async fn serve(
    args: &RunArgs,
    journal: Arc<dyn Journal>,
    mut rng: fastrand::Rng,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    tokio::pin!(shutdown);
    let path = args.files.config_file();
    let mut loader = ModuleLoader::new(args.files.cache.folder());
    let from_file = read_file(&path, &args.files.service_folders, &mut loader)?;
    let health = Arc::new(Health::default());
    admin::start(args.admin, health.clone()).map_err(Error::Admin)?;
    let embedded =
        if args.embedded.embedded { Some(start_embedded(&args.embedded, rng.fork()).await?) } else { None };
    let known_etcd = from_file.as_ref().and_then(|(config, _)| config.etcd_endpoint.as_deref());
    let mut settings = settings(&args.etcd, known_etcd, rng.u64(..));
    if let Some(embedded) = &embedded {
        (settings.endpoints, settings.api) = (vec![embedded.etcd_endpoint()], Api::V2);
    }
    let (store, (config, modules)) = tokio::select! {
        biased;
        () = &mut shutdown => return Ok(()),
        ready = health.answering(reach(&settings, from_file, &path, &mut loader, &health)) => ready?,
    };
    let endpoint = match &embedded {
        Some(embedded) => embedded.fleet_endpoint(),
        None => args.fleet_endpoint(config.fleet_endpoint.as_ref()),
    };
    let (version, fleet, etcd) =
        (env!("CARGO_PKG_VERSION"), endpoint.to_string(), settings.endpoints.join(","));
    tell(&journal, EngineEvent::Started { version, fleet, etcd });
    let holder = holder(&mut rng);
    let modules = LiveModules::new(&config, loader.into_host(), &modules, &journal);
    let fleet = HttpFleet::new(&endpoint)?;
    let parts = Parts { store, fleet, clock: SystemClock, modules, health, journal, rng };
    let ttl = Duration::from_secs(args.lease_ttl);
    let ended = Box::pin(lead::serve::<Real, _>(parts, &holder, ttl, |_| Ok(config.clone()), shutdown)).await;
    if let Some(embedded) = embedded {
        if takes_units_along(args) {
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

/// Whether the units of `--embedded` end with this process: the end of the first one of a container ends every other.
fn takes_units_along(args: &RunArgs) -> bool {
    args.embedded.embedded && std::process::id() == 1
}

/// Stops every unit that `run --embedded` left running, and returns how many there were.
///
/// # Errors
/// That the data cannot be used, as it is while a `dynamite` runs.
pub async fn stop(args: &StopArgs, rng: fastrand::Rng) -> Result<usize, Error> {
    let data_dir = args.data.folder().ok_or(Error::NoDataDir)?;
    if !embedded::is_data_dir(&data_dir) {
        return Err(Error::NothingToStop { path: data_dir });
    }
    let free_port = (Ipv4Addr::LOCALHOST, 0).into();
    let options = embedded::Options { data_dir, etcd: free_port, fleet: free_port, fleet_socket: None };
    let embedded = Embedded::start(options, rng).await?;
    let units = embedded.stop_units().await;
    embedded.stop().await;
    Ok(units?)
}

/// Serves etcd and fleet in this process.
async fn start_embedded(args: &EmbeddedArgs, rng: fastrand::Rng) -> Result<Embedded, Error> {
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
    let embedded = Embedded::start(options, rng).await?;
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

/// What was loaded, if it can be used. A module that cannot keeps its own policy from deciding, and nothing else: the
/// services must be looked after whatever became of a file.
fn ready(mut loaded: config::Loaded) -> Result<Ready, Error> {
    let modules = std::mem::take(&mut loaded.modules);
    let (config, report) = loaded.into_result().map_err(Error::Config)?;
    warn(&report);
    Ok((config, modules))
}

fn warn(report: &Report) {
    for warning in report.warning_messages() {
        tracing::warn!("configuration: {warning}");
    }
}

/// How etcd is reached, by the flags or else by the configuration file.
pub(crate) fn settings(args: &EtcdArgs, from_file: Option<&str>, seed: u64) -> Settings {
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
    health: &Health,
) -> Result<(AnyStore, Ready), Error> {
    if from_file.is_none() {
        tracing::warn!(path = %path.display(), "there is no configuration file; using the stored configuration");
    }
    let store = patiently("connecting to etcd", health, || connect(settings.clone())).await?;
    if let Some(ready) = from_file {
        // Should it refuse for good, somebody must know, rather than a standby that never leads.
        patiently("asking etcd", health, || store.list(record::STATE)).await?;
        return Ok((store, ready));
    }
    let entries = patiently("reading the stored configuration", health, || store.list(record::ROOT)).await?;
    let stored = Contents::read(entries.iter().map(|entry| (&*entry.key, &*entry.value)));
    let Some(text) = &stored.configuration else { return Err(Error::NoConfig { path: path.to_owned() }) };
    let base = path.parent().unwrap_or(Path::new(""));
    let units: IndexMap<_, _> = stored.all_unit_options().collect();
    Ok((store, ready(config::from_stored(text, &units, base, loader))?))
}

/// Repeats a call to etcd while its failure may pass.
async fn patiently<T, Call: Future<Output = Result<T, store::Error>>>(
    what: &str,
    health: &Health,
    mut call: impl FnMut() -> Call,
) -> Result<T, store::Error> {
    let mut told = false;
    loop {
        let result = call().await;
        health.note_etcd(&result);
        match result {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supervisor_can_tell_whether_a_restart_may_help() {
        let request = || "GET /".to_owned();
        for (error, code) in [
            (Error::NoConfig { path: "a.yaml".into() }, 78),
            (store::Error::Setting("no certificate".into()).into(), 78),
            (crate::fleet::Error::Invalid { request: request(), reason: "no host".into() }.into(), 78),
            (store::Error::Refused { request: request(), message: "wrong password".into() }.into(), 69),
            (store::Error::Garbled { request: request(), detail: "no etcd".into() }.into(), 69),
            (Error::Admin(ErrorKind::AddrInUse.into()), 71),
        ] {
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }
}
