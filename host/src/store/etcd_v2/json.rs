//! The JSON of the v2 API: events, errors, and trees of any size, read as they come.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::store::VALUE_BYTES_MAX;

/// How deep a tree is read. Our own and those of metrics are five levels deep; a tree deeper than this is nonsense.
const DEPTH_MAX: usize = 16;

/// How many bytes of a string pass the [`Cutter`]. An escaped character takes up to six bytes, so a string cut here
/// holds more than [`VALUE_BYTES_MAX`] bytes, and is seen to be too large.
const STRING_BYTES_MAX: usize = 6 * (VALUE_BYTES_MAX + 1);

/// What happened to a key, or what stands there.
#[derive(Debug, Deserialize)]
pub(super) struct Event {
    pub(super) action: Action,
    pub(super) node: Node,
}

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Action {
    Get,
    Set,
    Create,
    Update,
    CompareAndSwap,
    Delete,
    CompareAndDelete,
    Expire,
}

/// A key or a directory, without what is in it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Node {
    #[serde(default)]
    pub(super) key: String,
    pub(super) value: Option<String>,
    #[serde(default)]
    pub(super) dir: bool,
    #[serde(default, rename = "modifiedIndex")]
    pub(super) modified: u64,
}

/// The API's own error.
#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(rename = "errorCode")]
    pub(super) code: u32,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) cause: String,
    #[serde(default)]
    pub(super) index: u64,
}

/// Reads an event or a single node.
pub(super) fn event(body: &[u8]) -> serde_json::Result<Event> {
    serde_json::from_slice(body)
}

/// Reads the answer to a recursive GET and hands each key with a value to `emit`, until that says `false`.
pub(super) fn tree(reader: impl std::io::Read, mut emit: impl FnMut(Node) -> bool) -> serde_json::Result<()> {
    let mut input = serde_json::Deserializer::from_reader(reader);
    Outer { emit: &mut emit }.deserialize(&mut input)?;
    input.end()
}

/// The object around the root node.
struct Outer<'a, F> {
    emit: &'a mut F,
}

/// A node with everything below it.
struct Tree<'a, F> {
    emit: &'a mut F,
    depth: usize,
}

/// What is in a directory.
struct Nodes<'a, F> {
    emit: &'a mut F,
    depth: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Name {
    Node,
    Key,
    Value,
    Dir,
    Nodes,
    ModifiedIndex,
    #[serde(other)]
    Other,
}

impl<'de, F: FnMut(Node) -> bool> DeserializeSeed<'de> for Outer<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Node) -> bool> Visitor<'de> for Outer<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the answer to a GET")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key()? {
            match name {
                Name::Node => map.next_value_seed(Tree { emit: &mut *self.emit, depth: 0 })?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

impl<'de, F: FnMut(Node) -> bool> DeserializeSeed<'de> for Tree<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de, F: FnMut(Node) -> bool> Visitor<'de> for Tree<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a node")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut node = Node::default();
        while let Some(name) = map.next_key()? {
            match name {
                Name::Key => node.key = map.next_value()?,
                Name::Value => node.value = map.next_value()?,
                Name::Dir => node.dir = map.next_value()?,
                Name::ModifiedIndex => node.modified = map.next_value()?,
                Name::Nodes if self.depth < DEPTH_MAX => {
                    map.next_value_seed(Nodes { emit: &mut *self.emit, depth: self.depth + 1 })?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if !node.dir && node.value.is_some() && !(self.emit)(node) {
            return Err(A::Error::custom("nobody wants the rest"));
        }
        Ok(())
    }
}

impl<'de, F: FnMut(Node) -> bool> DeserializeSeed<'de> for Nodes<'_, F> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, F: FnMut(Node) -> bool> Visitor<'de> for Nodes<'_, F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of nodes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut nodes: A) -> Result<(), A::Error> {
        while nodes.next_element_seed(Tree { emit: &mut *self.emit, depth: self.depth })?.is_some() {}
        Ok(())
    }
}

/// Shortens each string of a JSON text to [`STRING_BYTES_MAX`] bytes as it passes by, so that no value, however
/// large, has to be held. The text stays JSON: neither an escape nor a character is cut apart.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    in_string: bool,
    /// Bytes of the escape that are still to come.
    escape: usize,
    /// Bytes of the string so far.
    length: usize,
}

impl Cutter {
    /// Appends what passes of `input` to `output`.
    pub(super) fn push(&mut self, input: &[u8], output: &mut Vec<u8>) {
        for &byte in input {
            if self.passes(byte) {
                output.push(byte);
            }
        }
    }

    fn passes(&mut self, byte: u8) -> bool {
        if !self.in_string {
            self.in_string = byte == b'"';
            self.length = 0;
            return true;
        }
        let starts_character = self.escape == 0 && byte & 0xC0 != 0x80;
        if starts_character && byte == b'"' {
            self.in_string = false;
            return true;
        }
        // Once reached, the bound stays reached: the length no longer grows.
        if self.length < STRING_BYTES_MAX || (!starts_character && self.length < usize::MAX) {
            self.length += 1;
        } else {
            self.length = usize::MAX;
        }
        self.escape = match (self.escape, byte) {
            (0, b'\\') => 1,
            // The last of four hexadecimal digits stands here too, but is no `u`.
            (1, b'u') => 4,
            (left, _) => left.saturating_sub(1),
        };
        self.length != usize::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys_of(text: &str) -> Vec<String> {
        let mut keys = Vec::new();
        tree(text.as_bytes(), |node| {
            keys.push(node.key);
            true
        })
        .unwrap();
        keys
    }

    #[test]
    fn a_tree_is_read_whatever_else_is_in_it() {
        let text = r#"{"action":"get","node":{"dir":true,"nodes":[
            {"key":"/a","value":"1","modifiedIndex":3,"createdIndex":3,"ttl":5},
            {"key":"/b","dir":true,"nodes":[{"key":"/b/c","value":"2"}],"modifiedIndex":1},
            {"key":"/empty","dir":true}]}}"#;
        assert_eq!(keys_of(text), ["/a", "/b/c"]);
    }

    #[test]
    fn a_tree_that_is_too_deep_is_read_to_the_bound() {
        let deep = 5000;
        let text = format!(
            r#"{{"node":{}{{"key":"/x","value":"1"}}{}}}"#,
            r#"{"dir":true,"nodes":["#.repeat(deep),
            "]}".repeat(deep)
        );
        assert!(keys_of(&text).is_empty());
    }

    #[test]
    fn long_strings_are_cut_and_stay_json() {
        for character in ["x", "\u{1}", "ü", "\u{1F600}", "\"", "\\"] {
            let long = character.repeat(STRING_BYTES_MAX / character.len() + 9);
            let text = serde_json::to_vec(&[long.as_str(), "tail\\"]).unwrap();
            let (mut cutter, mut cut) = (Cutter::default(), Vec::new());
            for part in text.chunks(7) {
                cutter.push(part, &mut cut);
            }
            let strings: Vec<String> = serde_json::from_slice(&cut).unwrap();
            assert!(strings[0].len() > VALUE_BYTES_MAX && cut.len() < STRING_BYTES_MAX + 32);
            assert_eq!(strings[1], "tail\\");
        }
    }

    #[test]
    fn short_strings_pass_unchanged() {
        let text = serde_json::to_vec(&["\u{1}\"\\ü/😀", ""]).unwrap();
        let (mut cutter, mut cut) = (Cutter::default(), Vec::new());
        cutter.push(&text, &mut cut);
        assert_eq!(cut, text);
    }
}
