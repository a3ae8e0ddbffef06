//! The examples as they are, each on a real etcd and the fleet server.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dynamite::store::Store;
use dynamite::store::connect::Api;
use dynamite_tests::bench::Target as Running;
use dynamite_tests::compose::Compose;
use dynamite_tests::daemon::{Daemon, binary};
use dynamite_tests::events::fired;
use dynamite_tests::modules::{Target, module};
use dynamite_tests::scene::{Scene, eventually, machines, now};
use serde_json::json;

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").join(path)
}

async fn on_many_machines() -> Result<Scene> {
    Scene::with(&Running::default(), Api::V2, machines(12)).await
}

/// Waits until these units run, apart from others.
async fn until_there(scene: &Scene, daemon: &Daemon, units: &[&str]) -> Result<()> {
    eventually(daemon, async || {
        let running = scene.running();
        ensure!(units.iter().all(|unit| running.iter().any(|name| name == unit)), "running: {running:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn apache_goes_up_and_down() -> Result<()> {
    let scene = on_many_machines().await?;
    let daemon = scene.dynamite_on(&example("apache/dynamite.yaml"), "info")?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    scene.register("4f2a", "apache@8080.service").await?;
    for second in [0, 5, 10, 15] {
        scene.sample("4f2a", second, "95.5").await?;
    }
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await?;
    for second in [100, 115, 130] {
        scene.sample("4f2a", second, "3").await?;
    }
    scene.until_apaches(&[8081, 8082], &daemon).await
}

#[tokio::test]
async fn web_servers_follow_what_their_balancer_measures() -> Result<()> {
    let scene = on_many_machines().await?;
    let daemon = scene.dynamite_on(&example("loadbalancer/dynamite.yaml"), "info")?;
    let base =
        ["haproxy.service", "haproxy_metrics.service", "web@8080.service", "web_discovery@8081.service"];
    until_there(&scene, &daemon, &base).await?;
    scene.until_running(&daemon).await?;
    let sample = async |second: i64, time: u32| {
        let key = format!("/metrics/loadbalancer/backend/{}", scene.at_second(second)?);
        let value = format!("{{\"web\": {{\"queue\": 0, \"rate\": 41, \"rtime\": {time}}}}}");
        anyhow::Ok(scene.store.put(&key, &value).await?)
    };
    for second in [0, 10, 20, 30] {
        sample(second, 620).await?;
    }
    until_there(&scene, &daemon, &["web@8082.service", "web_discovery@8082.service"]).await?;
    let firing = json!({ "policy": "slow", "metric": "backend.web.rtime", "value": 620, "threshold": 500, "lasted": "PT30S" });
    daemon.until(&fired("web@8082.service", &firing)).await?;
    // One that is still starting would not count yet.
    eventually(&daemon, async || {
        let record = scene.value("/_dynamite/run/service/web/web@8082.service").await?;
        ensure!(!record.is_empty(), "not up yet");
        Ok(())
    })
    .await?;
    for second in [200, 350, 500] {
        sample(second, 40).await?;
    }
    eventually(&daemon, async || {
        let running = scene.running();
        ensure!(!running.iter().any(|name| name.contains("8082")), "running: {running:?}");
        Ok(())
    })
    .await?;
    until_there(&scene, &daemon, &base).await
}

#[tokio::test]
async fn a_policy_in_a_module_holds_its_target() -> Result<()> {
    for package in ["target-tracking", "schedule"] {
        module(package, Target::Bare)?;
    }
    let scene = on_many_machines().await?;
    let daemon = scene.dynamite_on(&example("target-tracking/dynamite.yaml"), "info")?;
    until_there(&scene, &daemon, &["web@8080.service", "web@8081.service"]).await?;
    scene.until_running(&daemon).await?;
    for id in ["8080", "8081"] {
        scene.register(id, &format!("web@{id}.service")).await?;
    }
    // Three times the target on two of them, and whatever the hour, takes six in all.
    eventually(&daemon, async || {
        for id in ["8080", "8081"] {
            scene.store.put(&format!("/metrics/webserver/{id}/cpu_user/{}", now()), "180").await?;
        }
        let running = scene.running();
        ensure!(running.iter().any(|name| name == "web@8085.service"), "running: {running:?}");
        Ok(())
    })
    .await
}

/// What `dynamite check` says of a file, which must be nothing but that all is well.
fn check(config: &Path, folder: &Path) -> Result<()> {
    let mut command = Command::new(binary()?);
    command.arg("check").arg(config).arg("-s").arg(folder);
    command.env("DYNAMITE_CACHE_DIR", binary()?.with_file_name("cache"));
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && said.ends_with("no errors\n"), "{said}{output:?}");
    Ok(())
}

#[test]
fn the_unit_of_dynamite_is_one_that_fleet_takes_and_its_configuration_is_right() -> Result<()> {
    let unit = dynamite_units::parse(&std::fs::read_to_string(example("fleet-unit/dynamite@.service"))?);
    let options = unit.map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    ensure!(dynamite_units::check_options(&options).is_ok());
    let value = |name: &str| options.iter().find(|option| option.name == name).map(|option| &*option.value);
    ensure!(value("Restart") == Some("always") && value("RestartPreventExitStatus") == Some("2 78"));
    // The module is where it was built, and not in an image.
    let built = module("target-tracking", Target::Bare)?;
    let policies = built.parent().context("a folder")?.display().to_string();
    let config = std::fs::read_to_string(example("fleet-unit/config/config.yaml"))?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, config.replace("/usr/share/dynamite/policies", &policies))?;
    let output = Command::new(binary()?).arg("check").arg(&path).output()?;
    ensure!(!output.status.success(), "without its units it is not: {output:?}");
    check(&path, &example("fleet-unit/config/service-files"))
}

#[test]
fn the_compose_file_says_nothing_that_is_not_tried_in_a_container() -> Result<()> {
    let folder = example("compose");
    let compose = Compose::read(&folder.join("compose.yaml"))?;
    let dynamite = &compose.services["dynamite"];
    ensure!(dynamite.depends_on.iter().all(|name| compose.services.contains_key(name)), "{compose:?}");
    for volume in compose.services.values().flat_map(|service| &service.volumes) {
        let source = volume.split(':').next().context("a source")?;
        ensure!(compose.volumes.contains_key(source) || folder.join(source).is_dir(), "{volume}");
    }
    ensure!(
        dynamite.build.as_deref().is_some_and(|context| folder.join(context).join("Dockerfile").is_file())
    );
    Ok(())
}
