//! Where a configuration does not fit the JSON Schema of a module, in words for whoever wrote the configuration.
//!
//! The schema is a stranger's: it can refer to nothing outside itself, and is given a thread of its own with much stack
//! and little time, as neither its depth nor the work that it makes has a bound.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use boon::{Compiler, Draft, ErrorKind, InstanceToken, Schemas, Type, Types, UrlLoader, ValidationError};
use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::suggest::one_of;

/// How long checking may take: a thousand times what it takes with any schema that was written by hand.
const PATIENCE: Duration = Duration::from_secs(3);
/// What a chain of references as long as a schema can be takes. Only what is used of it is taken from the system.
const STACK_BYTES: usize = 512 << 20;
/// The most violations that are told: more than a report shows.
const VIOLATIONS_MAX: usize = 200;
/// What a schema is called; the domain is one that never is.
const NAME: &str = "http://module.invalid/config-schema";

/// A place in a configuration that does not fit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Violation {
    /// The keys and indices that lead to it.
    pub(crate) path: Vec<String>,
    pub(crate) what: What,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// The value must be this: `a number`. If it is one of some words, these are they.
    Value { wanted: String, words: Vec<String> },
    /// The value is a map that must not have this key; it may have those.
    Key { key: String, known: Vec<String> },
    /// The value is a map that must have this key, which the schema describes so.
    Missing { key: String, description: Option<String> },
    /// Something else.
    Other(String),
}

/// Everything in a configuration, in JSON, that does not fit a schema. An empty schema fits everything.
///
/// # Errors
/// What is wrong with the schema.
pub(crate) fn violations(schema: &str, config: &str) -> Result<Vec<Violation>, String> {
    if schema.is_empty() {
        return Ok(Vec::new());
    }
    let parse = |text| serde_json::from_str::<Value>(text).map_err(|error| error.to_string());
    let (schema, config) = (parse(schema)?, parse(config)?);
    let (sender, receiver) = mpsc::sync_channel(1);
    let work = move || {
        // Nobody may be waiting any more.
        let _ = sender.send(checked(&schema, &config));
    };
    let thread = thread::Builder::new().name("schema".to_owned()).stack_size(STACK_BYTES);
    thread.spawn(work).map_err(|error| error.to_string())?;
    match receiver.recv_timeout(PATIENCE) {
        Ok(checked) => checked,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(format!("checking it takes more than {} s", PATIENCE.as_secs()))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("it cannot be checked".to_owned()),
    }
}

/// Loads no schema from anywhere.
struct Nowhere;

impl UrlLoader for Nowhere {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("it refers to `{url}`, and may refer only to itself").into())
    }
}

fn checked(schema: &Value, config: &Value) -> Result<Vec<Violation>, String> {
    let mut compiler = Compiler::new();
    compiler.set_default_draft(Draft::V2020_12);
    compiler.use_loader(Box::new(Nowhere));
    let mut schemas = Schemas::new();
    compiler.add_resource(NAME, schema.clone()).map_err(|error| in_a_line(&error))?;
    let index = compiler.compile(NAME, &mut schemas).map_err(|error| in_a_line(&error))?;
    let mut found = Vec::new();
    if let Err(error) = schemas.validate(config, index) {
        collect(schema, &error, &mut found);
    }
    found.truncate(VIOLATIONS_MAX);
    Ok(found)
}

