//! What the demo is played on: a temporary folder, etcd and fleet in this process, the daemon, and the traffic.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::application::{self, Here};
use super::story::Moment;
use super::traffic::{LOAD_KEY, Traffic};
use crate::cli::{
    Admin, CacheArgs, DataArgs, DemoArgs, EmbeddedArgs, EtcdApi, EtcdArgs, FileArgs, LogFormat, RunArgs,
};
use crate::config::{self, FleetEndpoint, ModuleLoader};
use crate::daemon::{self, settings};
use crate::embedded::{Embedded, Options};
use crate::fleet::http::HttpFleet;
use crate::journal::Journal;
use crate::store::connect::connect;

/// Any free port that only this machine reaches.
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How long units may take to end. They have no reason to take any time at all.
const STRIKE_LIMIT: Duration = Duration::from_secs(8);
/// How long the daemon may take to end: it ends within a second or two.
const END_LIMIT: Duration = Duration::from_secs(4);

/// The folder and the servers.
pub(super) struct Stage {
    embedded: Embedded,
    folder: TempDir,
    /// How the daemon is run.
    run: RunArgs,
}

impl Stage {
    /// Starts the servers, and writes the application into a folder.
    pub(super) async fn set(args: &DemoArgs, rng: fastrand::Rng) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("dynamite-demo-").tempdir().with_context(|| {
            let temporary = std::env::temp_dir();
            format!("the demo needs a folder in `{}`; TMPDIR takes another place", temporary.display())
        })?;
        let data_dir = folder.path().join("data");
        let options = Options { data_dir, etcd: LOOPBACK, fleet: LOOPBACK, fleet_socket: None };
        let embedded = Embedded::start(options, rng).await?;
        let here = Here {
            program: &std::env::current_exe()?,
            pid: std::process::id(),
            etcd: &embedded.etcd_endpoint(),
            policy: match (&args.policy, &args.policy_config) {
                (Some(module), Some(config)) => Some((module, config)),
                (Some(module), None) => Some((module, &serde_json::Value::Object(serde_json::Map::new()))),
                (None, _) => None,
            },
        };
        let config = application::write(folder.path(), &here)
            .with_context(|| format!("the demo cannot be written into `{}`", folder.path().display()))?;
        let cache = folder.path().join("cache");
        if args.policy.is_some() {
            // The daemon would go on without it, as its services must be looked after in any case.
            let mut loader = ModuleLoader::new(Some(cache.clone()));
            let report = config::load(&config, &[], config::parse_unit, &mut loader).report;
            ensure!(report.errors() == 0, "the policy cannot be used\n{report}");
        }
        let run = run_args(config, cache, &embedded);
        Ok(Self { embedded, folder, run })
    }

    /// Starts the daemon, on the path of `dynamite run`.
    pub(super) fn daemon(&self, journal: Arc<dyn Journal>, rng: fastrand::Rng) -> Daemon {
        let (end, told) = oneshot::channel();
        let run = self.run.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            // Whoever would have told it is gone, which says the same.
            let told = async { drop(told.await) };
            daemon::serve(&run, journal, rng, told).await
        });
        Daemon { end, task }
    }

    /// Starts the traffic. It ends when nobody takes the moments any more.
    pub(super) async fn traffic(
        &self,
        began: Instant,
        mut random: fastrand::Rng,
    ) -> anyhow::Result<Receiver<Moment>> {
        let store = connect(settings(&self.run.etcd, None, random.u64(..))).await?;
        let fleet = HttpFleet::new(&self.fleet())?;
        let (moments, seen) = channel(1);
        tokio::spawn(Traffic { store, fleet, random, began }.flow(moments));
        Ok(seen)
    }

    fn fleet(&self) -> FleetEndpoint {
        self.embedded.fleet_endpoint()
    }

    /// Where the servers are, and what can be done with them.
    pub(super) fn hints(&self, keep: bool) -> Vec<String> {
        let (etcd, fleet) = (self.embedded.etcd_endpoint(), self.fleet());
        if !keep {
            return vec![format!("etcd {etcd}  fleet {fleet}")];
        }
        vec![
            format!("curl '{etcd}/v2/keys/services?recursive=true'"),
            format!("curl '{fleet}/fleet/v1/state'"),
            format!(
                "curl -X PUT -d value=300 {etcd}/v2/keys{LOAD_KEY}   # the load; DELETE it for the curve"
            ),
            format!("ETCDCTL_API=2 etcdctl --endpoints {etcd} set {LOAD_KEY} 300"),
        ]
    }

    /// Stops the units and the servers, and removes the folder. Says how many units there were.
    pub(super) async fn strike(self) -> anyhow::Result<usize> {
        let stopped = timeout(STRIKE_LIMIT, self.embedded.stop_units()).await;
        self.embedded.stop().await;
        self.folder.close()?;
        Ok(stopped
            .with_context(|| format!("some units of the demo did not end within {STRIKE_LIMIT:?}"))??)
    }
}

/// The daemon, running. It ends with this.
pub(super) struct Daemon {
    end: oneshot::Sender<()>,
    task: JoinSet<Result<(), daemon::Error>>,
}

impl Daemon {
    /// Waits until it ends by itself, which it only does with an error.
    pub(super) async fn ended(&mut self) -> anyhow::Result<()> {
        match self.task.join_next().await {
            Some(ended) => Ok(ended??),
            None => Ok(()),
        }
    }

    /// Tells it to end, and waits for that.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        // It may have ended already.
        let _is_told = self.end.send(());
        let ended = timeout(END_LIMIT, self.task.join_next()).await.context("the daemon does not end")?;
        ended.transpose()?.transpose()?;
        Ok(())
    }
}

/// Flags as a user would give them, and no environment.
fn run_args(config: PathBuf, cache: PathBuf, embedded: &Embedded) -> RunArgs {
    RunArgs {
        files: FileArgs {
            config_file: Some(config),
            service_folders: Vec::new(),
            cache: CacheArgs { cache_dir: Some(cache) },
        },
        fleet_endpoint: Some(embedded.fleet_endpoint()),
        etcd: EtcdArgs {
            endpoints: vec![embedded.etcd_endpoint()],
            api: EtcdApi::V2,
            ca_file: None,
            cert_file: None,
            key_file: None,
            user: None,
            password: None,
        },
        events: None,
        inputs: None,
        log_format: LogFormat::Human,
        log_level: None,
        lease_ttl: 5,
        // The servers are the demo's own already.
        embedded: EmbeddedArgs {
            embedded: false,
            data: DataArgs { data_dir: None },
            listen_etcd: LOOPBACK,
            listen_fleet: LOOPBACK,
        },
        admin: Some(Admin::Off),
    }
}
