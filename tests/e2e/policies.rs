//! Policies in modules, through the whole: configured, asked, obeyed, replaced while running, and hostile ones borne.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use dynamite::store::Store;
use dynamite::store::connect::Api;
use dynamite_tests::daemon::binary;
use dynamite_tests::modules::{Target, module};
use dynamite_tests::scene::{CONFIG, Scene, eventually, now};
use serde_json::json;
use tokio::time::Instant;

/// The usual configuration with another policy in place of the thresholds, and its module beside it.
pub(crate) fn configure(scene: &Scene, package: &str, keys: &str) -> Result<()> {
    std::fs::copy(module(package, Target::Bare)?, scene.config_path().with_file_name("policy.wasm"))?;
    let services = CONFIG.split("\n  ScalingPolicy:\n").next().unwrap_or_default();
    let (head, tail) = services.split_once("      scale_up_policy:\n").unwrap_or_default();
    let tail = tail.split_once("    apache_discovery:\n").map(|(_, tail)| tail).unwrap_or_default();
    let policy = format!(
        "  ScalingPolicy:\n    custom:\n      module: policy.wasm\n      interval: 1\n      service_type: webserver\n      \
         metric: cpu_user\n      period: 60\n{keys}"
    );
    let reference = "      scaling_policy: {ScalingPolicy: custom}\n    apache_discovery:\n";
    scene.configure(&format!("{head}{reference}{tail}\n{policy}"))
}

pub(crate) const TARGET: &str = "      config: {target: 50, tolerance: 0.1}\n";

/// Runs the built program in the workspace, and returns whether it succeeded, and what it said.
fn run(arguments: &[&str]) -> Result<(bool, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(binary()?);
    command.env("DYNAMITE_CACHE_DIR", binary()?.with_file_name("cache"));
    let output = command.args(arguments).current_dir(root).output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), said.into_owned()))
}

#[test]
fn every_policy_passes_its_cases_and_the_built_in_one_those_of_its_twin() -> Result<()> {
    for name in ["schedule", "step", "target-tracking", "threshold", "trend"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(name).join("cases");
        let cases = std::fs::read_dir(&folder).with_context(|| format!("cases of {name}"))?;
        let cases: Vec<String> =
            cases.map(|file| Ok(file?.path().display().to_string())).collect::<Result<_>>()?;
        let is_yaml = |file: &&str| Path::new(file).extension().is_some_and(|extension| extension == "yaml");
        let cases: Vec<&str> = cases.iter().map(String::as_str).filter(is_yaml).collect();
        let module = module(name, Target::Bare)?;
        let module = module.to_str().context("the path of a module")?;
        let (passed, said) = run(&[&["policy", "test", module][..], &cases].concat())?;
        ensure!(passed, "{name}: {said}");
    }
    let twin = ["policy", "test", "--builtin", "threshold", "policies/threshold/cases/conformance.yaml"];
    let (passed, said) = run(&twin)?;
    ensure!(passed, "the built-in rule: {said}");
    Ok(())
}

#[test]
fn the_example_passes_the_check() -> Result<()> {
    for package in ["target-tracking", "schedule"] {
        module(package, Target::Bare)?;
    }
    let (passed, said) = run(&["check", "examples/target-tracking/dynamite.yaml"])?;
    ensure!(passed && said.contains("1 service, 2 policies, no errors"), "{said}");
    Ok(())
}

/// A sample of an instance, of now.
async fn sample(scene: &Scene, id: &str, value: u32) -> Result<()> {
    scene.store.put(&format!("/metrics/webserver/{id}/cpu_user/{}", now()), &value.to_string()).await?;
    Ok(())
}

pub(crate) async fn load_of_two(scene: &Scene, value: u32) -> Result<()> {
    for (id, number) in [("a", 8080), ("b", 8081)] {
        scene.register(id, &format!("apache@{number}.service")).await?;
        sample(scene, id, value).await?;
    }
    Ok(())
}

