//! The paths that etcd serves to clients, without a network.

use std::sync::Arc;

use super::super::go;
use super::super::http::Turn;
use super::engine::{Engine, Reply, Watch};
use super::event::{Action, Event};
use super::failure::{Code, Failure};
use super::form::Form;
use super::hub::Interest;
use super::json;
use super::key::Key;
use super::member::Member;
use super::request::{Ask, Request};
use super::store::Found;
use crate::clock::{Clock as _, SystemClock};

const JSON: &str = "application/json";
/// Nodes of an answer that is made where the request came in; more take longer than others should wait.
const SMALL_NODES_MAX: usize = 200;

const TEXT: &str = "text/plain; charset=utf-8";

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Call<'a> {
    /// Such as `PUT`.
    pub(super) method: &'a str,
    /// The path as it came.
    pub(super) path: &'a str,
    /// What follows the `?`, as it came; may be empty.
    pub(super) query: &'a str,
    /// The type of the body; may be empty.
    pub(super) content_type: &'a str,
    /// The body; `None` if it is too large.
    pub(super) body: Option<&'a [u8]>,
    /// The host that was asked for; may be empty.
    pub(super) host: &'a str,
}

/// An answer, of which the transport makes HTTP.
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// The headers that are not on every answer.
    pub(super) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(super) body: Body,
}

/// The body of an answer.
pub(super) enum Body {
    /// In one piece.
    Whole(Vec<u8>),
    /// In many pieces.
    Large(Vec<u8>, Turn),
    /// The next event.
    Event(Watch),
    /// Every event from now on.
    Events(Watch),
}

impl Answer {
    fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("Content-Type", content_type.to_owned())];
        Self { status, headers, body: Body::Whole(body.into()) }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// An error of the HTTP layer below etcd.
    pub(super) fn plain(status: u16, text: &str) -> Self {
        Self::new(status, TEXT, text)
    }

    fn page_not_found() -> Self {
        Self::plain(404, "404 page not found\n").with("X-Content-Type-Options", "nosniff")
    }

    fn not_allowed(allowed: &str) -> Self {
        let answer = Self::plain(405, "Method Not Allowed\n").with("X-Content-Type-Options", "nosniff");
        answer.with("Allow", allowed)
    }

    fn failure(failure: &Failure) -> Self {
        Self::new(failure.code.status(), JSON, json::failure(failure))
            .with("X-Etcd-Index", failure.index.to_string())
    }
}

/// Answers a call.
pub(super) async fn answer(engine: &Arc<Engine>, member: &Member, call: &Call<'_>) -> Answer {
    if call.method == "OPTIONS" {
        return Answer { status: 200, headers: Vec::new(), body: Body::Whole(Vec::new()) };
    }
    if call.method == "CONNECT" {
        // It names a host, not a path.
        return Answer::page_not_found();
    }
    let Some(path) = go::unescaped_path(call.path).filter(|path| path.starts_with(b"/")) else {
        return Answer::plain(400, "400 Bad Request");
    };
    let clean = go::cleaned_path(&path);
    if clean != path {
        return moved(call, &clean);
    }
    if let Some(key) = below(&path, b"/v2/keys") {
        return keys(engine, member, call, Key::parse(key)).await;
    }
    if let Some(rest) = below(&path, b"/v2/members") {
        return members(member, call, rest.strip_prefix(b"/").unwrap_or_default());
    }
    let (allowed, answer) = match path.as_slice() {
        b"/version" => ("GET", Answer::new(200, JSON, Member::version())),
        b"/health" => ("GET", Answer::plain(200, "{\"health\":\"true\"}")),
        b"/v2/machines" => ("GET,HEAD", Answer::plain(200, &member.client_url(call.host))),
        b"/v2/stats/self" => ("GET", Answer::new(200, JSON, member.self_stats(SystemClock.now()))),
        b"/v2/stats/leader" => ("GET", Answer::new(200, JSON, member.leader_stats())),
        b"/v2/stats/store" => ("GET", Answer::new(200, JSON, engine.stats())),
        _ => return Answer::page_not_found(),
    };
    if allowed.split(',').any(|method| method == call.method) { answer } else { Answer::not_allowed(allowed) }
}

