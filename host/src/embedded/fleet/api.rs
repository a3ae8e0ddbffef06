//! fleet's API v1 without a network: a call and a cluster in, an answer out.
//!
//! Paths, statuses, messages, the order of checks and even the requests at which fleetd's handlers panic are those of
//! fleet 1.0, so that a client which works here works there.

mod decode;
mod machines;
mod page;
mod units;

use std::time::Duration;

use serde_json::json;

use super::super::go::{cleaned_path, unescaped_path};
use super::model::{Cluster, Failure};

/// The base path of the API and its older name.
const BASES: [&str; 2] = ["/fleet/v1", "/v1-alpha"];

/// A request.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Such as `PUT`.
    pub method: &'a str,
    /// The path as it came.
    pub path: &'a str,
    /// What follows the `?`, as it came; may be empty.
    pub query: &'a str,
    /// Every `Content-Type` header.
    pub content_types: Vec<&'a str>,
    /// The whole body.
    pub body: &'a [u8],
}

/// An answer, of which the transport makes HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The type of the body, if fleet names one.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the length is announced.
    pub framing: Framing,
    /// Where to go instead.
    pub location: Option<String>,
}

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By `Content-Length`.
    Length,
    /// By chunks.
    Chunked,
}

/// The handler died: the connection is closed without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Panicked;

const JSON: &str = "application/json";

impl Answer {
    fn new(status: u16, content_type: Option<&'static str>, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type, body: body.into(), framing: Framing::Length, location: None }
    }

    fn empty(status: u16) -> Self {
        Self::new(status, None, Vec::new())
    }

    fn json(value: &serde_json::Value) -> Self {
        Self::new(200, Some(JSON), value.to_string())
    }

    /// An error in the one form that fleet has for them.
    #[must_use]
    pub fn error(status: u16, message: &str) -> Self {
        let body = json!({ "error": { "code": status, "message": message } });
        Self { status, ..Self::json(&body) }
    }

    /// An error of the HTTP layer below fleet.
    #[must_use]
    pub fn plain(status: u16, text: &str) -> Self {
        Self::new(status, Some("text/plain; charset=utf-8"), text)
    }
}

/// What every handler is given.
struct Context<'a> {
    cluster: &'a mut Cluster,
    now: Duration,
    /// Items a page.
    page_items: u16,
}

/// Answers a call.
pub fn answer(
    cluster: &mut Cluster,
    now: Duration,
    page_items: u16,
    call: &Call<'_>,
) -> Result<Answer, Panicked> {
    let Some(path) = unescaped_path(call.path).and_then(|path| String::from_utf8(path).ok()) else {
        return Ok(Answer::plain(400, "400 Bad Request"));
    };
    let clean = String::from_utf8_lossy(&cleaned_path(path.as_bytes())).into_owned();
    if clean != path {
        let location = if call.query.is_empty() { clean } else { format!("{clean}?{}", call.query) };
        let body = format!("<a href=\"{}\">Moved Permanently</a>.\n\n", location.replace('"', "&#34;"));
        let moved = Answer::new(301, Some("text/html; charset=utf-8"), body);
        return Ok(Answer { location: Some(location), ..moved });
    }
    let mut context = Context { cluster, now, page_items };
    let base = BASES.iter().find_map(|base| path.strip_prefix(base));
    match base {
        Some("") => Ok(Answer::error(405, "")),
        Some(rest) if rest.starts_with('/') => resource(&mut context, call, &rest[1..]),
        _ if path == "/" => Ok(Answer::error(405, "")),
        _ if path == "/metrics" => Ok(metrics(&mut context)),
        _ => Ok(Answer::error(404, "")),
    }
}

fn resource(context: &mut Context<'_>, call: &Call<'_>, path: &str) -> Result<Answer, Panicked> {
    let (collection, item) = match path.split_once('/') {
        None => (path, None),
        Some((collection, item)) => (collection, Some(item)),
    };
    if item.is_some_and(|item| item.is_empty() || item.contains('/')) {
        return Ok(Answer::error(404, ""));
    }
    let only_get = || Answer::error(405, "only GET supported against this resource");
    match (collection, item, call.method) {
        ("units", None, "GET") => Ok(units::list(context, call)),
        ("units", Some(name), "GET") => units::get(context, name),
        ("units", Some(name), "PUT") => units::put(context, call, name),
        ("units", Some(name), "DELETE") => units::delete(context, name),
        ("units", Some(_), _) => {
            Ok(Answer::error(405, "only GET, PUT and DELETE supported against this resource"))
        }
        ("state", None, "GET") => Ok(units::states(context, call)),
        ("state", Some(name), "GET") => units::state(context, name),
        ("units" | "state", _, _) => Ok(only_get()),
        ("machines", None, "GET") => Ok(machines::list(context, call)),
        ("machines", None, "PATCH") => Ok(machines::patch(context, call)),
        ("machines", None, _) => Ok(Answer::error(405, "only GET and PATCH supported against this resource")),
        ("discovery", None, "GET") => Ok(discovery()),
        ("discovery", None, _) => Ok(Answer::error(400, "only HTTP GET supported against this resource")),
        _ => Ok(Answer::error(404, "")),
    }
}

/// The answer to something that fleet does not do.
fn failed(failure: Failure) -> Result<Answer, Panicked> {
    match failure {
        Failure::BadRequest(message) => Ok(Answer::error(400, &message)),
        Failure::NotFound(message) => Ok(Answer::error(404, &message)),
        Failure::Conflict(message) => Ok(Answer::error(409, &message)),
        Failure::Internal => Ok(Answer::error(500, "")),
        Failure::Panic => Err(Panicked),
    }
}

fn discovery() -> Answer {
    let document = json!({
        "kind": "discovery#restDescription",
        "id": "fleet:v1",
        "name": "fleet",
        "version": "v1",
        "protocol": "rest",
        "basePath": "/fleet/v1/",
    });
    let body = serde_json::to_vec_pretty(&document).unwrap_or_default();
    Answer { framing: Framing::Chunked, ..Answer::new(200, Some(JSON), body) }
}

fn metrics(context: &mut Context<'_>) -> Answer {
    let units = context.cluster.units(context.now).len();
    let text = format!("# HELP fleet_units Units known.\n# TYPE fleet_units gauge\nfleet_units {units}\n");
    Answer::new(200, Some("text/plain; version=0.0.4"), text)
}
