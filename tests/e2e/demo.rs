//! `dynamite demo`: it scales, sums up, leaves its chart, and nothing else, however it ends.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use dynamite_tests::daemon::binary;
use dynamite_tests::modules::{Target, module};
use dynamite_tests::wait;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{Duration, timeout};

/// Far longer than a minute, for machines that are busy.
const PATIENCE: Duration = Duration::from_secs(150);

/// A demo that runs, in a folder of its own, with a folder for temporary files in it.
struct Demo {
    child: Child,
    pid: u32,
    lines: Lines<BufReader<ChildStdout>>,
    said: String,
    folder: TempDir,
}

impl Demo {
    fn start(more: &[&str]) -> Result<Self> {
        let folder = TempDir::new()?;
        std::fs::create_dir(folder.path().join("tmp"))?;
        let mut child = Command::new(binary()?)
            .arg("demo")
            .args(more)
            .current_dir(&folder)
            .env("TMPDIR", folder.path().join("tmp"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().context("it runs")?;
        let lines = BufReader::new(child.stdout.take().context("a pipe")?).lines();
        Ok(Self { child, pid, lines, said: String::new(), folder })
    }

    /// Reads until a line contains this.
    async fn until(&mut self, part: &str) -> Result<()> {
        timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await? {
                self.said.extend([&line, "\n"]);
                if line.contains(part) {
                    return Ok(());
                }
            }
            anyhow::bail!("it said no word of `{part}`:\n{}", self.said)
        })
        .await
        .with_context(|| format!("no `{part}` in time"))?
    }

    async fn signal(&self, signal: &str) -> Result<()> {
        let status = Command::new("kill").args([signal, &self.pid.to_string()]).status().await?;
        ensure!(status.success(), "kill {signal}: {status}");
        Ok(())
    }

    /// Reads the rest. Returns the exit code and what went to standard error.
    async fn end(&mut self) -> Result<(Option<i32>, String)> {
        let reading = async {
            while let Some(line) = self.lines.next_line().await? {
                self.said.extend([&line, "\n"]);
            }
            let mut wrong = String::new();
            let mut stderr = self.child.stderr.take().context("a pipe")?;
            stderr.read_to_string(&mut wrong).await?;
            anyhow::Ok((self.child.wait().await?.code(), wrong))
        };
        timeout(PATIENCE, reading).await.context("it does not end")?
    }

    /// Whether there is nothing left but the chart, if that.
    fn check_folder(&self) -> Result<()> {
        let names = |path: &Path| -> Result<Vec<_>> {
            Ok(std::fs::read_dir(path)?
                .map(|entry| Ok(entry?.file_name()))
                .collect::<std::io::Result<_>>()?)
        };
        let left = names(&self.folder.path().join("tmp"))?;
        ensure!(left.is_empty(), "temporary files are left: {left:?}");
        let mut left = names(self.folder.path())?;
        left.retain(|name| name != "tmp" && name != "dynamite-demo.svg");
        ensure!(left.is_empty(), "files are left: {left:?}");
        Ok(())
    }

    /// Processes that the demo started, by their command lines.
    fn processes(&self) -> Vec<String> {
        let marks = [format!("kill -0 {};", self.pid), self.folder.path().display().to_string()];
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
        lines.filter(|line| marks.iter().any(|mark| line.contains(mark))).collect()
    }

    async fn until_no_process_is_left(&self) -> Result<()> {
        wait::until("processes to end", PATIENCE, async || {
            let left = self.processes();
            if left.is_empty() { Ok(()) } else { Err(left) }
        })
        .await
    }
}

/// Fails where a text is no XML with elements and texts alone, as the demo writes it.
fn check_xml(text: &str) -> Result<()> {
    let mut open = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        ensure!(!before.contains('>'), "a `>` in `{before}`");
        for (_, entity) in before.match_indices('&').map(|(at, _)| (at, &before[at..])) {
            let known = ["&amp;", "&lt;", "&gt;", "&quot;"];
            ensure!(known.iter().any(|known| entity.starts_with(known)), "`{entity}`");
        }
        let (tag, after) = after.split_once('>').context("an open tag")?;
        ensure!(tag.matches('"').count() % 2 == 0, "quotes in `{tag}`");
        if let Some(name) = tag.strip_prefix('/') {
            ensure!(open.pop() == Some(name), "`{name}` was not open");
        } else if !tag.ends_with('/') {
            open.push(tag.split_whitespace().next().context("a name")?);
        }
        rest = after;
    }
    ensure!(open.is_empty() && rest.trim().is_empty(), "open at the end: {open:?}");
    Ok(())
}

