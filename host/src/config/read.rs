//! Reads typed values out of a [`Node`] tree. What has the wrong form is reported, and the reader goes on without it.

use indexmap::IndexMap;

use super::report::{Diagnostic, Report, Source};
use super::suggest::{nearest, one_of};
use super::tree::{Node, Span, Value};
use super::words::Words;

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

/// Reads one document and collects what is wrong with it.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a Source<'a>,
    pub(crate) report: &'a mut Report,
}

/// The known keys of a map, each at most once.
pub(crate) struct Fields<'n> {
    entries: IndexMap<&'n str, (Span, &'n Node)>,
    /// Whether there was no map, or keys that are not known: what is missing may be there under a wrong name.
    pub(crate) is_doubtful: bool,
}

impl<'n> Fields<'n> {
    /// The value of a key. A key without a value (`max_instance:`) counts as left out.
    pub(crate) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.get(key).map(|(_, node)| *node).filter(|node| node.value != Value::Null)
    }

    /// Where a key stands that has a value.
    pub(crate) fn key(&self, key: &str) -> Option<Span> {
        self.get(key).and(self.entries.get(key)).map(|(span, _)| *span)
    }
}

impl Fields<'_> {
    /// Where a key stands, with a value or without.
    pub(crate) fn given(&self, key: &str) -> Option<Span> {
        self.entries.get(key).map(|(span, _)| *span)
    }
}

