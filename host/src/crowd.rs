//! The connections of a server: only so many at a time, and when one more comes, the one that has been quiet longest
//! is closed for it. So neither slow clients nor those who wait for ever keep others out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// All connections.
pub(crate) struct Crowd {
    places: Arc<Semaphore>,
    /// How long a connection may be quiet when others want its place.
    quiet_max: Duration,
    quiet: Mutex<Quiet>,
}

/// Those with no request under way, longest first.
#[derive(Default)]
struct Quiet {
    by_age: VecDeque<Resting>,
    next: u64,
}

struct Resting {
    number: u64,
    since: Instant,
    dismissal: Arc<Notify>,
}

impl Crowd {
    /// Room for so many, at least one. When others want its place, each may be quiet for `quiet_max`: who has something
    /// to ask does so at once, so that many who come together are served one after the other.
    pub(crate) fn new(places: usize, quiet_max: Duration) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(places.clamp(1, Semaphore::MAX_PERMITS)));
        Arc::new(Self { places, quiet_max, quiet: Mutex::default() })
    }

    /// Waits for a place, which a quiet connection has to leave if there is none.
    pub(crate) async fn enter(self: &Arc<Self>) -> Place {
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(&self.places).acquire_owned() => permit,
            () = self.dismiss() => Arc::clone(&self.places).acquire_owned().await,
        };
        // The semaphore is never closed.
        let place = Place {
            crowd: Arc::clone(self),
            dismissal: Arc::default(),
            number: Mutex::default(),
            _permit: permit.ok(),
        };
        place.rest();
        place
    }

    fn quiet(&self) -> MutexGuard<'_, Quiet> {
        self.quiet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the connection that has been quiet longest to go, once it has been so for long enough.
    async fn dismiss(&self) {
        loop {
            // Whoever is not quiet now cannot be for long enough before that.
            let mut end = Instant::now() + self.quiet_max;
            {
                let mut quiet = self.quiet();
                if let Some(oldest) = quiet.by_age.front() {
                    end = oldest.since + self.quiet_max;
                    if end <= Instant::now() {
                        oldest.dismissal.notify_one();
                        quiet.by_age.pop_front();
                        return;
                    }
                }
            }
            sleep_until(end).await;
        }
    }
}

/// The place of one connection, until it is dropped.
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    dismissal: Arc<Notify>,
    /// Its number among the quiet, if it is.
    number: Mutex<Option<u64>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// Resolves when the connection has to go.
    pub(crate) async fn dismissed(&self) {
        self.dismissal.notified().await;
    }

    /// A request is under way until this is dropped; the connection is not closed meanwhile.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.stir();
        Busy(self)
    }

    fn rest(&self) {
        let mut quiet = self.crowd.quiet();
        quiet.next += 1;
        let (number, dismissal) = (quiet.next, Arc::clone(&self.dismissal));
        quiet.by_age.push_back(Resting { number, since: Instant::now(), dismissal });
        *self.number.lock().unwrap_or_else(PoisonError::into_inner) = Some(number);
    }

    fn stir(&self) {
        let number = self.number.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut quiet = self.crowd.quiet();
        // The numbers grow.
        let at = number.and_then(|number| quiet.by_age.binary_search_by_key(&number, |one| one.number).ok());
        if let Some(at) = at {
            quiet.by_age.remove(at);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stir();
    }
}

/// A request that is under way.
pub(crate) struct Busy<'a>(&'a Place);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const QUIET_MAX: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn the_quietest_makes_room() {
        let crowd = Crowd::new(2, QUIET_MAX);
        let (first, second) = (crowd.enter().await, crowd.enter().await);
        drop(first.busy());
        let (third, ()) = tokio::join!(crowd.enter(), async {
            second.dismissed().await;
            assert!(first.dismissed().now_or_never().is_none(), "it has stirred since");
            drop(second);
        });
        let (_busy, _too) = (first.busy(), third.busy());
        let nobody = tokio::time::timeout(QUIET_MAX * 9, crowd.enter()).await;
        assert!(nobody.is_err(), "who is busy stays");
    }
}
