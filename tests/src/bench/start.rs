//! How long a start takes: with a backlog of samples, and to the first unit.

use std::time::Duration;

use anyhow::{Context, Result};
use dynamite::store::Store;
use dynamite::store::connect::Api;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Spread, Target};
use crate::scene::Scene;

const SAMPLES: i64 = 20_000;
const SERIES: i64 = 100;
const STARTS: u32 = 10;

/// From the start of the process to policies that have read 20,000 samples.
///
/// # Errors
/// What could not be started or written.
pub async fn backlog(target: &Target, api: Api) -> Result<String> {
    let scene = Scene::at(target, api).await?;
    let mut writers = JoinSet::new();
    for writer in 0..20 {
        let store = scene.connect().await?;
        let start = scene.at_second(0)?;
        writers.spawn(async move {
            for sample in (0..SAMPLES).filter(|sample| sample % 20 == writer) {
                let at = start.as_millisecond() + sample / SERIES * 100;
                let key = format!("/metrics/webserver/i{}/cpu_user/{at}", sample % SERIES);
                store.put(&key, "50").await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(written) = writers.join_next().await {
        written??;
    }
    let began = Instant::now();
    let daemon = scene.dynamite()?;
    while !daemon.log().contains("policies are live") {
        sleep(Duration::from_millis(1)).await;
    }
    let took = began.elapsed();
    daemon.terminate().await?;
    Ok(format!("{:.2} s", took.as_secs_f64()))
}

/// From the start of the process to the first PUT.
///
/// # Errors
/// What could not be started.
pub async fn cold(target: &Target, api: Api) -> Result<String> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let scene = Scene::at(target, api).await?;
        let arrival = scene.first_put("apache_discovery@")?;
        let began = Instant::now();
        let daemon = scene.dynamite()?;
        let at = tokio::time::timeout(Duration::from_secs(20), arrival).await.context("no PUT")??;
        times.push(at.duration_since(began));
        daemon.kill().await?;
    }
    Ok(Spread::of(times).to_string())
}
