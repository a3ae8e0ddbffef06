//! Answers as etcd writes them: Go's JSON, with its order of fields and its escapes.

use jiff::Timestamp;

use super::event::{Event, Nanos, Shown};
use super::failure::Failure;
use super::store::Found;

/// An event, as the answer to a write or a wait.
pub(super) fn event(event: &Event) -> Vec<u8> {
    let mut json = Vec::with_capacity(160 + event.weight());
    json.extend_from_slice(b"{\"action\":\"");
    json.extend_from_slice(event.action.name().as_bytes());
    json.extend_from_slice(b"\",\"node\":");
    node(&mut json, &event.node);
    if let Some(prev) = &event.prev {
        json.extend_from_slice(b",\"prevNode\":");
        node(&mut json, prev);
    }
    json.extend_from_slice(b"}\n");
    json
}

/// An event without its nodes.
pub(super) fn brief_event(event: &Event) -> Vec<u8> {
    format!("{{\"action\":\"{}\"}}\n", event.action.name()).into_bytes()
}

/// What was found, as the answer to a read.
pub(super) fn found(found: &Found, now: Nanos) -> Vec<u8> {
    let mut json = b"{\"action\":\"get\",\"node\":".to_vec();
    head(&mut json, &found.node);
    if !found.below.is_empty() {
        json.extend_from_slice(b",\"nodes\":");
        nodes(&mut json, found, now);
    }
    tail(&mut json, &found.node);
    json.extend_from_slice(b"}\n");
    json
}

/// An error.
pub(super) fn failure(failure: &Failure) -> Vec<u8> {
    let mut json = format!("{{\"errorCode\":{},\"message\":", failure.code.number()).into_bytes();
    string(&mut json, failure.code.message().as_bytes());
    if !failure.cause.is_empty() {
        json.extend_from_slice(b",\"cause\":");
        string(&mut json, &failure.cause);
    }
    json.extend_from_slice(format!(",\"index\":{}}}\n", failure.index).as_bytes());
    json
}

/// What is below a node, nested. However deep it is, only the heap grows.
fn nodes(json: &mut Vec<u8>, found: &Found, now: Nanos) {
    let mut open: Vec<Shown> = Vec::new();
    let mut first = true;
    json.push(b'[');
    for (key, node) in &found.below {
        while open.last().is_some_and(|directory| !key.is_below(&directory.key)) {
            close(json, open.pop(), &mut first);
        }
        if first && !open.is_empty() {
            json.extend_from_slice(b",\"nodes\":[");
        }
        if !first {
            json.push(b',');
        }
        let shown = Shown::new(key, node, now);
        head(json, &shown);
        first = true;
        open.push(shown);
    }
    while !open.is_empty() {
        close(json, open.pop(), &mut first);
    }
    json.push(b']');
}

/// Ends a node. `first` tells whether nothing was written into it, and afterwards that something is before the next.
fn close(json: &mut Vec<u8>, shown: Option<Shown>, first: &mut bool) {
    let Some(shown) = shown else { return };
    if !*first {
        json.push(b']');
    }
    tail(json, &shown);
    *first = false;
}

fn node(json: &mut Vec<u8>, shown: &Shown) {
    head(json, shown);
    tail(json, shown);
}

/// A node up to where those below it are.
fn head(json: &mut Vec<u8>, shown: &Shown) {
    json.push(b'{');
    let start = json.len();
    // The root has no key.
    if !shown.key.is_root() {
        json.extend_from_slice(b"\"key\":");
        string(json, shown.key.as_bytes());
    }
    let comma = |json: &mut Vec<u8>| {
        if json.len() > start {
            json.push(b',');
        }
    };
    if let Some(value) = &shown.value {
        comma(json);
        json.extend_from_slice(b"\"value\":");
        string(json, value);
    }
    if shown.dir {
        comma(json);
        json.extend_from_slice(b"\"dir\":true");
    }
    if let Some(expires) = shown.expires {
        let at = Timestamp::from_nanosecond(expires.into()).unwrap_or_default();
        json.extend_from_slice(format!(",\"expiration\":\"{at}\"").as_bytes());
    }
    if shown.ttl != 0 {
        json.extend_from_slice(format!(",\"ttl\":{}", shown.ttl).as_bytes());
    }
}

