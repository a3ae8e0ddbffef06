//! Follows a directory: a snapshot, then a long-poll for each event, and a new snapshot whenever history was lost.
//!
//! Long-polls cannot keep up with full-speed writers. A follower that lags far behind reads the directory instead,
//! which costs etcd dearly, so it does so for a small share of the time only.

use std::collections::VecDeque;
use std::time::Duration;

use hyper::Method;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, about, parse_answer, refusal};
use super::json::{Action, Event};
use super::own::OwnDeletes;
use super::transport::{Reply, Request};
use super::tree;
use super::wire::{Answer, Wire};
use crate::store::backoff::Backoff;
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

/// The most polls that are sent at once: about what fits into a batch.
const POLLS_MAX: usize = 32;
/// Keys that are written faster one after another than this are read several at once.
const FAST: Duration = Duration::from_millis(5);
/// How long such events are let gather. Nobody scales within 20 ms, and at 1000 a second it halves the cost.
const BREATH: Duration = Duration::from_millis(20);
/// How often it is waited for that long while our own deletes are under way.
const BREATHS_MAX: usize = 3;
/// How long events are counted: that much of a burst is read one by one.
const COUNT_TIME: Duration = Duration::from_millis(100);
/// How many events may be left unread meanwhile. While some are read others happen, and none left would be never.
const LEFT_MAX: u64 = 8;
/// How long the answers to several polls are let gather while events come thick and fast; they come together.
const GATHER: Duration = Duration::from_millis(6);

