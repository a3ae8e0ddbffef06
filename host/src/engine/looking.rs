//! When fleet is looked at: often while an action waits for it, seldom otherwise.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::context::{Context, LeadershipLost};
use super::inventory::Inventory;
use super::main_loop::Event;
use crate::clock::Clock;
use crate::fleet::Fleet;
use crate::store::Store;

/// How often fleet is looked at while nothing is expected of it. A look costs a real fleetd some 60 ms per 100 units.
const IDLE: Duration = Duration::from_secs(5);
/// How often fleet is looked at while an action waits for it, at first.
pub(super) const BUSY_MIN: Duration = Duration::from_millis(50);
/// The same after a while: a real fleet takes 2 to 7 s for everything.
const BUSY_MAX: Duration = Duration::from_secs(1);
/// A look that took long is not repeated before this many times its duration: fleet has others to serve.
const SHARE: u32 = 4;
/// The pause before the next look, after one that came `pause` after its forerunner and `took` so long.
pub(super) fn next_pause(pause: Duration, took: Duration, busy: bool) -> Duration {
    let next = if busy { (pause * 2).min(BUSY_MAX) } else { BUSY_MIN };
    next.max(took * SHARE)
}

/// Looks at fleet, until it answers.
pub(super) async fn look<S: Store, F: Fleet, C: Clock>(context: &Context<S, F, C>) -> Inventory {
    let mut patience = context.patience("looking at fleet");
    loop {
        match Inventory::look(&context.parts.fleet).await {
            Ok(inventory) => {
                patience.succeeded();
                return inventory;
            }
            Err(error) => patience.wait(&error).await,
        }
    }
}

/// Looks at fleet after a pause, or later if no action waits for fleet.
pub(super) async fn look_after<S: Store, F: Fleet, C: Clock>(
    context: &Context<S, F, C>,
    pause: Duration,
) -> Result<Event, LeadershipLost> {
    let idle_until = Instant::now() + IDLE.max(pause);
    sleep(pause).await;
    while !context.anyone_waiting() && Instant::now() < idle_until {
        context.until_someone_waits(idle_until).await;
    }
    Ok(Event::Looked(look(context).await))
}
