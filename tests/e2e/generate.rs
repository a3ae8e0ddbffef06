//! `dynamite generate`: what it describes arrives in etcd, a daemon scales by it, and it can be ended at any time.

use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use dynamite::store::connect::Api;
use dynamite_tests::daemon::binary;
use dynamite_tests::events::fired;
use dynamite_tests::scene::Scene;
use dynamite_tests::wait;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::time::Duration;

/// Far longer than anything takes, for machines that are busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// Two instances, of which one is over the threshold of the scene's configuration for as long as its period.
const OVERLOAD: &str = "
registrations: {webserver: {first: apache@8080.service, second: apache@8081}}
metrics:
  - {service_type: webserver, metric: cpu_user, instances: [first], every: 5s, phases: [{for: 20s, random: [91, 99]}]}
  - {service_type: webserver, metric: cpu_user, instances: [second], every: 5s, phases: [{for: 20s, value: 50}]}
";

/// More than a test waits for.
const LONG: &str = "
metrics:
  - {service_type: webserver, metric: cpu_user, instances: [first], every: 100ms, phases: [{for: 1h, value: 50}]}
";

/// Starts it with a description and further arguments.
fn generate(scene: &Scene, api: &str, text: &str, more: &[&str]) -> Result<Child> {
    let file = scene.config_path().with_file_name("load.yaml");
    std::fs::write(&file, text)?;
    let endpoint = scene.etcd.as_ref().context("an etcd of its own")?.endpoint();
    let mut command = Command::new(binary()?);
    command.arg("generate").arg(file).args(["-e", &endpoint, "--etcd-api", api]).args(more);
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?)
}

async fn output(child: Child) -> Result<(Output, String)> {
    let output =
        tokio::time::timeout(PATIENCE, child.wait_with_output()).await.context("it does not end")??;
    let said = [&*output.stdout, &*output.stderr].concat();
    Ok((output, String::from_utf8_lossy(&said).into_owned()))
}

async fn a_daemon_scales_by_it(api: Api, name: &str) -> Result<()> {
    let scene = Scene::start(api).await?;
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    let start = scene.at_second(0)?.to_string();
    let (output, said) = output(generate(&scene, name, OVERLOAD, &["--start", &start])?).await?;
    ensure!(output.status.success(), "{said}");
    ensure!(said.contains("0.0 s  cpu_user of webserver: 95, give or take 4, for 20s"), "{said}");
    ensure!(said.contains("wrote 2 registrations and 8 samples in "), "{said}");
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await?;
    let firing = json!({ "policy": "apache_scale_up", "metric": "cpu_user", "instance": "first" });
    daemon.until(&fired("apache@8082.service", &firing)).await.map(drop)
}

#[tokio::test]
async fn a_daemon_scales_by_it_on_v2() -> Result<()> {
    a_daemon_scales_by_it(Api::V2, "v2").await
}

#[tokio::test]
async fn a_daemon_scales_by_it_on_v3() -> Result<()> {
    a_daemon_scales_by_it(Api::V3, "v3").await
}

/// Waits until so many samples are there.
async fn until_samples(scene: &Scene, count: usize) -> Result<()> {
    wait::until("samples", PATIENCE, async || {
        let there = scene.keys("/load/webserver").await.map_err(|error| error.to_string())?.len();
        if there < count { Err(format!("{there} of {count}")) } else { Ok(()) }
    })
    .await
}

#[tokio::test]
async fn a_signal_ends_it_with_a_summary() -> Result<()> {
    for signal in ["-INT", "-TERM"] {
        let scene = Scene::start(Api::V3).await?;
        let child = generate(&scene, "v3", LONG, &["--metrics-base-path", "/load"])?;
        until_samples(&scene, 3).await?;
        let pid = child.id().context("it runs")?.to_string();
        ensure!(Command::new("kill").args([signal, &pid]).status().await?.success(), "no signal");
        let (output, said) = output(child).await?;
        ensure!(output.status.success(), "{said}");
        ensure!(
            said.contains("wrote 0 registrations and ") && said.contains(" samples left out\n"),
            "{said}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn it_waits_for_an_etcd_that_goes_and_not_for_one_that_never_was() -> Result<()> {
    let mut scene = Scene::start(Api::V2).await?;
    let text = LONG.replace("1h", "3s");
    let child = generate(&scene, "v2", &text, &["--metrics-base-path", "/load"])?;
    until_samples(&scene, 1).await?;
    let etcd = scene.etcd.as_mut().context("an etcd of its own")?;
    etcd.kill()?;
    let dead = generate(&scene, "v2", LONG, &[])?;
    let (refused, said) = output(dead).await?;
    ensure!(refused.status.code() == Some(1) && said.contains("error: "), "{said}");
    ensure!(said.contains("no answer from etcd at http://127.0.0.1:"), "{said}");
    scene.etcd.as_mut().context("an etcd of its own")?.restart().await?;
    let (output, said) = output(child).await?;
    ensure!(output.status.success() && said.contains("30 samples in"), "{said}");
    until_samples(&scene, 30).await
}