fn in_a_line(error: &boon::CompileError) -> String {
    let text = format!("{error:#}").replace(NAME, "the schema");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Adds what an error comes to.
fn collect(schema: &Value, error: &ValidationError<'_, '_>, found: &mut Vec<Violation>) {
    if found.len() >= VIOLATIONS_MAX {
        return;
    }
    match &error.kind {
        ErrorKind::AnyOf | ErrorKind::OneOf(None) => alternatives(schema, error, found),
        kind if error.causes.is_empty() || matches!(kind, ErrorKind::PropertyName { .. }) => {
            leaf(schema, error, found);
        }
        _ => error.causes.iter().for_each(|cause| collect(schema, cause, found)),
    }
}

/// None of several forms fits. If all but one are of another kind, that one was meant, and it says what is wrong.
fn alternatives(schema: &Value, error: &ValidationError<'_, '_>, found: &mut Vec<Violation>) {
    let depth = error.instance_location.tokens.len();
    let meant: Vec<_> = error.causes.iter().filter(|cause| !is_other_kind(cause, depth)).collect();
    if let [one] = meant[..] {
        return collect(schema, one, found);
    }
    // Otherwise what they say about one place is said together: they want other types, or other words.
    let first_of = |cause| {
        let mut of_one = Vec::new();
        collect(schema, cause, &mut of_one);
        of_one.into_iter().find_map(|violation| match violation.what {
            What::Value { wanted, words } if violation.path.len() == depth || !words.is_empty() => {
                Some((violation.path, wanted, words))
            }
            _ => None,
        })
    };
    let firsts: Option<Vec<_>> = error.causes.iter().map(first_of).collect();
    let same = firsts.filter(|firsts| firsts.windows(2).all(|pair| pair[0].0 == pair[1].0));
    found.push(if let Some([(path, ..), ..]) = same.as_deref() {
        let parts = same.iter().flatten();
        let wanted: Vec<&str> = parts.clone().map(|(_, wanted, _)| wanted.as_str()).collect();
        let words = parts.flat_map(|(_, _, words)| words.iter().cloned()).collect();
        Violation { path: path.clone(), what: What::Value { wanted: wanted.join(" or "), words } }
    } else {
        let wanted = "of one of the forms in the module's schema".to_owned();
        Violation { path: path_of(error), what: What::Value { wanted, words: Vec::new() } }
    });
}

/// Whether a form does not fit because the value is of another type, or marked as another form.
fn is_other_kind(error: &ValidationError<'_, '_>, depth: usize) -> bool {
    let at = error.instance_location.tokens.len();
    match &error.kind {
        ErrorKind::Type { .. } => at == depth,
        ErrorKind::Const { .. } | ErrorKind::Enum { .. } => at <= depth + 1,
        _ => error.causes.iter().any(|cause| is_other_kind(cause, depth)),
    }
}

fn path_of(error: &ValidationError<'_, '_>) -> Vec<String> {
    let token = |token: &InstanceToken<'_>| match token {
        InstanceToken::Prop(key) => key.to_string(),
        InstanceToken::Item(index) => index.to_string(),
    };
    error.instance_location.tokens.iter().map(token).collect()
}

/// Adds what an error without causes comes to.
fn leaf(schema: &Value, error: &ValidationError<'_, '_>, found: &mut Vec<Violation>) {
    let mut path = path_of(error);
    let pointer = error.schema_url.split_once('#').map_or("", |(_, pointer)| pointer);
    let part = |pointer: &str| schema.pointer(&percent_decode_str(pointer).decode_utf8_lossy());
    let properties = |pointer: &str| part(pointer).and_then(|part| part.get("properties")?.as_object());
    let known =
        |pointer: &str| properties(pointer).map(|map| map.keys().cloned().collect()).unwrap_or_default();
    match &error.kind {
        ErrorKind::AdditionalProperties { got } => {
            let whats = got.iter().map(|key| What::Key { key: key.to_string(), known: known(pointer) });
            found.extend(whats.map(|what| Violation { path: path.clone(), what }));
        }
        ErrorKind::FalseSchema if pointer.ends_with("/unevaluatedProperties") => {
            let key = path.pop().unwrap_or_default();
            let known = known(pointer.trim_end_matches("/unevaluatedProperties"));
            found.push(Violation { path, what: What::Key { key, known } });
        }
        ErrorKind::Required { want: missing }
        | ErrorKind::DependentRequired { missing, .. }
        | ErrorKind::Dependency { missing, .. } => {
            found.extend(missing.iter().map(|key| {
                let described =
                    properties(pointer).and_then(|map| map.get(*key)?.get("description")?.as_str());
                let description = described.map(first_sentence);
                let what = What::Missing { key: (*key).to_owned(), description };
                Violation { path: path.clone(), what }
            }));
        }
        ErrorKind::PropertyName { prop } => {
            found.push(Violation { path, what: What::Key { key: prop.clone(), known: Vec::new() } });
        }
        kind => found.push(Violation { path, what: value(kind) }),
    }
}

