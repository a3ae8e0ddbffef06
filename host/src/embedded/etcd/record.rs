//! Nodes and events as they are stored: protocol buffers, which can be added to later.

use bytes::Bytes;
use prost::Message;

use super::event::{Action, Event, Nanos, Node, Shown};
use super::key::Key;

/// The actions in the order of the numbers under which they are stored.
const ACTIONS: [Action; 7] = [
    Action::Set,
    Action::Create,
    Action::Update,
    Action::CompareAndSwap,
    Action::Delete,
    Action::CompareAndDelete,
    Action::Expire,
];

#[derive(Clone, PartialEq, Message)]
struct NodeRecord {
    #[prost(uint64, tag = "1")]
    created: u64,
    #[prost(uint64, tag = "2")]
    modified: u64,
    #[prost(sfixed64, optional, tag = "3")]
    expires: Option<Nanos>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    value: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
struct EventRecord {
    #[prost(uint32, tag = "1")]
    action: u32,
    #[prost(uint64, tag = "2")]
    index: u64,
    #[prost(bool, tag = "3")]
    refresh: bool,
    #[prost(message, optional, tag = "4")]
    node: Option<ShownRecord>,
    #[prost(message, optional, tag = "5")]
    prev: Option<ShownRecord>,
}

#[derive(Clone, PartialEq, Message)]
struct ShownRecord {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", optional, tag = "2")]
    value: Option<Bytes>,
    #[prost(bool, tag = "3")]
    dir: bool,
    #[prost(sfixed64, optional, tag = "4")]
    expires: Option<Nanos>,
    #[prost(sint64, tag = "5")]
    ttl: i64,
    #[prost(uint64, tag = "6")]
    modified: u64,
    #[prost(uint64, tag = "7")]
    created: u64,
}

/// The bytes of a node.
pub(super) fn from_node(node: &Node) -> Vec<u8> {
    let Node { created, modified, expires, value } = node.clone();
    NodeRecord { created, modified, expires, value }.encode_to_vec()
}

/// The node of some bytes; `None` if they are none.
pub(super) fn to_node(bytes: &[u8]) -> Option<Node> {
    let NodeRecord { created, modified, expires, value } = NodeRecord::decode(bytes).ok()?;
    Some(Node { created, modified, expires, value })
}

/// The bytes of an event.
pub(super) fn from_event(event: &Event) -> Vec<u8> {
    let action = ACTIONS.iter().position(|action| *action == event.action).unwrap_or_default();
    let record = EventRecord {
        action: u32::try_from(action).unwrap_or_default(),
        index: event.index,
        refresh: event.refresh,
        node: Some(from_shown(&event.node)),
        prev: event.prev.as_ref().map(from_shown),
    };
    record.encode_to_vec()
}

/// The event of some bytes; `None` if they are none.
pub(super) fn to_event(bytes: &[u8]) -> Option<Event> {
    let EventRecord { action, index, refresh, node, prev } = EventRecord::decode(bytes).ok()?;
    let action = *ACTIONS.get(usize::try_from(action).ok()?)?;
    let prev = match prev {
        Some(prev) => Some(to_shown(prev)?),
        None => None,
    };
    Some(Event { action, index, node: to_shown(node?)?, prev, refresh })
}

fn from_shown(shown: &Shown) -> ShownRecord {
    let Shown { key, value, dir, expires, ttl, modified, created } = shown.clone();
    ShownRecord { key: Bytes::copy_from_slice(key.as_bytes()), value, dir, expires, ttl, modified, created }
}

fn to_shown(record: ShownRecord) -> Option<Shown> {
    let ShownRecord { key, value, dir, expires, ttl, modified, created } = record;
    Some(Shown { key: Key::from_stored(&key)?, value, dir, expires, ttl, modified, created })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_comes_back() {
        let node =
            Node { created: 1, modified: 2, expires: Some(-3), value: Some(Bytes::from_static(b"\xff")) };
        let directory = Node { expires: None, value: None, ..node.clone() };
        assert_eq!(to_node(&from_node(&node)), Some(node.clone()));
        assert_eq!(to_node(&from_node(&directory)), Some(directory.clone()));
        let empty = Node { value: Some(Bytes::new()), ..node.clone() };
        assert_eq!(to_node(&from_node(&empty)), Some(empty), "which is no directory");
        for action in ACTIONS {
            let key = Key::parse(b"/a/\xfe");
            let (shown, prev) = (Shown::new(&key, &node, 5), Some(Shown::new(&key, &directory, 5)));
            let event = Event { action, index: 9, node: shown, prev, refresh: true };
            assert_eq!(to_event(&from_event(&event)), Some(event));
        }
        assert_eq!((to_event(b""), to_event(b"\xff"), to_node(b"\x08")), (None, None, None));
    }
}
