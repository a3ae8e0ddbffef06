//! Spans of time, times and numbers, as they are written in case files.

use jiff::{SignedDuration, Timestamp};

use crate::config::read::{At, Fields, Reader};
use crate::config::tree::{Node, Value};

/// The longest span: that of the configuration.
const SPAN_MAX: SignedDuration = SignedDuration::from_hours(366 * 24);

impl Reader<'_> {
    /// A span of time: `10s`, `1m30s`, `500ms`; a bare number is seconds.
    pub(crate) fn span(&mut self, fields: &Fields<'_>, key: &str) -> Option<At<SignedDuration>> {
        let node = fields.get(key)?;
        Some(At { value: self.span_of(node, key)?, span: node.span })
    }

    /// As [`Self::span`], of a value that is there.
    pub(crate) fn span_of(&mut self, node: &Node, key: &str) -> Option<SignedDuration> {
        let span = match &node.value {
            Value::Int(seconds) => i64::try_from(*seconds).ok().map(SignedDuration::from_secs),
            Value::Float(seconds) => SignedDuration::try_from_secs_f64(*seconds).ok(),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        if let Some(span) = span.filter(|span| (SignedDuration::ZERO..=SPAN_MAX).contains(span)) {
            return Some(span);
        }
        let help = "write for example `500ms`, `10s`, `5m` or `1h30m`, of at most 366 days".to_owned();
        self.wrong_form(&format!("`{key}`"), "a span of time", node, Some(help));
        None
    }

    /// As [`Self::span`], and longer than nothing.
    pub(crate) fn positive_span(&mut self, fields: &Fields<'_>, key: &str) -> Option<SignedDuration> {
        let At { value, span } = self.span(fields, key)?;
        if value.is_zero() {
            self.error(span, format!("`{key}` must be longer than 0"), None);
            return None;
        }
        Some(value)
    }

    /// A time: RFC 3339.
    pub(crate) fn moment(&mut self, fields: &Fields<'_>, key: &str) -> Option<Timestamp> {
        let node = fields.get(key)?;
        let time = match &node.value {
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        let time = time.filter(|time: &Timestamp| *time >= Timestamp::UNIX_EPOCH);
        if time.is_none() {
            let help = "write for example `2026-01-01T12:00:00Z`".to_owned();
            self.wrong_form(&format!("`{key}`"), "a time since 1970", node, Some(help));
        }
        time
    }

    /// A list of finite numbers, at least one.
    pub(crate) fn numbers(&mut self, node: &Node, what: &str) -> Option<Vec<f64>> {
        let Value::List(items) = &node.value else {
            self.wrong_form(what, "a list of numbers", node, None);
            return None;
        };
        if items.is_empty() {
            self.error(node.span, format!("{what} is empty"), None);
            return None;
        }
        items.iter().map(|item| self.finite(item, what)).collect()
    }

    /// A finite number.
    pub(crate) fn finite(&mut self, node: &Node, what: &str) -> Option<f64> {
        match node.value {
            #[expect(clippy::cast_precision_loss, reason = "no metric needs more than 53 bits")]
            Value::Int(value) => Some(value as f64),
            Value::Float(value) if value.is_finite() => Some(value),
            _ => {
                self.wrong_form(what, "a finite number", node, None);
                None
            }
        }
    }
}

/// A span as it is written: `1m 30s`; `0s` for none.
pub(crate) fn written(span: SignedDuration) -> String {
    format!("{:#}", SignedDuration::from_millis_i128(span.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_they_are_read() {
        for text in ["0s", "10s", "1m 30s", "500ms", "1h"] {
            assert_eq!(written(text.parse().unwrap()), text);
        }
    }
}
