//! The built `dynamite`, running.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempPath;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Duration, Instant, timeout};

use crate::events;
use crate::scene::eventually;

/// How long anything may take that shall happen: far longer than it does, for machines that are busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A running `dynamite`. It is killed when it is dropped.
pub struct Daemon {
    child: Child,
    log: Arc<Mutex<String>>,
    /// `None`: it writes none.
    events: Option<PathBuf>,
    _own_events: Option<TempPath>,
}

/// Where a `dynamite` writes its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Events {
    /// To a file of its own.
    Own,
    /// To this one, behind those of others.
    Into(PathBuf),
    /// Not at all, as they would be measured too.
    Off,
}

impl Daemon {
    /// Starts the built binary, which logs what this says in the manner of `RUST_LOG`, and writes its events.
    ///
    /// # Errors
    /// What kept it from being built or started.
    pub fn start(args: &[&str], log: &str) -> Result<Self> {
        Self::with(args, log, &Events::Own)
    }

    /// The same, with its events elsewhere.
    ///
    /// # Errors
    /// What kept it from being built or started.
    pub fn with(args: &[&str], log: &str, events: &Events) -> Result<Self> {
        let own = match events {
            Events::Own => Some(tempfile::NamedTempFile::new()?.into_temp_path()),
            Events::Into(_) | Events::Off => None,
        };
        let events = match events {
            Events::Into(path) => Some(path.clone()),
            _ => own.as_ref().map(|path| path.to_path_buf()),
        };
        let mut child = Command::new(binary()?)
            .args(args)
            .args(events.iter().flat_map(|path| [OsStr::new("--events"), path.as_os_str()]))
            .env("RUST_LOG", log)
            .env("DYNAMITE_CACHE_DIR", binary()?.with_file_name("cache"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().context("standard error is piped")?;
        let lines = log.clone();
        tokio::spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                let mut log = lines.lock().unwrap_or_else(PoisonError::into_inner);
                // Writing to a string cannot fail.
                let _written = writeln!(log, "{line}");
            }
        });
        Ok(Self { child, log, events, _own_events: own })
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What has happened so far.
    ///
    /// # Errors
    /// That it writes no events, or no JSON.
    pub fn events(&self) -> Result<Vec<Value>> {
        events::read(self.events.as_ref().context("it writes no events")?)
    }

    /// The events that contain this.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub fn matching(&self, part: &Value) -> Result<Vec<Value>> {
        let mut found = self.events()?;
        found.retain(|event| events::contains(event, part));
        Ok(found)
    }

    /// Waits for an event that contains this, and returns the first one.
    ///
    /// # Errors
    /// What happened last instead, at the end of all patience.
    pub async fn until(&self, part: &Value) -> Result<Value> {
        self.until_times(1, part).await
    }

    /// Waits until so many events contain this, and returns the last one of them.
    ///
    /// # Errors
    /// What happened last instead, at the end of all patience.
    pub async fn until_times(&self, times: usize, part: &Value) -> Result<Value> {
        eventually(self, async || {
            let (found, last) = (self.matching(part)?, self.events()?.pop());
            ensure!(found.len() >= times, "{} of {times} times {part}; last: {last:?}", found.len());
            Ok(())
        })
        .await?;
        self.matching(part)?.into_iter().nth(times - 1).context("it was there")
    }

    /// Whether it has read what was there before it. Without events the log says so.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub fn is_live(&self) -> Result<bool> {
        match &self.events {
            Some(_) => Ok(!self.matching(&serde_json::json!({ "event": "policies_live" }))?.is_empty()),
            None => Ok(self.log().contains("policies are live")),
        }
    }

    /// Its process id; 0 once it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Where its admin endpoint is, as it logs it.
    ///
    /// # Errors
    /// That it has not logged it yet.
    pub fn admin(&self) -> Result<SocketAddr> {
        let log = self.log();
        let address = log.split_once("answering /readyz address=").context("no admin endpoint yet")?.1;
        Ok(address.split_whitespace().next().context("an address")?.parse()?)
    }

    /// Kills it without a warning.
    ///
    /// # Errors
    /// That it was dead already.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Asks it to end, and says how it did and after how long.
    ///
    /// # Errors
    /// That it does not.
    pub async fn terminate(mut self) -> Result<(ExitStatus, Duration)> {
        let began = Instant::now();
        let status = Command::new("kill").arg(self.pid().to_string()).status().await?;
        ensure!(status.success(), "kill: {status}");
        Ok((self.wait().await?, began.elapsed()))
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// That it does not, with its log.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("it does not end:\n{}", self.log()),
        }
    }
}

/// The built `dynamite`, built if need be.
///
/// # Errors
/// That it cannot be built.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BINARY.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn build() -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    // Tests are built into target/<profile>/deps, programs into the folder above.
    let folder =
        here.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).context("a target folder")?;
    let binary = folder.join("dynamite");
    let built = binary.metadata().and_then(|found| found.modified()).ok();
    if built
        .is_some_and(|built| newest(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src")) < Some(built))
    {
        return Ok(binary);
    }
    let release = folder.file_name().is_some_and(|name| name == "release");
    let mut command = std::process::Command::new(env!("CARGO"));
    command.args(["build", "--quiet", "--package", "dynamite", "--bin", "dynamite"]);
    command.args(release.then_some("--release")).current_dir(env!("CARGO_MANIFEST_DIR"));
    ensure!(command.status()?.success(), "`dynamite` cannot be built");
    Ok(binary)
}

/// When the youngest file in a folder was changed.
fn newest(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let changed = |path: PathBuf| {
        if path.is_dir() { newest(&path) } else { path.metadata().and_then(|found| found.modified()).ok() }
    };
    entries.filter_map(changed).max()
}
