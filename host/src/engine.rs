//! The engine: one loop that takes in changes from etcd and looks at fleet, shows samples to policies, and carries out
//! what they decide.
//!
//! Everything in it is synchronous but the actions, which run side by side and own nothing: they report an outcome, and
//! the loop acts on it. Dropping the engine at any point is the same as a crash, and the next start goes on from there.

mod act;
mod board;
mod brain;
mod context;
mod crew;
mod inventory;
mod looking;
mod main_loop;
mod policies;
mod post;
mod recover;
mod registrations;
#[cfg(test)]
mod sim;
#[cfg(test)]
pub(crate) mod test_config;
#[cfg(test)]
mod tests;
mod upkeep;

use std::convert::Infallible;
use std::future::{Future, pending};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

pub use self::board::Effects;
pub use self::brain::Brain;
use self::context::Context;
pub use self::context::{Chain, LeadershipLost};
use self::main_loop::Engine;
use crate::clock::Clock;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::record::Stored;
use crate::store::{Lock, Store};

/// How many batches of changes may wait for the loop, from each path. A batch is some hundred changes.
const BATCHES_MAX: usize = 16;
/// How long a shutdown may take to give the lease back.
const UNLOCK_TIME_MAX: Duration = Duration::from_secs(1);

/// What the engine runs on.
#[derive(Debug)]
pub struct Parts<S, F, C> {
    /// etcd.
    pub store: S,
    /// fleet.
    pub fleet: F,
    /// The time of day.
    pub clock: C,
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

/// Runs the services of `config` until `shutdown` is ready. `lock` was taken by a request sent at `locked_at`.
pub async fn run<S: Store, F: Fleet, C: Clock>(
    parts: Parts<S, F, C>,
    config: &Config,
    stored: &Stored,
    (lock, locked_at): (Lock, Instant),
    shutdown: impl Future<Output = ()>,
) -> (Parts<S, F, C>, Ended) {
    let context = Context::new(parts, lock, locked_at);
    let mut engine = Engine::new(&context, config, stored);
    let ended = tokio::select! {
        () = shutdown => None,
        lost = serve(&context, config, stored, &mut engine) => Some((lost, engine.records())),
        lost = keep_lease(&context) => Some((lost, engine.records())),
    };
    drop(engine);
    if let Some((lost, records)) = ended {
        return (context.parts, Ended::LeadershipLost(lost, records));
    }
    unlock(&context).await;
    (context.parts, Ended::Shutdown)
}

async fn unlock<S: Store, F: Fleet, C: Clock>(context: &Context<S, F, C>) {
    let unlocked = tokio::time::timeout(UNLOCK_TIME_MAX, context.parts.store.unlock(&context.lock)).await;
    if !matches!(unlocked, Ok(Ok(()))) {
        tracing::warn!("the lease could not be given back; another Dynamite waits until it runs out");
    }
}

/// Prolongs the lease three times in its life, until it is lost: an answer that comes after its end is not waited for.
async fn keep_lease<S: Store, F: Fleet, C: Clock>(context: &Context<S, F, C>) -> LeadershipLost {
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
async fn renew_lease<S: Store, F: Fleet, C: Clock>(context: &Context<S, F, C>) -> bool {
    let mut patience = context.patience("prolonging the lease");
    loop {
        let asked_at = Instant::now();
        match context.parts.store.renew(&context.lock).await {
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
async fn serve<S: Store, F: Fleet, C: Clock>(
    context: &Context<S, F, C>,
    config: &Config,
    stored: &Stored,
    engine: &mut Engine<'_, S, F, C>,
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
        Err(lost) = engine.run(stored, registration_batches, metric_batches) => lost,
        never = followers => match never {},
    }
}
