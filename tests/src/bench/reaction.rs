//! How long it takes from the write of the sample that completes a period to fleet's first PUT.

use std::time::Duration;

use anyhow::{Context, Result};
use dynamite::fleet::http::HttpFleet;
use dynamite::fleet::{DesiredState, Fleet};
use dynamite::store::connect::Api;
use dynamite::store::{Change, Store};
use dynamite_units::UnitOption;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::{Spread, Target};
use crate::scene::{CONFIG, Scene};

/// How many reactions are measured, and as many floors between them.
const ROUNDS: u32 = 500;
/// Rounds at the start that do not count.
const WARM_UP: u32 = 10;
/// How long one reaction may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct Reaction {
    /// A bare watch, one etcd write and one PUT, between the rounds of the other.
    pub floor: Spread,
    /// Dynamite.
    pub dynamite: Spread,
}

impl Reaction {
    /// How much slower Dynamite is than the floor.
    #[must_use]
    pub fn ratio(&self) -> String {
        let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
        let (p50, p99) = (ratio(self.dynamite.p50, self.floor.p50), ratio(self.dynamite.p99, self.floor.p99));
        format!("p50 {p50:.2}, p99 {p99:.2}")
    }
}

/// Measures.
///
/// # Errors
/// What could not be started, or a reaction that never came.
pub async fn measure(target: &Target, api: Api) -> Result<Reaction> {
    let scene = Scene::at(target, api).await?;
    let config = CONFIG.replace("      max_instance: 5\n", "").replace("min_instance: 2", "min_instance: 1");
    scene.configure(&config.replace("cooldown_period: 1\n", "cooldown_period: 0\n"))?;
    let daemon = scene.dynamite()?;
    scene.until_running(&daemon).await?;
    let mut floor = Floor::start(&scene).await?;
    let (mut floors, mut reactions) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + WARM_UP {
        floors.push(floor.round(&scene, round).await?);
        let reaction = react(&scene, round).await;
        reactions.push(reaction.with_context(|| format!("the log of dynamite:\n{}", daemon.log()))?);
    }
    daemon.terminate().await?;
    let spread = |times: Vec<Duration>| Spread::of(times.into_iter().skip(WARM_UP as usize).collect());
    Ok(Reaction { floor: spread(floors), dynamite: spread(reactions) })
}

/// One period of load, and how long after its last sample the next instance is put; then one of calm, and it goes again.
async fn react(scene: &Scene, round: u32) -> Result<Duration> {
    let second = 80 * i64::from(round) - 100_000;
    scene.sample("first", second, "95").await?;
    // Not at a fixed rhythm: timers of the parts must not fall into step.
    sleep(Duration::from_millis(10 + u64::from(round * 7 % 13))).await;
    let arrival = scene.first_put("apache_discovery@")?;
    let began = Instant::now();
    scene.sample("first", second + 15, "95").await?;
    let at = timeout(PATIENCE, arrival).await.context("no reaction")??;
    scene.until_count(2).await?;
    scene.sample("first", second + 40, "5").await?;
    scene.sample("first", second + 55, "5").await?;
    scene.until_count(1).await?;
    Ok(at.duration_since(began))
}

/// The least that any such program must do.
struct Floor {
    changes: mpsc::Receiver<Vec<Change>>,
    fleet: HttpFleet,
    follower: tokio::task::JoinHandle<()>,
}

impl Drop for Floor {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Floor {
    async fn start(scene: &Scene) -> Result<Self> {
        let (sender, mut changes) = mpsc::channel(16);
        let store = scene.connect().await?;
        let follower = tokio::spawn(async move { store.follow("/floor", sender).await });
        while !changes.recv().await.context("a snapshot")?.contains(&Change::SnapshotEnd) {}
        Ok(Self { changes, fleet: HttpFleet::new(&scene.fleet_endpoint())?, follower })
    }

    async fn round(&mut self, scene: &Scene, round: u32) -> Result<Duration> {
        let name = format!("floor{round}.service");
        let options =
            [UnitOption { section: "Service".into(), name: "ExecStart".into(), value: "/bin/true".into() }];
        sleep(Duration::from_millis(5 + u64::from(round * 5 % 11))).await;
        let arrival = scene.first_put("floor")?;
        let began = Instant::now();
        let write = scene.store.put("/floor/sample", "95");
        let work = async {
            self.changes.recv().await.context("a change")?;
            scene.store.put("/floor-written", &name).await?;
            self.fleet.submit(&name, &options).await?;
            self.fleet.set_desired(&name, DesiredState::Inactive).await?;
            anyhow::Ok(())
        };
        let (written, worked) = tokio::join!(write, work);
        written?;
        worked?;
        let at = timeout(PATIENCE, arrival).await.context("no PUT")??;
        self.fleet.destroy(&name).await?;
        Ok(at.duration_since(began))
    }
}
