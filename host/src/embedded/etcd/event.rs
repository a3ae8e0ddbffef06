//! Nodes, what is shown of them, and events.

use bytes::Bytes;

use super::key::Key;

/// Nanoseconds since 1970, as etcd keeps times.
pub(super) type Nanos = i64;

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    /// The index of the event that made it.
    pub(super) created: u64,
    /// The index of the event that last wrote its value.
    pub(super) modified: u64,
    /// When it goes; `None` if it stays.
    pub(super) expires: Option<Nanos>,
    /// The value; `None` for a directory.
    pub(super) value: Option<Bytes>,
}

impl Node {
    pub(super) fn is_dir(&self) -> bool {
        self.value.is_none()
    }
}

/// A node as an answer shows it at some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shown {
    /// Where it is.
    pub(super) key: Key,
    /// The value, if one is shown.
    pub(super) value: Option<Bytes>,
    /// Whether it is marked as a directory.
    pub(super) dir: bool,
    /// When it goes.
    pub(super) expires: Option<Nanos>,
    /// How long it has left, in seconds rounded up; 0 is not shown.
    pub(super) ttl: i64,
    /// The index of the last write.
    pub(super) modified: u64,
    /// The index of its creation.
    pub(super) created: u64,
}

impl Shown {
    /// All of it.
    pub(super) fn new(key: &Key, node: &Node, now: Nanos) -> Self {
        Self {
            key: key.clone(),
            value: node.value.clone(),
            dir: node.is_dir(),
            expires: node.expires,
            ttl: node.expires.map_or(0, |expires| seconds_up(expires.saturating_sub(now))),
            modified: node.modified,
            created: node.created,
        }
    }

    /// What is shown of a node that is gone.
    pub(super) fn gone(key: &Key, node: &Node, index: u64) -> Self {
        Self {
            key: key.clone(),
            value: None,
            dir: node.is_dir(),
            expires: None,
            ttl: 0,
            modified: index,
            created: node.created,
        }
    }
}

/// Whole seconds; a part of one that is left counts as one.
fn seconds_up(nanos: i64) -> i64 {
    const SECOND: i64 = 1_000_000_000;
    nanos / SECOND + i64::from(nanos % SECOND > 0)
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Set,
    Create,
    Update,
    CompareAndSwap,
    Delete,
    CompareAndDelete,
    Expire,
}

impl Action {
    /// `action`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Create => "create",
            Self::Update => "update",
            Self::CompareAndSwap => "compareAndSwap",
            Self::Delete => "delete",
            Self::CompareAndDelete => "compareAndDelete",
            Self::Expire => "expire",
        }
    }
}

/// A change of the store; there is exactly one for each index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// What happened.
    pub(super) action: Action,
    /// The index of the store with it.
    pub(super) index: u64,
    /// The node after it.
    pub(super) node: Shown,
    /// The node before it, if there was one.
    pub(super) prev: Option<Shown>,
    /// Whether only the lifetime was prolonged, of which watchers are not told.
    pub(super) refresh: bool,
}

impl Event {
    /// Whether there was no node before.
    pub(super) fn is_creation(&self) -> bool {
        self.action == Action::Create || (self.action == Action::Set && self.prev.is_none())
    }

    /// The bytes it holds, about.
    pub(super) fn weight(&self) -> usize {
        let of = |shown: &Shown| shown.key.as_bytes().len() + shown.value.as_ref().map_or(0, Bytes::len);
        of(&self.node) + self.prev.as_ref().map_or(0, of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_rounded_up() {
        for (nanos, seconds) in
            [(1, 1), (1_000_000_000, 1), (1_000_000_001, 2), (0, 0), (-1, 0), (-1_000_000_000, -1)]
        {
            assert_eq!(seconds_up(nanos), seconds);
        }
    }
}
