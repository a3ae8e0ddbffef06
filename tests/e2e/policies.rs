//! Policies in modules, through the whole: configured, asked, obeyed, replaced while running, and hostile ones borne.

use anyhow::{Result, ensure};
use dynamite::store::Store;
use dynamite::store::connect::Api;
use dynamite_tests::modules::{Target, module};
use dynamite_tests::scene::{CONFIG, Scene, binary, eventually, now};

/// The usual configuration with another policy in place of the thresholds, and its module beside it.
fn configure(scene: &Scene, package: &str, keys: &str) -> Result<()> {
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

const TARGET: &str = "      config: {target: 50, tolerance: 0.1}\n";

#[test]
fn the_example_passes_the_check() -> Result<()> {
    for package in ["target-tracking", "schedule"] {
        module(package, Target::Bare)?;
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = std::process::Command::new(binary()?);
    let output =
        command.args(["check", "examples/target-tracking/dynamite.yaml"]).current_dir(root).output()?;
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.contains("1 service, 2 policies, no errors"), "{said}");
    Ok(())
}

/// A sample of an instance, of now.
async fn sample(scene: &Scene, id: &str, value: u32) -> Result<()> {
    scene.store.put(&format!("/metrics/webserver/{id}/cpu_user/{}", now()), &value.to_string()).await?;
    Ok(())
}

async fn load_of_two(scene: &Scene, value: u32) -> Result<()> {
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
    ensure!(daemon.log().contains("custom: "), "the log says which policy, and why: {}", daemon.log());
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
    eventually(&daemon, async || {
        ensure!(daemon.log().contains("the changed module is refused; the old one stays"), "not refused");
        Ok(())
    })
    .await?;
    // It does not know the configuration of the other, so it is refused too.
    replace(std::fs::read(module("threshold", Target::Bare)?)?)?;
    eventually(&daemon, async || {
        ensure!(daemon.log().contains("it does not take the configuration"), "not refused");
        Ok(())
    })
    .await?;
    replace(std::fs::read(module("hostile", Target::Wasi)?)?)?;
    eventually(&daemon, async || {
        ensure!(daemon.log().contains("took over a new module"), "not taken over");
        Ok(())
    })
    .await
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