/// What follows a path, if it is that path or below it.
fn below<'a>(path: &'a [u8], base: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(base).filter(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn moved(call: &Call<'_>, clean: &[u8]) -> Answer {
    let mut location = go::escaped_path(clean);
    if !call.query.is_empty() {
        location = format!("{location}?{}", call.query);
    }
    let answer = match call.method {
        "GET" | "HEAD" => Answer::new(301, "text/html; charset=utf-8", go::moved_page(&location)),
        _ => Answer { status: 301, headers: Vec::new(), body: Body::Whole(Vec::new()) },
    };
    answer.with("Location", location)
}

async fn keys(engine: &Arc<Engine>, member: &Member, call: &Call<'_>, key: Key) -> Answer {
    if !matches!(call.method, "HEAD" | "GET" | "PUT" | "POST" | "DELETE") {
        return Answer::not_allowed("HEAD,GET,PUT,POST,DELETE");
    }
    let answer = match asked(engine, member, call, key).await {
        Ok(answer) => answer,
        Err(failure) => Answer::failure(&failure),
    };
    answer.with("X-Etcd-Cluster-Id", &member.cluster_id)
}

async fn asked(engine: &Arc<Engine>, member: &Member, call: &Call<'_>, key: Key) -> Result<Answer, Failure> {
    let form = Form::read(call.method, call.query, call.content_type, call.body)?;
    let now = i64::try_from(SystemClock.now().as_nanosecond()).unwrap_or(i64::MAX);
    let Request { key, ask, brief } = Request::read(call.method, key, &form, now)?;
    match ask {
        Ask::Get { deep, quorum } => {
            let reply = engine.get(&key, deep, quorum).await?;
            let body = listing(&reply).await?;
            Ok(answered(200, member, &reply, body))
        }
        Ask::Wait { deep, stream, since } => {
            let reply = engine.watch(Interest { key, deep, stream, since }).await?;
            let Reply { value, index, log_index, now } = reply;
            let body = if stream { Body::Events(value) } else { Body::Event(value) };
            Ok(answered(200, member, &Reply { value: (), index, log_index, now }, body))
        }
        Ask::Write(write) => {
            let mut reply = engine.write(&key, write).await?;
            let event = Arc::clone(&reply.value);
            // Others may have written since; the answer tells of this event.
            reply.index = event.index;
            let status = if event.is_creation() { 201 } else { 200 };
            Ok(answered(status, member, &reply, Body::Whole(written(&event, brief))))
        }
    }
}

/// A large one is made beside, as it takes long.
async fn listing(reply: &Reply<Found>) -> Result<Body, Failure> {
    if reply.value.below.len() <= SMALL_NODES_MAX {
        return Ok(Body::Whole(json::found(&reply.value, reply.now)));
    }
    let turn = Turn::wait().await;
    let (found, now) = (reply.value.clone(), reply.now);
    let made = tokio::task::spawn_blocking(move || json::found(&found, now)).await;
    let made = made.map_err(|_| Failure::request(Code::RaftInternal, "etcdserver: server stopped"))?;
    Ok(Body::Large(made, turn))
}

fn written(event: &Event, brief: bool) -> Vec<u8> {
    if brief && !matches!(event.action, Action::Delete | Action::CompareAndDelete) {
        json::brief_event(event)
    } else {
        json::event(event)
    }
}

fn answered<T>(status: u16, member: &Member, reply: &Reply<T>, body: Body) -> Answer {
    let answer = Answer { status, headers: vec![("Content-Type", JSON.to_owned())], body };
    answer
        .with("X-Etcd-Index", reply.index.to_string())
        .with("X-Raft-Index", reply.log_index.to_string())
        .with("X-Raft-Term", member.term.to_string())
}

fn members(member: &Member, call: &Call<'_>, rest: &[u8]) -> Answer {
    let answer = match (call.method, rest) {
        ("GET", b"") => Answer::new(200, JSON, member.list(call.host)),
        ("GET", b"leader") => Answer::new(200, JSON, format!("{}\n", member.to_json(call.host))),
        ("GET", _) => Answer::new(404, JSON, "{\"message\":\"Not found\"}"),
        ("POST" | "PUT" | "DELETE", _) => {
            let message = "{\"message\":\"the embedded server is and stays a cluster of one\"}";
            Answer::new(403, JSON, message)
        }
        _ => return Answer::not_allowed("GET,POST,DELETE,PUT"),
    };
    answer.with("X-Etcd-Cluster-Id", &member.cluster_id)
}
