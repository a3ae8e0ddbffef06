//! Says where in `config:` the configuration of a module does not fit its schema.

use super::policy_file::Config;
use super::read::{Reader, shortened};
use super::suggest::one_of;
use super::tree::{Node, Span, Value};
use super::violations::{Violation, What};

/// A place in `config`.
struct Found<'n> {
    /// Its key, or what comes nearest.
    key: Span,
    /// Its value; none if there is no `config` at all.
    node: Option<&'n Node>,
}

impl Reader<'_> {
    /// Reports a violation; without a `config`, at another place: `module`.
    pub(crate) fn violation(&mut self, violation: &Violation, config: Option<&Config>, module: Span) {
        let name = named(&violation.path);
        let found = find(config, module, &violation.path);
        match &violation.what {
            What::Value { wanted, words } => {
                let Some(node) = found.node else {
                    self.error(found.key, format!("{name} must be {wanted}"), None);
                    return;
                };
                let words = words.iter().map(String::as_str);
                let mut help = self.did_you_mean(&node.to_string(), words);
                if let (Value::Text(text), true) = (&node.value, wanted.contains("number")) {
                    let number = text.trim().trim_end_matches('%').parse::<f64>().ok();
                    help =
                        number.filter(|number| number.is_finite()).map(|number| format!("write `{number}`"));
                }
                self.wrong_form(&name, wanted, node, help);
            }
            What::Key { key, known } => {
                let path = [&violation.path[..], std::slice::from_ref(key)].concat();
                let at = find(config, module, &path).key;
                let known = known.iter().map(String::as_str);
                let help = self
                    .did_you_mean(key, known.clone())
                    .or_else(|| known.clone().next().map(|_| format!("known here: {}", one_of(known))));
                self.error(at, format!("unknown key `{}` in {name}", shortened(key)), help);
            }
            What::Missing { key, description } => {
                let described = description.as_ref().map(|text| format!(": {text}"));
                let help = match config {
                    Some(_) => format!("add `{key}`{}", described.unwrap_or_default()),
                    None => format!("add `config: {{{key}: …}}`{}", described.unwrap_or_default()),
                };
                let message = format!("`{}` is missing in {name}", shortened(key));
                self.error(found.key, message, Some(help));
            }
            What::Other(what) => self.error(found.key, format!("{name}: {}", shortened(what)), None),
        }
    }
}

/// `config.limits.up`, in quotes.
fn named(path: &[String]) -> String {
    let keys: Vec<String> = path.iter().map(|key| shortened(key)).collect();
    format!("`{}`", ["config".to_owned()].into_iter().chain(keys).collect::<Vec<_>>().join("."))
}

/// What a path leads to, or the last thing on the way that is there.
fn find<'n>(config: Option<&'n Config>, module: Span, path: &[String]) -> Found<'n> {
    let Some(config) = config else { return Found { key: module, node: None } };
    let mut found = Found { key: config.key, node: Some(&config.node) };
    for step in path {
        let inner = match found.node.map(|node| &node.value) {
            // The last of equal keys counts, as in JSON.
            Some(Value::Map(pairs)) => {
                let pair = pairs.iter().rev().find(|(key, _)| key.to_string() == *step);
                pair.map(|(key, node)| (key.span, node))
            }
            Some(Value::List(items)) => {
                let item = step.parse::<usize>().ok().and_then(|index| items.get(index));
                item.map(|item| (item.span, item))
            }
            _ => None,
        };
        let Some((key, node)) = inner else { break };
        found = Found { key, node: Some(node) };
    }
    found
}
