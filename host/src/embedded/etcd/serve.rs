//! HTTP around the API.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{Method, Response, StatusCode};

use super::super::http::{self, BodyError, Handler, HangUp, Payload};
use super::api::{self, Answer, Body, Call};
use super::engine::{Engine, Watch};
use super::form::FORM_BYTES_MAX;
use super::json;
use super::member::Member;

/// What all connections share.
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) member: Member,
}

/// Headers of every answer: etcd lets any page in a browser ask it.
const HEADERS: [(&str, &str); 3] = [
    ("access-control-allow-headers", "accept, content-type, authorization"),
    ("access-control-allow-methods", "POST, GET, OPTIONS, PUT, DELETE"),
    ("access-control-allow-origin", "*"),
];

impl Handler for Shared {
    async fn respond(&self, request: hyper::Request<Incoming>) -> Result<Response<Payload>, HangUp> {
        let (parts, body) = request.into_parts();
        if http::lacks_host(&parts) {
            return Ok(to_http(Answer::plain(400, "400 Bad Request: missing required Host header")));
        }
        let body = match http::read_body(body, FORM_BYTES_MAX).await {
            Ok(body) => Some(body),
            Err(BodyError::TooLarge) => None,
            Err(BodyError::TooSlow) => return Ok(to_http(Answer::plain(408, "408 Request Timeout"))),
            Err(BodyError::Broken) => return Err(HangUp),
        };
        let header = |name| {
            String::from_utf8_lossy(parts.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default())
        };
        let call = Call {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            content_type: &header(CONTENT_TYPE),
            body: body.as_deref(),
            host: &header(HOST),
        };
        let mut response = to_http(api::answer(&self.engine, &self.member, &call).await);
        if parts.method == Method::CONNECT {
            // A tunnel that is refused.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response)
    }
}

fn to_http(answer: Answer) -> Response<Payload> {
    let body = match answer.body {
        Body::Whole(bytes) => http::whole(bytes),
        Body::Large(bytes, turn) => http::pieces(bytes, turn),
        Body::Event(watch) => http::chunks(events(watch, Until::First)),
        Body::Events(watch) => http::chunks(events(watch, Until::Dropped)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    for (name, value) in answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    response
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    First,
    Dropped,
}

/// Events as they come.
fn events(watch: Watch, until: Until) -> impl Stream<Item = Bytes> + Send {
    stream::unfold(Some(watch), move |watch| async move {
        let mut watch = watch?;
        let event = watch.next().await?;
        let watch = (until == Until::Dropped).then_some(watch);
        Some((Bytes::from(json::event(&event)), watch))
    })
}
