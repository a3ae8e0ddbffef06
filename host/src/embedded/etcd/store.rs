//! The store: requests and the time go in, answers and events come out. It does no I/O and knows no clock.
//!
//! It does what etcd's store does, oddities included: prolonging a directory leaves its `modifiedIndex` alone though
//! the event carries a new one, and a lifetime that overflows ends in the past.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::disk::Batch;
use super::event::{Action, Event, Nanos, Node, Shown};
use super::failure::{Code, Failure};
use super::history::{EVENTS_MAX, History};
use super::key::Key;
use super::stats::Stats;
use super::tree::{Tree, weight};
use super::write::{Content, Expected, Write};

/// The index of an empty store: a fresh etcd has written so many times about itself.
const FIRST_INDEX: u64 = 3;

/// Lifetimes that end before 2000 are taken for none where a node is created.
const EARLIEST_EXPIRY: Nanos = 946_684_800_000_000_000;

/// The directories that may be above a key. Each of them is a node with a key of its own.
const DEPTH_MAX: usize = 1_000;

/// The bytes that all nodes may take, about. Far more than Dynamite and its metrics need, and bearable on a laptop.
pub(super) const BYTES_MAX: usize = 256 << 20;

/// Something that happened, for those who watch.
#[derive(Clone, Debug)]
pub(super) struct Happened {
    /// The event.
    pub(super) event: Arc<Event>,
    /// Every key that went with it.
    pub(super) removed: Vec<Key>,
}

/// What was found at a key.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// The node itself.
    pub(super) node: Shown,
    /// What is below it and to be shown, each directory before what is in it.
    pub(super) below: Vec<(Key, Node)>,
}

/// What is to be stored so that a later store is as this one.
#[derive(Debug)]
struct Unsaved {
    /// Keys whose nodes changed or went.
    keys: BTreeSet<Key>,
    /// The index up to which events are stored.
    index: u64,
    /// The first event that is stored.
    start: u64,
}

/// The nodes and what happened to them.
#[derive(Debug)]
pub(super) struct Store {
    tree: Tree,
    history: History,
    index: u64,
    bytes_max: usize,
    stats: Stats,
    happened: Vec<Happened>,
    unsaved: Option<Unsaved>,
}

