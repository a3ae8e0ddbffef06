//! Follows a prefix: a snapshot in pages, then a watch from the revision after it; a new watch after an error, a new
//! snapshot after a compaction.

use futures_util::{StreamExt, stream};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;
use tonic::{Status, Streaming};

use super::client::Client;
use super::messages::{KeyValue, WatchCreate, WatchEvent, WatchRequest, WatchResponse};
use super::range::{Page, Pages, is_too_large};
use crate::store::Change;
use crate::store::backoff::Backoff;
use crate::store::batch::{self, Batch};
use crate::store::keys::{directory, normalise, range_end};

/// How long the server may take to confirm a watch; after that its silence means nothing.
const CREATE_TIMEOUT: Duration = Duration::from_secs(5);

/// Follows `prefix` until the receiver is gone.
pub(super) async fn follow(client: &Client, rng: fastrand::Rng, prefix: &str, changes: Sender<Vec<Change>>) {
    let gone = changes.clone();
    let batch = Batch::new(changes);
    let mut follower = Follower { client, prefix: normalise(prefix), batch, next: None };
    let forever = async {
        let mut backoff = Backoff::new(rng);
        loop {
            let before = follower.next;
            let ended = follower.step().await;
            if follower.next != before {
                backoff.followed(&follower.prefix);
            }
            if let Err(status) = ended {
                backoff.interrupted(&client.error("a watch", status), &follower.prefix);
                client.lost();
                backoff.pause().await;
            }
        }
    };
    tokio::select! {
        biased;
        () = gone.closed() => {}
        () = forever => {}
    }
}

struct Follower<'a> {
    client: &'a Client,
    prefix: String,
    batch: Batch,
    /// The revision to watch from; `None` when a snapshot is due.
    next: Option<i64>,
}

impl Follower<'_> {
    /// A snapshot, or a watch until it ends. An error leaves the place to go on from.
    async fn step(&mut self) -> Result<(), Status> {
        let Some(next) = self.next else {
            self.batch = self.batch.empty();
            self.next = Some(self.snapshot().await? + 1);
            return Ok(());
        };
        let ended = self.watch(next).await;
        match ended {
            Err(status) if is_too_large(&status) => {
                // A value larger than a message: in a snapshot it can be passed over.
                self.next = None;
                Ok(())
            }
            other => other,
        }
    }

    async fn snapshot(&mut self) -> Result<i64, Status> {
        self.add(Change::SnapshotStart).await;
        let mut pages = Pages::below(self.client, &self.prefix);
        while let Some(page) = pages.next().await? {
            match page {
                Page::Keys(kvs) => {
                    for kv in kvs {
                        let (key, value) = texts(kv);
                        self.add(batch::put(key, value)).await;
                    }
                }
                Page::Oversized(key) => self.add(Change::Oversized { key: text(key), bytes: 0 }).await,
            }
        }
        self.add(Change::SnapshotEnd).await;
        self.flush().await;
        Ok(pages.revision)
    }

    async fn watch(&mut self, next: i64) -> Result<(), Status> {
        let mut answers = timeout(CREATE_TIMEOUT, self.open(next))
            .await
            .map_err(|_| Status::deadline_exceeded("the watch was not confirmed"))??;
        while let Some(answer) = answers.next().await {
            let answer = answer?;
            let revision = answer.header.map_or(0, |header| header.revision);
            if answer.canceled {
                if answer.compact_revision > 0 {
                    self.next = None;
                    return Ok(());
                }
                return Err(Status::unavailable(answer.cancel_reason));
            }
            if answer.created && revision < next - 1 {
                tracing::warn!(prefix = self.prefix, "etcd went back in time: it was wiped or restored");
                self.next = None;
                return Ok(());
            }
            let seen =
                answer.events.iter().filter_map(|event| event.kv.as_ref()).map(|kv| kv.mod_revision).max();
            for event in answer.events {
                self.report(event).await;
            }
            self.flush().await;
            // A fragment leaves the rest of its revision to come; an answer without events says that there are none.
            let reached = if answer.fragment || answer.created { None } else { seen.or(Some(revision)) };
            self.next = self.next.max(reached.map(|revision| revision + 1));
        }
        Err(Status::unavailable("the watch ended"))
    }

    async fn open(&self, start_revision: i64) -> Result<Streaming<WatchResponse>, Status> {
        let key = directory(&self.prefix).into_bytes();
        let range_end = range_end(&key);
        let create = WatchCreate { key, range_end, start_revision, progress_notify: true, fragment: true };
        let request = WatchRequest { create: Some(create) };
        let requests = || stream::iter([request.clone()]).chain(stream::pending());
        self.client.stream("/etcdserverpb.Watch/Watch", requests).await
    }

    async fn report(&mut self, event: WatchEvent) {
        let Some(kv) = event.kv else { return };
        let (key, value) = texts(kv);
        let change = if event.kind == 0 { batch::put(key, value) } else { Change::Delete { key } };
        self.add(change).await;
    }

    async fn add(&mut self, change: Change) {
        if self.batch.add(change) {
            self.flush().await;
        }
    }

    async fn flush(&mut self) {
        // A receiver that is gone ends the follower elsewhere.
        let _ = self.batch.flush().await;
    }
}

/// Bytes as text; what is no UTF-8 becomes U+FFFD.
pub(super) fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn texts(kv: KeyValue) -> (String, String) {
    (text(kv.key), text(kv.value))
}
