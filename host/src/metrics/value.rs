//! The value of a metric: a number, or JSON with numbers in it.

use serde_json::Value;

/// Reads the wanted fields out of a value; `None` in a place where there is no finite number.
pub(super) fn numbers(text: &str, fields: &[Option<String>]) -> Vec<Option<f64>> {
    let text = text.trim();
    if let [None] = fields {
        return vec![plain(text)];
    }
    let json: Option<Value> = serde_json::from_str(text).ok();
    let read = |field: &Option<String>| match field {
        None => plain(text),
        Some(field) => number(find(json.as_ref()?, field)?),
    };
    fields.iter().map(read).collect()
}

/// A number as metric writers print it. Rust also reads `inf` and `nan`; they are not finite and no numbers here.
fn plain(text: &str) -> Option<f64> {
    let unquoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    unquoted.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64().filter(|number| number.is_finite()),
        Value::String(text) => plain(text),
        _ => None,
    }
}

/// The field of that name; if there is none, the one that the dots lead to.
fn find<'v>(value: &'v Value, field: &str) -> Option<&'v Value> {
    if let Some(found) = value.get(field) {
        return Some(found);
    }
    field.split('.').try_fold(value, |value, part| value.get(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, field: Option<&str>, expected: Option<f64>) {
        assert_eq!(numbers(text, &[field.map(str::to_owned)]), [expected], "{text} {field:?}");
    }

    #[test]
    fn a_value_is_a_finite_number() {
        check("95.5", None, Some(95.5));
        check(" 7\n", None, Some(7.0));
        check("\"42\"", None, Some(42.0));
        check("-1e3", None, Some(-1000.0));
        for text in ["", "NaN", "inf", "-inf", "1e999", "ten", "{}", "[1]", "null", "1,5"] {
            check(text, None, None);
        }
    }

    #[test]
    fn a_field_is_found_by_its_literal_name_first_and_by_the_dots_else() {
        check(
            r#"{"time_backend_response.p95": 250, "other": 1}"#,
            Some("time_backend_response.p95"),
            Some(250.0),
        );
        check(r#"{"a": {"b": {"c": "3"}}}"#, Some("a.b.c"), Some(3.0));
        check(r#"{"a.b": 1, "a": {"b": 2}}"#, Some("a.b"), Some(1.0));
        for text in ["{}", r#"{"a": 1}"#, r#"{"a": {"b": null}}"#, r#"{"a": {"b": [1]}}"#, "5", "", "{\"a\""]
        {
            check(text, Some("a.b"), None);
        }
    }

    #[test]
    fn one_value_serves_several_fields() {
        let fields = [Some("p50".to_owned()), Some("p95".to_owned()), None];
        assert_eq!(numbers(r#"{"p50": 1, "p95": 2}"#, &fields), [Some(1.0), Some(2.0), None]);
    }

    proptest! {
        #[test]
        fn garbage_gives_nothing_or_a_finite_number(text in "\\PC*", field in "[a-z.]{0,9}") {
            for number in numbers(&text, &[None, Some(field)]).into_iter().flatten() {
                prop_assert!(number.is_finite());
            }
        }
    }
}
