//! The nodes, in one map in the order of their keys, with a bound on what they take together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use super::event::{Nanos, Node};
use super::key::Key;

/// What a node is counted for beside its key and value, about what maps and allocations take.
const NODE_BYTES: usize = 256;

/// Every node but the root, each with all the directories above it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<Key, Node>,
    /// Who goes when.
    deadlines: BTreeSet<(Nanos, Key)>,
    bytes: usize,
}

impl Tree {
    pub(super) fn get(&self, key: &Key) -> Option<&Node> {
        self.nodes.get(key)
    }

    /// Whether anything is below.
    pub(super) fn has_children(&self, key: &Key) -> bool {
        self.below(key).next().is_some()
    }

    /// Everything below, each directory before what is in it.
    pub(super) fn below<'a>(&'a self, key: &'a Key) -> impl Iterator<Item = (&'a Key, &'a Node)> + 'a {
        let after = (Bound::Excluded(key), Bound::Unbounded);
        self.nodes.range::<Key, _>(after).take_while(move |(other, _)| other.is_below(key))
    }

    /// What is shown below a directory: the children that are not hidden or, if it goes deep, also what is below them.
    pub(super) fn listed(&self, key: &Key, deep: bool) -> Vec<(Key, Node)> {
        let mut listed = Vec::new();
        let mut from = Bound::Excluded(key.clone());
        loop {
            let mut range = self.nodes.range((from, Bound::Unbounded)).peekable();
            let skipped = loop {
                let Some((other, node)) = range.next().filter(|(other, _)| other.is_below(key)) else {
                    return listed;
                };
                let hidden = other.is_hidden();
                if !hidden {
                    listed.push((other.clone(), node.clone()));
                }
                let holds_more = range.peek().is_some_and(|(next, _)| next.is_below(other));
                if holds_more && (hidden || !deep) {
                    break other.after_all_below();
                }
            };
            from = Bound::Included(skipped);
        }
    }

    /// Puts a node, in place of one that may be there.
    pub(super) fn put(&mut self, key: &Key, node: Node) {
        self.bytes += weight(key, &node);
        if let Some(expires) = node.expires {
            self.deadlines.insert((expires, key.clone()));
        }
        if let Some(old) = self.nodes.insert(key.clone(), node) {
            self.forget(key, &old);
        }
    }

    /// Removes a node and everything below it, and returns the keys of all that, itself last.
    pub(super) fn remove(&mut self, key: &Key) -> Vec<Key> {
        let mut removed: Vec<Key> = self.below(key).map(|(below, _)| below.clone()).collect();
        removed.push(key.clone());
        for key in &removed {
            if let Some(node) = self.nodes.remove(key) {
                self.forget(key, &node);
            }
        }
        removed
    }

    /// A node that is no longer there as it was.
    fn forget(&mut self, key: &Key, node: &Node) {
        self.bytes -= weight(key, node);
        let Some(expires) = node.expires else { return };
        if self.nodes.get(key).and_then(|now| now.expires) != Some(expires) {
            self.deadlines.remove(&(expires, key.clone()));
        }
    }

    /// When the next node goes, and which.
    pub(super) fn next_deadline(&self) -> Option<&(Nanos, Key)> {
        self.deadlines.first()
    }

    /// The bytes of all, about.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// The bytes a node takes, about.
pub(super) fn weight(key: &Key, node: &Node) -> usize {
    NODE_BYTES + key.as_bytes().len() + node.value.as_ref().map_or(0, Bytes::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text.as_bytes())
    }

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for path in paths {
            let value = (!path.ends_with('/')).then(|| Bytes::from_static(b"v"));
            tree.put(&key(path), Node { created: 1, modified: 1, expires: None, value });
        }
        tree
    }

    fn listed(tree: &Tree, path: &str, deep: bool) -> Vec<String> {
        let listed = tree.listed(&key(path), deep).into_iter();
        listed.map(|(key, _)| String::from_utf8_lossy(key.as_bytes()).into_owned()).collect()
    }

    #[test]
    fn listings_skip_what_is_hidden() {
        let tree = tree(&["/a/", "/a/_h/", "/a/_h/x", "/a/b/", "/a/b/c", "/a-z", "/_top"]);
        assert_eq!(listed(&tree, "/", false), ["/a", "/a-z"]);
        assert_eq!(listed(&tree, "/", true), ["/a", "/a/b", "/a/b/c", "/a-z"]);
        assert_eq!(listed(&tree, "/a/_h", true), ["/a/_h/x"]);
        assert_eq!(listed(&tree, "/a/b/c", true), Vec::<String>::new());
    }

    #[test]
    fn nothing_is_left_of_what_is_removed() {
        let mut tree = tree(&["/a/", "/a/b/", "/a/b/c", "/ab"]);
        let node = Node { created: 2, modified: 2, expires: Some(5), value: Some(Bytes::new()) };
        tree.put(&key("/a/b/c"), node.clone());
        tree.put(&key("/a/b/c"), Node { created: 3, ..node });
        assert_eq!(tree.next_deadline(), Some(&(5, key("/a/b/c"))));
        assert_eq!(tree.remove(&key("/a")), [key("/a/b"), key("/a/b/c"), key("/a")]);
        assert_eq!(tree.remove(&key("/ab")), [key("/ab")]);
        assert_eq!((tree.next_deadline(), tree.bytes(), tree.has_children(&Key::root())), (None, 0, false));
    }
}
