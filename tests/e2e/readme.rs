//! The README keeps its word: every block of commands in it is run, here or by the test that is named.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use dynamite::store::connect::Api;
use dynamite_tests::bench::Target;
use dynamite_tests::daemon::{Daemon, binary};
use dynamite_tests::events::ended;
use dynamite_tests::scene::{Scene, machines};
use tokio::process::Command;

/// The first words of each block, and who runs it.
const BLOCKS: [(&str, &str); 6] = [
    ("cargo run --release -- demo", "it_scales_up_and_down_and_leaves_nothing_but_a_chart"),
    ("cargo run --release -- run --embedded", "one_machine_is_scaled"),
    ("cargo run --release -- run -c examples/apache", "a_cluster_is_scaled"),
    ("etcdctl set /services", "a_cluster_is_scaled"),
    ("dynamite policy new", "a_policy_is_written_built_and_tested"),
    ("docker build", "build_and_try"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The blocks of commands, without comments.
fn blocks() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root().join("README.md"))?;
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
    let bare = |line: &str| line.split("  # ").next().unwrap_or(line).trim_end().to_owned();
    Ok(blocks.map(|block| block.lines().map(bare).collect::<Vec<_>>().join("\n")).collect())
}

/// The block that begins like this.
fn block(start: &str) -> Result<String> {
    blocks()?.into_iter().find(|block| block.starts_with(start)).context("no such block")
}

/// The words of the command in a block that has this one among them, behind `cargo run --release --`.
fn arguments(block: &str, has: &str) -> Result<Vec<String>> {
    let line =
        block.lines().find(|line| line.split(' ').any(|word| word == has)).context("no such command")?;
    let words = line.strip_prefix("cargo run --release -- ").context("not run with cargo")?;
    Ok(words.split_whitespace().map(str::to_owned).collect())
}

fn sources() -> Result<String> {
    let mut text = String::new();
    for folder in ["tests/e2e", "tests/src/bin"] {
        for entry in std::fs::read_dir(root().join(folder))? {
            let path = entry?.path();
            if path.is_file() {
                text.push_str(&std::fs::read_to_string(path)?);
            }
        }
    }
    Ok(text)
}

#[test]
fn every_block_of_commands_is_run_by_a_test() -> Result<()> {
    let sources = sources()?;
    let known = BLOCKS.map(|(start, _)| start);
    for block in blocks()? {
        ensure!(known.iter().any(|start| block.starts_with(start)), "nobody runs this:\n{block}");
    }
    for (start, test) in BLOCKS {
        block(start).with_context(|| format!("the README has no `{start}` any more"))?;
        ensure!(sources.contains(&format!("fn {test}(")), "there is no test {test}");
    }
    Ok(())
}

#[tokio::test]
async fn one_machine_is_scaled() -> Result<()> {
    let block = block("cargo run --release -- run --embedded")?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().to_str().context("a path that is text")?;
    let here = |words: Vec<String>| -> Vec<String> {
        let example = |word: String| {
            if word.starts_with("examples/") { root().join(word).display().to_string() } else { word }
        };
        words.into_iter().map(|word| if word == "data" { data.to_owned() } else { example(word) }).collect()
    };
    let mut run = here(arguments(&block, "run")?);
    // Others may use the usual ports.
    run.extend(["--listen-etcd=127.0.0.1:0", "--listen-fleet=127.0.0.1:0", "--admin=off"].map(str::to_owned));
    let daemon = Daemon::start(&run.iter().map(String::as_str).collect::<Vec<_>>(), "info")?;
    let served = |log: &str| Some(log.split_once("served here etcd=\"")?.1.split_once('"')?.0.to_owned());
    daemon.until(&ended("web@8000.service", "started")).await?;
    let etcd = served(&daemon.log()).context("no etcd")?;
    let mut load = Command::new(binary()?);
    load.args(here(arguments(&block, "generate")?)).args(["-e", &etcd]).stdout(Stdio::null());
    let mut load = load.kill_on_drop(true).spawn()?;
    daemon.until(&ended("web@8002.service", "started")).await?;
    daemon.until(&ended("web@8002.service", "stopped")).await?;
    ensure!(load.wait().await?.success());
    daemon.until(&ended("web@8001.service", "stopped")).await?;
    daemon.terminate().await?;
    let stopped = Command::new(binary()?).args(here(arguments(&block, "stop")?)).output().await?;
    let said = String::from_utf8_lossy(&stopped.stdout);
    ensure!(stopped.status.success() && said.contains("1 unit"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_cluster_is_scaled() -> Result<()> {
    let scene = Scene::with(&Target::default(), Api::V2, machines(12)).await?;
    let words = arguments(&block("cargo run --release -- run -c examples/apache")?, "run")?;
    let config = words.iter().find(|word| word.starts_with("examples/")).context("a configuration")?;
    let daemon = scene.dynamite_on(&root().join(config), "info")?;
    scene.until_running(&daemon).await?;
    let mut shell = Command::new("sh");
    shell.args(["-euc", &block("etcdctl set /services")?]);
    shell.env("ETCDCTL_API", "2").env("ETCDCTL_ENDPOINTS", format!("http://{}", scene.etcd_endpoint()));
    let output = shell.kill_on_drop(true).output().await?;
    ensure!(output.status.success(), "{output:?}");
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await?;
    // The README shows this line.
    ensure!(daemon.log().contains("cpu_user of 4f2a is 95 (> 90 for 15s)"), "{}", daemon.log());
    Ok(())
}

#[tokio::test]
async fn a_policy_is_written_built_and_tested() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let programs = binary()?.parent().context("a folder of programs")?;
    let path = std::env::join_paths(
        [programs.to_owned()]
            .into_iter()
            .chain(std::env::split_paths(&std::env::var_os("PATH").context("a PATH")?)),
    )?;
    let mut shell = Command::new("sh");
    shell.args(["-euc", &block("dynamite policy new")?]).current_dir(folder.path()).env("PATH", path);
    shell.env("DYNAMITE_CACHE_DIR", programs.join("cache")).env_remove("CARGO_TARGET_DIR");
    let output = shell.kill_on_drop(true).output().await?;
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    ensure!(output.status.success(), "{said}");
    ensure!(said.contains("test result: ok. 6 passed"), "{said}");
    Ok(())
}
