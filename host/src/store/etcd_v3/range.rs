//! Reads a range page by page at one revision, so that neither side holds all of it.

use prost::Message as _;
use tonic::{Code, Status};

use super::client::{Client, MESSAGE_BYTES_MAX, Repeat};
use super::messages::{KeyValue, RangeRequest, RangeResponse};
use crate::store::keys::{directory, range_end};

/// The most keys on a page. For each page etcd walks over all keys of the range that are left, so that small pages of
/// a large range take for ever: 100,000 keys took 4 s by 1024.
const PAGE_KEYS_MAX: i64 = 16 * 1024;

const RANGE: &str = "/etcdserverpb.KV/Range";

/// Where a reading stands.
#[derive(Debug)]
pub(super) struct Pages<'a> {
    client: &'a Client,
    /// What to ask next; `None` when there is no more.
    next: Option<RangeRequest>,
    /// The revision of the first page, at which all others are read; 0 before it.
    pub(super) revision: i64,
}

/// A page.
#[derive(Debug)]
pub(super) enum Page {
    /// Keys with their values.
    Keys(Vec<KeyValue>),
    /// One key whose value is larger than a message may be.
    Oversized(Vec<u8>),
}

impl<'a> Pages<'a> {
    /// Everything below `prefix`.
    pub(super) fn below(client: &'a Client, prefix: &str) -> Self {
        let key = directory(prefix).into_bytes();
        let range_end = range_end(&key);
        let first = RangeRequest { key, range_end, limit: PAGE_KEYS_MAX, ..RangeRequest::default() };
        Self { client, next: Some(first), revision: 0 }
    }

    /// The next page; `None` at the end. A page that is too large is asked for again by halves.
    pub(super) async fn next(&mut self) -> Result<Option<Page>, Status> {
        loop {
            let Some(request) = self.next.as_mut() else { return Ok(None) };
            request.revision = self.revision;
            let answer: Result<RangeResponse, Status> =
                self.client.call(RANGE, request.clone(), Repeat::Harmless).await;
            match answer {
                Ok(answer) => {
                    let keys_only = request.keys_only;
                    let kvs = self.advance(answer);
                    return Ok(Some(match (keys_only, kvs.first()) {
                        (true, Some(kv)) => Page::Oversized(kv.key.clone()),
                        _ => Page::Keys(kvs),
                    }));
                }
                Err(status) if !is_too_large(&status) => return Err(status),
                Err(_) if request.limit > 1 => request.limit /= 2,
                Err(status) if request.keys_only => return Err(status),
                Err(_) => request.keys_only = true,
            }
        }
    }

    /// Turns to the page after `answer`.
    fn advance(&mut self, answer: RangeResponse) -> Vec<KeyValue> {
        if self.revision == 0 {
            self.revision = answer.header.map_or(0, |header| header.revision);
        }
        let small = answer.encoded_len() < MESSAGE_BYTES_MAX / 4;
        self.next = match (self.next.take(), answer.kvs.last()) {
            (Some(mut next), Some(last)) if answer.more => {
                next.key.clone_from(&last.key);
                next.key.push(0);
                next.keys_only = false;
                if small {
                    next.limit = (next.limit * 2).min(PAGE_KEYS_MAX);
                }
                Some(next)
            }
            _ => None,
        };
        answer.kvs
    }
}

/// Whether our own limit on messages was hit.
pub(super) fn is_too_large(status: &Status) -> bool {
    status.code() == Code::OutOfRange && status.message().contains("message length too large")
}
