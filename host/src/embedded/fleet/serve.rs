//! HTTP around the API: what all connections share, and the faults that were ordered.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue, LOCATION, SERVER};
use hyper::{Response, StatusCode};
use tokio::time::Instant;

use super::super::http::{self, BodyError, Handler, HangUp, Payload};
use super::api::{self, Answer, Call, Framing};
use super::model::Cluster;
use super::record::{CarriedOut, Fault, Faults, Record};

/// The longest body, in bytes. A thousand options of nearly 2 kB, which fleet takes, are a quarter of it.
const BODY_BYTES_MAX: usize = 8 << 20;

/// What all connections share.
pub(super) struct Shared {
    cluster: Mutex<Cluster>,
    record: Mutex<Record>,
    faults: Mutex<Faults>,
    started: Instant,
    page_items: u16,
}

impl Shared {
    pub(super) fn new(cluster: Cluster, page_items: u16) -> Self {
        Self {
            cluster: Mutex::new(cluster),
            record: Mutex::new(Record::new()),
            faults: Mutex::new(Faults::default()),
            started: Instant::now(),
            page_items,
        }
    }

    /// How long the server has been running.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    pub(super) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Shared {
    async fn respond(&self, request: hyper::Request<Incoming>) -> Result<Response<Payload>, HangUp> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let number = self.record().arrive(parts.method.as_str(), path);
        let answer = answer(self, &parts, body).await?;
        self.record().answer(number, answer.status);
        Ok(to_http(answer))
    }
}

async fn answer(
    shared: &Shared,
    parts: &hyper::http::request::Parts,
    body: Incoming,
) -> Result<Answer, HangUp> {
    let body = match http::read_body(body, BODY_BYTES_MAX).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return Ok(Answer::error(413, "body too large")),
        Err(BodyError::TooSlow) => return Ok(Answer::error(408, "body took too long")),
        Err(BodyError::Broken) => return Err(HangUp),
    };
    if http::lacks_host(parts) {
        return Ok(Answer::plain(400, "400 Bad Request: missing required Host header"));
    }
    let content_types = parts.headers.get_all(CONTENT_TYPE).iter();
    let call = Call {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        content_types: content_types.map(|value| value.to_str().unwrap_or_default()).collect(),
        body: &body,
    };
    let fault = shared.faults().take(call.method);
    let carry_out = || {
        let (mut cluster, now) = (shared.cluster(), shared.now());
        let answer = api::answer(&mut cluster, now, shared.page_items, &call);
        // What is due at once happens now, not when somebody asks again: units may be real.
        cluster.advance(now);
        answer
    };
    let Some(fault) = fault else { return carry_out().map_err(|_| HangUp) };
    if let Fault::Status(_, CarriedOut::Yes) | Fault::Close(CarriedOut::Yes) | Fault::Hang(CarriedOut::Yes) =
        fault
    {
        // Only the answer is lost.
        let _ = carry_out();
    }
    match fault {
        Fault::Status(503, _) => Ok(Answer::error(503, "fleet server unable to communicate with etcd")),
        Fault::Status(status, _) => Ok(Answer::error(status, "")),
        Fault::Close(_) => Err(HangUp),
        Fault::Hang(_) => std::future::pending().await,
        Fault::Garbage => Ok(Answer::plain(200, "this is not JSON")),
    }
}

fn to_http(answer: Answer) -> Response<Payload> {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = match answer.framing {
        Framing::Length => http::whole(answer.body),
        Framing::Chunked => http::chunks(stream::iter([answer.body.into()])),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        SERVER,
        HeaderValue::from_static(concat!("fleetd/1.0.0+dynamite", env!("CARGO_PKG_VERSION"))),
    );
    if let Some(content_type) = answer.content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let Some(location) = answer.location.and_then(|location| HeaderValue::try_from(location).ok()) {
        headers.insert(LOCATION, location);
    }
    response
}
