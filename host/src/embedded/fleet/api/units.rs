//! Units and their states. Empty fields are left out and keys come in alphabetical order, as Go writes them.

use serde_json::{Map, Value, json};

use super::super::model::{Failure, Put, Row, UnitView};
use super::{Answer, Call, Context, Panicked, decode, failed, page};
use crate::fleet::DesiredState;

pub(super) fn list(context: &mut Context<'_>, call: &Call<'_>) -> Answer {
    let units = context.cluster.units(context.now);
    // A listing calls a global unit inactive, where the unit itself has no state at all.
    let show = |unit: &UnitView| show_unit(unit, unit.current.unwrap_or(DesiredState::Inactive).as_str());
    page::answer(call, context.page_items, "units", &units, show)
}

pub(super) fn get(context: &mut Context<'_>, name: &str) -> Result<Answer, Panicked> {
    match context.cluster.unit(context.now, name) {
        Ok(Some(unit)) => Ok(Answer::json(&show_unit(&unit, unit.current.map_or("", DesiredState::as_str)))),
        Ok(None) => failed(Failure::NotFound("unit does not exist".into())),
        Err(failure) => failed(failure),
    }
}

pub(super) fn put(context: &mut Context<'_>, call: &Call<'_>, name: &str) -> Result<Answer, Panicked> {
    if let Err(message) = check_content_type(&call.content_types) {
        return Ok(Answer::error(415, &message));
    }
    let (named, body) = match decode::put_body(call.body) {
        Ok(decoded) => decoded,
        Err(error) => return Ok(Answer::error(400, &format!("unable to decode body: {error}"))),
    };
    if !named.is_empty() && named != name {
        let message = format!("name in URL {name:?} differs from unit name in request body {named:?}");
        return Ok(Answer::error(400, &message));
    }
    match context.cluster.put(context.now, name, body) {
        Ok(Put::Created) => Ok(Answer::empty(201)),
        Ok(Put::Updated) => Ok(Answer::empty(204)),
        Err(failure) => failed(failure),
    }
}

pub(super) fn delete(context: &mut Context<'_>, name: &str) -> Result<Answer, Panicked> {
    context.cluster.delete(context.now, name).map_or_else(failed, |()| Ok(Answer::empty(204)))
}

pub(super) fn states(context: &mut Context<'_>, call: &Call<'_>) -> Answer {
    let first = |wanted: &str| {
        let mut pairs = form_urlencoded::parse(call.query.as_bytes());
        pairs
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value.into_owned())
            .filter(|value| !value.is_empty())
    };
    let (name, machine) = (first("unitName"), first("machineID"));
    let mut rows = context.cluster.rows(context.now);
    rows.retain(|row| {
        name.as_ref().is_none_or(|name| *name == row.name)
            && machine.as_ref().is_none_or(|machine| *machine == row.machine)
    });
    page::answer(call, context.page_items, "states", &rows, show_row)
}

pub(super) fn state(context: &mut Context<'_>, name: &str) -> Result<Answer, Panicked> {
    let rows = context.cluster.rows(context.now);
    // fleetd looks into the row without asking whether there is one.
    rows.iter().find(|row| row.name == name).map(|row| Answer::json(&show_row(row))).ok_or(Panicked)
}

fn check_content_type(content_types: &[&str]) -> Result<(), String> {
    let [content_type] = content_types else {
        return Err(format!("expected 1 Content-Type, got {}", content_types.len()));
    };
    match content_type.split(';').next().map(str::trim) {
        Some("application/json") => Ok(()),
        _ => Err("only acceptable Content-Type is application/json".into()),
    }
}

fn show_unit(unit: &UnitView, current: &str) -> Value {
    let options: Vec<Value> = unit
        .options
        .iter()
        .map(|option| {
            object(&[("name", &option.name), ("section", &option.section), ("value", &option.value)])
        })
        .collect();
    let mut shown = object(&[
        ("currentState", current),
        ("desiredState", &unit.desired),
        ("machineID", unit.machine.as_deref().unwrap_or_default()),
        ("name", &unit.name),
    ]);
    if !options.is_empty() {
        shown["options"] = json!(options);
    }
    shown
}

fn show_row(row: &Row) -> Value {
    object(&[
        ("hash", &row.hash),
        ("machineID", &row.machine),
        ("name", &row.name),
        ("systemdActiveState", row.active),
        ("systemdLoadState", row.load),
        ("systemdSubState", row.sub),
    ])
}

/// An object without its empty fields.
fn object(fields: &[(&str, &str)]) -> Value {
    let present = fields.iter().filter(|(_, value)| !value.is_empty());
    Value::Object(present.map(|(key, value)| ((*key).to_owned(), json!(value))).collect::<Map<_, _>>())
}
