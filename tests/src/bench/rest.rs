//! What Dynamite costs while nothing happens.

use std::time::Duration;

use anyhow::Result;
use dynamite::store::connect::Api;
use tokio::time::sleep;

use super::{Target, process};
use crate::scene::Scene;

const SETTLE: Duration = Duration::from_secs(5);
const MEASURED: Duration = Duration::from_secs(20);

/// Measures.
///
/// # Errors
/// What could not be started.
pub async fn measure(target: &Target, api: Api) -> Result<String> {
    let scene = Scene::at(target, api).await?;
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    sleep(SETTLE).await;
    let used = process::cpu_time_during(daemon.pid(), sleep(MEASURED)).await?;
    let memory = process::resident_mb(daemon.pid())?;
    daemon.terminate().await?;
    Ok(format!("{:.2} % of a core, {memory:.0} MB", used.as_secs_f64() / MEASURED.as_secs_f64() * 100.0))
}
