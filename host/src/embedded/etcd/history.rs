//! The latest events, for those who wait from an index that has passed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::{Action, Event};
use super::failure::{Code, Failure};
use super::key::Key;

/// How many events are kept: etcd's own number.
pub(super) const EVENTS_MAX: usize = 1000;

/// The bytes of keys and values of the kept events. Only large values reach it; then fewer events are kept, which
/// clients see as they see a busy cluster.
const BYTES_MAX: usize = 64 << 20;

/// Events with consecutive indexes.
#[derive(Debug)]
pub(super) struct History {
    events: VecDeque<Arc<Event>>,
    /// The first index that can be asked for.
    start: u64,
    bytes: usize,
}

impl History {
    /// No events; those from `start` on are to come.
    pub(super) fn new(start: u64) -> Self {
        Self { events: VecDeque::new(), start, bytes: 0 }
    }

    /// The first index that can be asked for.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The events from an index on.
    pub(super) fn from(&self, index: u64) -> impl Iterator<Item = &Arc<Event>> {
        let first = self.events.front().map_or(0, |event| event.index);
        self.events.iter().skip(usize::try_from(index.saturating_sub(first)).unwrap_or(usize::MAX))
    }

    /// Adds the event of the next index; the oldest go for it.
    pub(super) fn add(&mut self, event: Arc<Event>) {
        self.bytes += event.weight();
        self.events.push_back(event);
        while self.events.len() > 1 && (self.events.len() > EVENTS_MAX || self.bytes > BYTES_MAX) {
            if let Some(oldest) = self.events.pop_front() {
                self.bytes -= oldest.weight();
                self.start = oldest.index + 1;
            }
        }
    }

    /// The first event from index `since` on of which a watcher of `key` is told.
    pub(super) fn scan(&self, key: &Key, deep: bool, since: u64) -> Result<Option<Arc<Event>>, Failure> {
        if since < self.start {
            let cause = format!("the requested history has been cleared [{}/{since}]", self.start);
            return Err(Failure::request(Code::EventIndexCleared, cause));
        }
        let concerns = |event: &&Arc<Event>| !event.refresh && is_told(event, key, deep);
        Ok(self.from(since).find(concerns).cloned())
    }
}

/// Unlike one who waits, one who looks back is told of hidden keys, and of every removed directory with whose name his
/// key starts: so it is in etcd.
fn is_told(event: &Event, key: &Key, deep: bool) -> bool {
    let of = &event.node.key;
    let removed = matches!(event.action, Action::Delete | Action::Expire) && event.node.dir;
    of == key || (deep && of.is_below(key)) || (removed && key.as_bytes().starts_with(of.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::super::event::Shown;
    use super::*;

    fn event(index: u64, path: &str, action: Action, dir: bool, value: usize) -> Arc<Event> {
        let key = Key::parse(path.as_bytes());
        let value = (value > 0).then(|| vec![b'x'; value].into());
        let node = Shown { key, value, dir, expires: None, ttl: 0, modified: index, created: index };
        Arc::new(Event { action, index, node, prev: None, refresh: false })
    }

    fn found(history: &History, path: &str, deep: bool, since: u64) -> Result<Option<u64>, u16> {
        let found = history.scan(&Key::parse(path.as_bytes()), deep, since);
        found.map(|event| event.map(|event| event.index)).map_err(|failure| failure.code.number())
    }

    #[test]
    fn the_first_event_that_concerns_the_key_is_found() {
        let mut history = History::new(1);
        history.add(event(4, "/a/b", Action::Set, false, 1));
        history.add(event(5, "/a", Action::Delete, true, 0));
        history.add(event(6, "/_h/x", Action::Set, false, 1));
        assert_eq!(found(&history, "/a/b", false, 1), Ok(Some(4)));
        assert_eq!(found(&history, "/a/b", false, 5), Ok(Some(5)), "removed with its directory");
        assert_eq!(found(&history, "/a", true, 4), Ok(Some(4)));
        assert_eq!(found(&history, "/a", false, 4), Ok(Some(5)));
        assert_eq!(found(&history, "/", true, 6), Ok(Some(6)), "hidden, but past");
        assert_eq!(found(&history, "/", true, 7), Ok(None));
        assert_eq!(found(&history, "/c", true, 1), Ok(None));
    }

    #[test]
    fn only_the_latest_are_kept() {
        let mut history = History::new(1);
        for index in 1..=EVENTS_MAX as u64 + 2 {
            history.add(event(index, "/a", Action::Set, false, 1));
        }
        assert_eq!(found(&history, "/a", false, 2), Err(401));
        assert_eq!(found(&history, "/a", false, 3), Ok(Some(3)));
    }

    #[test]
    fn large_events_are_forgotten_sooner() {
        let mut history = History::new(1);
        for index in 1..=10 {
            history.add(event(index, "/a", Action::Set, false, BYTES_MAX / 4));
        }
        assert_eq!(history.start(), 8);
        assert_eq!(
            (found(&history, "/a", false, 7), found(&history, "/a", false, 8)),
            (Err(401), Ok(Some(8)))
        );
    }
}
