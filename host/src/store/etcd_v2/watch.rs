//! Follows a directory: a snapshot, then one long-poll an event, and a new snapshot whenever history was lost.
//!
//! Long-polls cannot keep up with full-speed writers. A follower that lags far behind reads the directory instead,
//! which costs etcd dearly, so it does so for a small share of the time only.

use std::time::Duration;

use hyper::Method;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout};

use super::client::{Client, Repeat, about, parse_answer, refusal};
use super::json::{Action, Event};
use super::own::OwnDeletes;
use super::transport::{Reply, Request};
use super::tree;
use crate::store::backoff::{self, Backoff};
use crate::store::batch::{self, Batch};
use crate::store::keys::{normalise, strip};
use crate::store::{Change, Error};

/// How long one poll waits. A peer that died in silence is noticed after this time; a poll a minute costs nothing.
const POLL_TIME: Duration = Duration::from_mins(1);
/// The API's error for an index that its history of 1000 events no longer reaches.
const HISTORY_LOST: u32 = 401;
/// How far a follower may lag, in events that are not our own deletes, before it reads the directory: half of what
/// etcd remembers, so that there is time left to do it.
const LAG_MAX: u64 = 500;
/// After reading the directory because of a lag, that many times the time it took passes before the next such reading.
const REST: u32 = 4;

/// Follows `prefix` until the receiver is gone.
pub(super) async fn follow(
    client: &Client,
    own: &OwnDeletes,
    rng: fastrand::Rng,
    prefix: &str,
    changes: Sender<Vec<Change>>,
) {
    let gone = changes.clone();
    let batch = Batch::new(changes);
    let mut follower =
        Follower { client, own, prefix: normalise(prefix), batch, next: None, rest_until: None };
    let forever = async {
        let mut backoff = Backoff::new(rng);
        loop {
            match follower.step().await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    backoff::report(&error, &follower.prefix);
                    backoff.pause().await;
                }
            }
        }
    };
    tokio::select! {
        () = gone.closed() => {}
        () = forever => {}
    }
}

struct Follower<'a> {
    client: &'a Client,
    own: &'a OwnDeletes,
    prefix: String,
    batch: Batch,
    /// The index to wait for; `None` when a snapshot is due.
    next: Option<u64>,
    /// No reading because of a lag before this time.
    rest_until: Option<Instant>,
}

impl Follower<'_> {
    /// A snapshot or a poll.
    async fn step(&mut self) -> Result<(), Error> {
        let Some(next) = self.next else {
            let began = Instant::now();
            let index = tree::snapshot(self.client, &self.prefix, self.batch.empty()).await?;
            self.rest_until = Some(Instant::now() + began.elapsed() * REST);
            self.next = Some(index + 1);
            return Ok(());
        };
        self.poll(self.own.skip(next)).await
    }

    async fn poll(&mut self, next: u64) -> Result<(), Error> {
        self.next = Some(next);
        let query = format!("?wait=true&recursive=true&waitIndex={next}");
        let request = about(Method::GET, &self.prefix, &query);
        let reply = self.client.send(&request, Repeat::Harmless).await?;
        let status = reply.status;
        let index = store_index(&request, &reply);
        if status == 200 && *index.as_ref().unwrap_or(&u64::MAX) < next - 1 {
            tracing::warn!(prefix = self.prefix, "etcd went back in time: it was wiped or restored");
            self.own.clear();
            self.next = None;
            return Ok(());
        }
        let Ok(body) = timeout(POLL_TIME, self.client.read_event(&request, reply.body)).await else {
            return Ok(()); // Nothing happened.
        };
        let body = body?;
        if body.is_empty() {
            return Err(self.client.lost("the poll ended early".into()));
        }
        match parse_answer(&request, status, &body)? {
            Ok(event) => self.report(event, index?).await,
            Err(error) if error.code == HISTORY_LOST => {
                tracing::debug!(prefix = self.prefix, "etcd's history does not reach back far enough");
                self.next = None;
                Ok(())
            }
            Err(error) => Err(refusal(&request, error)),
        }
    }

    /// Hands on an event; `index` is that of the store when the poll began.
    async fn report(&mut self, event: Event, index: u64) -> Result<(), Error> {
        let at = event.node.modified;
        self.next = Some(at + 1);
        if let Some(change) = self.change(event) {
            let _ = self.batch.add(change);
            // A receiver that is gone ends the follower elsewhere.
            let _ = self.batch.flush().await;
        }
        let lag = index.saturating_sub(at) - self.own.count(at + 1, index);
        if lag > LAG_MAX && self.rest_until.is_none_or(|until| Instant::now() >= until) {
            tracing::debug!(prefix = self.prefix, lag, "polls fall behind; reading the directory");
            self.next = None;
        }
        Ok(())
    }

    fn change(&self, event: Event) -> Option<Change> {
        let Event { action, node } = event;
        let below = strip(&node.key, &self.prefix).is_some();
        match action {
            Action::Delete | Action::CompareAndDelete | Action::Expire if !below => {
                // A directory above is gone, and ours with it.
                Some(Change::DeleteTree { prefix: self.prefix.clone() })
            }
            Action::Delete | Action::CompareAndDelete | Action::Expire if node.dir => {
                Some(Change::DeleteTree { prefix: node.key })
            }
            Action::Delete | Action::CompareAndDelete | Action::Expire => {
                Some(Change::Delete { key: node.key })
            }
            _ if node.dir || !below => None,
            _ => Some(batch::put(node.key, node.value.unwrap_or_default())),
        }
    }
}

/// The index of the store at the time of a reply.
pub(super) fn store_index(request: &Request, reply: &Reply) -> Result<u64, Error> {
    let text = reply.headers.get("x-etcd-index").and_then(|value| value.to_str().ok());
    text.and_then(|text| text.parse().ok()).ok_or_else(|| Error::Garbled {
        request: format!("{} {}", request.method, request.target),
        detail: "the index of the store is missing".to_owned(),
    })
}