#[tokio::test]
async fn it_scales_up_and_down_and_leaves_nothing_but_a_chart() -> Result<()> {
    let mut demo = Demo::start(&[])?;
    demo.until("web: web@8080.service is up").await?;
    let running = demo.processes();
    ensure!(running.iter().any(|line| line.contains("kill -0")), "no unit runs: {running:?}");
    demo.until("web: up web@8081.service: web_up: requests of web-8080 is ").await?;
    demo.until("web: down web@").await?;
    let (code, wrong) = demo.end().await?;
    let said = &demo.said;
    ensure!(code == Some(0) && wrong.is_empty(), "{code:?}: {wrong}\n{said}");
    for part in [
        "worker: up worker@2.service: worker_share: each of 1 has ",
        "worker: down worker@",
        "it ended after ",
        "\nload     from 40 up to 390, at the end 40 requests per second\n",
        "\nthe first instance ran after ",
        " units and removed all files but the chart: dynamite-demo.svg",
    ] {
        ensure!(said.contains(part), "no word of `{part}`:\n{said}");
    }
    let chart = std::fs::read_to_string(demo.folder.path().join("dynamite-demo.svg"))?;
    check_xml(&chart)?;
    ensure!(chart.contains("web: up web@8081.service: web_up: requests of web-8080 is "), "{chart}");
    demo.check_folder()?;
    demo.until_no_process_is_left().await
}

#[tokio::test]
async fn a_signal_in_the_middle_ends_it_as_cleanly() -> Result<()> {
    for (signal, name) in [("-INT", "SIGINT"), ("-TERM", "SIGTERM")] {
        let mut demo = Demo::start(&["--keep"])?;
        demo.until("/v2/keys/demo/load").await?;
        demo.until("worker: worker@1.service is up").await?;
        demo.signal(signal).await?;
        let (code, wrong) = demo.end().await?;
        ensure!(code == Some(0) && wrong.is_empty(), "{code:?}: {wrong}\n{}", demo.said);
        ensure!(demo.said.contains(&format!("{name} after ")), "{}", demo.said);
        check_xml(&std::fs::read_to_string(demo.folder.path().join("dynamite-demo.svg"))?)?;
        demo.check_folder()?;
        demo.until_no_process_is_left().await?;
    }
    Ok(())
}

#[tokio::test]
async fn units_do_not_outlive_a_demo_that_is_killed() -> Result<()> {
    let mut demo = Demo::start(&[])?;
    demo.until("web: web@8080.service is up").await?;
    ensure!(!demo.processes().is_empty(), "no unit runs");
    demo.signal("-KILL").await?;
    // Until somebody asks how it ended, it counts as there.
    timeout(PATIENCE, demo.child.wait()).await.context("it does not die")??;
    demo.until_no_process_is_left().await
}

#[tokio::test]
async fn a_module_of_somebody_else_is_taken_or_refused() -> Result<()> {
    let module = module("keep-share", Target::Bare)?;
    let module = module.to_str().context("a path of text")?;
    let mut demo = Demo::start(&["--policy", module])?;
    let (code, wrong) = demo.end().await?;
    ensure!(code == Some(1) && wrong.contains("target"), "{code:?}: {wrong}\n{}", demo.said);
    demo.check_folder()?;
    let mut demo = Demo::start(&["--policy", module, "--policy-config", r#"{"target": 10}"#])?;
    demo.until("worker: up worker@4.service: worker_share: each of 1 has ").await?;
    demo.signal("-INT").await?;
    let (code, wrong) = demo.end().await?;
    ensure!(code == Some(0), "{code:?}: {wrong}\n{}", demo.said);
    demo.until_no_process_is_left().await
}

/// What each case takes of a module. Bytes may differ from one folder to the next: names that a compiler makes hold it.
fn costs(module: &Path) -> Result<Vec<(serde_json::Value, serde_json::Value)>> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/demo/cases.yaml");
    let mut command = std::process::Command::new(binary()?);
    let output = command.args(["policy", "test", "--format", "json"]).args([module, &cases]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let cases = report["files"][0]["cases"].as_array().context("no cases")?;
    Ok(cases.iter().map(|case| (case["name"].clone(), case["fuel_max"].clone())).collect())
}

#[test]
fn the_module_of_the_demo_is_what_its_source_makes() -> Result<()> {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/demo/keep_share.wasm");
    let built = module("keep-share", Target::Bare)?;
    let (expected, found) = (costs(&built)?, costs(&kept)?);
    // A case whose configuration is refused takes none.
    ensure!(expected.iter().filter(|(_, fuel)| fuel.is_u64()).count() >= 6, "{expected:?}");
    ensure!(
        expected == found,
        "the source has changed: copy `{}` to `examples/demo/keep_share.wasm`",
        built.display()
    );
    Ok(())
}
