//! What etcd and fleet have from Go's HTTP server, and clients may have come to rely on.

/// The bytes that `%` escapes in a path stand for; `None` unless two hexadecimal digits follow each `%`.
pub(super) fn unescaped_path(path: &str) -> Option<Vec<u8>> {
    has_whole_escapes(path.as_bytes()).then(|| percent_encoding::percent_decode_str(path).collect())
}

/// Whether two hexadecimal digits follow each `%`.
pub(super) fn has_whole_escapes(text: &[u8]) -> bool {
    broken_escape(text).is_none()
}

/// The first `%` that two hexadecimal digits do not follow, with up to two bytes after it.
pub(super) fn broken_escape(text: &[u8]) -> Option<&[u8]> {
    let starts = text.iter().enumerate().filter(|(_, byte)| **byte == b'%').map(|(at, _)| at);
    let mut escapes = starts.map(|at| &text[at..text.len().min(at + 3)]);
    escapes.find(|escape| !matches!(escape, [_, a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

/// A decoded path without empty, `.` and `..` segments; a slash at the end stays.
pub(super) fn cleaned_path(path: &[u8]) -> Vec<u8> {
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
    let end: &[u8] = if path.ends_with(b"/") && !segments.is_empty() { b"/" } else { b"" };
    [b"/", segments.join(&b'/').as_slice(), end].concat()
}

/// A decoded path as it stands in a URL.
pub(super) fn escaped_path(path: &[u8]) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'$')
        .remove(b'&')
        .remove(b'+')
        .remove(b',')
        .remove(b'/')
        .remove(b':')
        .remove(b';')
        .remove(b'=')
        .remove(b'@');
    percent_encode(path, ESCAPED).to_string()
}

/// The page that says where something is now.
pub(super) fn moved_page(location: &str) -> String {
    let mut escaped = String::with_capacity(location.len());
    for letter in location.chars() {
        match letter {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&#34;",
            '\'' => escaped += "&#39;",
            other => escaped.push(other),
        }
    }
    format!("<a href=\"{escaped}\">Moved Permanently</a>.\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned() {
        for (path, clean) in
            [("//a", "/a"), ("/a/./b/", "/a/b/"), ("/a/../b", "/b"), ("/", "/"), ("/..", "/"), ("/a/", "/a/")]
        {
            assert_eq!(cleaned_path(path.as_bytes()), clean.as_bytes());
        }
    }

    #[test]
    fn escapes_are_whole_or_none() {
        assert_eq!(unescaped_path("/a%20b%2F").unwrap(), b"/a b/");
        for (text, broken) in [("a%zz", "%zz"), ("a%2", "%2"), ("%", "%"), ("%%41x", "%%4")] {
            assert_eq!(broken_escape(text.as_bytes()), Some(broken.as_bytes()));
        }
        assert_eq!(escaped_path(b"/a b<>'\xff$&+,:;=@~"), "/a%20b%3C%3E%27%FF$&+,:;=@~");
        assert_eq!(moved_page("/a?x=1&y='"), "<a href=\"/a?x=1&amp;y=&#39;\">Moved Permanently</a>.\n\n");
    }
}
