//! What every action needs: the adapters, the latest inventory, the lease, and patience.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};

use super::inventory::Inventory;
use super::{Lease, Parts, World};
use crate::clock::Clock;
use crate::journal::EngineEvent;
use crate::record::InstanceRecord;
use crate::store::{Lock, Store};

/// How many calls to fleet may be under way: a real fleetd serves one unit in some 7 ms, more at once gain nothing.
const FLEET_CALLS_MAX: usize = 32;
/// The first pause after a failed call to etcd or fleet; it doubles with each failure.
const PAUSE_MIN: Duration = Duration::from_millis(50);
/// The longest pause. fleet can be away for minutes, and should not wait long for us when it is back.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// Why everything was given up: another Dynamite may lead by now, and nothing more may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadershipLost {
    /// etcd did not prolong the lease in time.
    RanOut,
    /// etcd says that the lease is not ours.
    Taken,
}

impl fmt::Display for LeadershipLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RanOut => "the lease ran out while etcd did not answer",
            Self::Taken => "the lease is gone from etcd, or somebody else's",
        })
    }
}

/// What every action needs.
pub(crate) struct Context<W: World> {
    pub(crate) parts: Parts<W>,
    pub(crate) lock: Lock,
    /// Until when nobody else can lead.
    lease_end: Mutex<Instant>,
    rng: Mutex<fastrand::Rng>,
    inventory: Mutex<Arc<Inventory>>,
    /// Wakes those who wait for another inventory in the order in which they came, where a watch wakes them in any.
    looked: Notify,
    /// How many actions wait for something to happen in fleet.
    waiting: AtomicUsize,
    someone_waits: Notify,
    calls: Semaphore,
    /// The records of instances as they are stored, with fields of others.
    pub(crate) records: InstanceRecords,
}

/// The records of instances by their key.
#[derive(Debug)]
pub(crate) struct InstanceRecords(Mutex<BTreeMap<String, InstanceRecord>>);

impl InstanceRecords {
    pub(crate) fn new(records: BTreeMap<String, InstanceRecord>) -> Self {
        Self(Mutex::new(records))
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, InstanceRecord>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An instance is up: its record, on top of what was there before.
    pub(crate) fn relaunched(&self, key: &str, unit: &str, attached: &[String]) -> String {
        let mut all = self.all();
        let record = match all.remove(key) {
            Some(record) => record.relaunched(unit, attached),
            None => InstanceRecord::launched(unit, attached),
        };
        let text = record.text();
        all.insert(key.to_owned(), record);
        text
    }

    /// An instance is gone. Whether it was recorded.
    pub(crate) fn forget(&self, key: &str) -> bool {
        self.all().remove(key).is_some()
    }

    /// The record of an instance with these attached units, as it is or as it would be.
    pub(crate) fn text(&self, key: &str, unit: &str, attached: &[String]) -> String {
        let known = self.all().get(key).map(InstanceRecord::text);
        known.unwrap_or_else(|| InstanceRecord::launched(unit, attached).text())
    }
}

/// Counts an action as waiting for fleet for as long as it lives.
pub(crate) struct Waiting<'c>(&'c AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<W: World> Context<W> {
    /// What a leader needs.
    pub(crate) fn new(
        mut parts: Parts<W>,
        Lease { lock, asked_at }: Lease,
        records: BTreeMap<String, InstanceRecord>,
    ) -> Self {
        let rng = parts.rng.fork();
        Self {
            parts,
            lease_end: Mutex::new(asked_at + lock.ttl),
            lock,
            rng: Mutex::new(rng),
            inventory: Mutex::new(Arc::new(Inventory::empty())),
            looked: Notify::new(),
            waiting: AtomicUsize::new(0),
            someone_waits: Notify::new(),
            calls: Semaphore::new(FLEET_CALLS_MAX),
            records: InstanceRecords::new(records),
        }
    }

