//! The keys of one series that are in etcd, by the time of their samples.

use std::collections::VecDeque;

use jiff::Timestamp;

/// The keys of one series, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    keys: VecDeque<(Timestamp, Box<str>)>,
}

impl Ledger {
    /// Notes a key; false when it is there already.
    pub(super) fn insert(&mut self, at: Timestamp, key: &str) -> bool {
        let end = self.keys.partition_point(|(present, _)| *present <= at);
        let same_time = self.keys.range(..end).rev().take_while(|(present, _)| *present == at);
        if same_time.into_iter().any(|(_, present)| &**present == key) {
            return false;
        }
        self.keys.insert(end, (at, key.into()));
        true
    }

    /// How many keys it holds.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Takes out the keys that are older than `oldest`, and the oldest ones of those that are more than `keys_max`.
    pub(super) fn take(&mut self, oldest: Timestamp, keys_max: usize) -> Vec<String> {
        let old = self.keys.partition_point(|(at, _)| *at < oldest);
        let count = old.max(self.keys.len().saturating_sub(keys_max));
        self.keys.drain(..count).map(|(_, key)| String::from(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn it_gives_back_what_is_old_or_too_much_oldest_first_and_each_key_once() {
        let mut ledger = Ledger::default();
        for (second, key) in [(3, "c"), (1, "a"), (2, "b"), (2, "b2"), (4, "d")] {
            assert!(ledger.insert(at(second), key));
        }
        assert!(!ledger.insert(at(2), "b"));
        assert_eq!(ledger.take(at(2), 9), ["a"]);
        assert_eq!(ledger.take(at(2), 2), ["b", "b2"]);
        assert_eq!(ledger.take(Timestamp::MAX, 0), ["c", "d"]);
        assert_eq!(ledger.len(), 0);
    }
}