impl Reader<'_> {
    /// Reports an error.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.report.add(Diagnostic::error(message).at(self.source.place(span)).maybe_help(help));
    }

    /// Reports a warning.
    pub(crate) fn warning(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.report.add(Diagnostic::warning(message).at(self.source.place(span)).maybe_help(help));
    }

    /// "did you mean `…`?", if one of the candidates is near.
    pub(crate) fn did_you_mean<'w>(
        &self,
        word: &str,
        candidates: impl IntoIterator<Item = &'w str>,
    ) -> Option<String> {
        if self.report.is_full() {
            return None;
        }
        nearest(word, candidates).map(|near| format!("did you mean `{near}`?"))
    }

    /// Reports a value of the wrong kind.
    pub(crate) fn wrong_form(&mut self, what: &str, wanted: &str, node: &Node, help: Option<String>) {
        let found = match &node.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("the boolean `{value}`"),
            Value::Int(_) | Value::Float(_) => format!("the number `{node}`"),
            Value::Text(text) => format!("the text `{}`", shortened(text)),
            Value::List(_) | Value::Map(_) => node.to_string(),
        };
        self.error(node.span, format!("{what} must be {wanted}, found {found}"), help);
    }

    /// The entries of a map of names, such as `Service`; a name that is no text or stands twice is reported.
    pub(crate) fn entries<'n>(&mut self, node: &'n Node, what: &str) -> Vec<(At<&'n str>, &'n Node)> {
        let Value::Map(pairs) = &node.value else {
            if node.value != Value::Null {
                let help = match &node.value {
                    Value::List(_) => Some("write `name:` in front of each entry, without `-`".to_owned()),
                    _ => None,
                };
                self.wrong_form(what, "a map", node, help);
            }
            return Vec::new();
        };
        let mut known: IndexMap<&str, (Span, &Node)> = IndexMap::new();
        for (key, value) in pairs {
            let Value::Text(name) = &key.value else {
                let help = match &key.value {
                    Value::List(_) | Value::Map(_) | Value::Null => None,
                    _ => Some(format!("write it in quotes: `\"{key}\":`")),
                };
                self.wrong_form(&format!("a key in {what}"), "a text", key, help);
                continue;
            };
            if let Some((first, _)) = known.get(name.as_str()) {
                let diagnostic = Diagnostic::error(format!("`{}` is given twice in {what}", shortened(name)));
                let first = self.source.short(*first);
                let diagnostic = diagnostic.note(format!("it is given first at {first}"));
                self.report.add(diagnostic.at(self.source.place(key.span)));
                continue;
            }
            known.insert(name, (key.span, value));
        }
        known.into_iter().map(|(value, (span, node))| (At { value, span }, node)).collect()
    }

    /// The entries of a map that has these keys and no others.
    pub(crate) fn fields<'n>(&mut self, node: &'n Node, what: &str, keys: &[&str]) -> Fields<'n> {
        self.fields_among(node, what, keys, keys)
    }

    /// As [`Self::fields`], naming only the keys in `shown` to whoever wrote one that is not known.
    pub(crate) fn fields_among<'n>(
        &mut self,
        node: &'n Node,
        what: &str,
        keys: &[&str],
        shown: &[&str],
    ) -> Fields<'n> {
        let mut entries = IndexMap::new();
        let mut is_doubtful = !matches!(node.value, Value::Map(_) | Value::Null);
        for (key, value) in self.entries(node, what) {
            if keys.contains(&key.value) {
                entries.insert(key.value, (key.span, value));
                continue;
            }
            is_doubtful = true;
            let help = self
                .did_you_mean(key.value, keys.iter().copied())
                .unwrap_or_else(|| format!("known here: {}", one_of(shown.iter().copied())));
            let message = format!("unknown key `{}` in {what}", shortened(key.value));
            self.error(key.span, message, Some(help));
        }
        Fields { entries, is_doubtful }
    }

    /// A text that is not empty.
    pub(crate) fn text(&mut self, fields: &Fields<'_>, key: &str) -> Option<At<String>> {
        self.text_of(fields.get(key)?, &format!("`{key}`"))
    }

    fn text_of(&mut self, node: &Node, what: &str) -> Option<At<String>> {
        match &node.value {
            Value::Text(text) if text.trim().is_empty() => {
                self.error(node.span, format!("{what} is empty"), None);
                None
            }
            Value::Text(text) => Some(At { value: text.clone(), span: node.span }),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
                self.wrong_form(what, "a text", node, Some(format!("write it in quotes: `\"{node}\"`")));
                None
            }
            Value::List(_) | Value::Map(_) | Value::Null => {
                self.wrong_form(what, "a text", node, None);
                None
            }
        }
    }

    /// A list of texts, or a single one.
    pub(crate) fn texts(&mut self, fields: &Fields<'_>, key: &str) -> Vec<At<String>> {
        let Some(node) = fields.get(key) else { return Vec::new() };
        match &node.value {
            Value::List(items) => {
                let what = format!("each entry of `{key}`");
                items.iter().filter_map(|item| self.text_of(item, &what)).collect()
            }
            Value::Text(_) => self.text_of(node, &format!("`{key}`")).into_iter().collect(),
            _ => {
                self.wrong_form(&format!("`{key}`"), "a list of texts", node, None);
                Vec::new()
            }
        }
    }

    /// A whole number from 0.
    pub(crate) fn count(&mut self, fields: &Fields<'_>, key: &str) -> Option<At<u32>> {
        let node = fields.get(key)?;
        let what = format!("`{key}`");
        let help = match &node.value {
            Value::Int(value) => {
                if let Ok(value) = u32::try_from(*value) {
                    return Some(At { value, span: node.span });
                }
                let limit = if *value < 0 { "must not be negative" } else { "is too large" };
                self.error(node.span, format!("{what} {limit}, found `{value}`"), None);
                return None;
            }
            Value::Text(text) => {
                text.trim().parse().ok().map(|n: u32| format!("write `{n}`, without quotes"))
            }
            _ => None,
        };
        self.wrong_form(&what, "a whole number", node, help);
        None
    }

    /// A finite number.
    pub(crate) fn number(&mut self, fields: &Fields<'_>, key: &str) -> Option<At<f64>> {
        let node = fields.get(key)?;
        let what = format!("`{key}`");
        let help = match &node.value {
            #[expect(clippy::cast_precision_loss, reason = "no metric needs more than 53 bits")]
            Value::Int(value) => return Some(At { value: *value as f64, span: node.span }),
            Value::Float(value) if value.is_finite() => return Some(At { value: *value, span: node.span }),
            Value::Float(_) => {
                self.error(node.span, format!("{what} must be finite, found `{node}`"), None);
                return None;
            }
            Value::Text(text) => number_meant(text),
            _ => None,
        };
        self.wrong_form(&what, "a number", node, help);
        None
    }

    /// `true` or `false`.
    pub(crate) fn flag(&mut self, fields: &Fields<'_>, key: &str) -> Option<At<bool>> {
        let node = fields.get(key)?;
        let meant = match &node.value {
            Value::Bool(value) => return Some(At { value: *value, span: node.span }),
            Value::Int(value) => value.to_string(),
            Value::Text(text) => text.to_lowercase(),
            _ => String::new(),
        };
        let meant = match meant.as_str() {
            "yes" | "on" | "y" | "true" | "1" => Some("write `true`".to_owned()),
            "no" | "off" | "n" | "false" | "0" => Some("write `false`".to_owned()),
            _ => None,
        };
        self.wrong_form(&format!("`{key}`"), "`true` or `false`", node, meant);
        None
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        words: &Words<T>,
    ) -> Option<At<T>> {
        let node = fields.get(key)?;
        let text = node.to_string();
        let right = words.right.iter().map(|(word, _)| *word);
        if let (Value::Text(_), Some((_, value))) =
            (&node.value, words.right.iter().find(|(word, _)| *word == text))
        {
            return Some(At { value: *value, span: node.span });
        }
        let other = words.other.iter().find(|(word, _)| text.eq_ignore_ascii_case(word));
        let help = other
            .map(|(_, word)| format!("did you mean `{word}`?"))
            .or_else(|| self.did_you_mean(&text, right.clone()));
        self.wrong_form(&format!("`{key}`"), &one_of(right), node, help);
        None
    }
}

/// What to write for a threshold such as `90%` or `"90"`.
fn number_meant(text: &str) -> Option<String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let number: f64 = digits.parse().ok()?;
    let unit = text[digits.len()..].trim();
    Some(match unit {
        "" => format!("write `{number}`, without quotes"),
        "%" => format!("write `{number}`; the unit goes into `threshold_unit: percent`"),
        _ => format!("write `{number}`; the unit goes into `threshold_unit`"),
    })
}

/// A text as it is quoted in a message: not longer than a line.
pub(crate) fn shortened(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    if text.chars().count() <= CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(CHARS_MAX).chain("...".chars()).collect()
}
