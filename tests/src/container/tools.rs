//! podman, made to work on a bare machine, and containers that do not outlive a test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Duration, Instant};

use super::say;

/// What is installed where it is missing. runc and not crun, which does not start under hybrid cgroups.
const PACKAGES: &str = "podman buildah runc netavark debootstrap";

/// The host's network, as a bare machine may not be able to make another one, and limits that it surely may set.
const SETTINGS: &str = "\
[containers]
netns = \"host\"
default_ulimits = [\"nofile=4096:4096\", \"nproc=4096:4096\"]
[engine]
cgroup_manager = \"cgroupfs\"
events_logger = \"file\"
";

/// What this machine lacks. Nothing is wrong with the image then, but nothing is known of it either.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Missing(pub String);

/// A podman that works.
pub struct Tools {
    folder: TempDir,
    /// Whether this is root, who can make base images, and give a socket to a group.
    pub is_root: bool,
}

impl Tools {
    /// Finds podman, or installs it where that can be done without asking.
    ///
    /// # Errors
    /// [`Missing`] if it cannot be had.
    pub async fn find() -> Result<Self> {
        let id = Command::new("id").arg("-u").output().await?;
        let is_root = id.stdout.trim_ascii() == b"0";
        let folder = tempfile::tempdir()?;
        let tools = Self { folder, is_root };
        if !is_there("podman").await {
            tools.install().await?;
        }
        let runtime = if is_there("runc").await { "runtime = \"runc\"\n" } else { "" };
        std::fs::write(tools.settings(), format!("{SETTINGS}{runtime}"))?;
        Ok(tools)
    }

    /// Installs podman and what goes with it.
    ///
    /// # Errors
    /// [`Missing`] if that cannot be done.
    pub async fn install(&self) -> Result<()> {
        let install = format!("apt-get install -y --no-install-recommends {PACKAGES}");
        if !self.is_root || !is_there("apt-get").await {
            bail!(Missing(format!("podman is not there: `sudo {install}`")));
        }
        say("installing podman and what goes with it");
        let installed = self.shell(&format!("apt-get update -qq && {install} >&2")).await;
        Ok(installed.map_err(|error| Missing(format!("podman cannot be installed: {error:#}")))?)
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("containers.conf")
    }

    /// Runs a line of shell.
    ///
    /// # Errors
    /// That it fails, with what it said.
    pub async fn shell(&self, line: &str) -> Result<()> {
        let output = self.command("sh").args(["-euc", line]).output().await?;
        ensure!(output.status.success(), "`{line}`: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// A command that finds podman's settings.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("CONTAINERS_CONF", self.settings()).stdin(Stdio::null());
        command
    }

    /// Runs podman to its end, whatever that is.
    ///
    /// # Errors
    /// That it cannot be run.
    pub async fn podman<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Output> {
        self.command("podman").args(args).output().await.context("running podman")
    }

    /// Runs podman, and returns what it prints.
    ///
    /// # Errors
    /// That it fails, with what it said.
    pub async fn ask(&self, args: &[&str]) -> Result<String> {
        let output = self.podman(args).await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "podman {}: {said}", args.join(" "));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A folder for files that are needed as long as this.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a container in the background.
    ///
    /// # Errors
    /// That it cannot be started, with what podman said.
    pub async fn start(&self, name: &'static str, flags: &[String], image: &str) -> Result<Container<'_>> {
        let container = Container { tools: self, name };
        container.remove();
        // Without a timer of podman's, which needs systemd: the tests ask for the health themselves.
        let fixed = ["run", "--detach", "--health-interval", "disable", "--name", name];
        let output =
            self.podman(fixed.into_iter().chain(flags.iter().map(|flag| &**flag)).chain([image])).await?;
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(container)
    }
}

/// A container; it is removed when it is dropped.
pub struct Container<'t> {
    pub(super) tools: &'t Tools,
    pub(super) name: &'static str,
}

impl Container<'_> {
    /// What it has logged.
    ///
    /// # Errors
    /// What podman says.
    pub async fn log(&self) -> Result<String> {
        let output = self.tools.podman(["logs", self.name]).await?;
        Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    }

    /// Runs the image's own health check; fails unless it succeeds.
    ///
    /// # Errors
    /// That it does not.
    pub async fn healthy(&self) -> Result<()> {
        self.tools.ask(&["healthcheck", "run", self.name]).await.map(drop)
    }

    /// Ends it as `docker stop` does, and says how long that took and what it exited with.
    ///
    /// # Errors
    /// What podman says.
    pub async fn stop(&self) -> Result<(Duration, i32)> {
        let began = Instant::now();
        self.tools.ask(&["stop", "--time", "30", self.name]).await?;
        let took = began.elapsed();
        let code = self.tools.ask(&["inspect", "--format", "{{.State.ExitCode}}", self.name]).await?;
        Ok((took, code.parse()?))
    }

    fn remove(&self) {
        let mut command = std::process::Command::new("podman");
        command.env("CONTAINERS_CONF", self.tools.settings());
        // One that is not there cannot be removed.
        let _removed = command.args(["rm", "--force", "--volumes", "--time", "0", self.name]).output();
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Whether there is such a program.
pub(super) async fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().await.is_ok()
}
