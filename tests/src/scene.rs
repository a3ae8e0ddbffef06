//! A scene for an end-to-end test: an etcd, a fleet server, a configuration, and the built `dynamite` between them.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dynamite::config::FleetEndpoint;
use dynamite::embedded::fleet::{FleetServer, Machine, Options};
use dynamite::fleet::Fleet;
use dynamite::fleet::http::HttpFleet;
use dynamite::store::Store;
use dynamite::store::connect::{AnyStore, Api, Settings, connect};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::bench::Target;
use crate::daemon::{Daemon, Events, PATIENCE};
use crate::etcd::{self, Etcd};

/// The configuration of most tests: the README's example with short times.
pub const CONFIG: &str = "\
Dynamite:
  ServiceFiles:
    PathList: [units]
  ETCD:
    application_base_path: /services
    metrics_base_path: /metrics
  Service:
    apache:
      name_of_unit_file: apache@.service
      type: webserver
      min_instance: 2
      max_instance: 5
      base_instance_prefix_number: 8080
      ports_per_instance: 1
      attached_service:
        - apache_discovery
        - apache_logging
      scale_up_policy:
        ScalingPolicy: apache_scale_up
      scale_down_policy:
        ScalingPolicy: apache_scale_down
    apache_discovery:
      name_of_unit_file: apache_discovery@.service
      type: attached_service
    apache_logging:
      name_of_unit_file: apache_logging@.service
      type: attached_service
  ScalingPolicy:
    apache_scale_up: &policy
      service_type: webserver
      metric: cpu_user
      metric_aggregated: false
      comparative_operator: gt
      threshold: 90
      threshold_unit: percent
      period: 15
      period_unit: second
      cooldown_period: 1
      cooldown_period_unit: minute
    apache_scale_down:
      <<: *policy
      comparative_operator: lt
      threshold: 7
";

/// An etcd, a fleet server and a configuration.
pub struct Scene {
    /// The etcd, to be stopped and started; `None` if a running one is used.
    pub etcd: Option<Etcd>,
    etcd_endpoint: String,
    /// A running fleet that is used instead of the server.
    running_fleet: Option<FleetEndpoint>,
    /// A connection to it, to write what applications write and to see what Dynamite wrote.
    pub store: AnyStore,
    /// The fleet server.
    pub fleet: FleetServer,
    folder: TempDir,
    api: Api,
    start: Timestamp,
    /// Where its daemons write their events.
    pub events: Events,
}

impl Scene {
    /// Starts everything but Dynamite.
    ///
    /// # Errors
    /// What could not be started, and what to install for it.
    pub async fn start(api: Api) -> Result<Self> {
        Self::with(&Target::default(), api, Options::default()).await
    }

    /// The same against what a benchmark runs against, whose measurements events would disturb.
    ///
    /// # Errors
    /// What could not be started, and what to install for it.
    pub async fn at(target: &Target, api: Api) -> Result<Self> {
        Ok(Self { events: Events::Off, ..Self::with(target, api, Options::default()).await? })
    }

    /// The same with a fleet server that is set up in some way.
    ///
    /// # Errors
    /// What could not be started, and what to install for it.
    pub async fn with(target: &Target, api: Api, fleet: Options) -> Result<Self> {
        let etcd = match target.etcd {
            Some(_) => None,
            None => Some(Etcd::start(etcd::Options { v2: true, ..etcd::Options::default() }).await?),
        };
        let started = etcd.as_ref().map(Etcd::endpoint);
        let etcd_endpoint = started.or_else(|| target.etcd.clone()).context("an etcd")?;
        let store = connect_to(&etcd_endpoint, api).await?;
        let fleet = FleetServer::start(fleet).await?;
        let running_fleet = target.fleet.as_ref().map(|endpoint| endpoint.parse()).transpose()?;
        let folder = TempDir::new()?;
        // Half an hour ago: tests put samples at seconds after it, and the clock must not be behind them.
        let start = Timestamp::from_second(now().as_second() - 1_800)?;
        let scene = Self {
            etcd,
            etcd_endpoint,
            running_fleet,
            store,
            fleet,
            folder,
            api,
            start,
            events: Events::Own,
        };
        for unit in ["apache", "apache_discovery", "apache_logging"] {
            scene.unit(unit)?;
        }
        scene.configure(CONFIG)?;
        Ok(scene)
    }

