//! Units as real processes behind the embedded fleet, on the built program. Nothing here waits for a time, only for
//! what is to happen.

#![expect(clippy::unwrap_used, reason = "the helpers of tests stand outside of test functions")]

mod accidents;
mod commands;
mod life;
mod restarts;
mod stopping;

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dynamite::embedded::{Embedded, Error, Options};
use dynamite::fleet::http::HttpFleet;
use dynamite::fleet::{DesiredState, Fleet};
use dynamite_units::parse;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// How long anything may take that shall happen: far longer than it does, for machines that are busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// How often it is looked for.
const PAUSE: Duration = Duration::from_millis(5);

/// A machine with an embedded fleet. Its folder is in the command line of every process, which is how they are found.
struct Machine {
    folder: TempDir,
    /// Where the data is in it.
    data: String,
    /// What its IDs are taken from, at one start after the other.
    rng: RefCell<fastrand::Rng>,
    embedded: Option<Embedded>,
}

impl Machine {
    async fn start() -> Self {
        dynamite::tls::install_provider();
        let folder = tempfile::tempdir().unwrap();
        let rng = RefCell::new(randomness(&folder));
        let mut machine = Self { folder, data: "data".to_owned(), rng, embedded: None };
        machine.boot().await;
        machine
    }

    async fn open(&self) -> Result<Embedded, Error> {
        let any = "127.0.0.1:0".parse().unwrap();
        let options = Options { data_dir: self.path(&self.data), etcd: any, fleet: any, fleet_socket: None };
        let rng = self.rng.borrow_mut().fork();
        Embedded::start_with(options, PathBuf::from(env!("CARGO_BIN_EXE_dynamite")), rng).await
    }

    /// Starts another Dynamite, once the former one has let go of its store: unlike a process it does so a moment later.
    async fn boot(&mut self) {
        let began = Instant::now();
        while self.embedded.is_none() {
            match self.open().await {
                Err(Error::Store(_)) if began.elapsed() < PATIENCE => sleep(PAUSE).await,
                opened => self.embedded = Some(opened.unwrap()),
            }
        }
    }

    /// Ends Dynamite without telling anybody.
    fn crash(&mut self) {
        self.embedded = None;
    }

    fn embedded(&self) -> &Embedded {
        self.embedded.as_ref().unwrap()
    }

    fn fleet(&self) -> HttpFleet {
        HttpFleet::new(&self.embedded().fleet_endpoint()).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Puts a service with these lines, in which `DIR` is the folder, and launches it.
    async fn launch(&self, name: &str, lines: &str) {
        let text = format!("[Service]\n{lines}\n").replace("DIR", self.folder.path().to_str().unwrap());
        self.fleet().submit(name, &parse(&text).unwrap()).await.unwrap();
        self.want(name, DesiredState::Launched).await;
    }

    async fn want(&self, name: &str, desired: DesiredState) {
        self.fleet().set_desired(name, desired).await.unwrap();
    }

    /// What systemd would say; empty when the unit is not loaded.
    async fn state(&self, name: &str) -> String {
        let rows = self.fleet().state(name).await.unwrap();
        rows.first().map_or(String::new(), |row| format!("{} {} {}", row.load, row.active, row.sub))
    }

    async fn until(&self, name: &str, state: &str) {
        let began = Instant::now();
        loop {
            let found = self.state(name).await;
            if found == state {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{name} is {found}, not {state}");
            sleep(PAUSE).await;
        }
    }

    async fn until_up(&self, name: &str) {
        self.until(name, "loaded active running").await;
    }

    /// The process IDs of this unit's main process.
    fn main_pid(&self, name: &str) -> Option<i32> {
        let status = self.read(&format!("data/units/{name}/status.json"));
        let status: serde_json::Value = serde_json::from_str(&status).ok()?;
        i32::try_from(status["main_pid"].as_i64()?).ok()
    }

    /// The living processes with this in their command lines and the machine's folder too.
    fn processes(&self, text: &str) -> Vec<i32> {
        let folder = self.folder.path().to_str().unwrap();
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        pids.filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(folder) && line.contains(text)
        })
        .collect()
    }

    /// The supervisors of this machine.
    fn supervisors(&self) -> Vec<i32> {
        self.processes("dynamite supervise")
    }

    /// Makes what was written of a unit one of another boot.
    fn forget_era(&self, name: &str) {
        for file in ["order.json", "start.json"] {
            let path = self.path(&format!("data/units/{name}/{file}"));
            let text = std::fs::read_to_string(&path).unwrap();
            let era = text.split("\"era\":\"").nth(1).unwrap().split('"').next().unwrap();
            std::fs::write(&path, text.replace(era, "another")).unwrap();
        }
    }

    async fn until_processes(&self, text: &str, count: usize) {
        until(&format!("{count} processes with {text}"), || self.processes(text).len() == count).await;
    }

    async fn until_lines(&self, file: &str, lines: &[&str]) {
        until(&format!("{lines:?} in {file}"), || self.read(file).lines().eq(lines.iter().copied())).await;
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.embedded = None;
        // Supervisors first, as they would say what they see.
        for pid in self.supervisors().into_iter().chain(self.processes("")) {
            kill("KILL", pid);
        }
    }
}

/// Seeded by the name of the folder. Processes are found by IDs, so that no two tests that run at a time may have the same.
fn randomness(folder: &TempDir) -> fastrand::Rng {
    let mut hasher = DefaultHasher::new();
    folder.path().hash(&mut hasher);
    fastrand::Rng::with_seed(hasher.finish())
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        sleep(PAUSE).await;
    }
}

fn kill(signal: &str, pid: i32) {
    let mut command = std::process::Command::new("kill");
    let output = command.args([&format!("-{signal}"), &pid.to_string()]).output().unwrap();
    drop(output);
}

fn exists(pid: i32) -> bool {
    Path::new("/proc").join(pid.to_string()).join("exe").read_link().is_ok()
}
