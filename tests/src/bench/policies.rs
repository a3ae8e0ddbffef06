//! How long a decision of a module keeps a service waiting, in the daemon: among a thousand, and beside an endless loop.
//!
//! All services have one type and no instances, and nobody registers, so every one of them is shown every series, and one
//! sample makes all decisions due at once. The delay is from then until the answer is acted on, as the daemon logs it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use dynamite::store::Store;
use dynamite::store::connect::{AnyStore, Api};
use dynamite::wasm::{Host, Limits};
use jiff::SignedDuration;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Spread, Target, rule};
use crate::daemon::Daemon;
use crate::modules::{self, module};
use crate::scene::{Scene, eventually, now};

/// Makes the daemon log how long each decision took.
const LOG: &str = "info,dynamite::answers=debug";
/// Services that are decided about in one round.
const SERVICES: usize = 1_000;
const ROUNDS: u32 = 40;
/// Between rounds: far longer than one takes.
const PAUSE: Duration = Duration::from_millis(400);
/// What comes after a start: templates are written.
const SETTLE: Duration = Duration::from_secs(4);
/// Services beside an endless loop, and services that loop.
const NEIGHBOURS: usize = 50;
const LOOPS: usize = 10;
/// Long enough for the pauses after failures to have grown to ten seconds.
const LOOPING: Duration = Duration::from_secs(20);
const LOADS: usize = 300;

/// Delays of decisions.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    p50: Duration,
    p95: Duration,
    max: Duration,
    count: usize,
}

impl Delays {
    fn of(mut times: Vec<Duration>) -> Result<Self> {
        times.sort_unstable();
        let at = |percent| times.get(times.len() * percent / 100).copied().unwrap_or_default();
        let max = *times.last().context("no decision")?;
        Ok(Self { p50: at(50), p95: at(95), max, count: times.len() })
    }
}

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let Self { p50, p95, max, count } = *self;
        write!(f, "p50 {:.1} ms, p95 {:.1} ms, max {:.1} ms of {count}", ms(p50), ms(p95), ms(max))
    }
}

/// A thousand services, whose decisions are due at once.
///
/// # Errors
/// What could not be started or written, or decisions that are missing.
pub async fn round(target: &Target, api: Api) -> Result<Delays> {
    let stage = Stage::set(target, api, SERVICES, 0).await?;
    for round in 0..ROUNDS {
        stage.sample(round).await?;
        sleep(PAUSE).await;
    }
    let delays = stage.end().await?;
    ensure!(delays.len() >= SERVICES * ROUNDS as usize, "only {} decisions", delays.len());
    Delays::of(delays)
}

/// Fifty services, alone and beside ten with an endless loop for a policy.
///
/// # Errors
/// What could not be started or written.
pub async fn beside_a_loop(target: &Target, api: Api) -> Result<(Delays, Delays)> {
    let alone = neighbours(target, api, 0).await?;
    Ok((alone, neighbours(target, api, LOOPS).await?))
}

async fn neighbours(target: &Target, api: Api, loops: usize) -> Result<Delays> {
    let stage = Stage::set(target, api, NEIGHBOURS, loops).await?;
    let began = Instant::now();
    for round in 0.. {
        stage.sample(round).await?;
        // Not at a fixed rhythm: pauses after failures must not fall into step.
        sleep(Duration::from_millis(110 + u64::from(round * 7 % 23))).await;
        if began.elapsed() > LOOPING {
            break;
        }
    }
    Delays::of(stage.end().await?)
}

/// Loading a module: from the cache, and compiled.
///
/// # Errors
/// That it cannot be loaded.
pub fn load() -> Result<(Spread, Spread)> {
    let file = module("mean", modules::Target::Bare)?;
    let folder = TempDir::new()?;
    let open = |cache: Option<&Path>| Host::new(cache).map_err(|error| anyhow::anyhow!("{error:#}"));
    let times = |host: &Host, count: usize| -> Result<Spread> {
        let mut times = Vec::new();
        for _ in 0..count {
            let began = Instant::now();
            let loaded = host.load_file(&file, &Limits::default(), None)?;
            times.push(began.elapsed());
            drop(loaded);
        }
        Ok(Spread::of(times))
    };
    let cached = open(Some(&folder.path().join("cache")))?;
    times(&cached, 1)?;
    Ok((times(&cached, LOADS)?, times(&open(None)?, LOADS / 10)?))
}