impl Store {
    /// An empty store.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            tree: Tree::default(),
            history: History::new(1),
            index: FIRST_INDEX,
            bytes_max,
            stats: Stats::default(),
            happened: Vec::new(),
            unsaved: None,
        }
    }

    /// The store that was kept, whose changes are to be kept too.
    pub(super) fn restored(nodes: Vec<(Key, Node)>, events: Vec<Event>, bytes_max: usize) -> Self {
        let mut store = Self::new(bytes_max);
        for (key, node) in nodes {
            store.tree.put(&key, node);
        }
        let start = events.first().map_or(FIRST_INDEX + 1, |event| event.index);
        store.history = History::new(if start == FIRST_INDEX + 1 { 1 } else { start });
        store.index = start - 1;
        for event in events {
            store.index = event.index;
            store.history.add(Arc::new(event));
        }
        let (index, start) = (store.index, store.history.start());
        store.unsaved = Some(Unsaved { keys: BTreeSet::new(), index, start });
        store
    }

    /// What changed since this was last asked; `None` if nothing did, or if nothing is kept.
    pub(super) fn take_batch(&mut self) -> Option<Batch> {
        let unsaved = self.unsaved.as_mut().filter(|unsaved| unsaved.index < self.index)?;
        let keys = std::mem::take(&mut unsaved.keys).into_iter();
        let nodes =
            keys.map(|key| (self.tree.get(&key).cloned(), key)).map(|(node, key)| (key, node)).collect();
        let events = self.history.from(unsaved.index + 1).cloned().collect();
        // The place of an older one is taken by its successor.
        let oldest = (self.index + 1).saturating_sub(EVENTS_MAX as u64);
        let forgotten = (unsaved.start.max(oldest)..self.history.start()).collect();
        (unsaved.index, unsaved.start) = (self.index, self.history.start());
        Some(Batch { nodes, events, forgotten, index: self.index })
    }

    /// The index of the last event.
    pub(super) fn index(&self) -> u64 {
        self.index
    }

    /// What was asked so far.
    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// When the next node goes.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        self.tree.next_deadline().map(|(at, _)| *at)
    }

    /// What happened since this was last asked.
    pub(super) fn take_happened(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.happened)
    }

    /// Reads a node, and what is in it if it is a directory.
    pub(super) fn get(&mut self, now: Nanos, key: &Key, deep: bool) -> Result<Found, Failure> {
        let found = self.find(key).map(|node| {
            let below = if node.is_dir() { self.tree.listed(key, deep) } else { Vec::new() };
            Found { node: Shown::new(key, &node, now), below }
        });
        self.stats.got(found.is_ok());
        found
    }

    /// The first event from index `since` on that concerns a key.
    pub(super) fn look_back(&self, key: &Key, deep: bool, since: u64) -> Result<Option<Arc<Event>>, Failure> {
        self.history.scan(key, deep, since).map_err(|failure| Failure { index: self.index, ..failure })
    }

    /// Carries out a change.
    pub(super) fn write(&mut self, now: Nanos, key: &Key, write: Write) -> Result<Arc<Event>, Failure> {
        let kind = Stats::kind(&write);
        let outcome = match write {
            Write::Set(content) => self.set(now, key, content),
            Write::Create(content) => self.create(now, key, content, Action::Create, None),
            Write::CreateInOrder(content) => {
                let name = format!("{:020}", self.index + 1);
                self.create(now, &key.child(name.as_bytes()), content, Action::Create, None)
            }
            Write::Update(content) => self.update(now, key, content),
            Write::CompareAndSwap(expected, content) => self.compare_and_swap(now, key, &expected, content),
            Write::Delete { dir, deep } => self.delete(now, key, dir || deep, deep),
            Write::CompareAndDelete(expected) => self.compare_and_delete(now, key, &expected),
        };
        self.stats.wrote(kind, outcome.is_ok());
        outcome
    }

    /// Removes every node whose time has come.
    pub(super) fn expire(&mut self, now: Nanos) {
        while let Some((_, key)) = self.tree.next_deadline().filter(|(at, _)| *at <= now) {
            let key = key.clone();
            if let Some(node) = self.tree.get(&key).cloned() {
                self.remove(now, &key, &node, Action::Expire);
            }
            self.stats.expired();
        }
    }

    fn set(&mut self, now: Nanos, key: &Key, mut content: Content) -> Result<Arc<Event>, Failure> {
        let old = match self.find(key) {
            Ok(node) => Some(node),
            Err(failure) if failure.code == Code::KeyNotFound && !content.refresh => None,
            Err(failure) => return Err(failure),
        };
        if content.refresh {
            content.value = old.as_ref().and_then(|node| node.value.clone()).unwrap_or_default();
        }
        self.create(now, key, content, Action::Set, old)
    }

    /// Makes a node and the directories above it. With `Action::Set` a file may be there already.
    fn create(
        &mut self,
        now: Nanos,
        key: &Key,
        content: Content,
        action: Action,
        old: Option<Node>,
    ) -> Result<Arc<Event>, Failure> {
        if key.is_root() {
            return Err(self.read_only());
        }
        if key.ancestors().count() > DEPTH_MAX {
            let cause = b"etcdserver: request is too large".to_vec();
            return Err(Failure { code: Code::RaftInternal, cause, index: 0 });
        }
        let missing = self.missing_directories(key)?;
        match self.tree.get(key) {
            Some(_) if action == Action::Create => return Err(self.failure(Code::NodeExists, key)),
            Some(node) if node.is_dir() => return Err(self.failure(Code::NotAFile, key)),
            _ => {}
        }
        let index = self.index + 1;
        let expires = content.expires.filter(|at| *at >= EARLIEST_EXPIRY);
        let value = (!content.dir).then_some(content.value);
        let node = Node { created: index, modified: index, expires, value };
        let directory = Node { created: index, modified: index, expires: None, value: None };
        let needed = missing.iter().map(|key| weight(key, &directory)).sum::<usize>() + weight(key, &node);
        self.ensure_room(needed)?;
        for above in &missing {
            self.put(&above.detached(), directory.clone());
        }
        self.put(key, node.clone());
        let prev = old.map(|old| Shown::new(key, &old, now));
        let node = Shown::new(key, &node, now);
        Ok(self.happen(Event { action, index, node, prev, refresh: content.refresh }, Vec::new()))
    }

    fn update(&mut self, now: Nanos, key: &Key, content: Content) -> Result<Arc<Event>, Failure> {
        if key.is_root() {
            return Err(self.read_only());
        }
        let old = self.find(key)?;
        if old.is_dir() && !content.value.is_empty() {
            return Err(self.failure(Code::NotAFile, key));
        }
        self.rewrite(now, key, &old, content, Action::Update)
    }

    fn compare_and_swap(
        &mut self,
        now: Nanos,
        key: &Key,
        expected: &Expected,
        content: Content,
    ) -> Result<Arc<Event>, Failure> {
        if key.is_root() {
            return Err(self.read_only());
        }
        let old = self.find_file(key)?;
        self.compare(&old, expected)?;
        self.rewrite(now, key, &old, content, Action::CompareAndSwap)
    }

    /// Writes to a node that is there.
    fn rewrite(
        &mut self,
        now: Nanos,
        key: &Key,
        old: &Node,
        content: Content,
        action: Action,
    ) -> Result<Arc<Event>, Failure> {
        let index = self.index + 1;
        let value = old.value.clone().map(|value| if content.refresh { value } else { content.value });
        let modified = if old.is_dir() { old.modified } else { index };
        let node = Node { created: old.created, modified, expires: content.expires, value };
        self.ensure_room(weight(key, &node).saturating_sub(weight(key, old)))?;
        self.put(key, node.clone());
        let prev = Some(Shown::new(key, old, now));
        let node = Shown { modified: index, ..Shown::new(key, &node, now) };
        Ok(self.happen(Event { action, index, node, prev, refresh: content.refresh }, Vec::new()))
    }

    fn delete(&mut self, now: Nanos, key: &Key, dir: bool, deep: bool) -> Result<Arc<Event>, Failure> {
        if key.is_root() {
            return Err(self.read_only());
        }
        let node = self.find(key)?;
        if node.is_dir() && !dir {
            return Err(self.failure(Code::NotAFile, key));
        }
        if node.is_dir() && !deep && self.tree.has_children(key) {
            return Err(self.failure(Code::DirectoryNotEmpty, key));
        }
        Ok(self.remove(now, key, &node, Action::Delete))
    }

    fn compare_and_delete(
        &mut self,
        now: Nanos,
        key: &Key,
        expected: &Expected,
    ) -> Result<Arc<Event>, Failure> {
        let node = self.find_file(key)?;
        self.compare(&node, expected)?;
        Ok(self.remove(now, key, &node, Action::CompareAndDelete))
    }

    fn remove(&mut self, now: Nanos, key: &Key, node: &Node, action: Action) -> Arc<Event> {
        let removed = self.tree.remove(key);
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.keys.extend(removed.iter().cloned());
        }
        let index = self.index + 1;
        let prev = Some(Shown::new(key, node, now));
        let node = Shown::gone(key, node, index);
        self.happen(Event { action, index, node, prev, refresh: false }, removed)
    }

    fn put(&mut self, key: &Key, node: Node) {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.keys.insert(key.clone());
        }
        self.tree.put(key, node);
    }

    fn happen(&mut self, event: Event, removed: Vec<Key>) -> Arc<Event> {
        self.index = event.index;
        let event = Arc::new(event);
        self.history.add(Arc::clone(&event));
        self.happened.push(Happened { event: Arc::clone(&event), removed });
        event
    }

    /// The node at a key; the root counts as one.
    fn find(&self, key: &Key) -> Result<Node, Failure> {
        if key.is_root() {
            return Ok(Node { created: 0, modified: 0, expires: None, value: None });
        }
        if let Some(node) = self.tree.get(key) {
            return Ok(node.clone());
        }
        for above in key.ancestors() {
            match self.tree.get(&above) {
                None => return Err(self.failure(Code::KeyNotFound, &above)),
                Some(node) if !node.is_dir() => return Err(self.failure(Code::NotADirectory, &above)),
                Some(_) => {}
            }
        }
        Err(self.failure(Code::KeyNotFound, key))
    }

    fn find_file(&self, key: &Key) -> Result<Node, Failure> {
        let node = self.find(key)?;
        if node.is_dir() { Err(self.failure(Code::NotAFile, key)) } else { Ok(node) }
    }

    /// The directories above a key that are not there.
    fn missing_directories(&self, key: &Key) -> Result<Vec<Key>, Failure> {
        let mut ancestors = key.ancestors().peekable();
        while let Some(node) = ancestors.peek().and_then(|above| self.tree.get(above)) {
            if let (false, Some(above)) = (node.is_dir(), ancestors.peek()) {
                return Err(self.failure(Code::NotADirectory, above));
            }
            ancestors.next();
        }
        // What is below one that is missing is missing too.
        Ok(ancestors.collect())
    }

    fn compare(&self, node: &Node, expected: &Expected) -> Result<(), Failure> {
        let value = node.value.as_deref().unwrap_or_default();
        let value_differs = !expected.value.is_empty() && *expected.value != *value;
        let index_differs = expected.index != 0 && expected.index != node.modified;
        if !value_differs && !index_differs {
            return Ok(());
        }
        let of_value = [b"[", &expected.value[..], b" != ", value, b"]"].concat();
        let of_index = format!("[{} != {}]", expected.index, node.modified).into_bytes();
        let cause = match (value_differs, index_differs) {
            (true, false) => of_value,
            (false, _) => of_index,
            (true, true) => [of_value, of_index].join(&b' '),
        };
        Err(Failure { code: Code::CompareFailed, cause, index: self.index })
    }

    fn ensure_room(&self, needed: usize) -> Result<(), Failure> {
        if self.tree.bytes().saturating_add(needed) <= self.bytes_max {
            return Ok(());
        }
        let cause = b"etcdserver: mvcc: database space exceeded".to_vec();
        Err(Failure { code: Code::RaftInternal, cause, index: 0 })
    }

    fn read_only(&self) -> Failure {
        Failure { code: Code::RootReadOnly, cause: b"/".to_vec(), index: self.index }
    }

    /// An error about a key; in etcd the root has no name there.
    fn failure(&self, code: Code, key: &Key) -> Failure {
        let cause = if key.is_root() { Vec::new() } else { key.as_bytes().to_vec() };
        Failure { code, cause, index: self.index }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
