//! Machines and the changes to their metadata.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::model::Machine;
use super::{Answer, Call, Context, JSON, page};

/// One change: `add` or `replace` sets a key of a machine's metadata, `remove` takes it away.
#[derive(Deserialize)]
struct Operation {
    #[serde(default)]
    op: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    value: Option<Wrapped>,
}

/// fleet wants `{"value": "x"}` here, whatever its documents say.
#[derive(Deserialize)]
struct Wrapped {
    #[serde(default)]
    value: String,
}

pub(super) fn list(context: &mut Context<'_>, call: &Call<'_>) -> Answer {
    let machines: Vec<&Machine> = context.cluster.machines().collect();
    page::answer(call, context.page_items, "machines", &machines, |machine| {
        let mut shown = json!({ "id": machine.id });
        if !machine.metadata.is_empty() {
            shown["metadata"] = json!(machine.metadata);
        }
        if !machine.primary_ip.is_empty() {
            shown["primaryIP"] = Value::String(machine.primary_ip.clone());
        }
        shown
    })
}

pub(super) fn patch(context: &mut Context<'_>, call: &Call<'_>) -> Answer {
    let mut values = serde_json::Deserializer::from_slice(call.body).into_iter::<Vec<Operation>>();
    let operations = match values.next() {
        Some(Ok(operations)) => operations,
        Some(Err(error)) => return Answer::error(400, &error.to_string()),
        None => return Answer::error(400, "EOF"),
    };
    let mut targets = Vec::with_capacity(operations.len());
    for operation in &operations {
        match target(operation) {
            Ok(target) => targets.push(target),
            Err(message) => return Answer::error(400, &message),
        }
    }
    for (operation, (id, key)) in operations.iter().zip(targets) {
        let set = operation.value.as_ref().filter(|_| operation.op != "remove");
        context.cluster.set_metadata(context.now, id, key, set.map(|value| value.value.clone()));
    }
    Answer { content_type: Some(JSON), ..Answer::empty(204) }
}

/// The machine and the key that an operation is about.
fn target(operation: &Operation) -> Result<(&str, &str), String> {
    if !["add", "replace", "remove"].contains(&operation.op.as_str()) {
        return Err("invalid op: expect add, remove, or replace".into());
    }
    let parts: Vec<&str> = operation.path.split('/').collect();
    let ["", id, "metadata", key] = parts[..] else {
        return Err("metadata path invalid".into());
    };
    let allowed = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    if id.is_empty() || key.is_empty() || !key.chars().all(allowed) {
        return Err("metadata path invalid".into());
    }
    let empty = operation.value.as_ref().is_none_or(|value| value.value.is_empty());
    if operation.op != "remove" && empty {
        return Err("invalid value: expect non-empty value for add and replace".into());
    }
    Ok((id, key))
}
