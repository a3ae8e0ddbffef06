//! etcd, fleet and a clock in memory, for the simulator: every call is a place where the process can die, before the call
//! has an effect or after, and time is tokio's, which tests pause.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use dynamite_core::{Answer, PolicyId, Question, Usage};
use dynamite_units::UnitOption;
use futures_util::Stream;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::fleet::{DesiredState, Fleet, Unit, UnitState};
use crate::modules::{Answered, Modules};
use crate::store::{Change, Entry, Lock, Store};
use crate::{fleet, store};

mod collected;
mod policy;
mod universe;

pub(crate) use self::collected::Collected;
pub(crate) use self::policy::FakePolicy;
pub(crate) use self::universe::Universe;
use self::universe::{FakeUnit, SYSTEMD_TIME};

/// How many changes come in one batch.
const BATCH_MAX: usize = 100;

/// One process's connection to the world. With `mortal`, its calls count towards the one at which it dies.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    world: Arc<Mutex<Universe>>,
    began: Instant,
    mortal: bool,
}

impl Link {
    pub(crate) fn new(world: &Arc<Mutex<Universe>>, mortal: bool) -> Self {
        let began = world.lock().unwrap().began;
        Self { world: world.clone(), began, mortal }
    }

    fn world(&self) -> MutexGuard<'_, Universe> {
        self.world.lock().unwrap()
    }

    /// A place where the process can die: it never goes on from here.
    async fn point(&self) {
        let dies = {
            let mut world = self.world();
            world.calls += u64::from(self.mortal);
            self.mortal && world.dies_at.is_some_and(|at| world.calls >= at)
        };
        if dies {
            self.world().death.notify_one();
            pending::<()>().await;
        }
        sleep(Duration::from_millis(1)).await;
    }

    /// Whether the call shall fail.
    fn fails(&self) -> bool {
        self.world().failures.as_mut().is_some_and(|rng| rng.u8(..) < 40)
    }

    fn store_failure(&self) -> Result<(), store::Error> {
        if self.fails() {
            return Err(store::Error::Unavailable {
                request: "a call".to_owned(),
                message: "chance".to_owned(),
            });
        }
        Ok(())
    }

    /// Around the effect of a call to fleet: it may fail before it or after it.
    async fn fleet_call<T>(
        &self,
        effect: impl FnOnce(&mut Universe) -> Result<T, fleet::Error>,
    ) -> Result<T, fleet::Error> {
        self.point().await;
        let failure = || fleet::Error::Unavailable { status: 503, message: "chance".to_owned() };
        if self.fails() {
            return Err(failure());
        }
        let done = effect(&mut self.world());
        self.point().await;
        if self.fails() { Err(failure()) } else { done }
    }
}

/// Starts a process's life: it dies at that call, if ever. Returns how many calls the former one made.
pub(crate) fn begin_life(world: &Mutex<Universe>, dies_at: Option<u64>, failures: Option<u64>) -> u64 {
    let mut world = world.lock().unwrap();
    world.dies_at = dies_at;
    world.failures = failures.map(fastrand::Rng::with_seed);
    world.followers.clear();
    std::mem::take(&mut world.calls)
}

impl Clock for Link {
    fn now(&self) -> Timestamp {
        // tokio's paused clock has no time of day; that of a universe begins with it.
        let since = Instant::now().saturating_duration_since(self.began);
        Timestamp::from_second(1_438_000_000).unwrap() + since
    }
}

impl Fleet for Link {
    async fn unit(&self, name: &str) -> Result<Option<Unit>, fleet::Error> {
        self.fleet_call(|world| Ok(world.unit(name))).await
    }

    async fn units(&self) -> Result<Vec<Unit>, fleet::Error> {
        self.fleet_call(|world| Ok(world.units.keys().filter_map(|name| world.unit(name)).collect())).await
    }

    async fn states(&self) -> Result<Vec<UnitState>, fleet::Error> {
        self.fleet_call(|world| {
            let names: BTreeSet<&String> = world.units.keys().chain(world.rows_until.keys()).collect();
            Ok(names.into_iter().filter_map(|name| world.row(name, world.units.get(name))).collect())
        })
        .await
    }

    async fn state(&self, name: &str) -> Result<Vec<UnitState>, fleet::Error> {
        self.fleet_call(|world| Ok(world.row(name, world.units.get(name)).into_iter().collect())).await
    }

    async fn submit(&self, name: &str, options: &[UnitOption]) -> Result<(), fleet::Error> {
        self.fleet_call(|world| {
            let broken = world.broken.iter().any(|part| name.contains(part.as_str()));
            if !world.units.contains_key(name) {
                *world.created.entry(name.to_owned()).or_default() += 1;
                world.history.push(format!("create {name}"));
            } else if world.units[name].options != options {
                world.history.push(format!("REPLACE {name}"));
            }
            let unit = FakeUnit {
                options: options.to_vec(),
                desired: DesiredState::Inactive,
                launched_at: None,
                broken,
            };
            world.units.entry(name.to_owned()).or_insert(unit);
            Ok(())
        })
        .await
    }

