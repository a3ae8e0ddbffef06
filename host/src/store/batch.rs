//! Gathers changes into batches that are small in number and in bytes, so that a channel of a few batches is a bound
//! on memory.

use tokio::sync::mpsc::Sender;

use super::{Change, VALUE_BYTES_MAX};

/// The most changes in a batch: enough that the cost of a hand-over does not matter.
const CHANGES_MAX: usize = 512;
/// The most bytes of keys and values in a batch, but for the last change in it.
const BYTES_MAX: usize = 256 * 1024;

/// The receiver of the changes is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

/// Changes on their way to the receiver.
#[derive(Debug)]
pub(super) struct Batch {
    sender: Sender<Vec<Change>>,
    changes: Vec<Change>,
    bytes: usize,
}

impl Batch {
    pub(super) fn new(sender: Sender<Vec<Change>>) -> Self {
        Self { sender, changes: Vec::new(), bytes: 0 }
    }

    /// Another batch for the same receiver.
    pub(super) fn empty(&self) -> Self {
        Self::new(self.sender.clone())
    }

    /// Adds a change; true when the batch is full and has to be handed over.
    #[must_use]
    pub(super) fn add(&mut self, change: Change) -> bool {
        self.bytes += match &change {
            Change::Put { key, value } => key.len() + value.len(),
            Change::Delete { key } | Change::DeleteTree { prefix: key } | Change::Oversized { key, .. } => {
                key.len()
            }
            Change::SnapshotStart | Change::SnapshotEnd => 0,
        };
        self.changes.push(change);
        self.changes.len() >= CHANGES_MAX || self.bytes >= BYTES_MAX
    }

    fn take(&mut self) -> Vec<Change> {
        self.bytes = 0;
        std::mem::take(&mut self.changes)
    }

    /// Hands over what was gathered; waits while the channel is full.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let changes = self.take();
        self.sender.send(changes).await.map_err(|_| Gone)
    }

    /// The same, for a thread that may block.
    pub(super) fn flush_blocking(&mut self) -> Result<(), Gone> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let changes = self.take();
        self.sender.blocking_send(changes).map_err(|_| Gone)
    }
}

/// The change that says that `key` holds `value`, or that the value is too large.
pub(super) fn put(key: String, value: String) -> Change {
    if value.len() > VALUE_BYTES_MAX {
        return Change::Oversized { key, bytes: value.len() };
    }
    Change::Put { key, value }
}
