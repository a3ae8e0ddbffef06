//! What Dynamite needs from etcd: a narrow trait over both of its APIs, and what can go wrong.
//!
//! Keys are absolute paths such as `/_dynamite/state/application_status`, the same under both APIs, normalised by
//! the adapters (no doubled or trailing slash, no dot segments). No call retries; only [`Store::follow`] does.

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc::Sender;

mod backoff;
mod batch;
pub mod connect;
pub mod etcd_v2;
pub mod etcd_v3;
pub mod keys;

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The whole path.
    pub key: String,
    /// The value, as UTF-8; bytes that are none become U+FFFD.
    pub value: String,
}

impl Entry {
    /// The entry, unless its value is larger than [`VALUE_BYTES_MAX`].
    fn if_small(key: String, value: String) -> Option<Self> {
        if value.len() > VALUE_BYTES_MAX {
            leave_out(&key);
            return None;
        }
        Some(Self { key, value })
    }
}

/// Says that a listing leaves a key out.
fn leave_out(key: &str) {
    tracing::warn!(key, "a value is too large and is not read");
}

/// Something that happened below a followed path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Everything below the path follows, up to [`Change::SnapshotEnd`]; what is not in it does not exist any more.
    /// Comes first, and again whenever changes were or may have been lost.
    SnapshotStart,
    /// The snapshot is complete; from here on each change is reported, in order.
    SnapshotEnd,
    /// A key was written, or stands in the snapshot.
    Put {
        /// The whole path.
        key: String,
        /// The value.
        value: String,
    },
    /// A key is gone: deleted or expired.
    Delete {
        /// The whole path.
        key: String,
    },
    /// A directory is gone with everything below it (etcd v2 reports a recursive delete as one event).
    DeleteTree {
        /// The path of the directory.
        prefix: String,
    },
    /// A value was larger than [`VALUE_BYTES_MAX`] and was left out.
    Oversized {
        /// The whole path.
        key: String,
        /// The size in bytes; 0 if it is not known.
        bytes: usize,
    },
}

/// The largest value that is handed on, in bytes. A metric, a registration or a record of our own is a hundred times
/// smaller; somebody's stray megabytes must not be held in memory.
pub const VALUE_BYTES_MAX: usize = 512 * 1024;

/// A lock that is held under a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The key that is the lock.
    pub key: String,
    /// Who holds it, as told to [`Store::lock`].
    pub holder: String,
    /// v3: the lease. v2: 0.
    pub lease: i64,
    /// How long the lock outlives its last renewal.
    pub ttl: Duration,
}

/// Why etcd did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// None of the endpoints answered. The request may have been carried out.
    #[error("no answer from etcd at {endpoints}")]
    Unreachable {
        /// Every endpoint that was tried.
        endpoints: String,
        /// What the last one said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// etcd answered with an error that may pass (no leader, time-out, overload).
    #[error("etcd could not serve {request}: {message}")]
    Unavailable {
        /// What was asked.
        request: String,
        /// etcd's own words.
        message: String,
    },
    /// etcd refused the request; repeating it is useless (no permission, not a file, too large).
    #[error("etcd refused {request}: {message}")]
    Refused {
        /// What was asked.
        request: String,
        /// etcd's own words.
        message: String,
    },
    /// The answer is not what etcd's API says, or the server speaks no API that was asked for.
    #[error("unexpected answer from etcd to {request}: {detail}")]
    Garbled {
        /// What was asked.
        request: String,
        /// What was wrong with the answer.
        detail: String,
    },
    /// A setting that cannot work: an endpoint that is no URL, a certificate that cannot be read.
    #[error("etcd setting: {0}")]
    Setting(String),
}

impl Error {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unavailable { .. })
    }

    /// Whether etcd has reached its quota. That is transient too, but lasts until somebody makes room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Unavailable { message, .. } if message.contains("database space exceeded"))
    }
}

/// What Dynamite needs from etcd, and nothing more.
pub trait Store: Send + Sync {
    /// Every key below `prefix`, in bytewise order of the keys. For Dynamite's own small trees: reads all into memory. A
    /// value larger than [`VALUE_BYTES_MAX`] is left out: somebody's garbage must not keep Dynamite from starting.
    fn list(&self, prefix: &str) -> impl Future<Output = Result<Vec<Entry>, Error>> + Send;
    /// Writes a key, whatever it held.
    fn put(&self, key: &str, value: &str) -> impl Future<Output = Result<(), Error>> + Send;
    /// Removes keys, in as few round trips as the API allows. Those that are not there count as removed.
    fn delete(&self, keys: &[String]) -> impl Future<Output = Result<(), Error>> + Send;
    /// Reports everything below `prefix` and then each change, in batches, until the receiver is dropped. Reconnects
    /// with back-off, and starts over with [`Change::SnapshotStart`] after a lost history, a compaction or a wiped
    /// server. Memory stays bounded: batches are small and the channel is the limit. Keys that [`Self::delete`] of the
    /// same store removed may or may not be reported: who removed them knows.
    fn follow(&self, prefix: &str, changes: Sender<Vec<Change>>) -> impl Future<Output = ()> + Send;
    /// Takes the lock `key` for `holder`; `None` when somebody else holds it. It lapses `ttl` after the last renewal.
    fn lock(
        &self,
        key: &str,
        holder: &str,
        ttl: Duration,
    ) -> impl Future<Output = Result<Option<Lock>, Error>> + Send;
    /// Prolongs the lock by its `ttl`; false when it is not ours any more.
    fn renew(&self, lock: &Lock) -> impl Future<Output = Result<bool, Error>> + Send;
    /// Gives the lock back, if it is still ours.
    fn unlock(&self, lock: &Lock) -> impl Future<Output = Result<(), Error>> + Send;
}
