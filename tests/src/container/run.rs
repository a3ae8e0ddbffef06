//! The image at work: what it exits with, and scaling on a real etcd and the fleet server, in the ways that the examples show.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, ensure};
use dynamite::embedded::fleet::Options;
use dynamite::store::Store;
use dynamite::store::connect::Api;
use tokio::process::Child;
use tokio::time::{Duration, timeout};

use super::image::IMAGE;
use super::tools::{Container, Tools};
use super::{file, say};
use crate::bench::Target;
use crate::compose::Compose;
use crate::scene::{Scene, machines, now};
use crate::wait;

/// How long anything may take that shall happen.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long a container may take to end when it is told to. Docker kills it after ten seconds.
const STOP_TIME_MAX: Duration = Duration::from_secs(9);
/// A group that owns fleet's socket in the test, and nothing else.
const GROUP: u32 = 4242;

/// Commands that need neither etcd nor fleet, and what they exit with.
///
/// # Errors
/// What went otherwise.
pub async fn commands(tools: &Tools) -> Result<()> {
    let wrong = tools.folder().join("config.yaml");
    std::fs::write(&wrong, "Dynamite: {Servce: {}}\n")?;
    let (apache, fleet_unit) = (file("examples/apache"), file("examples/fleet-unit/config"));
    for (mount, to, args, code, said) in [
        (
            &apache,
            "/etc/dynamite",
            &["check", "/etc/dynamite/dynamite.yaml"][..],
            0,
            "3 services, 2 policies, no errors",
        ),
        (&fleet_unit, "/etc/dynamite", &["check"], 0, "1 service, 1 policy, no errors"),
        (&wrong, "/etc/dynamite/config.yaml", &["check"], 1, "did you mean `Service`?"),
        (&wrong, "/etc/dynamite/config.yaml", &[], 78, "did you mean `Service`?"),
        (&apache, "/etc/dynamite", &["--frobnicate"], 2, "unexpected argument"),
        (&apache, "/etc/dynamite", &["health", "--admin", "127.0.0.1:9"], 1, "not ready: nobody answers"),
    ] {
        let volume = format!("{}:{to}:ro", mount.display());
        let flags = [
            "run",
            "--rm",
            "--no-healthcheck",
            "--read-only",
            "--cap-drop",
            "ALL",
            "--volume",
            &volume,
            IMAGE,
        ];
        let output = tools.podman(flags.iter().chain(args)).await?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(
            output.status.code() == Some(code) && text.contains(said),
            "{args:?}: {}: {text}",
            output.status
        );
    }
    for policy in ["schedule", "step", "target_tracking", "threshold", "trend"] {
        let path = format!("/usr/share/dynamite/policies/{policy}.wasm");
        let said = tools
            .ask(&["run", "--rm", "--no-healthcheck", "--read-only", IMAGE, "policy", "inspect", &path])
            .await?;
        ensure!(said.contains(&policy.replace('_', "-")), "{policy}: {said}");
    }
    say("commands and exit codes are as they should be");
    Ok(())
}

/// The compose file's Dynamite scales the seed's example, by a threshold in the YAML.
///
/// # Errors
/// What went otherwise.
pub async fn threshold(tools: &Tools) -> Result<()> {
    let scene = Scene::with(&Target::default(), Api::V2, machines(5)).await?;
    let folder = file("examples/compose");
    let service =
        Compose::read(&folder.join("compose.yaml"))?.services.remove("dynamite").context("a service")?;
    let mut flags = service.flags(&folder);
    // etcd is found by its name, as under compose, but on this machine's loopback; fleet is where a variable says.
    let etcd = scene.etcd_endpoint().replace("127.0.0.1", "etcd");
    flags.extend(["--add-host".to_owned(), "etcd:127.0.0.1".to_owned()]);
    flags.extend(places(&etcd)?);
    flags.push(format!("--env=DYNAMITE_FLEET_ENDPOINT={}", scene.fleet_endpoint()));
    let container = tools.start("dynamite-test", &flags, IMAGE).await?;
    until(&container, async || {
        ensure!(scene.apaches() == [8080, 8081], "running: {:?}", scene.running());
        container.healthy().await
    })
    .await?;
    scene.register("4f2a", "apache@8080.service").await?;
    for second in [0, 15] {
        scene.sample("4f2a", second, "95").await?;
    }
    until(&container, async || {
        ensure!(scene.apaches() == [8080, 8081, 8082], "running: {:?}", scene.running());
        Ok(())
    })
    .await?;
    say("under compose's settings it scaled by a threshold");
    let (took, code) = container.stop().await?;
    let log = container.log().await?;
    ensure!(code == 0 && took < STOP_TIME_MAX, "it exited with {code} after {took:?}:\n{log}");
    ensure!(log.contains("\"signal\":\"SIGTERM\"") && !log.contains("\"WARN\""), "{log}");
    say(&format!("it ended with 0, {:.1} s after SIGTERM", took.as_secs_f64()));
    Ok(())
}

