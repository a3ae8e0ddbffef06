//! When fleet is looked at: often while an action waits for it, seldom otherwise.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::World;
use super::context::{Context, LeadershipLost};
use super::inventory::Inventory;
use super::main_loop::Arrival;

/// How often fleet is looked at while nothing is expected of it. A look costs a real fleetd some 60 ms per 100 units.
const IDLE: Duration = Duration::from_secs(5);
/// How soon fleet is looked at after an action began to wait for it.
const BUSY_MIN: Duration = Duration::from_millis(50);
/// How often it is while actions go on waiting: the pause doubles up to this. A real fleet takes 2 to 7 s for everything.
const BUSY_MAX: Duration = Duration::from_secs(1);
/// A look that took long is not repeated before this many times its duration: fleet has others to serve.
const SHARE: u32 = 4;
/// And after so long in any case: one that hung once, as fleet was away, says nothing about the next.
const REST_MAX: Duration = Duration::from_secs(5);

/// When the next look is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// The pause while actions wait for fleet.
    busy: Duration,
    /// The shortest pause there may be.
    rest: Duration,
}

/// Whether an action began to wait for fleet before a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newcomer {
    Yes,
    No,
}

impl Pace {
    /// That of the first look.
    pub(super) fn first() -> Self {
        Self { busy: BUSY_MIN, rest: BUSY_MIN }
    }

    /// That of the look after one that took so long.
    pub(super) fn after(self, took: Duration, newcomer: Newcomer) -> Self {
        let busy = if newcomer == Newcomer::Yes { BUSY_MIN } else { (self.busy * 2).min(BUSY_MAX) };
        Self { busy, rest: (took * SHARE).clamp(BUSY_MIN, REST_MAX) }
    }
}

/// Looks at fleet, until it answers.
pub(super) async fn look<W: World>(context: &Context<W>) -> Inventory {
    let mut patience = context.patience("looking at fleet");
    loop {
        let looked = Inventory::ask(&context.parts.fleet).await;
        context.parts.health.note_fleet(&looked);
        match looked {
            Ok(inventory) => {
                patience.succeeded();
                return inventory;
            }
            Err(error) => patience.wait(&error).await,
        }
    }
}

/// Looks at fleet when it is due, and soon if an action begins to wait for fleet before that.
pub(super) async fn look_after<W: World>(
    context: &Context<W>,
    pace: Pace,
) -> Result<Arrival, LeadershipLost> {
    let began = Instant::now();
    let pause = if context.anyone_waiting() { pace.busy } else { IDLE };
    let mut due = began + pause.max(pace.rest);
    let mut newcomer = Newcomer::No;
    while timeout_at(due, context.someone_waits()).await.is_ok() {
        newcomer = Newcomer::Yes;
        due = due.min((Instant::now() + BUSY_MIN).max(began + pace.rest));
    }
    Ok(Arrival::Looked(look(context).await, newcomer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_that_took_long_is_followed_by_a_rest_and_one_that_hung_by_no_longer_one() {
        let rest = |took| Pace::first().after(took, Newcomer::No).rest;
        assert_eq!(rest(Duration::from_millis(1)), BUSY_MIN);
        assert_eq!(rest(Duration::from_millis(500)), Duration::from_secs(2));
        assert_eq!(rest(Duration::from_secs(12)), REST_MAX);
    }
}
