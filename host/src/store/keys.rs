//! Keys as text: one spelling for each, how they stand in a URL, and the ranges that mean "everything below".

use std::fmt::Write as _;

/// The one spelling of a path: it starts with a slash and has no empty, `.` or `..` segment and no trailing slash.
/// The root is `/`. etcd v2 answers other spellings with a redirect, writes too.
#[must_use]
pub fn normalise(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}

/// `path` with everything that `name` adds below it, in the one spelling.
#[must_use]
pub fn join(path: &str, name: &str) -> String {
    normalise(&format!("{path}/{name}"))
}

/// What stands between a normalised `prefix` and the end of `key`, without a leading slash; `None` when `key` is not
/// below `prefix`, or is `prefix` itself.
#[must_use]
pub fn strip<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = key.strip_prefix(prefix.trim_end_matches('/'))?;
    rest.strip_prefix('/').filter(|rest| !rest.is_empty())
}

/// The first bytes of every key below a normalised `prefix`.
#[must_use]
pub fn directory(prefix: &str) -> String {
    format!("{}/", prefix.trim_end_matches('/'))
}

/// The end of the v3 range that holds every key with these first bytes; a zero byte, which is v3's word for "no
/// end", when there is none.
#[must_use]
pub fn range_end(first: &[u8]) -> Vec<u8> {
    let mut end = first.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

/// A key or a value as it stands in a URL or a form. Slashes stay as they are in a key.
pub(super) fn encode_into(target: &mut String, text: &str, keep_slash: KeepSlash) {
    for &byte in text.as_bytes() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        if plain || (byte == b'/' && keep_slash == KeepSlash::Yes) {
            target.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(target, "%{byte:02X}");
        }
    }
}

/// Whether slashes stay as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeepSlash {
    /// As in a path.
    Yes,
    /// As in a form.
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("a", "/a"),
            ("//a//b/", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/../..", "/"),
            ("/a b/%2F", "/a b/%2F"),
        ] {
            assert_eq!(normalise(path), expected, "{path}");
        }
        assert_eq!(join("/a/", "/b//c"), "/a/b/c");
    }

    #[test]
    fn only_what_is_below_is_below() {
        assert_eq!(strip("/a/b/c", "/a"), Some("b/c"));
        assert_eq!(strip("/ab", "/a"), None);
        assert_eq!(strip("/a", "/a"), None);
        assert_eq!(strip("/a", "/"), Some("a"));
        assert_eq!(directory("/"), "/");
        assert_eq!(directory("/a"), "/a/");
    }

    #[test]
    fn a_range_ends_after_the_last_key_with_the_prefix() {
        assert_eq!(range_end(b"/a/"), b"/a0");
        assert_eq!(range_end(b"a\xff"), b"b");
        assert_eq!(range_end(b"\xff"), b"\0");
        assert_eq!(range_end(b""), b"\0");
    }

    #[test]
    fn odd_characters_are_escaped() {
        let mut text = String::new();
        encode_into(&mut text, "/a b%ü", KeepSlash::Yes);
        encode_into(&mut text, "/+", KeepSlash::No);
        assert_eq!(text, "/a%20b%25%C3%BC%2F%2B");
    }
}
