//! The store in use: who may touch it, who waits for it, when its nodes expire, and what is safely stored.
//!
//! An answer leaves when everything that it was made from is on disk, be it a write, a read, an error or an event. So
//! nobody sees what a crash could take back, and all who wait at one time share one commit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};

use super::disk::Batch;
use super::event::{Event, Nanos};
use super::failure::{Code, Failure};
use super::hub::{Hub, Interest};
use super::key::Key;
use super::store::{Found, Store};
use super::write::Write;
use crate::clock::{Clock as _, SystemClock};

/// How long an answer waits to be stored: etcd's own limit.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(7);

/// The longest sleep. Timers of years are of no use, and waking once a month is no polling.
const SLEEP_MAX: Duration = Duration::from_hours(24 * 30);

/// What everything shares.
pub(super) struct Engine {
    state: Mutex<State>,
    /// The index up to which all is stored.
    saved: watch::Sender<u64>,
    /// Wakes what stores; `None` keeps everything in memory.
    work: Option<SyncSender<()>>,
    /// Some node goes sooner than was planned for.
    sooner: Notify,
    /// Whether what stores is to end.
    ending: AtomicBool,
}

struct State {
    store: Store,
    hub: Hub,
    /// How many requests the log of a real cluster would hold.
    log_index: u64,
    /// For when expiry is planned.
    planned: Option<Nanos>,
}

/// What a request came to, and how far the store was.
#[derive(Debug)]
pub(super) struct Reply<T> {
    /// What it came to.
    pub(super) value: T,
    /// The index of the store.
    pub(super) index: u64,
    /// The index of the log.
    pub(super) log_index: u64,
    /// When.
    pub(super) now: Nanos,
}

impl Engine {
    /// A store in use. `work` is sent to when there is something to store.
    pub(super) fn new(store: Store, work: Option<SyncSender<()>>) -> Arc<Self> {
        let (saved, _) = watch::channel(store.index());
        let log_index = store.index() + 1;
        let state = Mutex::new(State { store, hub: Hub::default(), log_index, planned: None });
        Arc::new(Self { state, saved, work, sooner: Notify::new(), ending: AtomicBool::new(false) })
    }

    /// Reads a node.
    pub(super) async fn get(&self, key: &Key, deep: bool, quorum: bool) -> Result<Reply<Found>, Failure> {
        self.ask(|state, now| {
            state.log_index += u64::from(quorum);
            state.store.get(now, key, deep)
        })
        .await
    }

    /// Changes something.
    pub(super) async fn write(&self, key: &Key, write: Write) -> Result<Reply<Arc<Event>>, Failure> {
        self.ask(|state, now| {
            state.log_index += 1;
            state.store.write(now, key, write)
        })
        .await
    }

    /// Starts to wait; `since` 0 in the interest is from now on.
    pub(super) async fn watch(self: &Arc<Self>, mut interest: Interest) -> Result<Reply<Watch>, Failure> {
        self.ask(|state, _| {
            if interest.since == 0 {
                interest.since = state.store.index() + 1;
            }
            let Interest { key, deep, since, .. } = &interest;
            let past = state.store.look_back(key, *deep, *since)?;
            let (id, events) = match past {
                None => state.hub.add(interest),
                Some(event) => (0, past_event(event)),
            };
            Ok(Watch { id, events, engine: Arc::clone(self) })
        })
        .await
    }

    /// The JSON of `/v2/stats/store`.
    pub(super) fn stats(&self) -> String {
        let state = self.state();
        state.store.stats().to_json(state.hub.len())
    }

    /// Expires nodes as their time comes, for ever. It sleeps as long as none does.
    pub(super) async fn expire(self: Arc<Self>) {
        loop {
            let pause = {
                let mut state = self.state();
                let now = self.step(&mut state);
                state.planned = state.store.next_deadline();
                state.planned.map(|at| Duration::from_nanos(at.saturating_sub(now).max(0).cast_unsigned()))
            };
            match pause {
                None => self.sooner.notified().await,
                Some(pause) => tokio::select! {
                    biased;
                    () = self.sooner.notified() => {}
                    () = sleep(pause.min(SLEEP_MAX)) => {}
                },
            }
        }
    }

    /// Waits until everything up to an index is stored.
    pub(super) async fn stored(&self, index: u64) -> Result<(), Failure> {
        if self.work.is_none() || *self.saved.borrow() >= index {
            return Ok(());
        }
        let mut saved = self.saved.subscribe();
        match timeout(COMMIT_TIMEOUT, saved.wait_for(|saved| *saved >= index)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::request(Code::RaftInternal, "etcdserver: request timed out")),
        }
    }

    /// What is to be stored; `None` if nothing is.
    pub(super) fn take_batch(&self) -> Option<Batch> {
        self.state().store.take_batch()
    }

    /// Everything up to an index is stored.
    pub(super) fn saved(&self, index: u64) {
        self.saved.send_replace(index);
    }

    /// Lets what stores end.
    pub(super) fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.call_work();
    }

    /// Whether it is to end.
    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    fn call_work(&self) {
        if let Some(work) = &self.work {
            // If it is full, what stores has yet to look.
            let _ = work.try_send(());
        }
    }

    /// Asks the store something, and waits until what it was asked of is stored.
    async fn ask<T>(
        &self,
        ask: impl FnOnce(&mut State, Nanos) -> Result<T, Failure>,
    ) -> Result<Reply<T>, Failure> {
        let (outcome, index, log_index, now) = {
            let mut state = self.state();
            let now = self.step(&mut state);
            let outcome = ask(&mut state, now);
            self.spread(&mut state);
            (outcome, state.store.index(), state.log_index, now)
        };
        self.stored(index).await?;
        outcome.map(|value| Reply { value, index, log_index, now })
    }

    /// Expires what has to go, and returns the time.
    fn step(&self, state: &mut State) -> Nanos {
        let now = i64::try_from(SystemClock.now().as_nanosecond()).unwrap_or(i64::MAX);
        state.store.expire(now);
        self.spread(state);
        now
    }

    /// Passes on what happened: to those who wait, to what stores, and to what expires.
    fn spread(&self, state: &mut State) {
        let happened = state.store.take_happened();
        if happened.is_empty() {
            return;
        }
        for happened in &happened {
            state.hub.notify(happened);
        }
        self.call_work();
        let next = state.store.next_deadline();
        if next.is_some_and(|next| state.planned.is_none_or(|planned| next < planned)) {
            self.sooner.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits, until it is dropped.
pub(super) struct Watch {
    /// 0 for one who was told at once.
    id: u64,
    events: mpsc::Receiver<Arc<Event>>,
    engine: Arc<Engine>,
}

impl Watch {
    /// The next event, once it is stored; `None` if there will be none.
    pub(super) async fn next(&mut self) -> Option<Arc<Event>> {
        let event = self.events.recv().await?;
        self.engine.stored(event.index).await.ok()?;
        Some(event)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.engine.state().hub.remove(self.id);
    }
}

fn past_event(event: Arc<Event>) -> mpsc::Receiver<Arc<Event>> {
    let (sender, receiver) = mpsc::channel(1);
    // There is room for one.
    let _ = sender.try_send(event);
    receiver
}
