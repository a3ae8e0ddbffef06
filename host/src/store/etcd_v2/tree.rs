//! Reads a whole directory as a stream: a piece of the body is parsed while the next one arrives, so memory does not
//! grow with the directory.

use std::io::{self, Read};

use bytes::Bytes;
use hyper::Method;
use tokio::sync::mpsc;

use super::KEY_NOT_FOUND;
use super::client::{Client, about, parse_answer, refusal};
use super::json::{self, Cutter, Node};
use crate::store::batch::{self, Batch};
use crate::store::{Change, Entry, Error, keys};

/// Pieces of the body that wait for the parser, of some 16 KiB each.
const CHUNKS_MAX: usize = 8;

/// Sorted by etcd, because within a series the order of samples matters.
const QUERY: &str = "?recursive=true&sorted=true&quorum=true";

/// Every key below `prefix`.
pub(super) async fn list(client: &Client, prefix: &str) -> Result<Vec<Entry>, Error> {
    let base = prefix.to_owned();
    let (_, outcome) = read(client, prefix, move |nodes| {
        let mut entries = Vec::new();
        let parsed = nodes.each(|node| {
            let value = node.value.filter(|_| !node.dir && keys::strip(&node.key, &base).is_some());
            entries.extend(value.and_then(|value| Entry::if_small(node.key, value)));
            true
        });
        (entries, parsed)
    })
    .await?;
    let Some((mut entries, parsed)) = outcome else { return Ok(Vec::new()) };
    parsed.map_err(|error| broken(client, prefix, error))?;
    entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    Ok(entries)
}

/// Hands on a snapshot of everything below `prefix`. Returns the index of the store at the time.
pub(super) async fn snapshot(client: &Client, prefix: &str, mut batch: Batch) -> Result<u64, Error> {
    let base = prefix.to_owned();
    let mut spare = batch.empty();
    let (index, outcome) = read(client, prefix, move |nodes| {
        let full = batch.add(Change::SnapshotStart);
        debug_assert!(!full, "one change does not fill a batch");
        let parsed = nodes.each(|node| {
            if keys::strip(&node.key, &base).is_none() {
                return true;
            }
            let change = batch::put(node.key, node.value.unwrap_or_default());
            !batch.add(change) || batch.flush_blocking().is_ok()
        });
        if parsed.is_ok() {
            let _ = batch.add(Change::SnapshotEnd);
            // A receiver that is gone ends the follower elsewhere.
            let _ = batch.flush_blocking();
        }
        parsed
    })
    .await?;
    if let Some(parsed) = outcome {
        parsed.map_err(|error| broken(client, prefix, error))?;
    } else {
        // The directory does not exist yet.
        let _ = spare.add(Change::SnapshotStart);
        let _ = spare.add(Change::SnapshotEnd);
        let _ = spare.flush().await;
    }
    Ok(index)
}

/// The nodes of an answer, on a thread that may block.
struct Nodes(Pieces);

impl Nodes {
    fn each(self, emit: impl FnMut(Node) -> bool) -> serde_json::Result<()> {
        json::tree(self.0, emit)
    }
}

/// Reads `prefix` and has `parse` consume the nodes. `None` when there is no such directory.
async fn read<T: Send + 'static>(
    client: &Client,
    prefix: &str,
    parse: impl FnOnce(Nodes) -> T + Send + 'static,
) -> Result<(u64, Option<T>), Error> {
    let request = about(Method::GET, prefix, QUERY);
    let reply = client.send(&request).await?;
    let index = super::watch::store_index(&request, &reply);
    let mut body = reply.body;
    if reply.status != 200 {
        let text = client.read_all(&request, body).await?;
        return match parse_answer(&request, reply.status, &text)? {
            Err(error) if error.code == KEY_NOT_FOUND => Ok((index.unwrap_or(error.index), None)),
            Err(error) => Err(refusal(&request, error)),
            Ok(_) => {
                Err(Error::Garbled { request: prefix.to_owned(), detail: format!("status {}", reply.status) })
            }
        };
    }
    let index = index?;
    let (sender, receiver) = mpsc::channel(CHUNKS_MAX);
    let parser = tokio::task::spawn_blocking(move || parse(Nodes(Pieces::new(receiver))));
    let cut_off = loop {
        match body.chunk().await {
            Ok(Some(chunk)) => {
                if sender.send(Ok(chunk)).await.is_err() {
                    break None; // The parser has seen enough.
                }
            }
            Ok(None) => break None,
            Err(error) => {
                let text = error.to_string();
                let _ = sender.send(Err(io::Error::other(text))).await;
                break Some(error);
            }
        }
    };
    drop(sender);
    let parsed = parser.await;
    match (cut_off, parsed) {
        (Some(error), _) => Err(client.lost(error)),
        (None, Ok(parsed)) => Ok((index, Some(parsed))),
        (None, Err(error)) => Err(client.lost(error.into())),
    }
}

/// A text that ends too early is a lost connection; another mistake is the server's.
fn broken(client: &Client, prefix: &str, error: serde_json::Error) -> Error {
    if error.is_eof() || error.is_io() {
        return client.lost(error.into());
    }
    Error::Garbled { request: format!("GET {prefix}"), detail: error.to_string() }
}

/// The pieces of a body as a blocking reader, long strings cut.
struct Pieces {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    cutter: Cutter,
    ready: Vec<u8>,
    at: usize,
}

impl Pieces {
    fn new(receiver: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self { receiver, cutter: Cutter::default(), ready: Vec::new(), at: 0 }
    }
}

impl Read for Pieces {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        while self.at == self.ready.len() {
            self.ready.clear();
            self.at = 0;
            match self.receiver.blocking_recv() {
                Some(chunk) => self.cutter.push(&chunk?, &mut self.ready),
                None => return Ok(0),
            }
        }
        let count = target.len().min(self.ready.len() - self.at);
        target[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
