//! Waits for units to end, and sees to it that they do.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, timeout};

use super::message::{Order, Wanted};
use super::{Shared, Unit, definition, processes};

/// After so long it is said which units are awaited, and supervisors that somebody has halted go on.
const PATIENCE: Duration = Duration::from_secs(3);

/// How much longer than its unit may take a supervisor has before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// How long after that it is given up: what a lost supervisor left behind has half of that to end.
const GIVEN_UP_AFTER: Duration = Duration::from_mins(1);

/// How many units are named in a line of the log.
const NAMES_MAX: usize = 10;

/// How many limits of its own a stop may use up besides one a command: two signals, each in two rounds.
const SIGNALS: usize = 4;

/// Sees units come to an end.
#[derive(Clone)]
pub struct Watcher {
    pub(super) shared: Arc<Shared>,
}

impl Watcher {
    /// How many units are up, or on their way.
    #[must_use]
    pub fn up(&self) -> usize {
        self.shared.units().values().filter(|unit| !unit.is_down()).count()
    }

    /// Ends every unit and forgets it, whatever is wanted of it.
    ///
    /// # Errors
    /// The names of those that do not end, and whose supervisors cannot be killed.
    pub async fn end_all(&self) -> Result<(), Vec<String>> {
        let names: Vec<String> = self.shared.units().keys().cloned().collect();
        for name in names {
            self.shared.unload(&name);
        }
        self.until_all(|_| false).await
    }

    /// Ends every unit without forgetting that it is wanted, so that the next Dynamite starts it again.
    ///
    /// # Errors
    /// The names of those that do not end, and whose supervisors cannot be killed.
    pub async fn suspend(&self) -> Result<(), Vec<String>> {
        for (name, unit) in self.shared.units().iter_mut() {
            if let Some(order) = &mut unit.order {
                order.wanted = Wanted::Loaded;
                self.shared.wake(name, unit);
            }
        }
        self.until_all(Unit::is_down).await
    }

    /// Resolves when every unit that is still known is done.
    async fn until_all(&self, is_done: impl Fn(&Unit) -> bool + Copy) -> Result<(), Vec<String>> {
        let (began, mut said) = (Instant::now(), Vec::new());
        while timeout(PATIENCE, self.all(is_done)).await.is_err() {
            let awaited: Vec<(String, Option<Order>)> = {
                let units = self.shared.units();
                let awaited = units.iter().filter(|(_, unit)| !is_done(unit));
                awaited.map(|(name, unit)| (name.clone(), unit.order.clone())).collect()
            };
            let mut hopeless = !awaited.is_empty();
            for (name, order) in &awaited {
                let over = longest(order.as_ref()).and_then(|limit| began.elapsed().checked_sub(limit));
                self.push(name, over);
                hopeless &= over.is_some_and(|over| over >= GRACE + GIVEN_UP_AFTER);
            }
            let names: Vec<String> = awaited.into_iter().map(|(name, _)| name).collect();
            if hopeless {
                return Err(names);
            }
            if names != said {
                let first = names.iter().take(NAMES_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
                tracing::warn!(units = names.len(), "still waiting for the end of {first}");
                said = names;
            }
        }
        Ok(())
    }

    async fn all(&self, is_done: impl Fn(&Unit) -> bool) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.units().values().all(&is_done) {
                return;
            }
            changed.await;
        }
    }

    /// Has a supervisor go on that was halted, and kills one that takes too long. Its actor ends what it leaves behind.
    fn push(&self, name: &str, over: Option<Duration>) {
        let supervisors = processes::supervisors(self.shared.folder(name).path());
        processes::signal(&supervisors, Signal::CONT);
        if !supervisors.is_empty() && over.is_some_and(|over| over >= GRACE) {
            tracing::error!(unit = name, "{name}: its supervisor does not end, and is killed");
            processes::signal(&supervisors, Signal::KILL);
        }
    }
}

/// How long a unit may take to end; `None` is for ever.
fn longest(order: Option<&Order>) -> Option<Duration> {
    let reading = order.map(|order| definition::read(&order.start.identity, &order.start.options));
    let Some(Ok(definition)) = reading.map(|reading| reading.definition) else { return Some(Duration::ZERO) };
    let steps = definition.stop.len() + definition.stop_post.len() + SIGNALS;
    Some(definition.stop_timeout?.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX)))
}

impl fmt::Debug for Watcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Watcher").field("folder", &self.shared.root).finish_non_exhaustive()
    }
}
