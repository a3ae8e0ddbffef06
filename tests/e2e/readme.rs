//! The documents keep their word: every block of commands in them is run, here or by the test that is named, every link leads
//! somewhere, and every path is there.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use dynamite::store::connect::Api;
use dynamite_tests::bench::Target;
use dynamite_tests::daemon::{Daemon, Events, binary};
use dynamite_tests::events::ended;
use dynamite_tests::scene::{Scene, machines};
use tokio::process::Command;

/// The first words of each block, and who runs it.
const BLOCKS: [(&str, &str); 8] = [
    ("cargo run --release -- demo", "it_scales_up_and_down_and_leaves_nothing_but_a_chart"),
    ("cargo run --release -- run --embedded", "one_machine_is_scaled"),
    ("cargo run --release -- run -c examples/apache", "a_cluster_is_scaled"),
    ("etcdctl set /services", "a_cluster_is_scaled"),
    ("dynamite policy new", "a_policy_is_written_built_and_tested"),
    ("docker build", "build_and_try"),
    ("dynamite run --embedded", "decisions_are_found_among_events"),
    ("cargo ci", "the_steps_of_the_check_are_told_as_they_are"),
];
/// What a block may be. Commands are in the first kind alone, as they would not be found in another.
const KINDS: [&str; 3] = ["sh", "yaml", "text"];
/// How a path of this repository begins.
const FOLDERS: [&str; 7] = ["host/", "tests/", "policies/", "examples/", "wit/", ".ci/", ".github/"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> Result<String> {
    let path = root().join(path);
    std::fs::read_to_string(&path).with_context(|| path.display().to_string())
}

/// The Markdown files in a folder, and in the folders in it, as paths from the root.
fn markdown(folder: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join(folder))? {
        let name = Path::new(folder).join(entry?.file_name());
        let inner = name.join("README.md");
        found.extend([name, inner].into_iter().filter(|path| {
            path.extension().is_some_and(|extension| extension == "md") && root().join(path).is_file()
        }));
    }
    found.sort();
    Ok(found)
}

/// The documents whose commands are run, as paths from the root.
fn documents() -> Result<Vec<PathBuf>> {
    let mut documents = vec![PathBuf::from("README.md"), PathBuf::from(".github/CONTRIBUTING.md")];
    documents.extend(markdown("host/docs")?);
    ensure!(documents.len() > 8, "the documents are where they are looked for: {documents:?}");
    Ok(documents)
}

/// The blocks of commands of all documents, without comments.
fn blocks() -> Result<Vec<String>> {
    let mut found = Vec::new();
    for document in documents()? {
        let text = read(document)?;
        let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next());
        let bare = |line: &str| line.split("  # ").next().unwrap_or(line).trim_end().to_owned();
        found.extend(blocks.map(|block| block.lines().map(bare).collect::<Vec<_>>().join("\n")));
    }
    Ok(found)
}

/// A text without its blocks, and what each of those is said to be.
fn prose(text: &str) -> (String, Vec<&str>) {
    let (mut prose, mut kinds, mut is_inside) = (String::new(), Vec::new(), false);
    for line in text.lines() {
        if let Some(kind) = line.trim_start().strip_prefix("```") {
            is_inside = !is_inside;
            kinds.extend(is_inside.then_some(kind));
        } else if !is_inside {
            prose.push_str(line);
            prose.push('\n');
        }
    }
    (prose, kinds)
}

/// What a link to a heading of this text is called.
fn anchors(text: &str) -> HashSet<String> {
    let (prose, _) = prose(text);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let name = |heading: &str| {
        let words = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        words.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
    };
    headings.map(name).collect()
}

/// The block that begins like this.
fn block(start: &str) -> Result<String> {
    blocks()?.into_iter().find(|block| block.starts_with(start)).context("no such block")
}

/// The words of the command in a block that has this one among them, behind `cargo run --release --` or `dynamite`.
fn arguments(block: &str, has: &str) -> Result<Vec<String>> {
    let line =
        block.lines().find(|line| line.split(' ').any(|word| word == has)).context("no such command")?;
    let words = line.strip_prefix("cargo run --release -- ").or(line.strip_prefix("dynamite "));
    Ok(words.context("no dynamite is run")?.split_whitespace().map(str::to_owned).collect())
}

/// The same words, with the examples where they are and the data in this folder.
fn here(words: Vec<String>, data: &Path) -> Vec<String> {
    let place = |word: String| match word.as_str() {
        "data" => data.display().to_string(),
        example if example.starts_with("examples/") => root().join(example).display().to_string(),
        _ => word,
    };
    words.into_iter().map(place).collect()
}