    /// Until when nobody else can lead.
    pub(crate) fn lease_end(&self) -> Instant {
        *self.lease_end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process may still write: its lease has not run out.
    pub(crate) fn leading(&self) -> Result<(), LeadershipLost> {
        if Instant::now() < self.lease_end() { Ok(()) } else { Err(LeadershipLost::RanOut) }
    }

    /// The lease was prolonged by a request sent at `asked_at`.
    pub(crate) fn prolong(&self, asked_at: Instant) {
        *self.lease_end.lock().unwrap_or_else(PoisonError::into_inner) = asked_at + self.lock.ttl;
    }

    /// The latest look at fleet.
    pub(crate) fn inventory(&self) -> Arc<Inventory> {
        self.inventory.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_inventory(&self, inventory: Inventory) {
        *self.inventory.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(inventory);
        self.looked.notify_waiters();
    }

    /// Whether any action waits for fleet, so that looking more often is worth it.
    pub(crate) fn anyone_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Returns when an action has begun to wait for fleet since the last return.
    pub(crate) async fn someone_waits(&self) {
        self.someone_waits.notified().await;
    }

    pub(crate) fn wait_for_fleet(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.someone_waits.notify_one();
        Waiting(&self.waiting)
    }

    /// The first inventory that was asked for after `time`.
    pub(crate) async fn inventory_after(&self, time: Instant) -> Arc<Inventory> {
        loop {
            // Made before the look, so that one which comes in between is not missed.
            let looked = self.looked.notified();
            let inventory = self.inventory();
            if inventory.asked_at > time {
                return inventory;
            }
            looked.await;
        }
    }

    /// Calls fleet when there is a place.
    pub(crate) async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        let _place = self.calls.acquire().await;
        call.await
    }

    /// Tells what happened, now.
    pub(crate) fn tell(&self, event: EngineEvent) {
        self.parts.journal.tell(self.parts.clock.now(), event);
    }

    /// A growing pause for repeated attempts.
    pub(crate) fn patience(&self, what: &'static str) -> Patience<'_, W> {
        let seed = self.rng.lock().unwrap_or_else(PoisonError::into_inner).fork();
        Patience { context: self, what, failures: 0, rng: seed }
    }

    /// Repeats a call to etcd until it succeeds or the lease has run out.
    pub(crate) async fn persist<T, Call>(
        &self,
        what: &'static str,
        mut call: impl FnMut() -> Call,
    ) -> Result<T, LeadershipLost>
    where
        Call: Future<Output = Result<T, crate::store::Error>>,
    {
        let mut patience = self.patience(what);
        loop {
            self.leading()?;
            match call().await {
                Ok(done) => {
                    patience.succeeded();
                    return Ok(done);
                }
                Err(error) => patience.wait(&error).await,
            }
        }
    }

    /// Writes a key, until it is written.
    pub(crate) async fn put(&self, key: &str, value: &str) -> Result<(), LeadershipLost> {
        self.persist("writing to etcd", || self.parts.store.put(key, value)).await.map(drop)
    }

    /// Removes a key, until it is gone.
    pub(crate) async fn remove(&self, key: String) -> Result<(), LeadershipLost> {
        let keys = [key];
        self.persist("removing a key from etcd", || self.parts.store.delete(&keys)).await
    }
}

/// Pauses between attempts, doubling from 50 ms to 5 s with a quarter of jitter, and words for the log: one line when an
/// attempt first fails, one a minute while it goes on, and one when it succeeds again.
pub(crate) struct Patience<'c, W: World> {
    context: &'c Context<W>,
    what: &'static str,
    failures: u32,
    rng: fastrand::Rng,
}

impl<W: World> Patience<'_, W> {
    /// Waits after a failure.
    pub(crate) async fn wait(&mut self, error: &(impl std::error::Error + 'static)) {
        let pause = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        let lines_between = if pause == PAUSE_MAX { 12 } else { u32::MAX };
        if self.failures == 0 || self.failures.is_multiple_of(lines_between) {
            let (error, attempt) = (Chain(error).to_string(), self.failures + 1);
            self.context.tell(EngineEvent::CallFailed { what: self.what, error, attempt });
        }
        self.failures = self.failures.saturating_add(1);
        sleep(pause.mul_f64(1.0 - 0.25 * self.rng.f64())).await;
    }

    /// Says that it works again, if it did not.
    pub(crate) fn succeeded(&self) {
        if self.failures > 0 {
            self.context.tell(EngineEvent::CallWorks { what: self.what, attempts: self.failures + 1 });
        }
    }
}

/// An error with all its causes, for the log.
pub struct Chain<'e>(pub &'e (dyn std::error::Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
