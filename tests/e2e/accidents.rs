//! What goes wrong: units, fleet, etcd, files and values.

use anyhow::{Context, Result, ensure};
use dynamite::embedded::fleet::{CarriedOut, Fault};
use dynamite::fleet::DesiredState;
use dynamite::store::Store;
use dynamite::store::connect::Api;
use dynamite_tests::events::decided;
use dynamite_tests::scene::{CONFIG, Scene, eventually};
use dynamite_units::UnitOption;
use serde_json::json;

#[tokio::test]
async fn a_failed_and_a_vanished_unit_are_replaced_and_foreign_ones_left_alone() -> Result<()> {
    let scene = Scene::start(Api::V2).await?;
    let theirs =
        [UnitOption { section: "Service".into(), name: "ExecStart".into(), value: "/bin/theirs".into() }];
    for name in ["apache@8081.service", "apache_logging@8083.service", "other.service"] {
        ensure!(scene.fleet.put_foreign(name, &theirs, DesiredState::Inactive).is_ok());
    }
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8082], &daemon).await?;
    ensure!(scene.fleet.crash("apache@8080.service"));
    ensure!(scene.fleet.delete_foreign("apache_discovery@8082.service").is_ok());
    let failed = json!({ "lost": { "failed": null } });
    let replaced = [
        ("replace", "apache@8080.service", failed),
        ("mend", "apache_discovery@8082.service", json!({ "lost": "vanished" })),
    ];
    for (deed, unit, reason) in replaced {
        let action = json!({ "deed": deed, "unit": unit, "reason": reason });
        daemon.until(&json!({ "event": "decided", "actions": [action] })).await?;
    }
    scene.until_apaches(&[8080, 8082], &daemon).await?;
    for name in ["apache@8081.service", "apache_logging@8083.service", "other.service"] {
        let unit = scene.fleet.units().into_iter().find(|unit| unit.name == name);
        ensure!(unit.is_some_and(|unit| unit.options[..] == theirs && unit.desired == "inactive"), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_unit_that_never_runs_makes_its_service_degraded() -> Result<()> {
    let scene = Scene::start(Api::V3).await?;
    scene.fleet.fail("apache@*");
    let daemon = scene.dynamite()?;
    eventually(&daemon, async || {
        let status = scene.value("/_dynamite/state/service/apache").await?;
        ensure!(status.contains("degraded") && status.contains("failed"), "status: {status:?}");
        ensure!(scene.value("/_dynamite/state/application_status").await? == "Running", "not running");
        Ok(())
    })
    .await?;
    ensure!(scene.fleet.units().is_empty(), "nothing is left behind: {:?}", scene.fleet.units());
    Ok(())
}

#[tokio::test]
async fn faults_of_fleet_are_waited_out_and_nothing_is_doubled() -> Result<()> {
    let mut scene = Scene::start(Api::V2).await?;
    for fault in [
        Fault::Status(503, CarriedOut::No),
        Fault::Status(500, CarriedOut::Yes),
        Fault::Close(CarriedOut::Yes),
        Fault::Close(CarriedOut::No),
        Fault::Garbage,
    ] {
        scene.fleet.fault(fault, 2);
        scene.fleet.fault_on("PUT", fault, 2);
    }
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.fleet.close().await;
    scene.until_running(&daemon).await?;
    for second in [0, 15] {
        scene.sample("first", second, "95").await?;
    }
    daemon
        .until(&decided("start", "apache@8082.service"))
        .await
        .context("no decision while fleet is away")?;
    scene.fleet.open().await?;
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await
}

async fn etcd_may_go_and_come_back(api: Api) -> Result<()> {
    let mut scene = Scene::start(api).await?;
    let daemon = scene.dynamite()?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    scene.etcd.as_mut().context("an etcd")?.kill()?;
    // Longer than the lease lasts.
    daemon.until(&json!({ "event": "leadership_lost" })).await?;
    scene.etcd.as_mut().context("an etcd")?.restart().await?;
    daemon.until_times(2, &json!({ "event": "policies_live" })).await.context("it does not lead again")?;
    for second in [0, 15] {
        scene.sample("first", second, "95").await?;
    }
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await
}

#[tokio::test]
async fn etcd_may_go_and_come_back_v2() -> Result<()> {
    etcd_may_go_and_come_back(Api::V2).await
}

#[tokio::test]
async fn etcd_may_go_and_come_back_v3() -> Result<()> {
    etcd_may_go_and_come_back(Api::V3).await
}

#[tokio::test]
async fn a_bad_configuration_is_refused_before_anything_is_written() -> Result<()> {
    let scene = Scene::start(Api::V2).await?;
    scene.configure(&CONFIG.replace("max_instance: 5", "max_instances: 5").replace("gt", "above"))?;
    let mut daemon = scene.dynamite()?;
    let status = daemon.wait().await?;
    ensure!(status.code() == Some(78), "{status}");
    // The report is not told to the journal: nothing has begun.
    eventually(&daemon, async || {
        let log = daemon.log();
        ensure!(log.contains("did you mean `max_instance`") && log.contains("above"), "{log}");
        Ok(())
    })
    .await?;
    ensure!(
        scene.keys("/_dynamite").await?.is_empty() && scene.fleet.requests().is_empty(),
        "it wrote something"
    );
    Ok(())
}

async fn garbage_is_counted_and_costs_nobody_else_a_sample(api: Api) -> Result<()> {
    let scene = Scene::start(api).await?;
    let daemon = scene.dynamite()?;
    scene.until_running(&daemon).await?;
    for (second, value) in
        [(0, "95"), (5, "NaN"), (6, ""), (7, "{\"a\":1}"), (8, "1e999"), (9, "\u{0}\u{fffd}")]
    {
        scene.sample("first", second, value).await?;
    }
    let path = "/metrics/webserver/first/cpu_user";
    for key in
        ["yesterday", "99999999999999999999", "2015-02-30T00:00:00Z", "2999-01-01T00:00:00Z", "%2F", "a b"]
    {
        scene.store.put(&format!("{path}/{key}"), "95").await?;
    }
    for key in
        ["/metrics/stray", "/metrics/webserver/stray", "/metrics/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t"]
    {
        scene.store.put(key, "95").await?;
    }
    scene.store.put("/services/webserver/first/service_instance_name", "\u{1}{]nonsense").await?;
    scene.store.put("/services/webserver/service_instance_name", "apache@8080.service").await?;
    scene.sample("first", 15, "95").await?;
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await?;
    for why in ["bad_value", "bad_time"] {
        let skipped = daemon.matching(&json!({ "event": "sample_skipped", "why": why }))?;
        ensure!(skipped.len() == 1, "one event a prefix: {skipped:?}");
    }
    ensure!(scene.value("/metrics/webserver/stray").await? == "95", "what is not ours is left alone");
    Ok(())
}

#[tokio::test]
async fn garbage_is_counted_and_costs_nobody_else_a_sample_on_v2() -> Result<()> {
    garbage_is_counted_and_costs_nobody_else_a_sample(Api::V2).await
}

#[tokio::test]
async fn garbage_is_counted_and_costs_nobody_else_a_sample_on_v3() -> Result<()> {
    garbage_is_counted_and_costs_nobody_else_a_sample(Api::V3).await
}
