//! A key: the clean path of a node, as bytes, in an order that keeps every directory together.

use std::cmp::Ordering;

use bytes::Bytes;

/// How many bytes are compared at once.
const STRIDE: usize = 32;

/// `/`, or segments that each follow a slash. etcd takes any bytes but a slash in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(Bytes);

impl Key {
    /// The directory of everything.
    pub(super) fn root() -> Self {
        Self(Bytes::from_static(b"/"))
    }

    /// The key of a decoded path: empty, `.` and `..` segments are resolved, a slash at the end is dropped.
    pub(super) fn parse(path: &[u8]) -> Self {
        let mut segments: Vec<&[u8]> = Vec::new();
        for segment in path.split(|&byte| byte == b'/') {
            match segment {
                b"" | b"." => {}
                b".." => {
                    segments.pop();
                }
                other => segments.push(other),
            }
        }
        let mut key = Vec::with_capacity(path.len() + 1);
        for segment in segments {
            key.push(b'/');
            key.extend_from_slice(segment);
        }
        if key.is_empty() { Self::root() } else { Self(key.into()) }
    }

    /// A key that was written by [`as_bytes`](Self::as_bytes); `None` if it cannot have been.
    pub(super) fn from_stored(bytes: &[u8]) -> Option<Self> {
        let key = Self::parse(bytes);
        (key.as_bytes() == bytes).then_some(key)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The key of a node in this directory.
    pub(super) fn child(&self, name: &[u8]) -> Self {
        let directory = if self.is_root() { b"".as_slice() } else { &self.0 };
        Self([directory, b"/", name].concat().into())
    }

    /// The directories that it is in, from the root's child down to its parent.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Self> + '_ {
        let slashes = self.0.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
        slashes.map(|(end, _)| Self(self.0.slice(..end)))
    }

    /// Whether it is somewhere in that directory, and not the directory itself.
    pub(super) fn is_below(&self, directory: &Self) -> bool {
        self.below(directory).is_some()
    }

    /// What is left of it after that directory and a slash.
    fn below(&self, directory: &Self) -> Option<&[u8]> {
        if directory.is_root() {
            return self.0.get(1..).filter(|rest| !rest.is_empty());
        }
        self.0.strip_prefix(directory.as_bytes())?.strip_prefix(b"/")
    }

    /// Whether its last segment starts with `_`, which keeps it out of listings.
    pub(super) fn is_hidden(&self) -> bool {
        self.0.rsplit(|&byte| byte == b'/').next().is_some_and(|name| name.starts_with(b"_"))
    }

    /// Whether a watch on that directory is not told of it.
    pub(super) fn is_hidden_from(&self, directory: &Self) -> bool {
        self.below(directory)
            .is_some_and(|rest| rest.split(|&byte| byte == b'/').any(|name| name.starts_with(b"_")))
    }

    /// The least key after everything that is below this one.
    pub(super) fn after_all_below(&self) -> Self {
        Self([self.as_bytes(), b"\0"].concat().into())
    }

    /// Itself in memory of its own, so that it does not keep that of a longer key.
    pub(super) fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl Ord for Key {
    /// As bytes, but with the slash before all others: what is in a directory comes right after it, and siblings are
    /// in the order in which etcd sorts them.
    fn cmp(&self, other: &Self) -> Ordering {
        // Keys that are compared mostly start alike.
        let alike = self.0.chunks_exact(STRIDE).zip(other.0.chunks_exact(STRIDE)).take_while(|(a, b)| a == b);
        let start = alike.count() * STRIDE;
        let (ours, theirs) = (&self.0[start..], &other.0[start..]);
        let differ = ours.iter().zip(theirs).find(|(a, b)| a != b);
        differ.map_or_else(|| ours.len().cmp(&theirs.len()), |(a, b)| rank(*a).cmp(&rank(*b)))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn rank(byte: u8) -> u16 {
    if byte == b'/' { 0 } else { u16::from(byte) + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::parse(text.as_bytes())
    }

    #[test]
    fn paths_become_clean() {
        for (path, clean) in
            [("", "/"), ("/", "/"), ("/a/", "/a"), ("//a//b", "/a/b"), ("/a/../b/.", "/b"), ("/..", "/")]
        {
            assert_eq!(key(path).as_bytes(), clean.as_bytes());
        }
        assert!(Key::from_stored(b"/a/b").is_some() && Key::from_stored(b"/a/").is_none());
    }

    #[test]
    fn a_directory_is_followed_by_what_is_in_it() {
        let sorted = ["/", "/a", "/a/b", "/a/b/c", "/a/c", "/a\0", "/a!b", "/a-b", "/aa", "/b"];
        assert!(sorted.windows(2).all(|two| key(two[0]) < key(two[1])));
        assert!(key("/a/c") < key("/a").after_all_below() && key("/a").after_all_below() <= key("/a\0"));
    }

    #[test]
    fn long_keys_are_sorted_alike() {
        let keys = ["", "a", "/a", "-a", "/a/b", "a!", "bb/c"];
        for stem in ["/", &format!("/{}", "x".repeat(STRIDE - 3)), &format!("/{}", "x/y".repeat(STRIDE))] {
            for (one, other) in keys.iter().flat_map(|one| keys.iter().map(move |other| (one, other))) {
                let segments =
                    |end: &str| format!("{stem}{end}").split('/').map(str::to_owned).collect::<Vec<_>>();
                let compared = key(&format!("{stem}{one}")).cmp(&key(&format!("{stem}{other}")));
                let [one, other] =
                    [one, other].map(|end| segments(end).into_iter().filter(|name| !name.is_empty()));
                assert_eq!(compared, one.cmp(other));
            }
        }
    }

    #[test]
    fn families_are_known() {
        let ancestors: Vec<Key> = key("/a/b/c").ancestors().collect();
        assert_eq!(ancestors, [key("/a"), key("/a/b")]);
        assert_eq!((key("/").child(b"a"), key("/a").child(b"b")), (key("/a"), key("/a/b")));
        assert!(key("/a/b").is_below(&key("/a")) && key("/a").is_below(&key("/")));
        assert!(!key("/ab").is_below(&key("/a")) && !key("/").is_below(&key("/")));
    }

    #[test]
    fn what_starts_with_an_underscore_is_hidden_from_above() {
        assert!(key("/a/_b").is_hidden() && !key("/_a/b").is_hidden());
        assert!(key("/_a/b").is_hidden_from(&key("/")) && key("/a/_b/c").is_hidden_from(&key("/a")));
        assert!(!key("/_a/b").is_hidden_from(&key("/_a")) && !key("/_a").is_hidden_from(&key("/_a/b")));
        assert!(!key("/y_a").is_hidden_from(&key("/")));
    }
}
