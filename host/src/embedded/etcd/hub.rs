//! Those who wait, and what they are told.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::event::Event;
use super::key::Key;
use super::store::Happened;

/// How many events a watcher may lag behind before it is dropped: etcd's own number.
const LAG_MAX: usize = 100;

/// What somebody waits for.
#[derive(Clone, Debug)]
pub(super) struct Interest {
    /// The key.
    pub(super) key: Key,
    /// Whether also what is below it.
    pub(super) deep: bool,
    /// Whether for every event, not just for one.
    pub(super) stream: bool,
    /// The first index that counts.
    pub(super) since: u64,
}

struct Watcher {
    id: u64,
    interest: Interest,
    events: mpsc::Sender<Arc<Event>>,
}

impl Watcher {
    /// Tells it if it is to be told, and returns whether it goes on.
    fn tell(&self, event: &Arc<Event>, itself: bool, removed: bool) -> bool {
        if !(self.interest.deep || itself || removed) || event.index < self.interest.since {
            return true;
        }
        // One who is too far behind has lost an event, and must know.
        self.events.try_send(Arc::clone(event)).is_ok() && self.interest.stream
    }
}

/// Everyone who waits, by key.
#[derive(Default)]
pub(super) struct Hub {
    watchers: BTreeMap<Key, Vec<Watcher>>,
    /// Who waits for what.
    keys: BTreeMap<u64, Key>,
    next_id: u64,
}

impl Hub {
    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Adds one who waits. The events end when it is dropped, whatever for.
    pub(super) fn add(&mut self, interest: Interest) -> (u64, mpsc::Receiver<Arc<Event>>) {
        let (events, receiver) = mpsc::channel(LAG_MAX);
        self.next_id += 1;
        let (id, key) = (self.next_id, interest.key.clone());
        self.keys.insert(id, key.clone());
        self.watchers.entry(key).or_default().push(Watcher { id, interest, events });
        (id, receiver)
    }

    /// Drops one who waits, if he still does.
    pub(super) fn remove(&mut self, id: u64) {
        let Some(key) = self.keys.remove(&id) else { return };
        if let Some(watchers) = self.watchers.get_mut(&key) {
            watchers.retain(|watcher| watcher.id != id);
            if watchers.is_empty() {
                self.watchers.remove(&key);
            }
        }
    }

    /// Tells everyone whom it concerns. As in etcd, those who wait for a key that was removed are told before those
    /// above it, and one who wants every event is told of the removed key itself twice.
    pub(super) fn notify(&mut self, happened: &Happened) {
        let Happened { event, removed } = happened;
        if event.refresh || self.watchers.is_empty() {
            return;
        }
        for key in removed {
            self.tell(event, key, true);
        }
        let key = &event.node.key;
        self.tell(event, &Key::root(), false);
        for above in key.ancestors() {
            self.tell(event, &above, false);
        }
        self.tell(event, key, false);
    }

    fn tell(&mut self, event: &Arc<Event>, key: &Key, removed: bool) {
        let Some(watchers) = self.watchers.get_mut(key) else { return };
        let itself = event.node.key == *key;
        if !itself && event.node.key.is_hidden_from(key) {
            return;
        }
        let keys = &mut self.keys;
        watchers.retain(|watcher| {
            let goes_on = watcher.tell(event, itself, removed);
            if !goes_on {
                keys.remove(&watcher.id);
            }
            goes_on
        });
        if watchers.is_empty() {
            self.watchers.remove(key);
        }
    }
}
