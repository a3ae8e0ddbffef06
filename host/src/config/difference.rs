//! What of a configuration document is not as it was.

use serde_json::{Map, Value};

/// The most places that are named: whoever writes everything anew need not be told of each.
const PLACES_MAX: usize = 20;

/// Where the second document differs from the first, as dotted keys in their order: a value that is another, or that only one of
/// them has. At most twenty, and `…` if there are more.
#[must_use]
pub fn difference(before: &Value, after: &Value) -> Vec<String> {
    let mut places = Vec::new();
    compare(before, after, &mut Vec::new(), &mut places);
    if places.len() > PLACES_MAX {
        places.truncate(PLACES_MAX);
        places.push("…".to_owned());
    }
    places
}

fn compare<'d>(before: &'d Value, after: &'d Value, path: &mut Vec<&'d str>, places: &mut Vec<String>) {
    if before == after {
        return;
    }
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        places.push(path.join("."));
        return;
    };
    let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
    for (key, _) in old.iter().chain(added) {
        path.push(key);
        let at = |map: &'d Map<String, Value>| map.get(key).unwrap_or(&Value::Null);
        compare(at(old), at(new), path, places);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_that_is_another_or_alone_is_named() {
        let before = json!({ "Service": { "web": { "min": 1, "max": 2 }, "old": {} }, "list": [1] });
        let after = json!({ "Service": { "web": { "min": 1, "max": 3, "type": "t" } }, "list": [1, 2] });
        let places = ["Service.web.max", "Service.web.type", "Service.old", "list"];
        let mut found = difference(&before, &after);
        found.sort();
        let mut expected = places.map(str::to_owned);
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(difference(&before, &before), Vec::<String>::new());
    }

    #[test]
    fn of_many_the_first_are_named() {
        let many =
            |value: u32| (0..50).map(|key| (format!("{key:02}"), Value::from(value))).collect::<Value>();
        let found = difference(&many(1), &many(2));
        assert_eq!((found.len(), &*found[0], &*found[20]), (21, "00", "…"));
    }
}
