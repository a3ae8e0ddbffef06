//! The indices of our own deletes, so that a follower need not poll to be told of them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many indices are remembered. etcd itself remembers 1000 events; a follower that lags by more reads the tree.
const INDICES_MAX: usize = 2048;

/// The latest of our own deletes, shared by every follower.
#[derive(Debug, Default)]
pub(super) struct OwnDeletes {
    indices: Mutex<BTreeSet<u64>>,
    under_way: AtomicUsize,
}

/// A delete is under way.
#[derive(Debug)]
pub(super) struct UnderWay<'a>(&'a OwnDeletes);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl OwnDeletes {
    /// Says that a delete is under way until the value is dropped.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(self)
    }

    /// Whether indices are about to be added.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) > 0
    }

    /// Remembers one, and forgets the oldest when there are too many.
    pub(super) fn add(&self, index: u64) {
        let mut indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        indices.insert(index);
        if indices.len() > INDICES_MAX {
            indices.pop_first();
        }
    }

    /// The first index from `index` on that is not one of ours.
    pub(super) fn skip(&self, index: u64) -> u64 {
        let indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = indices.range(index..).zip(index..).take_while(|(own, next)| *own == next).count();
        index + ours as u64
    }

    /// How many of ours are in `from..=to`.
    pub(super) fn count(&self, from: u64, to: u64) -> u64 {
        let indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        if from > to { 0 } else { indices.range(from..=to).count() as u64 }
    }

    /// Forgets all: the server was wiped, and its indices mean something else now.
    pub(super) fn clear(&self) {
        self.indices.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unbroken_run_is_skipped() {
        let own = OwnDeletes::default();
        for index in [5, 6, 7, 9] {
            own.add(index);
        }
        assert_eq!([4, 5, 7, 8, 9, 10].map(|index| own.skip(index)), [4, 8, 8, 8, 10, 10]);
        assert_eq!((own.count(5, 9), own.count(9, 5)), (4, 0));
    }
}