/// fleet's unit of Dynamite scales by a policy in a module of the image, over fleet's socket.
///
/// # Errors
/// What went otherwise.
pub async fn unit(tools: &Tools) -> Result<()> {
    let log = tools.folder().join("unit.log");
    let tried = try_unit(tools, &log).await;
    tried.with_context(|| std::fs::read_to_string(log).unwrap_or_default())
}

async fn try_unit(tools: &Tools, log: &Path) -> Result<()> {
    let socket = tools.folder().join("fleet.sock");
    let scene =
        Scene::with(&Target::default(), Api::V2, Options { unix: Some(socket.clone()), ..machines(8) })
            .await?;
    chown(&socket, None, Some(GROUP))?;
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o660))?;
    let container = Container { tools, name: "dynamite-test-1" };
    let mut started = exec(tools, "ExecStart", (&socket, scene.etcd_endpoint()), log)?;
    until(&container, async || {
        ensure!(
            scene.running() == ["web@8080.service", "web@8081.service"],
            "running: {:?}",
            scene.running()
        );
        container.healthy().await
    })
    .await?;
    until(&container, async || {
        for id in ["8080", "8081"] {
            scene.register(id, &format!("web@{id}.service")).await?;
            scene.store.put(&format!("/metrics/webserver/{id}/cpu_user/{}", now()), "110").await?;
        }
        ensure!(scene.running().len() == 4, "running: {:?}", scene.running());
        Ok(())
    })
    .await?;
    say("as fleet's unit it scaled by a policy in a module");
    let kept =
        tools.ask(&["volume", "inspect", "--format", "{{.Mountpoint}}", "dynamite-test-cache"]).await?;
    ensure!(std::fs::read_dir(&kept)?.count() > 0, "the compiled policy is kept in {kept}");
    let stopped = exec(tools, "ExecStop", (&socket, ""), log)?.wait().await?;
    ensure!(stopped.success(), "ExecStop: {stopped}");
    let ended: ExitStatus = timeout(PATIENCE, started.wait()).await??;
    tools.ask(&["volume", "rm", "dynamite-test-cache"]).await?;
    ensure!(ended.code() == Some(0), "it ended with {ended}");
    Ok(())
}

/// Flags that say where etcd is, and where on this machine's loopback there is room to be asked for the health.
fn places(etcd: &str) -> Result<[String; 2]> {
    let free = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    Ok([format!("--env=DYNAMITE_ETCD_ENDPOINT={etcd}"), format!("--env=DYNAMITE_ADMIN={free}")])
}

/// Runs a command of the unit file, as systemd would, but with podman and with the test's places.
fn exec(tools: &Tools, key: &str, (socket, etcd): (&Path, &str), log: &Path) -> Result<Child> {
    let text = std::fs::read_to_string(file("examples/fleet-unit/dynamite@.service"))?;
    let options = dynamite_units::parse(&text).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    let line = options.iter().find(|option| option.name == key).context("the key")?.value.clone();
    let line = line.strip_prefix("/bin/sh -c '").and_then(|line| line.strip_suffix('\'')).unwrap_or(&line);
    let config: PathBuf = file("examples/fleet-unit/config");
    let flags = places(etcd)?.join(" ");
    let line = line
        .replace("dynamite-%i", "dynamite-test-1")
        .replace("dynamite-cache", "dynamite-test-cache")
        .replace("%%", "%")
        .replace("/usr/bin/docker", "podman")
        .replace(" run ", &format!(" run --health-interval disable {flags} "))
        .replace("/var/run/fleet.sock)", &format!("{})", socket.display()))
        .replace("/var/run/fleet.sock:", &format!("{}:", socket.display()))
        .replace("/etc/dynamite:/", &format!("{}:/", config.display()))
        .replace("dynamite:0.1.0", IMAGE);
    let log = File::options().create(true).append(true).open(log)?;
    let mut command = tools.command("sh");
    command.args(["-euc", &line]).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    Ok(command.spawn()?)
}

/// Waits until something holds; tells what the container logged if it never does.
async fn until(container: &Container<'_>, mut look: impl AsyncFnMut() -> Result<()>) -> Result<()> {
    let held =
        wait::until("the container", PATIENCE, async || look().await.map_err(|error| format!("{error:#}")));
    match held.await {
        Ok(()) => Ok(()),
        Err(error) => Err(error.context(container.log().await?)),
    }
}
