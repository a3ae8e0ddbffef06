//! `dynamite run --embedded`: etcd, fleet and the units on one machine, with nothing else installed.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use dynamite_tests::daemon::{self, Daemon};
use dynamite_tests::events::ended;
use dynamite_tests::scene::{eventually, now};
use serde_json::json;
use tempfile::TempDir;

const CONFIG: &str = "\
Dynamite:
  ServiceFiles: {PathList: [units]}
  Service:
    web:
      name_of_unit_file: web@.service
      type: webserver
      min_instance: 1
      max_instance: 3
      base_instance_prefix_number: 8080
      scale_up_policy: {ScalingPolicy: up}
      scale_down_policy: {ScalingPolicy: down}
  ScalingPolicy:
    up: {service_type: webserver, metric: load, metric_aggregated: true, comparative_operator: gt, threshold: 90}
    down: {service_type: webserver, metric: load, metric_aggregated: true, comparative_operator: lt, threshold: 10}
";

/// A machine with nothing but Dynamite, whose folder is in the command line of every process.
struct Machine {
    folder: TempDir,
    http: reqwest::Client,
}

impl Machine {
    /// With one template service that runs this.
    fn new(unit: &str) -> Result<Self> {
        let folder = TempDir::new()?;
        std::fs::create_dir(folder.path().join("units"))?;
        let unit = unit.replace("DIR", folder.path().to_str().context("a path that is text")?);
        std::fs::write(folder.path().join("units/web@.service"), format!("[Service]\n{unit}\n"))?;
        std::fs::write(folder.path().join("dynamite.yaml"), CONFIG)?;
        dynamite::tls::install_provider();
        Ok(Self { folder, http: reqwest::Client::builder().no_proxy().build()? })
    }

    fn arguments(&self) -> Result<Vec<String>> {
        let path =
            |name: &str| anyhow::Ok(self.folder.path().join(name).to_str().context("text")?.to_owned());
        let any = "127.0.0.1:0".to_owned();
        let mut arguments = vec!["run".to_owned(), "--embedded".to_owned()];
        arguments.extend(["-c".to_owned(), path("dynamite.yaml")?, "--data-dir".to_owned(), path("data")?]);
        arguments.extend(["--listen-etcd".to_owned(), any.clone(), "--listen-fleet".to_owned(), any]);
        arguments.extend(["--lease-ttl".to_owned(), "2".to_owned()]);
        Ok(arguments)
    }

    fn dynamite(&self) -> Result<Daemon> {
        let arguments = self.arguments()?;
        Daemon::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), "info")
    }

    /// What the log says of where something is served, as nothing else does.
    async fn place(&self, daemon: &Daemon, what: &str) -> Result<String> {
        let find = |log: &str| {
            let line = log.lines().find(|line| line.contains("are served here"))?;
            let behind = line.split(&format!("{what}=")).nth(1)?;
            Some(behind.split_whitespace().next()?.trim_matches('"').to_owned())
        };
        eventually(daemon, async || find(&daemon.log()).map(drop).context("nothing is served")).await?;
        find(&daemon.log()).context("nothing is served")
    }

    /// Writes a sample with plain HTTP, as `curl` would.
    async fn sample(&self, etcd: &str, value: u32) -> Result<()> {
        let url = format!("{etcd}/v2/keys/metrics/webserver/load/{}", now().as_millisecond());
        let sent = self.http.put(url).body(format!("value={value}"));
        let sent = sent.header("content-type", "application/x-www-form-urlencoded").send().await?;
        ensure!(sent.status().is_success(), "{}", sent.text().await?);
        Ok(())
    }

    /// The main processes by their numbers.
    fn instances(&self) -> Vec<(u32, i32)> {
        let start = format!("{}/main ", self.folder.path().display());
        let mut found: Vec<(u32, i32)> = processes()
            .filter_map(|(pid, line)| Some((line.split(&start).nth(1)?.trim().parse().ok()?, pid)))
            .collect();
        found.sort_unstable();
        found
    }

    async fn until_instances(&self, daemon: &Daemon, numbers: &[u32]) -> Result<Vec<(u32, i32)>> {
        eventually(daemon, async || {
            let found = self.instances();
            ensure!(found.iter().map(|(number, _)| number).eq(numbers), "{found:?}, not {numbers:?}");
            for number in numbers {
                let up = ended(&format!("web@{number}.service"), "started");
                ensure!(!daemon.matching(&up)?.is_empty(), "{number} is not up");
            }
            Ok(())
        })
        .await?;
        Ok(self.instances())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let folder = self.folder.path().to_string_lossy().into_owned();
        let mut own: Vec<_> = processes().filter(|(_, line)| line.contains(&folder)).collect();
        // Supervisors first, as they would start again what dies.
        own.sort_by_key(|(_, line)| !line.contains(" supervise "));
        for (pid, _) in own {
            let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
    }
}

/// Every process with its command line.
fn processes() -> impl Iterator<Item = (i32, String)> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    })
}

const SERVICE: &str = "ExecStart=/bin/sh -c 'echo serving on $1; sleep 1000; true' DIR/main %i";

