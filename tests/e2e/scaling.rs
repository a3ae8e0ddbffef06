//! The README's example, from start to end: two come up, load brings a third, calm takes the named one away.

use anyhow::{Result, ensure};
use dynamite::store::Store;
use dynamite::store::connect::Api;
use dynamite_tests::daemon::Daemon;
use dynamite_tests::events::fired;
use dynamite_tests::scene::{Scene, eventually};
use serde_json::json;

/// The example with a third instance, which samples of second 0 and 15 brought.
pub(crate) async fn scaled_to_three(scene: &Scene) -> Result<Daemon> {
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    for second in [0, 15] {
        scene.sample("first", second, "95").await?;
    }
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await?;
    Ok(daemon)
}

async fn the_example_scales(api: Api) -> Result<()> {
    let scene = Scene::start(api).await?;
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    let configuration = scene.value("/_dynamite/init/application_configuration").await?;
    ensure!(configuration.starts_with("{\"Dynamite\":"), "{configuration}");

    scene.register("first", "apache@8080.service").await?;
    scene.register("second", "apache@8081").await?;
    for second in [0, 5, 10, 14] {
        scene.sample("first", second, "95.5").await?;
    }
    scene.sample("first", 15, "95.5").await?;
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await?;
    let firing = json!({ "policy": "apache_scale_up", "metric": "cpu_user", "instance": "first", "value": 95.5,
        "operator": "greater", "threshold": 90, "lasted": "PT15S" });
    daemon.until(&fired("apache@8082.service", &firing)).await?;

    scene.sample("first", 100, "5").await?;
    scene.sample("first", 115, "5").await?;
    scene.until_apaches(&[8081, 8082], &daemon).await?;

    scene.sample("second", 300, "5").await?;
    scene.sample("second", 315, "5").await?;
    let minimum = json!({ "at_minimum": { "count": 2, "min": 2 } });
    daemon.until(&json!({ "event": "decided", "service": "apache", "hold": minimum })).await?;
    eventually(&daemon, async || {
        let left = scene.keys("/metrics").await?;
        // One sample each that is newest, and those no more than a window older.
        ensure!(left.len() == 4, "samples left: {left:?}");
        Ok(())
    })
    .await?;

    let (status, took) = daemon.terminate().await?;
    // A second or two where the machine is not busy, and not as long as it waits for an answer anywhere.
    ensure!(status.success() && took.as_secs() < 5, "{status} after {took:?}");
    ensure!(scene.apaches() == [8081, 8082], "units outlive dynamite: {:?}", scene.running());
    ensure!(scene.value("/_dynamite/leader").await?.is_empty(), "the lease is given back");
    Ok(())
}

#[tokio::test]
async fn the_example_scales_on_v2() -> Result<()> {
    the_example_scales(Api::V2).await
}

#[tokio::test]
async fn the_example_scales_on_v3() -> Result<()> {
    the_example_scales(Api::V3).await
}

async fn an_attached_json_metric_scales(api: Api) -> Result<()> {
    let scene = Scene::start(api).await?;
    let config = dynamite_tests::scene::CONFIG
        .replace("metric: cpu_user", "metric: response_time.time_backend_response.p95")
        .replace("metric_aggregated: false", "metric_aggregated: true")
        .replace("service_type: webserver", "service_type: loadbalancer")
        .replace("period: 15", "period: 0");
    scene.configure(&config)?;
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    let key =
        format!("/metrics/loadbalancer/response_time/{}", dynamite_tests::scene::now().as_millisecond());
    scene.store.put(&key, r#"{"time_backend_response.p95": 250.5, "count": 3}"#).await?;
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await
}

#[tokio::test]
async fn a_json_metric_of_another_service_scales_on_v2() -> Result<()> {
    an_attached_json_metric_scales(Api::V2).await
}

#[tokio::test]
async fn a_json_metric_of_another_service_scales_on_v3() -> Result<()> {
    an_attached_json_metric_scales(Api::V3).await
}