/// What a value must be.
fn value(kind: &ErrorKind<'_, '_>) -> What {
    let mut words = Vec::new();
    let wanted = match kind {
        ErrorKind::Type { want, .. } => kinds(*want),
        ErrorKind::Enum { want } => {
            words = want.iter().map(plain).collect();
            one_of(words.iter().map(String::as_str))
        }
        ErrorKind::Const { want } => {
            words = vec![plain(want)];
            format!("`{}`", plain(want))
        }
        ErrorKind::Minimum { want, .. } => format!("at least {want}"),
        ErrorKind::Maximum { want, .. } => format!("at most {want}"),
        ErrorKind::ExclusiveMinimum { want, .. } => format!("more than {want}"),
        ErrorKind::ExclusiveMaximum { want, .. } => format!("less than {want}"),
        ErrorKind::MultipleOf { want, .. } => format!("a multiple of {want}"),
        ErrorKind::MinLength { want: 1, .. } => "a text that is not empty".to_owned(),
        ErrorKind::MinLength { want, .. } => format!("a text of at least {want} characters"),
        ErrorKind::MaxLength { want, .. } => format!("a text of at most {want} characters"),
        ErrorKind::Pattern { want, .. } => format!("a text of the form `{want}`"),
        ErrorKind::MinItems { want: 1, .. } => "a list that is not empty".to_owned(),
        ErrorKind::MinItems { want, .. } => format!("a list of at least {want} entries"),
        ErrorKind::MaxItems { want, .. } => format!("a list of at most {want} entries"),
        ErrorKind::UniqueItems { .. } => "a list without repetitions".to_owned(),
        ErrorKind::MinProperties { want, .. } => format!("a map of at least {want} keys"),
        ErrorKind::MaxProperties { want, .. } => format!("a map of at most {want} keys"),
        ErrorKind::FalseSchema => "left out".to_owned(),
        ErrorKind::OneOf(Some(_)) => "of one form, and fits two".to_owned(),
        other => return What::Other(other.to_string()),
    };
    What::Value { wanted, words }
}

fn kinds(types: Types) -> String {
    let name = |kind| match kind {
        Type::Null => "nothing",
        Type::Boolean => "`true` or `false`",
        Type::Number => "a number",
        Type::Integer => "a whole number",
        Type::String => "a text",
        Type::Array => "a list",
        Type::Object => "a map",
    };
    let (nothing, mut kinds): (Vec<_>, Vec<_>) = types.iter().partition(|kind| *kind == Type::Null);
    kinds.extend(nothing);
    kinds.into_iter().map(name).collect::<Vec<_>>().join(" or ")
}

/// The first sentence of a description, on one line and not much longer.
fn first_sentence(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    let sentence = text.split_inclusive(". ").next().unwrap_or_default();
    sentence.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(CHARS_MAX).collect()
}

/// A value as it is written in YAML.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_schema_is_followed_to_its_end() {
        let levels = 1_000;
        let chain = (0..levels).map(|level| format!(r##""{level}": {{"$ref": "#/$defs/{}"}},"##, level + 1));
        let chain = chain.collect::<String>();
        let schema =
            format!(r##"{{"$ref": "#/$defs/0", "$defs": {{{chain} "{levels}": {{"type": "array"}}}}}}"##);
        let what = What::Value { wanted: "a list".to_owned(), words: Vec::new() };
        assert_eq!(violations(&schema, "{}"), Ok(vec![Violation { path: Vec::new(), what }]));
    }

    #[test]
    fn a_schema_that_goes_in_circles_is_broken_and_an_empty_one_fits_everything() {
        assert_eq!(violations("", "{}"), Ok(Vec::new()));
        assert!(violations(r##"{"$ref": "#"}"##, "{}").is_ok_and(|found| !found.is_empty()));
        assert!(violations("5", "{}").is_err());
    }
}
