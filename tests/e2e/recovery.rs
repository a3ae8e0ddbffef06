//! Going on after a death, a standby taking over, and what the original Dynamite left.

use anyhow::{Context, Result, ensure};
use dynamite::embedded::fleet::{Machine, Options};
use dynamite::fleet::DesiredState;
use dynamite::store::Store;
use dynamite::store::connect::Api;
use dynamite_tests::bench::Target;
use dynamite_tests::events::fired;
use dynamite_tests::scene::{Scene, eventually};
use dynamite_units::UnitOption;
use serde_json::json;

use crate::scaling::scaled_to_three;

/// What the original wrote, as read off a running one: keys and values.
const ORIGINAL: &str = include_str!("original_state.json");

/// The requests to fleet that change something.
fn writes(scene: &Scene) -> Vec<String> {
    let requests = scene.fleet.requests().into_iter().filter(|request| request.method != "GET");
    requests.map(|request| format!("{} {}", request.method, request.path)).collect()
}

async fn a_killed_one_is_followed_by_one_that_goes_on(api: Api) -> Result<()> {
    let scene = Scene::start(api).await?;
    scene.dynamite()?.kill().await?;
    // Killed as soon as it has asked something of fleet, five times over.
    for _ in 0..5 {
        let mut arrivals = scene.fleet.arrivals();
        let daemon = scene.dynamite()?;
        while let Ok(request) =
            tokio::time::timeout(std::time::Duration::from_secs(20), arrivals.recv()).await?
        {
            if request.method == "PUT" || scene.apaches() == [8080, 8081] {
                break;
            }
        }
        daemon.kill().await?;
    }
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    ensure!(scene.fleet.units().len() == 6, "none doubled: {:?}", scene.fleet.units());
    Ok(())
}

#[tokio::test]
async fn a_killed_one_is_followed_by_one_that_goes_on_v2() -> Result<()> {
    a_killed_one_is_followed_by_one_that_goes_on(Api::V2).await
}

#[tokio::test]
async fn a_killed_one_is_followed_by_one_that_goes_on_v3() -> Result<()> {
    a_killed_one_is_followed_by_one_that_goes_on(Api::V3).await
}

async fn a_cooldown_and_a_trigger_outlive_the_process(api: Api) -> Result<()> {
    let scene = Scene::start(api).await?;
    let daemon = scaled_to_three(&scene).await?;
    // Cooling down until 75. A period that begins then is known to the next process from what is in etcd.
    for second in [30, 74, 75, 80] {
        scene.sample("first", second, "95").await?;
    }
    daemon.kill().await?;
    let daemon = scene.dynamite()?;
    scene.until_running(&daemon).await?;
    scene.sample("first", 89, "95").await?;
    scene.sample("first", 90, "95").await?;
    scene.until_apaches(&[8080, 8081, 8082, 8083], &daemon).await?;
    let firing = json!({ "value": 95, "threshold": 90, "lasted": "PT15S" });
    daemon.until(&fired("apache@8083.service", &firing)).await.context("the period began at 75").map(drop)
}

#[tokio::test]
async fn a_cooldown_and_a_trigger_outlive_the_process_on_v2() -> Result<()> {
    a_cooldown_and_a_trigger_outlive_the_process(Api::V2).await
}

#[tokio::test]
async fn a_cooldown_and_a_trigger_outlive_the_process_on_v3() -> Result<()> {
    a_cooldown_and_a_trigger_outlive_the_process(Api::V3).await
}

async fn a_standby_takes_over(api: Api) -> Result<()> {
    let scene = Scene::start(api).await?;
    let first = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &first).await?;
    let second = scene.dynamite()?;
    second.until(&json!({ "event": "not_leading", "is_trouble": false })).await?;
    let before = writes(&scene);
    first.kill().await?;
    scene.until_running(&second).await?;
    ensure!(writes(&scene) == before, "nothing was restarted: {:?}", writes(&scene));
    Ok(())
}

#[tokio::test]
async fn a_standby_takes_over_on_v2() -> Result<()> {
    a_standby_takes_over(Api::V2).await
}

#[tokio::test]
async fn a_standby_takes_over_on_v3() -> Result<()> {
    a_standby_takes_over(Api::V3).await
}

/// The units that the original's state names, as the original submitted them.
fn original_units(state: &serde_json::Value) -> Result<Vec<(String, Vec<UnitOption>)>> {
    let template =
        state["/_dynamite/run/service/apache/fleet_service_template"].as_str().context("a template")?;
    let template: serde_json::Value = serde_json::from_str(template)?;
    let attached = template["attached_services"].as_array().context("attached services")?;
    let mut units = Vec::new();
    for template in attached.iter().chain([&template]) {
        let name = template["service_config_details"]["name_of_unit_file"].as_str().context("a unit file")?;
        let options: Vec<UnitOption> =
            serde_json::from_value(template["unit_file_details_json_dict"]["options"].clone())?;
        units.extend(
            [8080, 8081, 8082].map(|number| (name.replace('@', &format!("@{number}")), options.clone())),
        );
    }
    Ok(units)
}

#[tokio::test]
async fn what_the_original_left_is_taken_over_without_touching_a_unit() -> Result<()> {
    // One machine for each instance: the unit file says that no two go together.
    let mut fleet = Options::default();
    let machine = fleet.machines.remove(0);
    fleet.machines.extend((0..4).map(|number| Machine { id: format!("{number:032x}"), ..machine.clone() }));
    let scene = Scene::with(&Target::default(), Api::V2, fleet).await?;
    let state: serde_json::Value = serde_json::from_str(ORIGINAL)?;
    for (key, value) in state.as_object().context("keys and values")? {
        scene.store.put(key, value.as_str().context("a text")?).await?;
    }
    for (name, options) in original_units(&state)? {
        let put = scene.fleet.put_foreign(&name, &options, DesiredState::Launched);
        ensure!(put.is_ok(), "{name}: {put:?}");
    }
    // There is no file: the stored configuration is used, with the unit files that are stored in the template.
    std::fs::remove_file(scene.config_path())?;
    let daemon = scene.dynamite()?;
    scene.until_running(&daemon).await?;
    ensure!(scene.apaches() == [8080, 8081, 8082], "{:?}", scene.running());
    ensure!(writes(&scene) == [] as [String; 0], "{:?}", writes(&scene));

    scene.sample("stranger", 0, "95").await?;
    scene.sample("stranger", 1, "95").await?;
    scene.until_apaches(&[8080, 8081, 8082, 8083], &daemon).await?;
    eventually(&daemon, async || {
        let template = scene.value("/_dynamite/run/service/apache/fleet_service_template").await?;
        let template: serde_json::Value = serde_json::from_str(&template)?;
        let used = template["used_port_numbers"].to_string();
        ensure!(used == "[8080,8081,8082,8083,0]", "{used}");
        Ok(())
    })
    .await
}
