//! Whether a Dynamite says that it is ready, when it is and when it is not, and whoever asks.

use anyhow::{Context, Result, ensure};
use dynamite::admin::ask;
use dynamite::store::connect::Api;
use dynamite_tests::daemon::{Daemon, binary};
use dynamite_tests::scene::{Scene, eventually};

/// Waits until the daemon says this of itself.
async fn until_it_says(daemon: &Daemon, ready: bool, words: &str) -> Result<()> {
    eventually(daemon, async || {
        let said = ask(daemon.admin()?).await;
        ensure!(said.0 == ready && said.1.contains(words), "it says {said:?}, not {words:?}");
        Ok(())
    })
    .await
}

/// What `/healthz` answers: the status.
async fn alive(daemon: &Daemon) -> Result<u16> {
    Ok(reqwest::get(format!("http://{}/healthz", daemon.admin()?)).await?.status().as_u16())
}

async fn a_leader_is_ready_while_etcd_is_there(api: Api) -> Result<()> {
    let mut scene = Scene::start(api).await?;
    let daemon = scene.dynamite()?;
    until_it_says(&daemon, true, "ready: leading").await?;
    scene.etcd.as_mut().context("an etcd")?.kill()?;
    until_it_says(&daemon, false, "etcd: no answer from etcd").await?;
    ensure!(alive(&daemon).await? == 200, "it lives without etcd:\n{}", daemon.log());
    scene.etcd.as_mut().context("an etcd")?.restart().await?;
    until_it_says(&daemon, true, "ready: leading").await?;
    // One that hangs is away too.
    scene.etcd.as_ref().context("an etcd")?.pause()?;
    until_it_says(&daemon, false, "not leading yet").await?;
    ensure!(alive(&daemon).await? == 200, "it lives while etcd hangs:\n{}", daemon.log());
    scene.etcd.as_ref().context("an etcd")?.resume()?;
    until_it_says(&daemon, true, "ready: leading").await
}

#[tokio::test]
async fn a_leader_is_ready_while_etcd_is_there_v2() -> Result<()> {
    a_leader_is_ready_while_etcd_is_there(Api::V2).await
}

#[tokio::test]
async fn a_leader_is_ready_while_etcd_is_there_v3() -> Result<()> {
    a_leader_is_ready_while_etcd_is_there(Api::V3).await
}

#[tokio::test]
async fn a_leader_is_ready_while_fleet_is_there_and_once_all_is_up() -> Result<()> {
    let mut scene = Scene::start(Api::V3).await?;
    scene.fleet.close().await;
    let daemon = scene.dynamite()?;
    until_it_says(&daemon, false, "taking over; fleet: no connection to fleet").await?;
    ensure!(alive(&daemon).await? == 200, "it lives without fleet:\n{}", daemon.log());
    scene.fleet.open().await?;
    until_it_says(&daemon, true, "ready: leading").await?;
    scene.fleet.close().await;
    until_it_says(&daemon, false, "not ready: fleet: ").await?;
    scene.fleet.open().await?;
    until_it_says(&daemon, true, "ready: leading").await
}

#[tokio::test]
async fn a_standby_is_ready_to_take_over_and_does() -> Result<()> {
    let mut scene = Scene::start(Api::V3).await?;
    let leader = scene.dynamite()?;
    until_it_says(&leader, true, "leading").await?;
    let standby = scene.dynamite()?;
    until_it_says(&standby, true, "ready: standing by").await?;
    scene.etcd.as_mut().context("an etcd")?.kill()?;
    until_it_says(&standby, false, "etcd: ").await?;
    scene.etcd.as_mut().context("an etcd")?.restart().await?;
    // Which of them leads is anybody's guess; the one that is left does.
    leader.kill().await?;
    until_it_says(&standby, true, "ready: leading").await
}

#[tokio::test]
async fn the_command_asks_and_says_it_with_its_exit_code() -> Result<()> {
    let mut scene = Scene::start(Api::V2).await?;
    scene.etcd.as_mut().context("an etcd")?.kill()?;
    let daemon = scene.dynamite()?;
    let health = async || {
        let mut command = tokio::process::Command::new(binary()?);
        command.arg("health").env("DYNAMITE_ADMIN", daemon.admin()?.to_string());
        let output = command.output().await?;
        anyhow::Ok((output.status.code(), String::from_utf8(output.stdout)?))
    };
    eventually(&daemon, async || {
        let (code, said) = health().await?;
        ensure!(code == Some(1) && said.starts_with("not ready: "), "{code:?}: {said}");
        ensure!(said.contains("; etcd: no answer from etcd at"), "{said}");
        ensure!(said.lines().count() == 1, "one line: {said}");
        Ok(())
    })
    .await?;
    scene.etcd.as_mut().context("an etcd")?.restart().await?;
    until_it_says(&daemon, true, "leading").await?;
    ensure!(health().await? == (Some(0), "ready: leading\n".to_owned()));
    Ok(())
}
