//! The engine: one loop that takes in changes from etcd and looks at fleet, shows samples to policies, and carries out
//! what they decide.
//!
//! Everything in it is synchronous but the actions, which run side by side and own nothing: they report an outcome, and
//! the loop acts on it. Dropping the engine at any point is the same as a crash, and the next start goes on from there.

mod act;
mod board;
mod context;
mod inventory;
mod looking;
mod main_loop;
mod policies;
mod post;
mod recover;
mod registrations;
mod upkeep;

use std::future::Future;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

pub use self::context::Chain;
use self::context::{Context, LeadershipLost};
use self::main_loop::Engine;
use crate::clock::Clock;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::record::Stored;
use crate::store::{Lock, Store};

/// How many batches of changes may wait for the loop, from each path. A batch is some hundred changes.
const BATCHES_MAX: usize = 16;
/// What the engine runs on.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Shutdown,
    /// Its lease ran out, or somebody else leads.
    LeadershipLost,
}

/// Runs the services of `config` until `shutdown` is ready. `lock` was taken by a request sent at `locked_at`.
pub async fn run<S: Store, F: Fleet, C: Clock>(
    parts: Parts<S, F, C>,
    config: &Config,
    stored: &Stored,
    (lock, locked_at): (Lock, Instant),
    shutdown: impl Future<Output = ()>,
) -> Ended {
    let lease_end = locked_at + lock.ttl;
    let context = Context::new(parts.store, parts.fleet, parts.clock, lock, lease_end, parts.rng);
    let ended = tokio::select! {
        () = shutdown => Ended::Shutdown,
        LeadershipLost = serve(&context, config, stored) => Ended::LeadershipLost,
        LeadershipLost = keep_lease(&context) => Ended::LeadershipLost,
    };
    if ended == Ended::Shutdown {
        let unlocked = tokio::time::timeout(UNLOCK_TIME_MAX, context.store.unlock(&context.lock)).await;
        if !matches!(unlocked, Ok(Ok(()))) {
            tracing::warn!("the lease could not be given back; another Dynamite waits until it runs out");
        }
    }
    ended
}

/// How long a shutdown may take to give the lease back.
const UNLOCK_TIME_MAX: Duration = Duration::from_secs(1);

/// Prolongs the lease three times in its life, until it is lost.
async fn keep_lease<S: Store, F: Fleet, C: Clock>(context: &Context<S, F, C>) -> LeadershipLost {
    let mut patience = context.patience("prolonging the lease");
    loop {
        sleep(context.lock.ttl / 3).await;
        loop {
            let asked_at = Instant::now();
            match context.store.renew(&context.lock).await {
                Ok(true) => {
                    patience.succeeded();
                    patience = context.patience("prolonging the lease");
                    context.prolong(asked_at);
                    break;
                }
                Ok(false) => return LeadershipLost,
                Err(error) => patience.wait(&error).await,
            }
            if context.leading().is_err() {
                // Nothing is written any more; whether the lease is still ours, only etcd can tell.
                tracing::warn!("the lease ran out while etcd did not answer");
                return LeadershipLost;
            }
        }
    }
}

async fn serve<S: Store, F: Fleet, C: Clock>(
    context: &Context<S, F, C>,
    config: &Config,
    stored: &Stored,
) -> LeadershipLost {
    let (registrations, registration_batches) = mpsc::channel(BATCHES_MAX);
    let (metrics, metric_batches) = mpsc::channel(BATCHES_MAX);
    let metrics_base = config.etcd.metrics_base.clone();
    let application_base = config.etcd.application_base.clone();
    tokio::select! {
        Err(lost) = Engine::start(context, config, stored, registration_batches, metric_batches) => lost,
        () = context.store.follow(&metrics_base, metrics) => unreachable_end(),
        () = context.store.follow(&application_base, registrations) => unreachable_end(),
    }
}

/// Followers end when their receiver is gone, and the receivers live as long as the loop.
fn unreachable_end() -> LeadershipLost {
    debug_assert!(false, "a follower ended before the loop");
    LeadershipLost
}
