//! The clock that ends calls which run for too long.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use wasmtime::Engine;

/// How often the epoch goes up while calls are under way: what time limits are counted in.
pub(super) const TICK: Duration = Duration::from_millis(1);
/// Ticks without any call before the thread goes to sleep. Waking it takes as long as half a call, so it stays up for the
/// next one; where decisions come every second, it still sleeps nearly all the time.
const IDLE_TICKS_MAX: u32 = 20;

/// A thread that makes the epoch go up while anybody needs it, and sleeps otherwise.
pub(super) struct Ticker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Calls under way.
    calls: AtomicUsize,
    /// Calls that ever began.
    begun: AtomicU64,
    /// Whether the thread waits to be woken. Changes under the lock only.
    asleep: AtomicBool,
    /// Whether the thread shall end.
    ended: Mutex<bool>,
    woken: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, bool> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let _lock = self.lock();
        self.asleep.store(false, Ordering::SeqCst);
        self.woken.notify_one();
    }

    /// Waits until there is a call, or the end.
    fn sleep(&self) {
        let mut ended = self.lock();
        self.asleep.store(true, Ordering::SeqCst);
        // A call that began just now has seen that the thread sleeps, or is seen here: both orders are sequential.
        while !*ended && self.calls.load(Ordering::SeqCst) == 0 && self.asleep.load(Ordering::SeqCst) {
            ended = self.woken.wait(ended).unwrap_or_else(PoisonError::into_inner);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// The epoch goes up.
pub(super) struct Ticking<'t>(&'t Shared);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticker {
    pub(super) fn start(engines: [Engine; 2]) -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        // It ends with the last handle on the engines: see `Drop`.
        thread::spawn(move || {
            let (mut idle_ticks, mut begun) = (IDLE_TICKS_MAX, 0);
            while !*theirs.lock() {
                if idle_ticks >= IDLE_TICKS_MAX {
                    theirs.sleep();
                    idle_ticks = 0;
                }
                thread::sleep(TICK);
                engines.iter().for_each(Engine::increment_epoch);
                let now_begun = theirs.begun.load(Ordering::Relaxed);
                let is_idle = now_begun == begun && theirs.calls.load(Ordering::SeqCst) == 0;
                idle_ticks = if is_idle { idle_ticks + 1 } else { 0 };
                begun = now_begun;
            }
        });
        Self { shared }
    }

    /// Lets the epoch go up until the value is dropped.
    pub(super) fn tick(&self) -> Ticking<'_> {
        self.shared.begun.fetch_add(1, Ordering::Relaxed);
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        if self.shared.asleep.load(Ordering::SeqCst) {
            self.shared.wake();
        }
        Ticking(&self.shared)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.lock() = true;
        self.shared.wake();
    }
}