    /// One more connection to etcd.
    ///
    /// # Errors
    /// What etcd says.
    pub async fn connect(&self) -> Result<AnyStore> {
        connect_to(&self.etcd_endpoint, self.api).await
    }

    /// Where etcd is, `host:port`.
    #[must_use]
    pub fn etcd_endpoint(&self) -> &str {
        &self.etcd_endpoint
    }

    /// Where fleet is.
    #[must_use]
    pub fn fleet_endpoint(&self) -> FleetEndpoint {
        self.running_fleet.clone().unwrap_or_else(|| self.fleet.endpoint())
    }

    /// A second of the scene's own time.
    ///
    /// # Errors
    /// That it is out of range.
    pub fn at_second(&self, second: i64) -> Result<Timestamp> {
        Ok(Timestamp::from_second(self.start.as_second() + second)?)
    }

    /// Resolves to the time at which fleet is next asked to put a unit whose name contains this.
    ///
    /// # Errors
    /// What keeps fleet from being asked.
    pub fn first_put(&self, name: &'static str) -> Result<impl Future<Output = Result<Instant>> + use<>> {
        let running = self.running_fleet.as_ref().map(HttpFleet::new).transpose()?;
        let mut arrivals = self.fleet.arrivals();
        Ok(async move {
            let Some(fleet) = running else {
                loop {
                    let request = arrivals.recv().await?;
                    if request.method == "PUT" && request.path.replace("%40", "@").contains(name) {
                        return Ok(request.at);
                    }
                }
            };
            let names = async || {
                let units = fleet.units().await?.into_iter().map(|unit| unit.name);
                anyhow::Ok(units.filter(|present| present.contains(name)).collect::<BTreeSet<_>>())
            };
            let before = names().await?;
            while names().await?.is_subset(&before) {
                sleep(Duration::from_millis(1)).await;
            }
            Ok(Instant::now())
        })
    }

