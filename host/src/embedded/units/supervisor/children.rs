//! Processes that this one has started or adopted, and their exits.

use std::collections::HashMap;
use std::io;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, oneshot};

use super::super::outcome::Exit;

/// A process that was started here.
#[derive(Debug)]
pub(super) struct Child {
    /// Its ID.
    pub(super) pid: Pid,
    /// Resolves to how it ended.
    pub(super) exit: oneshot::Receiver<Exit>,
}

/// Every process below this one.
#[derive(Clone)]
pub(super) struct Children {
    waiting: Arc<Mutex<HashMap<Pid, oneshot::Sender<Exit>>>>,
    changed: Arc<Notify>,
}

/// Whether there are processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Some,
    None,
}

impl Children {
    /// Begins to collect exits.
    pub(super) fn new() -> io::Result<Self> {
        let mut exits = signal(SignalKind::child())?;
        let children = Self { waiting: Arc::default(), changed: Arc::default() };
        let collector = children.clone();
        tokio::spawn(async move {
            while exits.recv().await.is_some() {
                collector.collect();
                collector.changed.notify_waiters();
            }
        });
        Ok(children)
    }

    /// Starts a process.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let (sender, exit) = oneshot::channel();
        // Exits are collected on this thread, so none is between the start and the entry.
        let id = command.spawn()?.id();
        let pid = i32::try_from(id).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, sender);
        Ok(Child { pid, exit })
    }

    /// Collects every process that has ended.
    fn collect(&self) -> Left {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
                    let exit = status.exit_status().map(Exit::Code);
                    let exit = exit.or_else(|| status.terminating_signal().map(Exit::Signal));
                    if let (Some(waiting), Some(exit)) = (waiting, exit) {
                        // Nobody may want to know any more.
                        let _ = waiting.send(exit);
                    }
                }
                Ok(None) => return Left::Some,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => return Left::None,
            }
        }
    }

    /// Whether there is any process.
    pub(super) fn any(&self) -> bool {
        self.collect() == Left::Some
    }

    /// Resolves when there is none.
    pub(super) async fn all_gone(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !self.any() {
                return;
            }
            changed.await;
        }
    }
}
