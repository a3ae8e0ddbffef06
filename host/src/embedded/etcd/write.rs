//! The changes that a store can be asked for.

use bytes::Bytes;

use super::event::Nanos;

/// What a value has to be like for a write to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expected {
    /// Its bytes; empty for any.
    pub(super) value: Bytes,
    /// Its `modifiedIndex`; 0 for any.
    pub(super) index: u64,
}

/// What a node is to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    /// Whether it is to be a directory.
    pub(super) dir: bool,
    /// The value of a file.
    pub(super) value: Bytes,
    /// When it is to go.
    pub(super) expires: Option<Nanos>,
    /// Whether the value it has is kept, and watchers are not told.
    pub(super) refresh: bool,
}

/// A change that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// Create or replace.
    Set(Content),
    /// Only if it is not there.
    Create(Content),
    /// A new node below, named after the index.
    CreateInOrder(Content),
    /// Only if it is there.
    Update(Content),
    /// Only if it is as expected.
    CompareAndSwap(Expected, Content),
    /// Remove. The flags: also a directory; also what is in it.
    Delete { dir: bool, deep: bool },
    /// Remove if it is as expected.
    CompareAndDelete(Expected),
}