    /// Waits until this many instances of apache are recorded and nothing is under way.
    ///
    /// # Errors
    /// That it takes too long.
    pub async fn until_count(&self, count: usize) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // The template is there too.
            let recorded = self.keys("/_dynamite/run/service/apache").await?.len() - 1;
            let intents = self.keys("/_dynamite/intent").await?;
            if recorded == count && intents.is_empty() {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{recorded} of {count} recorded, {intents:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Writes the unit file of a template.
    ///
    /// # Errors
    /// What the file system says.
    pub fn unit(&self, name: &str) -> Result<()> {
        let folder = self.folder.path().join("units");
        std::fs::create_dir_all(&folder)?;
        let text = format!("[Unit]\nDescription={name} %i\n\n[Service]\nExecStart=/bin/{name} %i\n");
        Ok(std::fs::write(folder.join(format!("{name}@.service")), text)?)
    }

    /// Replaces the configuration.
    ///
    /// # Errors
    /// What the file system says.
    pub fn configure(&self, text: &str) -> Result<()> {
        Ok(std::fs::write(self.config_path(), text)?)
    }

    /// Where the configuration is.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join("dynamite.yaml")
    }

    /// Starts Dynamite.
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn dynamite(&self) -> Result<Daemon> {
        self.dynamite_logging("info")
    }

    /// The same with another log, in the manner of `RUST_LOG`.
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn dynamite_logging(&self, log: &str) -> Result<Daemon> {
        self.dynamite_on(&self.config_path(), log)
    }

    /// The same with another configuration.
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn dynamite_on(&self, config: &Path, log: &str) -> Result<Daemon> {
        self.dynamite_with(config, log, &[])
    }

    /// The same with more flags.
    ///
    /// # Errors
    /// What kept it from starting.
    pub fn dynamite_with(&self, config: &Path, log: &str, more: &[&str]) -> Result<Daemon> {
        let fleet = self.fleet_endpoint().to_string();
        let api = if self.api == Api::V2 { "v2" } else { "v3" };
        let config = config.to_str().context("the path of a temporary folder is text")?;
        let etcd = &*self.etcd_endpoint;
        let mut args = vec!["-c", config, "-e", etcd, "-f", &fleet, "--etcd-api", api, "--lease-ttl", "2"];
        // A free port: tests run side by side.
        args.extend(["--admin", "127.0.0.1:0"]);
        args.extend(more);
        Daemon::with(&args, log, &self.events)
    }

    /// Writes a sample of an instance, at a second of the scene's own time.
    ///
    /// # Errors
    /// What etcd says.
    pub async fn sample(&self, id: &str, second: i64, value: &str) -> Result<()> {
        let at = self.at_second(second)?;
        self.store.put(&format!("/metrics/webserver/{id}/cpu_user/{at}"), value).await?;
        Ok(())
    }

    /// Registers an instance.
    ///
    /// # Errors
    /// What etcd says.
    pub async fn register(&self, id: &str, unit: &str) -> Result<()> {
        self.store.put(&format!("/services/webserver/{id}/service_instance_name"), unit).await?;
        Ok(())
    }

    /// The value of a key; empty if there is none.
    ///
    /// # Errors
    /// What etcd says.
    pub async fn value(&self, key: &str) -> Result<String> {
        let folder = key.rsplit_once('/').map_or("/", |(folder, _)| folder);
        let found = self.store.list(folder).await?.into_iter().find(|entry| entry.key == key);
        Ok(found.map(|entry| entry.value).unwrap_or_default())
    }

    /// The keys below a path.
    ///
    /// # Errors
    /// What etcd says.
    pub async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.store.list(prefix).await?.into_iter().map(|entry| entry.key).collect())
    }

    /// The units that run, by name.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        let active = self.fleet.states().into_iter().filter(|row| row.active == "active");
        active.map(|row| row.name.clone()).collect()
    }

    /// The instances of apache that run, by number.
    #[must_use]
    pub fn apaches(&self) -> Vec<u32> {
        let running = self.running();
        let number = |name: &String| name.strip_prefix("apache@")?.strip_suffix(".service")?.parse().ok();
        running.iter().filter_map(number).collect()
    }

    /// Waits until exactly these instances of apache run, each with its attached units, and all is recorded.
    ///
    /// # Errors
    /// What there was instead, at the end of all patience.
    pub async fn until_apaches(&self, numbers: &[u32], daemon: &Daemon) -> Result<()> {
        eventually(daemon, async || {
            ensure!(self.apaches() == numbers, "running: {:?}, wanted: {numbers:?}", self.running());
            ensure!(self.running().len() == 3 * numbers.len(), "attached: {:?}", self.running());
            let intents = self.keys("/_dynamite/intent").await?;
            ensure!(intents.is_empty(), "unfinished: {intents:?}");
            let mut recorded = self.keys("/_dynamite/run/service/apache").await?;
            recorded.retain(|key| !key.ends_with("fleet_service_template"));
            ensure!(recorded.len() == numbers.len(), "recorded: {recorded:?}");
            Ok(())
        })
        .await
    }

    /// Waits until Dynamite says that it runs, and has read what was there before it.
    ///
    /// # Errors
    /// What it says instead, at the end of all patience.
    pub async fn until_running(&self, daemon: &Daemon) -> Result<()> {
        eventually(daemon, async || {
            let status = self.value("/_dynamite/state/application_status").await?;
            ensure!(status == "Running", "status: {status:?}");
            ensure!(daemon.is_live()?, "policies are not live");
            Ok(())
        })
        .await
    }
}

async fn connect_to(endpoint: &str, api: Api) -> Result<AnyStore> {
    let settings = Settings { endpoints: vec![endpoint.to_owned()], api, ..Settings::default() };
    Ok(connect(settings).await?)
}

/// A fleet of several machines: units of which no two go together need one each.
#[must_use]
pub fn machines(count: usize) -> Options {
    let mut options = Options::default();
    let machine = options.machines.remove(0);
    options
        .machines
        .extend((0..count).map(|number| Machine { id: format!("{number:032x}"), ..machine.clone() }));
    options
}

/// The time now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "tests write samples as applications do: with the time of day")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Repeats a check until it holds.
///
/// # Errors
/// What the check said last, with the log of the daemon, when it does not hold in time.
pub async fn eventually<F: Future<Output = Result<()>>>(
    daemon: &Daemon,
    mut check: impl FnMut() -> F,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match check().await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("the log of dynamite:\n{}", daemon.log())));
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}