fn tail(json: &mut Vec<u8>, shown: &Shown) {
    for (name, index) in [("modifiedIndex", shown.modified), ("createdIndex", shown.created)] {
        if index > 0 {
            json.extend_from_slice(format!(",\"{name}\":{index}").as_bytes());
        }
    }
    json.push(b'}');
}

/// A string, as Go writes it: what is not UTF-8 is replaced byte by byte, and what could hurt in HTML is escaped.
fn string(json: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    json.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '"' | '\\' => json.extend_from_slice(&[b'\\', letter as u8]),
                '\n' => json.extend_from_slice(b"\\n"),
                '\r' => json.extend_from_slice(b"\\r"),
                '\t' => json.extend_from_slice(b"\\t"),
                '<' | '>' | '&' | '\0'..'\x20' => {
                    let byte = letter as usize;
                    json.extend_from_slice(b"\\u00");
                    json.extend_from_slice(&[DIGITS[byte >> 4], DIGITS[byte & 15]]);
                }
                '\u{2028}' => json.extend_from_slice(b"\\u2028"),
                '\u{2029}' => json.extend_from_slice(b"\\u2029"),
                _ => json.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            json.extend_from_slice(b"\\ufffd");
        }
    }
    json.push(b'"');
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::event::Node;
    use super::super::key::Key;
    use super::*;

    fn shown(path: &str, node: &Node) -> Shown {
        Shown::new(&Key::parse(path.as_bytes()), node, 0)
    }

    #[test]
    fn strings_are_those_of_go() {
        let mut json = Vec::new();
        string(&mut json, b"\xff\xe2\x80a<&>\0\x01\x7f\x08\x0c\n\r\t\"\\/\xe2\x80\xa8\xc3\xa9");
        let expected = "\"\\ufffd\\ufffd\\ufffda\\u003c\\u0026\\u003e\\u0000\\u0001\x7f\\u0008\\u000c\\n\\r\\t\\\"\\\\/\\u2028é\"";
        assert_eq!(String::from_utf8(json).unwrap(), expected);
    }

    #[test]
    fn listings_are_nested() {
        let file = |index| Node {
            created: index,
            modified: index,
            expires: None,
            value: Some(Bytes::from_static(b"v")),
        };
        let dir = |index| Node { value: None, ..file(index) };
        let all = [("/a", dir(1)), ("/a/b", file(2)), ("/a/c", dir(3)), ("/a/c/d", file(4)), ("/e", file(5))];
        let below = all.map(|(path, node)| (Key::parse(path.as_bytes()), node)).to_vec();
        let root = Found { node: shown("/", &dir(0)), below };
        let json: serde_json::Value = serde_json::from_slice(&found(&root, 0)).unwrap();
        let expected = serde_json::json!({ "action": "get", "node": { "dir": true, "nodes": [
            { "key": "/a", "dir": true, "nodes": [
                { "key": "/a/b", "value": "v", "modifiedIndex": 2, "createdIndex": 2 },
                { "key": "/a/c", "dir": true, "nodes": [
                    { "key": "/a/c/d", "value": "v", "modifiedIndex": 4, "createdIndex": 4 },
                ], "modifiedIndex": 3, "createdIndex": 3 },
            ], "modifiedIndex": 1, "createdIndex": 1 },
            { "key": "/e", "value": "v", "modifiedIndex": 5, "createdIndex": 5 },
        ] } });
        assert_eq!(json, expected);
    }

    #[test]
    fn times_are_those_of_go() {
        let node = Node { created: 1, modified: 2, expires: Some(1_764_094_859_468_122_170), value: None };
        let mut json = Vec::new();
        super::node(&mut json, &shown("/d", &Node { expires: Some(1_500_000_000), ..node.clone() }));
        let expected = "{\"key\":\"/d\",\"dir\":true,\"expiration\":\"1970-01-01T00:00:01.5Z\",\"ttl\":2,\
            \"modifiedIndex\":2,\"createdIndex\":1}";
        assert_eq!(String::from_utf8(json).unwrap(), expected);
        let mut json = Vec::new();
        super::node(&mut json, &shown("/d", &node));
        assert!(String::from_utf8(json).unwrap().contains("\"2025-11-25T18:20:59.46812217Z\""));
    }
}
