//! The store over a real etcd, one table of cases for both APIs, and over the embedded one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use dynamite::embedded::etcd::{self as embedded, EtcdServer};
use dynamite::store::connect::{AnyStore, Api, Settings, connect};
use dynamite::store::{Change, Store as _};
use dynamite_tests::etcd::{Etcd, Options};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

mod access;
mod away;
mod calls;
mod follow;

const BOTH: [Api; 2] = [Api::V2, Api::V3];

/// What is to happen happens within this time, on a loaded machine too.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

/// Every server that a store works on.
struct Backends {
    etcd: Etcd,
    embedded: EtcdServer,
}

impl Backends {
    async fn start() -> Self {
        let embedded = EtcdServer::start(embedded::Options::default(), fastrand::Rng::with_seed(1)).await;
        Self { etcd: etcd().await, embedded: embedded.unwrap() }
    }

    /// Their names, and how to reach them.
    fn each(&self) -> [(&'static str, Settings); 3] {
        let endpoints = vec![self.embedded.endpoint()];
        let embedded = Settings { endpoints, api: Api::V2, ..Settings::default() };
        [("v2", self.etcd.settings(Api::V2)), ("v3", self.etcd.settings(Api::V3)), ("embedded", embedded)]
    }
}

async fn etcd() -> Etcd {
    start(&[]).await
}

async fn start(arguments: &[&str]) -> Etcd {
    let arguments = arguments.iter().map(ToString::to_string).collect();
    Etcd::start(Options { v2: true, tls: None, arguments }).await.unwrap()
}

async fn open(settings: Settings) -> Arc<AnyStore> {
    Arc::new(connect(settings).await.unwrap())
}

/// What a key below `prefix` holds.
async fn value(store: &AnyStore, prefix: &str, key: &str) -> Option<String> {
    let entries = store.list(prefix).await.unwrap();
    entries.into_iter().find(|entry| entry.key == key).map(|entry| entry.value)
}

/// A follower, and the keys as its changes tell.
struct Follower {
    changes: Receiver<Vec<Change>>,
    task: JoinHandle<()>,
    keys: BTreeMap<String, String>,
    oversized: Vec<String>,
    /// Every change but for snapshots, in short.
    seen: Vec<String>,
    snapshots: usize,
    in_snapshot: bool,
    batch_max: usize,
}

impl Follower {
    fn new(store: &Arc<AnyStore>, prefix: &str) -> Self {
        let (sender, changes) = channel(2);
        let (store, prefix) = (Arc::clone(store), prefix.to_owned());
        let task = tokio::spawn(async move { store.follow(&prefix, sender).await });
        Self {
            changes,
            task,
            keys: BTreeMap::new(),
            oversized: Vec::new(),
            seen: Vec::new(),
            snapshots: 0,
            in_snapshot: false,
            batch_max: 0,
        }
    }

    /// Takes batches until `done`.
    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let taken = timeout(LIMIT, async {
            while self.in_snapshot || !done(self) {
                let Some(batch) = self.changes.recv().await else { bail!("the follower ended") };
                self.batch_max = self.batch_max.max(batch.len());
                for change in batch {
                    self.take(change);
                }
            }
            Ok(())
        });
        let outcome = taken.await;
        if !matches!(outcome, Ok(Ok(()))) {
            let keys: Vec<_> = self.keys.iter().take(10).collect();
            panic!(
                "waiting for {what}: {outcome:?}; snapshots {}, keys {keys:?}, seen {:?}",
                self.snapshots, self.seen
            );
        }
    }

    async fn until_holds(&mut self, expected: &[(&str, &str)]) {
        let expected: BTreeMap<String, String> =
            expected.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.until(&format!("{expected:?}"), |follower| follower.snapshots > 0 && follower.keys == expected)
            .await;
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::SnapshotStart => {
                self.keys.clear();
                self.in_snapshot = true;
            }
            Change::SnapshotEnd => {
                self.in_snapshot = false;
                self.snapshots += 1;
            }
            Change::Put { key, value } => {
                if !self.in_snapshot && self.seen.len() < 5000 {
                    self.seen.push(format!("{key}={value}"));
                }
                self.keys.insert(key, value);
            }
            Change::Delete { key } => {
                self.seen.push(format!("-{key}"));
                self.keys.remove(&key);
            }
            Change::DeleteTree { prefix } => {
                self.seen.push(format!("-{prefix}/*"));
                self.keys.retain(|key, _| !key.starts_with(&format!("{prefix}/")));
            }
            Change::Oversized { key, .. } => {
                self.keys.remove(&key);
                self.oversized.push(key);
            }
        }
    }

    /// Drops the receiver; the follower must end.
    async fn end(self) {
        drop(self.changes);
        timeout(LIMIT, self.task).await.unwrap().unwrap();
    }
}