/// Runs `dynamite run --embedded` of a block. Others may use the usual ports.
fn embedded(mut words: Vec<String>, events: &Events) -> Result<Daemon> {
    words.extend(
        ["--listen-etcd=127.0.0.1:0", "--listen-fleet=127.0.0.1:0", "--admin=off"].map(str::to_owned),
    );
    Daemon::with(&words.iter().map(String::as_str).collect::<Vec<_>>(), "info", events)
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
        let blocks = blocks()?.iter().filter(|block| block.starts_with(start)).count();
        ensure!(blocks == 1, "`{start}` begins {blocks} blocks, of which its test runs one");
        ensure!(sources.contains(&format!("fn {test}(")), "there is no test {test}");
    }
    Ok(())
}

#[test]
fn commands_are_in_blocks_that_are_looked_at() -> Result<()> {
    for document in documents()? {
        let text = read(&document)?;
        let (prose, kinds) = prose(&text);
        for kind in kinds {
            ensure!(KINDS.contains(&kind), "{}: a block of `{kind}`", document.display());
        }
        let indented = prose.lines().find(|line| line.starts_with("    "));
        ensure!(indented.is_none(), "{}: a block without a kind: {indented:?}", document.display());
    }
    Ok(())
}

#[test]
fn every_link_leads_somewhere() -> Result<()> {
    let mut all = documents()?;
    for folder in ["examples", "policies", "tests"] {
        all.extend(markdown(folder)?);
    }
    let mut wrong = Vec::new();
    for document in all {
        let text = read(&document)?;
        let (prose, _) = prose(&text);
        let links = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let folder = document.parent().unwrap_or(Path::new(""));
            let target = if path.is_empty() { document.clone() } else { folder.join(path) };
            let leads = root().join(&target).exists()
                && (anchor.is_empty() || anchors(&read(&target)?).contains(anchor));
            wrong.extend((!leads).then(|| format!("{}: {link}", document.display())));
        }
    }
    ensure!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_path_in_the_documents_is_there() -> Result<()> {
    let mut wrong = Vec::new();
    for document in documents()? {
        let text = read(&document)?;
        let (prose, _) = prose(&text);
        let code = prose.split('`').skip(1).step_by(2);
        let paths = code.filter(|code| FOLDERS.iter().any(|folder| code.starts_with(folder)));
        let paths = paths.filter(|path| !path.contains(['<', '*', ' ']));
        let missing = paths.filter(|path| !root().join(path).exists());
        wrong.extend(missing.map(|path| format!("{}: {path}", document.display())));
    }
    ensure!(wrong.is_empty(), "there is no such thing:\n{}", wrong.join("\n"));
    Ok(())
}

#[tokio::test]
async fn the_steps_of_the_check_are_told_as_they_are() -> Result<()> {
    let (source, guide) = (read("tests/src/bin/ci.rs")?, read(".github/CONTRIBUTING.md")?);
    let steps = source.split("name: \"").skip(1).filter_map(|rest| rest.split('"').next());
    let steps: Vec<&str> = steps.collect();
    let rows = guide.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0));
    let told: Vec<&str> = rows.filter(|row| !row.contains(' ')).collect();
    ensure!(!steps.is_empty() && steps == told, "there are {steps:?}, and the guide has {told:?}");
    // The whole check is what runs this.
    let block = block("cargo ci")?;
    let lines = block.lines().filter(|line| *line != "cargo ci").collect::<Vec<_>>().join("\n");
    let output = Command::new("sh").args(["-euc", &lines]).current_dir(root()).output().await?;
    ensure!(output.status.success(), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn decisions_are_found_among_events() -> Result<()> {
    let block = block("dynamite run --embedded")?;
    let folder = tempfile::tempdir()?;
    let mut run = here(arguments(&block, "run")?, &folder.path().join("data"));
    // The harness names the file, which it reads too.
    let at = run.iter().position(|word| word == "--events").context("no --events")?;
    let file = run.drain(at..at + 2).next_back().context("no file of events")?;
    let data = folder.path().join("data");
    let daemon = embedded(run, &Events::Into(folder.path().join(file)))?;
    daemon.until(&ended("web@8000.service", "started")).await?;
    daemon.terminate().await?;
    let stopped = Command::new(binary()?).arg("stop").arg("--data-dir").arg(data).output().await?;
    ensure!(stopped.status.success(), "{stopped:?}");
    let (_, look) = block.split_once('\n').context("a second command")?;
    let output = Command::new("sh").args(["-euc", look]).current_dir(folder.path()).output().await?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success() && said.contains("web@8000.service"), "{output:?}");
    Ok(())
}

#[tokio::test]
async fn one_machine_is_scaled() -> Result<()> {
    let block = block("cargo run --release -- run --embedded")?;
    let folder = tempfile::tempdir()?;
    let here = |words| here(words, folder.path());
    let daemon = embedded(here(arguments(&block, "run")?), &Events::Own)?;
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
