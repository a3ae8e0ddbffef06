//! What was asked of the server, in order, and the faults that it was told to show.

use std::collections::VecDeque;

use tokio::sync::broadcast;
use tokio::time::Instant;

/// How many requests are remembered; the oldest go first. Enough for every test, and a few megabytes at most.
const REQUESTS_MAX: usize = 20_000;

/// How many arrivals a slow listener may lag behind before it loses some.
const ARRIVALS_MAX: usize = 1024;

/// A request that was read up to the end of its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its number, from 0.
    pub number: u64,
    /// Such as `PUT`.
    pub method: String,
    /// The path and query as they came, not decoded.
    pub path: String,
    /// When it arrived.
    pub at: Instant,
    /// The status of the answer; `None` as long as there is none, and when the connection was closed instead.
    pub status: Option<u16>,
}

/// Whether a request that gets a fault for an answer is carried out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CarriedOut {
    /// Nothing happens.
    No,
    /// It happens, and only the answer is lost.
    Yes,
}

/// A way to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error in fleet's form: 500 is what it answers when etcd fails it, 503 when it has given up on etcd.
    Status(u16, CarriedOut),
    /// The connection is closed without an answer.
    Close(CarriedOut),
    /// No answer ever comes; the connection stays open.
    Hang(CarriedOut),
    /// An answer with status 200 whose body is not JSON.
    Garbage,
}

struct Rule {
    method: Option<String>,
    fault: Fault,
    left: u32,
}

/// Faults that are to come, first in, first used.
#[derive(Default)]
pub(super) struct Faults {
    rules: VecDeque<Rule>,
}

impl Faults {
    pub(super) fn add(&mut self, method: Option<&str>, fault: Fault, times: u32) {
        self.rules.push_back(Rule { method: method.map(str::to_owned), fault, left: times });
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(super) fn take(&mut self, method: &str) -> Option<Fault> {
        self.rules.retain(|rule| rule.left > 0);
        let applies = |rule: &&mut Rule| rule.method.as_ref().is_none_or(|wanted| wanted == method);
        let rule = self.rules.iter_mut().find(applies)?;
        rule.left -= 1;
        Some(rule.fault)
    }
}

/// The requests so far.
pub(super) struct Record {
    requests: VecDeque<Request>,
    next: u64,
    arrivals: broadcast::Sender<Request>,
}

impl Record {
    pub(super) fn new() -> Self {
        Self { requests: VecDeque::new(), next: 0, arrivals: broadcast::Sender::new(ARRIVALS_MAX) }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Request> {
        self.arrivals.subscribe()
    }

    pub(super) fn arrive(&mut self, method: &str, path: &str) -> u64 {
        let number = self.next;
        self.next += 1;
        let (method, path) = (method.to_owned(), path.to_owned());
        let request = Request { number, method, path, at: Instant::now(), status: None };
        if self.arrivals.receiver_count() > 0 {
            // Nobody listening any more is no error.
            let _ = self.arrivals.send(request.clone());
        }
        if self.requests.len() == REQUESTS_MAX {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
        number
    }

    pub(super) fn answer(&mut self, number: u64, status: u16) {
        let first = self.requests.front().map_or(0, |request| request.number);
        let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        if let Some(request) = index.and_then(|index| self.requests.get_mut(index)) {
            request.status = Some(status);
        }
    }

    pub(super) fn list(&self) -> Vec<Request> {
        self.requests.iter().cloned().collect()
    }

    pub(super) fn count(&self) -> u64 {
        self.next
    }

    pub(super) fn forget(&mut self) {
        self.requests.clear();
    }
}