    async fn set_desired(&self, name: &str, desired: DesiredState) -> Result<(), fleet::Error> {
        self.fleet_call(|world| {
            let Some(unit) = world.units.get_mut(name) else {
                let message = "unit does not exist and options field empty".to_owned();
                return Err(fleet::Error::Refused { request: format!("PUT {name}"), status: 409, message });
            };
            unit.desired = desired;
            unit.launched_at.get_or_insert_with(Instant::now);
            world.history.push(format!("launch {name}"));
            Ok(())
        })
        .await
    }

    async fn destroy(&self, name: &str) -> Result<(), fleet::Error> {
        self.fleet_call(|world| {
            if world.units.remove(name).is_some_and(|unit| unit.launched_at.is_some()) {
                world.rows_until.insert(name.to_owned(), Instant::now() + SYSTEMD_TIME);
            }
            world.history.push(format!("destroy {name}"));
            Ok(())
        })
        .await
    }
}

impl Store for Link {
    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, store::Error> {
        self.point().await;
        self.store_failure()?;
        let world = self.world();
        let below = world.keys.iter().filter(|(key, _)| key.starts_with(&format!("{prefix}/")));
        Ok(below.map(|(key, value)| Entry { key: key.clone(), value: value.clone() }).collect())
    }

    async fn put(&self, key: &str, value: &str) -> Result<(), store::Error> {
        self.point().await;
        self.store_failure()?;
        self.world().put(key, value);
        self.point().await;
        self.store_failure()?;
        Ok(())
    }

    async fn delete(&self, keys: &[String]) -> Result<(), store::Error> {
        self.point().await;
        self.store_failure()?;
        for key in keys {
            self.world().remove(key);
        }
        self.point().await;
        Ok(())
    }

    async fn follow(&self, prefix: &str, changes: Sender<Vec<Change>>) {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut snapshot = vec![Change::SnapshotStart];
        {
            let mut world = self.world();
            let below = world.keys.iter().filter(|(key, _)| key.starts_with(&format!("{prefix}/")));
            snapshot.extend(below.map(|(key, value)| Change::Put { key: key.clone(), value: value.clone() }));
            world.followers.push((prefix.to_owned(), sender));
        }
        snapshot.push(Change::SnapshotEnd);
        if changes.send(snapshot).await.is_err() {
            return;
        }
        loop {
            // What is written at once comes at once.
            let mut batch = Vec::new();
            if receiver.recv_many(&mut batch, BATCH_MAX).await == 0 || changes.send(batch).await.is_err() {
                return;
            }
        }
    }

    async fn lock(&self, key: &str, holder: &str, ttl: Duration) -> Result<Option<Lock>, store::Error> {
        self.point().await;
        let mut world = self.world();
        world.expire();
        if world.keys.contains_key(key) {
            return Ok(None);
        }
        world.put(key, holder);
        world.leases.insert(key.to_owned(), Instant::now() + ttl);
        Ok(Some(Lock { key: key.to_owned(), holder: holder.to_owned(), lease: 0, ttl }))
    }

    async fn renew(&self, lock: &Lock) -> Result<bool, store::Error> {
        self.point().await;
        let mut world = self.world();
        world.expire();
        let ours = world.get(&lock.key) == Some(&lock.holder);
        if ours {
            world.leases.insert(lock.key.clone(), Instant::now() + lock.ttl);
        }
        Ok(ours)
    }

    async fn unlock(&self, lock: &Lock) -> Result<(), store::Error> {
        self.point().await;
        let mut world = self.world();
        if world.get(&lock.key) == Some(&lock.holder) {
            world.leases.remove(&lock.key);
            world.remove(&lock.key);
        }
        Ok(())
    }
}

impl Modules for Link {
    fn ask(&self, questions: Vec<Question>) -> impl Stream<Item = Vec<Answered>> + Send {
        let answered = async |question: Question| {
            self.point().await;
            let policy = self.world().policy.clone();
            let verdict = (policy.0)(&question.seen, &question.state);
            let answer = Answer { result: Ok(verdict), usage: Usage { fuel: 1_000, ..Usage::default() } };
            vec![Answered { question, answer }]
        };
        questions.into_iter().map(answered).collect::<FuturesUnordered<_>>()
    }

    fn unusable(&self) -> Vec<PolicyId> {
        Vec::new()
    }

    async fn renewed(&self) -> Vec<PolicyId> {
        pending().await
    }
}