/// A daemon with its services.
struct Stage {
    scene: Scene,
    daemon: Daemon,
    /// How long its log was when all was ready.
    ready: usize,
}

impl Stage {
    async fn set(target: &Target, api: Api, services: usize, loops: usize) -> Result<Self> {
        let scene = Scene::at(target, api).await?;
        for package in ["mean", "hostile"] {
            let beside = scene.config_path().with_file_name(format!("{package}.wasm"));
            std::fs::copy(module(package, modules::Target::Bare)?, beside)?;
        }
        for index in 0..services + loops {
            scene.unit(&format!("s{index}"))?;
        }
        scene.configure(&configuration(services, loops))?;
        history(&scene).await?;
        let daemon = scene.dynamite_logging(LOG)?;
        scene.until_running(&daemon).await?;
        sleep(SETTLE).await;
        let stage = Self { scene, daemon, ready: 0 };
        if loops > 0 {
            stage.sample(0).await?;
            eventually(&stage.daemon, async || {
                ensure!(stage.daemon.log().contains("looping failed"), "nothing loops");
                Ok(())
            })
            .await?;
            return Ok(stage);
        }
        let ready = stage.daemon.log().len();
        Ok(Self { ready, ..stage })
    }

    async fn sample(&self, number: u32) -> Result<()> {
        let key = format!("/metrics/webserver/i{}/cpu_user/{}", number % rule::SERIES, now());
        Ok(self.scene.store.put(&key, "50").await?)
    }

    /// The delays of decisions that were none of a loop's.
    async fn end(self) -> Result<Vec<Duration>> {
        let log = self.daemon.log();
        self.daemon.terminate().await?;
        let lines = log[self.ready..].lines().filter(|line| line.contains("mean answered"));
        let delay = |line: &str| -> Option<Duration> {
            let digits = line.split_once("delay_us=")?.1;
            let end = digits.find(|char: char| !char.is_ascii_digit()).unwrap_or(digits.len());
            Some(Duration::from_micros(digits[..end].parse().ok()?))
        };
        Ok(lines.filter_map(delay).collect())
    }
}

fn configuration(services: usize, loops: usize) -> String {
    let mut text = "Dynamite:\n  ServiceFiles: {PathList: [units]}\n  ETCD: {application_base_path: /services, metrics_base_path: /metrics}\n  Service:\n"
        .to_owned();
    for index in 0..services + loops {
        let policy = if index < services { "mean" } else { "looping" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    s{index}: {{name_of_unit_file: s{index}@.service, type: webserver, min_instance: 0, \
             max_instance: 1, base_instance_prefix_number: {}, ports_per_instance: 1, \
             scaling_policy: {{ScalingPolicy: {policy}}}}}",
            10_000 + index * 10
        );
    }
    text.push_str("  ScalingPolicy:\n");
    for (policy, module, config) in
        [("mean", "mean", rule::CONFIG), ("looping", "hostile", r#"{"do": "loop"}"#)]
    {
        if policy == "mean" || loops > 0 {
            let _ = writeln!(
                text,
                "    {policy}: {{module: {module}.wasm, service_type: webserver, metric: cpu_user, \
                 period: 5, period_unit: minute, interval: 1, config: {config}}}"
            );
        }
    }
    text
}

/// Writes what is there before the start: all samples of all series.
async fn history(scene: &Scene) -> Result<()> {
    let mut writers = JoinSet::new();
    for series in 0..rule::SERIES {
        let store: AnyStore = scene.connect().await?;
        let end = now();
        writers.spawn(async move {
            for sample in 0..rule::SAMPLES {
                let age = SignedDuration::from_secs(4 * i64::from(rule::SAMPLES - sample));
                store.put(&format!("/metrics/webserver/i{series}/cpu_user/{}", end - age), "50").await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    Ok(())
}
