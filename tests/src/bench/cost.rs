//! What a sample costs, read, evaluated and cleaned up, at 1,000 a second over 100 series.

use std::time::Duration;

use anyhow::Result;
use dynamite::store::connect::Api;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use super::{Target, process};
use crate::scene::{CONFIG, Scene};

/// Samples a second, over all series.
const RATE: u32 = 1_000;
const SERIES: u32 = 100;
/// Long enough for the first samples to be deleted: the window is 2 s.
const WARM_UP: Duration = Duration::from_secs(6);
const MEASURED: Duration = Duration::from_secs(15);

/// Measures.
///
/// # Errors
/// What could not be started or written.
pub async fn measure(target: &Target, api: Api) -> Result<String> {
    let scene = Scene::at(target, api).await?;
    scene.configure(&CONFIG.replace("period: 15", "period: 2"))?;
    let daemon = scene.dynamite()?;
    scene.until_running(&daemon).await?;
    let mut writers = JoinSet::new();
    for writer in 0..10 {
        writers.spawn(write(scene.connect().await?, writer));
    }
    sleep(WARM_UP).await;
    let began = Instant::now();
    let used = process::cpu_time_during(daemon.pid(), sleep(MEASURED)).await?;
    let took = began.elapsed();
    writers.shutdown().await;
    let left = scene.keys("/metrics").await?.len();
    let samples = took.as_secs_f64() * f64::from(RATE);
    let memory = process::resident_mb(daemon.pid())?;
    daemon.terminate().await?;
    Ok(format!("{:.0} us ({left} samples left, {memory:.0} MB)", used.as_secs_f64() * 1e6 / samples))
}

/// Writes a tenth of the samples, for a tenth of the series.
async fn write(store: dynamite::store::connect::AnyStore, writer: u32) -> Result<()> {
    use dynamite::store::Store;
    let mut ticks = interval(Duration::from_secs(1) * 10 / RATE);
    for turn in 0.. {
        ticks.tick().await;
        let series = writer * (SERIES / 10) + turn % (SERIES / 10);
        let key = format!("/metrics/webserver/i{series}/cpu_user/{}", crate::scene::now());
        store.put(&key, "50").await?;
    }
    Ok(())
}
