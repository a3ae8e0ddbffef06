//! The engine: one loop that takes in changes from etcd, looks at fleet and answers of policies, and carries out what is
//! decided.
//!
//! What follows from anything is said by the planner ([`dynamite_core::Planner`]), which is synchronous and knows nothing of
//! etcd or fleet. Actions run side by side and own nothing: they report an outcome, which is one more input. Dropping the engine at any point is the same as a crash, and the next start goes on from there.

mod context;
mod executor;
mod inventory;
mod looking;
mod main_loop;
#[cfg(test)]
mod replay_tests;
#[cfg(test)]
pub(crate) mod sim;
#[cfg(test)]
pub(crate) mod test_config;
mod writeback;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use self::context::Context;
pub use self::context::{Chain, LeadershipLost};
use self::main_loop::Engine;
use crate::clock::Clock;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::health::Health;
use crate::journal::{EngineEvent, Journal};
use crate::modules::Modules;
use crate::record::Contents;
use crate::store::{Lock, Store};

/// How many batches of changes may wait for the loop, from each path. A batch is some hundred changes.
const BATCHES_MAX: usize = 16;
/// How long a shutdown may take to write what was to be written soon.
const SAVE_TIME_MAX: Duration = Duration::from_secs(1);
/// How long a shutdown may take to give the lease back.
const UNLOCK_TIME_MAX: Duration = Duration::from_secs(1);

/// The kinds of things that the engine runs on, real ones or simulated ones.
pub trait World {
    /// etcd.
    type Store: Store;
    /// fleet.
    type Fleet: Fleet;
    /// The time of day.
    type Clock: Clock;
    /// The policies in modules.
    type Modules: Modules;
}

/// What the engine runs on.
#[derive(Debug)]
pub struct Parts<W: World> {
    /// etcd.
    pub store: W::Store,
    /// fleet.
    pub fleet: W::Fleet,
    /// The time of day.
    pub clock: W::Clock,
    /// The policies in modules.
    pub modules: W::Modules,
    /// Where it says how it is.
    pub health: Arc<Health>,
    /// Where it tells what happens.
    pub journal: Arc<dyn Journal>,
    /// Randomness, for jitter alone.
    pub rng: fastrand::Rng,
}

/// Why the engine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Shutdown,
    /// Somebody else may lead: why, and the records of its instances, by key, in case etcd lost them.
    LeadershipLost(LeadershipLost, Vec<(String, String)>),
}

/// The lead, as long as it is kept.
#[derive(Clone, Debug)]
pub struct Lease {
    /// What is held.
    pub lock: Lock,
    /// When the request was sent that took it.
    pub asked_at: Instant,
}

/// Runs the services of `config` until `shutdown` is ready, for as long as the lease is kept.
pub async fn run<W: World>(
    parts: Parts<W>,
    config: &Config,
    stored: &Contents,
    lease: Lease,
    shutdown: impl Future<Output = ()>,
) -> (Parts<W>, Ended) {
    let context = Context::new(parts, lease, stored.records.clone());
    let mut engine = Engine::new(&context, config, stored);
    let ended = tokio::select! {
        // A loop with much to do uses up the task's turn: after it, the lease might never get one.
        biased;
        () = shutdown => None,
        lost = keep_lease(&context) => Some((lost, engine.records())),
        lost = serve(&context, config, stored, &mut engine) => Some((lost, engine.records())),
    };
    let unsaved = engine.unsaved();
    drop(engine);
    if let Some((lost, records)) = ended {
        return (context.parts, Ended::LeadershipLost(lost, records));
    }
    save(&context, &unsaved).await;
    unlock(&context).await;
    (context.parts, Ended::Shutdown)
}

/// Writes what was to be written soon.
async fn save<W: World>(context: &Context<W>, unsaved: &[(String, String)]) {
    let writes = unsaved.iter().map(|(key, value)| context.parts.store.put(key, value));
    let written = tokio::time::timeout(SAVE_TIME_MAX, futures_util::future::try_join_all(writes)).await;
    if !matches!(written, Ok(Ok(_))) {
        let what = "the last state of some policies was not written; they go on from the one before";
        context.tell(EngineEvent::Unsaved { what });
    }
}

async fn unlock<W: World>(context: &Context<W>) {
    let unlocked = tokio::time::timeout(UNLOCK_TIME_MAX, context.parts.store.unlock(&context.lock)).await;
    if !matches!(unlocked, Ok(Ok(()))) {
        let what = "the lease could not be given back; another Dynamite waits until it runs out";
        context.tell(EngineEvent::Unsaved { what });
    }
}

/// Prolongs the lease three times in its life, until it is lost: an answer that comes after its end is not waited for.
async fn keep_lease<W: World>(context: &Context<W>) -> LeadershipLost {
    loop {
        sleep(context.lock.ttl / 3).await;
        match timeout_at(context.lease_end(), renew_lease(context)).await {
            Ok(true) => {}
            Ok(false) => return LeadershipLost::Taken,
            Err(_) => return LeadershipLost::RanOut,
        }
    }
}

/// Prolongs the lease, until etcd answers; false when it is not ours any more.
async fn renew_lease<W: World>(context: &Context<W>) -> bool {
    let mut patience = context.patience("prolonging the lease");
    loop {
        let asked_at = Instant::now();
        let renewed = context.parts.store.renew(&context.lock).await;
        context.parts.health.note_etcd(&renewed);
        match renewed {
            Ok(true) => {
                patience.succeeded();
                context.prolong(asked_at);
                return true;
            }
            Ok(false) => return false,
            Err(error) => patience.wait(&error).await,
        }
    }
}

/// Follows etcd and loops. The followers end with their receivers, which the loop holds: only the loop ends it.
async fn serve<W: World>(
    context: &Context<W>,
    config: &Config,
    stored: &Contents,
    engine: &mut Engine<'_, W>,
) -> LeadershipLost {
    let (registrations, registration_batches) = mpsc::channel(BATCHES_MAX);
    let (metrics, metric_batches) = mpsc::channel(BATCHES_MAX);
    let store = &context.parts.store;
    let followers = async {
        tokio::join!(
            store.follow(&config.etcd.application_base, registrations),
            store.follow(&config.etcd.metrics_base, metrics),
        );
        pending::<Infallible>().await
    };
    tokio::select! {
        // What is there is worked off before more is fetched.
        biased;
        Err(lost) = engine.run(stored, registration_batches, metric_batches) => lost,
        never = followers => match never {},
    }
}