#[tokio::test]
async fn one_command_scales_by_metrics_written_with_plain_http() -> Result<()> {
    let machine = Machine::new(SERVICE)?;
    let daemon = machine.dynamite()?;
    let etcd = machine.place(&daemon, "etcd").await?;
    machine.until_instances(&daemon, &[8080]).await?;
    daemon.until(&json!({ "event": "policies_live" })).await?;
    machine.sample(&etcd, 95).await?;
    machine.until_instances(&daemon, &[8080, 8081]).await?;
    machine.sample(&etcd, 96).await?;
    machine.until_instances(&daemon, &[8080, 8081, 8082]).await?;
    machine.sample(&etcd, 5).await?;
    machine.until_instances(&daemon, &[8080, 8081]).await?;
    // The log is where units are heard.
    eventually(&daemon, async || {
        ensure!(daemon.log().contains("web@8081.service: serving on 8081"), "no output");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_flood_of_output_stays_small_and_holds_up_nothing() -> Result<()> {
    // It notes how far it came: a unit that had to wait for its output would come to a stand.
    let flood = "ExecStart=/bin/sh -c 'for n in 1 2 3 4; do head -c 3000000 /dev/zero | tr \"\\\\0\" x; \
        yes | head -n 300000; echo $n > DIR/round; done; touch DIR/done; sleep 1000; true' DIR/main %i";
    let machine = Machine::new(flood)?;
    let daemon = machine.dynamite()?;
    let done = machine.folder.path().join("done");
    eventually(&daemon, async || {
        ensure!(done.exists(), "the unit does not come to its end");
        ensure!(daemon.log().contains("lines of output left out"), "nothing is said to be left out");
        ensure!(daemon.log().contains(" [cut]"), "no line is cut");
        Ok(())
    })
    .await?;
    let lines = daemon.log().lines().filter(|line| line.contains("web@8080.service: y")).count();
    ensure!((1..=3000).contains(&lines), "{lines} lines of more than a million");
    let kept = std::fs::read_dir(machine.folder.path().join("data/units/web@8080.service"))?;
    let bytes: u64 = kept.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    ensure!(bytes < 10_000, "{bytes} bytes on disk");
    ensure!(machine.instances().len() == 1, "it still runs");
    Ok(())
}

#[tokio::test]
async fn what_is_missing_is_named() -> Result<()> {
    let machine = Machine::new("ExecStart=/usr/bin/dockr run --name web-%i")?;
    let daemon = machine.dynamite()?;
    eventually(&daemon, async || {
        let said = "web@8080.service: ExecStart: /usr/bin/dockr cannot be run (203/EXEC): there is no such program; is \
            dockr installed on this machine?";
        ensure!(daemon.log().contains(said), "not yet");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_cannot_be_together_is_refused_with_a_reason() -> Result<()> {
    let machine = Machine::new(SERVICE)?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.to_string();
    let run = |more: &[&str]| {
        let mut command = std::process::Command::new(daemon::binary()?);
        let output = command.args(machine.arguments()?).args(more).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        anyhow::Ok((output.status.code(), said))
    };
    let (code, said) = run(&["-e", "127.0.0.1:2379"])?;
    ensure!(code == Some(2), "{said}");
    ensure!(said.contains("'--embedded' cannot be used with '--etcd-endpoint <ENDPOINT>'"), "{said}");
    let mut arguments = machine.arguments()?;
    for (flag, what) in [("--listen-etcd", "etcd"), ("--listen-fleet", "fleet")] {
        let at = arguments.iter().position(|argument| argument == flag).context("the flag")?;
        let old = std::mem::replace(&mut arguments[at + 1], port.clone());
        let output = std::process::Command::new(daemon::binary()?).args(&arguments).output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(71), "{said}");
        ensure!(
            said.contains(&format!("{what} cannot be served; {flag} takes another address than {port}")),
            "{said}"
        );
        ensure!(said.contains("Address already in use"), "{said}");
        arguments[at + 1] = old;
    }
    let file: PathBuf = machine.folder.path().join("data/units");
    ensure!(std::fs::read_dir(file).map_or(0, Iterator::count) == 0, "nothing was started");
    Ok(())
}

#[tokio::test]
async fn units_outlive_both_ends_of_dynamite_until_they_are_stopped() -> Result<()> {
    let machine = Machine::new(SERVICE)?;
    let daemon = machine.dynamite()?;
    let before = machine.until_instances(&daemon, &[8080]).await?;
    let running = json!({ "event": "running" });
    daemon.until(&running).await?;
    daemon.kill().await?;
    ensure!(machine.instances() == before, "they outlive a crash");

    let daemon = machine.dynamite()?;
    daemon.until(&running).await?;
    ensure!(machine.instances() == before, "a new one carries on with the same processes: {}", daemon.log());
    let stop = || {
        let data = machine.folder.path().join("data");
        std::process::Command::new(daemon::binary()?)
            .arg("stop")
            .arg("--data-dir")
            .arg(data)
            .output()
            .map_err(anyhow::Error::from)
    };
    let refused = stop()?;
    ensure!(!refused.status.success(), "it is in use");
    ensure!(String::from_utf8_lossy(&refused.stderr).contains("is in use by another `dynamite`"));
    ensure!(daemon.terminate().await?.0.success());
    ensure!(machine.instances() == before, "they outlive an end");

    let stopped = stop()?;
    ensure!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    ensure!(String::from_utf8_lossy(&stopped.stdout) == "1 units stopped\n");
    ensure!(machine.instances().is_empty(), "and are ended on demand");
    Ok(())
}