/// A poll for the first event from `index` on.
struct Poll {
    index: u64,
    request: Request,
}

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
    let mut follower = Follower {
        client,
        own,
        prefix: normalise(prefix),
        batch,
        next: None,
        known: 0,
        wire: None,
        under_way: VecDeque::new(),
        rest_until: None,
        is_fast: false,
        puts: 0,
        counted_since: Instant::now(),
    };
    let forever = async {
        let mut backoff = Backoff::new(rng);
        loop {
            match follower.step().await {
                Ok(()) => backoff.followed(&follower.prefix),
                Err(error) => {
                    backoff.interrupted(&error, &follower.prefix);
                    backoff.pause().await;
                }
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
    own: &'a OwnDeletes,
    prefix: String,
    batch: Batch,
    /// The index to wait for; `None` when a snapshot is due.
    next: Option<u64>,
    /// The index that the store had reached when the last poll began.
    known: u64,
    wire: Option<Wire>,
    /// The polls that were sent over `wire` and are not answered.
    under_way: VecDeque<Poll>,
    /// No reading because of a lag before this time.
    rest_until: Option<Instant>,
    /// Whether keys were written thick and fast when they were last counted.
    is_fast: bool,
    /// Keys written since `counted_since`.
    puts: u32,
    counted_since: Instant,
}

impl Follower<'_> {
    /// A snapshot or a poll.
    async fn step(&mut self) -> Result<(), Error> {
        let Some(next) = self.next else {
            (self.wire, self.under_way) = (None, VecDeque::new());
            let began = Instant::now();
            let index = tree::snapshot(self.client, &self.prefix, self.batch.empty()).await?;
            self.rest_until = Some(Instant::now() + began.elapsed() * REST);
            self.next = Some(index + 1);
            self.known = index;
            return Ok(());
        };
        for (poll, answer) in self.ask(next).await? {
            let taken = self.take(&poll, answer).await;
            if taken.is_err() || self.next.is_none() {
                // The answers that are left would be taken for all that happened since.
                (self.wire, self.under_way) = (None, VecDeque::new());
                taken?;
                break;
            }
        }
        // A receiver that is gone ends the follower elsewhere.
        let _ = self.batch.flush().await;
        if self.under_way.is_empty() {
            self.breathe().await;
        }
        Ok(())
    }

    /// A poll for the next event, and for each that etcd is known to remember, but for our own deletes.
    fn polls(&self, next: u64) -> VecDeque<Poll> {
        let mut polls = VecDeque::new();
        let mut index = self.own.skip(next);
        while polls.is_empty() || (index <= self.known && polls.len() < POLLS_MAX) {
            let query = format!("?wait=true&recursive=true&waitIndex={index}");
            polls.push_back(Poll { index, request: about(Method::GET, &self.prefix, &query) });
            index = self.own.skip(index + 1);
        }
        polls
    }

    /// Polls, and returns the answers that came: none at all means that nothing happened.
    async fn ask(&mut self, next: u64) -> Result<Vec<(Poll, Answer)>, Error> {
        // What is under way is lost with the connection, and asked for again, on every way out but the last.
        let mut under_way = std::mem::take(&mut self.under_way);
        let wire = match self.wire.take() {
            Some(wire) => Some(wire),
            None => self.client.wire().await?,
        };
        let Some(mut wire) = wire else { return self.ask_once(next).await };
        if under_way.is_empty() {
            under_way = self.polls(next);
            under_way.truncate(wire.fitting(under_way.iter().map(|poll| &poll.request)));
            let requests = under_way.iter().map(|poll| &poll.request);
            wire.send(requests).await.map_err(|error| self.client.lost(error))?;
        }
        if under_way.len() > 1 && self.is_fast {
            wire.gather(GATHER).await.map_err(|error| self.client.lost(error))?;
        }
        let Ok(answers) = timeout(POLL_TIME, wire.receive()).await else { return Ok(Vec::new()) };
        let mut answers = answers.map_err(|error| self.client.lost(error))?;
        if let (Some(index), Some(poll)) = (wire.begun(), under_way.get(answers.len()))
            && index + 1 < poll.index
        {
            self.start_over();
            return Ok(Vec::new());
        }
        let count = under_way.len().min(answers.len());
        let answered = under_way.drain(..count).zip(answers.drain(..count)).collect();
        (self.under_way, self.wire) = (under_way, Some(wire));
        Ok(answered)
    }

    /// The same for one poll, over TLS.
    async fn ask_once(&mut self, next: u64) -> Result<Vec<(Poll, Answer)>, Error> {
        let Some(poll) = self.polls(next).pop_front() else { return Ok(Vec::new()) };
        let reply = self.client.send(&poll.request).await?;
        let (status, index) = (reply.status, store_index(&poll.request, &reply).ok());
        let body = self.client.read_event(&poll.request, reply.body);
        let Ok(body) = timeout(POLL_TIME, body).await else { return Ok(Vec::new()) };
        let answer = Answer { status, index, body: body? };
        Ok(vec![(poll, answer)])
    }

    async fn take(&mut self, poll: &Poll, answer: Answer) -> Result<(), Error> {
        let request = &poll.request;
        if answer.index.is_some_and(|index| answer.status == 200 && index + 1 < poll.index) {
            self.start_over();
            return Ok(());
        }
        if answer.body.is_empty() {
            return Err(self.client.lost("the poll ended early".into()));
        }
        match parse_answer(request, answer.status, &answer.body)? {
            Ok(event) => {
                self.known = answer.index.unwrap_or(0);
                self.report(event).await;
                Ok(())
            }
            Err(error) if error.code == HISTORY_LOST => {
                tracing::debug!(prefix = self.prefix, "etcd's history does not reach back far enough");
                self.next = None;
                Ok(())
            }
            Err(error) => Err(refusal(request, error)),
        }
    }

    /// The store's index is smaller than one that it had before.
    fn start_over(&mut self) {
        tracing::warn!(prefix = self.prefix, "etcd went back in time: it was wiped or restored");
        self.own.clear();
        self.next = None;
    }

    /// Hands on an event, unless an earlier poll brought it.
    async fn report(&mut self, event: Event) {
        let at = event.node.modified;
        if self.next.is_some_and(|next| at < next) {
            return;
        }
        self.next = Some(at + 1);
        if let Some(change) = self.change(event) {
            // Keys that are removed many at a time say nothing about how fast others are written.
            self.puts += u32::from(matches!(change, Change::Put { .. }));
            if self.batch.add(change) {
                let _ = self.batch.flush().await;
            }
        }
        let lag = self.known.saturating_sub(at) - self.own.count(at + 1, self.known);
        if lag > LAG_MAX && self.rest_until.is_none_or(|until| Instant::now() >= until) {
            tracing::debug!(prefix = self.prefix, lag, "polls fall behind; reading the directory");
            self.next = None;
        }
    }

    /// Once nearly all that is known was read, waits for a moment if events come thick and fast, so that some of them
    /// can be read at once; longer if our own deletes are under way, which then need not be read at all.
    async fn breathe(&mut self) {
        let elapsed = self.counted_since.elapsed();
        if elapsed >= COUNT_TIME {
            self.is_fast = elapsed / self.puts.max(1) < FAST;
            (self.puts, self.counted_since) = (0, Instant::now());
        }
        let left = |next| self.own.skip(next) + LEFT_MAX <= self.known;
        if !self.is_fast || self.next.is_none_or(left) {
            return;
        }
        for _ in 0..BREATHS_MAX {
            sleep(BREATH).await;
            if !self.own.is_under_way() {
                break;
            }
        }
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
