//! Two actions on one instance: what is attached to it is brought back at the moment at which it is told to go.

use anyhow::{Result, ensure};
use dynamite::store::connect::Api;
use dynamite_tests::events::{decided, ended};
use dynamite_tests::scene::Scene;

/// How often it is tried; without exclusion every time left an orphan.
const ROUNDS: i64 = 4;

async fn an_instance_goes_while_its_attached_unit_is_brought_back(api: Api) -> Result<()> {
    let scene = Scene::start(api).await?;
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    for round in 0..ROUNDS {
        // Beyond the cooldown of a minute that the round before began.
        let second = round * 300;
        scene.sample("any", second, "95").await?;
        scene.sample("any", second + 15, "95").await?;
        scene.until_apaches(&[8080, 8081, 8082], &daemon).await?;
        scene.sample("any", second + 100, "5").await?;
        ensure!(scene.fleet.delete_foreign("apache_logging@8082.service").is_ok());
        let rounds = usize::try_from(round)? + 1;
        daemon.until_times(rounds, &decided("mend", "apache_logging@8082.service")).await?;
        scene.sample("any", second + 115, "5").await?;
        scene.until_apaches(&[8080, 8081], &daemon).await?;
        daemon.until_times(rounds, &ended("apache@8082.service", "stopped")).await?;
    }
    ensure!(scene.fleet.units().len() == 6, "nothing is left behind: {:?}", scene.fleet.units());
    Ok(())
}

#[tokio::test]
async fn an_instance_goes_while_its_attached_unit_is_brought_back_v2() -> Result<()> {
    an_instance_goes_while_its_attached_unit_is_brought_back(Api::V2).await
}

#[tokio::test]
async fn an_instance_goes_while_its_attached_unit_is_brought_back_v3() -> Result<()> {
    an_instance_goes_while_its_attached_unit_is_brought_back(Api::V3).await
}
