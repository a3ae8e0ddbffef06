//! The task that looks after one unit: it brings the unit's supervisor to what is wanted, and never has two of them.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::Shared;
use super::folder::Folder;
use super::limit::StartLimit;
use super::link::Link;
use super::message::{Level, Order, Report, Stage, Start, Wanted};
use super::processes;

/// How long what a lost supervisor left behind has to end before it is killed.
const LEFTOVER_GRACE: Duration = Duration::from_secs(5);

/// How long it may take to be gone then. Only a process within the kernel takes any time.
const LEFTOVER_LIMIT: Duration = Duration::from_secs(30);

/// How often it is looked for meanwhile.
const LEFTOVER_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Actor {
    name: String,
    shared: Arc<Shared>,
    folder: Folder,
    wake: Arc<Notify>,
    link: Option<Link>,
    /// The start that has ended, or could not be made.
    done: Option<String>,
    /// How often a lost supervisor is replaced.
    losses: StartLimit,
}

/// Whether the actor is still needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Needed {
    Yes,
    No,
}

impl Actor {
    pub(super) fn new(name: &str, shared: Arc<Shared>, wake: Arc<Notify>) -> Self {
        let folder = shared.folder(name);
        let losses = StartLimit::new(StartLimit::BURST_DEFAULT, StartLimit::INTERVAL_DEFAULT);
        Self { name: name.to_owned(), shared, folder, wake, link: None, done: None, losses }
    }

    /// Works until the unit is forgotten.
    pub(super) async fn run(mut self) {
        self.attach().await;
        loop {
            if self.settle().await == Needed::No {
                return;
            }
            let report = match &mut self.link {
                None => {
                    self.wake.notified().await;
                    continue;
                }
                Some(link) => tokio::select! {
                    // What is wanted comes before what is told: a unit may tell without end.
                    biased;
                    () = self.wake.notified() => continue,
                    report = link.next() => report,
                },
            };
            match report {
                Some(report) => self.hear(report),
                // The connection has ended, and most likely the supervisor with it.
                None => self.attach().await,
            }
        }
    }

    /// Finds the supervisor that is there, such as one that a former Dynamite left, or what became of it.
    async fn attach(&mut self) {
        // It was written before the supervisor was started; without it there never was one.
        let Some(start) = self.folder.start() else { return };
        self.link = Link::connect(&self.folder, &start).await;
        if self.link.is_some() {
            tracing::debug!(unit = %self.name, "{}: its supervisor carries on", self.name);
        } else {
            self.ended(&start).await;
        }
    }

    /// Does the next thing towards what is wanted, if there is one.
    async fn settle(&mut self) -> Needed {
        let Some(order) = self.shared.order(&self.name) else { return Needed::No };
        let Order { wanted, start } = order;
        match &mut self.link {
            Some(link) if wanted == Wanted::Launched && link.invocation == start.invocation => {}
            Some(link) => link.stop().await,
            None if wanted == Wanted::Gone => return self.shared.forget(&self.name),
            None if wanted == Wanted::Launched && self.done.as_ref() != Some(&start.invocation) => {
                self.launch(&start).await;
            }
            None if wanted == Wanted::Loaded => self.shared.rest(&self.name),
            None => {}
        }
        Needed::Yes
    }

    async fn launch(&mut self, start: &Start) {
        match Link::launch(&self.folder, &self.shared.program, start) {
            Ok(link) => self.link = Some(link),
            Err(error) => {
                tracing::error!(unit = %self.name, %error, "{}: its supervisor cannot be started", self.name);
                self.sweep(&start.invocation).await;
                self.done = Some(start.invocation.clone());
                self.shared.replace(&self.name, start, Stage::Failed, None);
            }
        }
    }

    fn hear(&self, report: Report) {
        match report {
            Report::Status(status) => {
                let invocation = self.link.as_ref().map(|link| link.invocation.as_str());
                if invocation == Some(status.invocation.as_str()) {
                    self.shared.hear(&self.name, &status);
                }
            }
            told => self.log(&told),
        }
    }

    fn log(&self, report: &Report) {
        let name = self.name.as_str();
        match report {
            Report::Line(line) => tracing::info!(target: "unit", unit = name, "{name}: {line}"),
            Report::Dropped(lines) => {
                tracing::warn!(target: "unit", unit = name, lines, "{name}: {lines} lines of output left out");
            }
            Report::Note(Level::Error, note) => tracing::error!(unit = name, "{name}: {note}"),
            Report::Note(Level::Warn, note) => tracing::warn!(unit = name, "{name}: {note}"),
            Report::Note(Level::Info, note) => tracing::info!(unit = name, "{name}: {note}"),
            Report::Note(Level::Debug, note) => tracing::debug!(unit = name, "{name}: {note}"),
            Report::Status(_) => {}
        }
    }

    /// There is no supervisor for this start any more.
    async fn ended(&mut self, start: &Start) {
        for line in self.folder.take_output().lines() {
            if let Ok(report) = serde_json::from_str(line) {
                self.log(&report);
            }
        }
        let status = self.folder.status().filter(|status| status.invocation == start.invocation);
        match status {
            Some(status) if status.ended && start.era == self.shared.era => {
                self.done = Some(start.invocation.clone());
                self.shared.hear(&self.name, &status);
            }
            _ => self.lost(start).await,
        }
    }

    /// The supervisor died before the unit, or both with the machine. What is left of the unit goes, so that there are
    /// never two of it, and the unit comes back if it is wanted. Of another era nothing can be left, but in a copy of the
    /// data the processes of the original have the same mark.
    async fn lost(&mut self, start: &Start) {
        let left = if start.era == self.shared.era { self.sweep(&start.invocation).await } else { 0 };
        self.done = Some(start.invocation.clone());
        if left > 0 {
            tracing::error!(unit = %self.name, left, "{}: processes of it cannot be killed", self.name);
            self.shared.replace(&self.name, start, Stage::Failed, None);
            return;
        }
        if start.era == self.shared.era && !self.losses.allows(Instant::now()) {
            tracing::error!(unit = %self.name, "{}: its supervisor dies again and again", self.name);
            self.shared.replace(&self.name, start, Stage::Failed, None);
            return;
        }
        self.shared.replace(&self.name, start, Stage::Start, Some(self.shared.new_id()));
    }

    /// Ends every process of a start, and returns how many could not be ended.
    async fn sweep(&self, invocation: &str) -> usize {
        let began = Instant::now();
        let mut left = processes::marked(invocation);
        if !left.is_empty() {
            tracing::warn!(unit = %self.name, processes = left.len(), "{}: its supervisor is gone; what it left is ended", self.name);
            processes::signal(&left, Signal::TERM);
        }
        while !left.is_empty() && began.elapsed() < LEFTOVER_LIMIT {
            sleep(LEFTOVER_PAUSE).await;
            for pid in left {
                reap(pid);
            }
            left = processes::marked(invocation);
            if began.elapsed() >= LEFTOVER_GRACE {
                processes::signal(&left, Signal::KILL);
            }
        }
        left.len()
    }
}

/// Takes note of the end of a process that was adopted, as happens where Dynamite is the first process of a container.
fn reap(pid: Pid) {
    // Most are nobody's children here.
    let _ = waitpid(Some(pid), WaitOptions::NOHANG);
}