async fn a_module_scales_by_what_it_says(api: Api) -> Result<()> {
    let scene = Scene::start(api).await?;
    configure(&scene, "target-tracking", TARGET)?;
    let daemon = scene.dynamite()?;
    scene.until_running(&daemon).await?;
    load_of_two(&scene, 100).await?;
    scene.until_apaches(&[8080, 8081, 8082, 8083], &daemon).await?;
    let reason = json!({ "policy": { "policy": "custom", "words": null, "wanted": 4, "made": 4 } });
    let cause = json!({ "vote": { "policy": "custom", "wish": { "to": 4 } } });
    daemon.until(&json!({ "event": "decided", "cause": cause, "actions": [{ "deed": "start", "reason": reason }] })).await?;
    eventually(&daemon, async || {
        let state = scene.value("/_dynamite/policy/apache/custom").await?;
        ensure!(state.contains("state"), "its state is kept: {state:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_module_scales_by_what_it_says_v2() -> Result<()> {
    a_module_scales_by_what_it_says(Api::V2).await
}

#[tokio::test]
async fn a_module_scales_by_what_it_says_v3() -> Result<()> {
    a_module_scales_by_what_it_says(Api::V3).await
}

#[tokio::test]
async fn a_module_is_replaced_while_it_runs_and_a_bad_one_is_refused() -> Result<()> {
    let scene = Scene::start(Api::V3).await?;
    configure(&scene, "hostile", "      config: {do: nothing}\n")?;
    let daemon = scene.dynamite()?;
    scene.until_running(&daemon).await?;
    let file = scene.config_path().with_file_name("policy.wasm");
    let replace = |bytes: Vec<u8>| -> Result<()> {
        let new = file.with_extension("new");
        std::fs::write(&new, bytes)?;
        Ok(std::fs::rename(&new, &file)?)
    };
    replace(b"\0asm nonsense".to_vec())?;
    let refused = json!({ "event": "module_refused", "policy": "custom", "consequence": "old_one_stays" });
    daemon.until(&refused).await?;
    // It does not know the configuration of the other, so it is refused too.
    replace(std::fs::read(module("threshold", Target::Bare)?)?)?;
    let refused = daemon.until_times(2, &refused).await?;
    let error = refused["error"].as_str().context("an error")?;
    ensure!(error.contains("it does not take the configuration"), "{error}");
    replace(std::fs::read(module("hostile", Target::Wasi)?)?)?;
    daemon.until(&json!({ "event": "module_loaded", "policy": "custom", "file": null })).await.map(drop)
}

#[tokio::test]
async fn a_module_that_cannot_be_used_fails_its_policy_alone_until_a_good_file_is_there() -> Result<()> {
    let scene = Scene::start(Api::V2).await?;
    configure(&scene, "target-tracking", TARGET)?;
    let file = scene.config_path().with_file_name("policy.wasm");
    let away = file.with_extension("away");
    std::fs::rename(&file, &away)?;
    let status = "/_dynamite/state/policy/apache/custom";
    let config = scene.config_path();
    let (passed, said) = run(&["check", config.to_str().context("a path")?])?;
    ensure!(!passed && said.contains("cannot be used") && said.contains("1 error"), "{said}");
    for _ in 0..2 {
        let daemon = scene.dynamite()?;
        scene.until_running(&daemon).await?;
        scene.until_apaches(&[8080, 8081], &daemon).await?;
        eventually(&daemon, async || {
            let failing = scene.value(status).await?;
            ensure!(failing.contains("failing") && failing.contains("No such file"), "{failing:?}");
            Ok(())
        })
        .await?;
        daemon.until(&json!({ "event": "module_refused", "consequence": "none_from_the_start" })).await?;
        let (ended, _) = daemon.terminate().await?;
        ensure!(ended.success(), "{ended}");
    }
    let daemon = scene.dynamite()?;
    scene.until_running(&daemon).await?;
    load_of_two(&scene, 100).await?;
    std::fs::rename(&away, &file)?;
    scene.until_apaches(&[8080, 8081, 8082, 8083], &daemon).await?;
    eventually(&daemon, async || {
        let failing = scene.value(status).await?;
        ensure!(failing.is_empty(), "{failing:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_module_logs_is_bounded_over_time() -> Result<()> {
    let scene = Scene::start(Api::V3).await?;
    configure(&scene, "hostile", "      config: {do: flood}\n")?;
    let daemon = scene.dynamite()?;
    scene.until_running(&daemon).await?;
    let began = Instant::now();
    eventually(&daemon, async || {
        sample(&scene, "a", 1).await?;
        let answers = daemon.matching(&json!({ "event": "policy_answered", "policy": "custom" }))?.len();
        ensure!(answers >= 10, "{answers} answers");
        Ok(())
    })
    .await?;
    // The log itself, as it is what would grow.
    let log = daemon.log();
    let lines = log.lines().filter(|line| line.contains("custom says: line")).count() as u64;
    ensure!((1..=101 + began.elapsed().as_secs()).contains(&lines), "{lines} of 200 lines: {log}");
    ensure!(log.contains("lines were left out"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_hostile_module_harms_nobody_else() -> Result<()> {
    let scene = Scene::start(Api::V2).await?;
    for deed in ["loop", "panic", "grow", "recurse", "names", "state", "unknown", "fail"] {
        configure(&scene, "hostile", &format!("      config: {{do: {deed}}}\n"))?;
        let text = std::fs::read_to_string(scene.config_path())?;
        // A service with the built-in rule beside it.
        let other = "    other:\n      name_of_unit_file: other@.service\n      type: other\n      scale_up_policy: {ScalingPolicy: hot}\n";
        let rule = "    hot: {service_type: other, metric: load, comparative_operator: gt, threshold: 1}\n";
        scene.unit("other")?;
        let text = text.replace("    apache_discovery:\n", &format!("{other}    apache_discovery:\n"));
        scene.configure(&format!("{text}{rule}"))?;
        let daemon = scene.dynamite()?;
        scene.until_running(&daemon).await?;
        load_of_two(&scene, 100).await?;
        eventually(&daemon, async || {
            let status = scene.value("/_dynamite/state/policy/apache/custom").await?;
            ensure!(status.contains("failing"), "{deed}: {status:?}");
            Ok(())
        })
        .await?;
        let before = scene.keys("/_dynamite/run/service/other").await?.len();
        scene.store.put(&format!("/metrics/other/x/load/{}", now()), "2").await?;
        eventually(&daemon, async || {
            let after = scene.keys("/_dynamite/run/service/other").await?.len();
            ensure!(after > before, "{deed}: the built-in rule goes on");
            Ok(())
        })
        .await?;
        let count = scene.keys("/_dynamite/run/service/apache").await?.len();
        ensure!(count == 3, "{deed}: two instances and the template, not {count}");
        let (status, _) = daemon.terminate().await?;
        ensure!(status.success(), "{deed}: {status}");
    }
    Ok(())
}
