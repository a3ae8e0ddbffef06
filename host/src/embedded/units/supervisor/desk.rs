//! What is to be told of the unit: its status, which is kept in a file too, and lines, of which only the last are kept
//! while nobody takes them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::super::folder::Folder;
use super::super::message::{Level, Report, Stage, Status};
use super::super::outcome::Outcome;

/// How much waits for somebody to take it, in bytes: some hundred lines, enough to see what a unit died of.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// How long the end of the supervisor waits for its last words to be taken.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// Where reports are left, and taken from.
#[derive(Clone)]
pub(super) struct Desk(Arc<Shared>);

struct Shared {
    folder: Folder,
    inner: Mutex<Inner>,
    /// Something was left.
    left: Notify,
    /// Everything was taken.
    empty: Notify,
}

struct Inner {
    status: Status,
    /// The status has changed since it was last taken.
    status_waits: bool,
    reports: VecDeque<String>,
    bytes: usize,
    /// How many reports were thrown away to make room.
    dropped: u64,
    /// Whether there is somebody who takes them.
    taken: bool,
    /// What was taken last may not be written yet.
    in_flight: bool,
}

impl Desk {
    pub(super) fn new(folder: Folder, invocation: &str) -> Self {
        let status = Status {
            invocation: invocation.to_owned(),
            stage: Stage::Start,
            outcome: Outcome::Success,
            main_pid: None,
            ended: false,
        };
        let inner = Inner {
            status,
            status_waits: true,
            reports: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            taken: false,
            in_flight: false,
        };
        let (left, empty) = (Notify::new(), Notify::new());
        Self(Arc::new(Shared { folder, inner: Mutex::new(inner), left, empty }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says where the unit is.
    pub(super) fn set(&self, stage: Stage, outcome: Outcome, main_pid: Option<i32>) {
        self.update(|status| {
            (status.stage, status.outcome, status.main_pid) = (stage, outcome, main_pid);
        });
    }

    /// Says where the unit is in the end.
    pub(super) fn end(&self, stage: Stage) {
        self.update(|status| (status.stage, status.main_pid, status.ended) = (stage, None, true));
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        let status = {
            let mut inner = self.inner();
            change(&mut inner.status);
            inner.status_waits = true;
            inner.status.clone()
        };
        if let Err(error) = self.0.folder.write_status(&status) {
            self.note(Level::Warn, format!("its status cannot be written: {error}"));
        }
        self.0.left.notify_one();
    }

    /// Says what happened.
    pub(super) fn note(&self, level: Level, text: String) {
        self.leave(&Report::Note(level, text));
    }

    /// Leaves a report; the oldest give way.
    pub(super) fn leave(&self, report: &Report) {
        let text = line(report);
        let mut inner = self.inner();
        inner.bytes += text.len();
        inner.reports.push_back(text);
        while inner.bytes > WAITING_BYTES_MAX {
            let Some(oldest) = inner.reports.pop_front() else { break };
            inner.bytes -= oldest.len();
            inner.dropped += 1;
        }
        drop(inner);
        self.0.left.notify_one();
    }

    /// Begins to take reports; the status comes first.
    pub(super) fn open(&self) {
        let mut inner = self.inner();
        (inner.taken, inner.status_waits) = (true, true);
        self.0.left.notify_one();
    }

    /// Nobody takes reports any more.
    pub(super) fn close(&self) {
        let mut inner = self.inner();
        (inner.taken, inner.in_flight) = (false, false);
        self.0.empty.notify_one();
    }

    /// Everything that waits, a line each. Asking again says that the last answer was written.
    pub(super) async fn take(&self) -> String {
        loop {
            let text = self.inner().take();
            if !text.is_empty() {
                return text;
            }
            self.0.empty.notify_one();
            self.0.left.notified().await;
        }
    }

    /// Waits until everything was taken, as long as there is somebody who does. What is left is kept in a file.
    pub(super) async fn drain(&self) {
        let drained = async {
            loop {
                let emptied = self.0.empty.notified();
                let done = {
                    let inner = self.inner();
                    !inner.taken || !(inner.in_flight || inner.status_waits || !inner.reports.is_empty())
                };
                if done {
                    return;
                }
                emptied.await;
            }
        };
        // Whoever does not take it within the limit finds it in the file.
        let _ = timeout(DRAIN_LIMIT, drained).await;
        let left = self.inner().take_reports();
        if !left.is_empty() {
            // There is nobody left to tell.
            let _ = self.0.folder.save_output(left.as_bytes());
        }
    }
}

impl Inner {
    fn take(&mut self) -> String {
        let mut text = String::new();
        if std::mem::take(&mut self.status_waits) {
            text = line(&Report::Status(self.status.clone()));
        }
        text.push_str(&self.take_reports());
        self.in_flight = !text.is_empty();
        text
    }

    fn take_reports(&mut self) -> String {
        let mut text = String::new();
        if self.dropped > 0 {
            text = line(&Report::Dropped(std::mem::take(&mut self.dropped)));
        }
        self.bytes = 0;
        text.extend(std::mem::take(&mut self.reports));
        text
    }
}

/// A report as it is sent.
fn line(report: &Report) -> String {
    let mut text = serde_json::to_string(report).unwrap_or_default();
    text.push('\n');
    text
}
