//! The servers of one cluster, and the errors of the v2 API.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::Method;

use super::json::{self, ApiError, Event};
use super::transport::{Body, Reply, Request, Transport};
use super::wire::Wire;
use crate::store::Error;
use crate::store::connect::Checked;
use crate::store::keys::{KeepSlash, encode_into};

/// The most bytes of a reply that is held whole, after its long values were cut. Only a listing can be larger.
const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A handle on the cluster.
#[derive(Debug)]
pub(super) struct Client {
    servers: Vec<Transport>,
    names: String,
    /// The server that answered last.
    working: AtomicUsize,
    /// The value of the `Authorization` header.
    login: Option<String>,
}

/// What came back: the event or node, or the API's own error; both with the index of the store.
pub(super) type Answer = Result<Event, ApiError>;

impl Client {
    pub(super) fn new(checked: &Checked) -> Result<Self, Error> {
        let servers = checked
            .endpoints
            .iter()
            .map(|endpoint| Transport::new(endpoint, checked))
            .collect::<Result<Vec<Transport>, Error>>()?;
        let names: Vec<String> =
            checked.endpoints.iter().map(|uri| uri.to_string().trim_end_matches('/').to_owned()).collect();
        let login = checked.login.as_ref().map(|(user, password)| basic(user, password));
        Ok(Self { servers, names: names.join(", "), working: AtomicUsize::new(0), login })
    }

    /// Asks the server that answered last, and the others in turn while there is no connection.
    pub(super) async fn send(&self, request: &Request) -> Result<Reply, Error> {
        let first = self.working.load(Ordering::Relaxed);
        let count = self.servers.len();
        let mut last = None;
        for at in (first..first + count).map(|at| at % count) {
            match self.servers[at].send(request, self.login.as_deref()).await {
                Ok(reply) => {
                    // A server without a leader answers, and so would never lose its turn.
                    let next = if reply.status >= 500 { (at + 1) % count } else { at };
                    self.working.store(next, Ordering::Relaxed);
                    return Ok(reply);
                }
                Err(source) => {
                    self.working.store((at + 1) % count, Ordering::Relaxed);
                    last = Some(source);
                }
            }
        }
        Err(self.unreachable(last.unwrap_or_else(|| "no endpoint".into())))
    }

    /// A connection of its own to the server that answered last; `None` when that speaks TLS.
    pub(super) async fn wire(&self) -> Result<Option<Wire>, Error> {
        let at = self.working.load(Ordering::Relaxed) % self.servers.len();
        let Some(authority) = self.servers[at].plain() else { return Ok(None) };
        Wire::open(authority, self.login.as_deref()).await.map(Some).map_err(|error| self.lost(error))
    }

    /// The connection is lost: the next request goes to the next server.
    pub(super) fn lost(&self, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        let next = (self.working.load(Ordering::Relaxed) + 1) % self.servers.len();
        self.working.store(next, Ordering::Relaxed);
        self.unreachable(source)
    }

    fn unreachable(&self, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::Unreachable { endpoints: self.names.clone(), source }
    }

    /// Asks, and reads the whole answer.
    pub(super) async fn call(&self, request: &Request) -> Result<Answer, Error> {
        let reply = self.send(request).await?;
        self.read_answer(request, reply).await
    }

    /// Reads the whole answer to `request`.
    pub(super) async fn read_answer(&self, request: &Request, reply: Reply) -> Result<Answer, Error> {
        let status = reply.status;
        let body = self.read_all(request, reply.body).await?;
        parse_answer(request, status, &body)
    }

    /// Reads the event that ends a poll, however long the first byte takes. Empty when the server hung up instead.
    pub(super) async fn read_event(&self, request: &Request, mut body: Body) -> Result<Vec<u8>, Error> {
        let first = body.next().await.map_err(|error| self.lost(error))?;
        let Some(first) = first else { return Ok(Vec::new()) };
        self.read_rest(request, body, &first).await
    }

    /// Reads a body whose long strings are cut, so that it is bounded whatever it holds.
    pub(super) async fn read_all(&self, request: &Request, body: Body) -> Result<Vec<u8>, Error> {
        self.read_rest(request, body, &[]).await
    }

    async fn read_rest(&self, request: &Request, mut body: Body, first: &[u8]) -> Result<Vec<u8>, Error> {
        let mut cutter = json::Cutter::default();
        let mut whole = Vec::new();
        cutter.push(first, &mut whole);
        while let Some(chunk) = body.chunk().await.map_err(|error| self.lost(error))? {
            cutter.push(&chunk, &mut whole);
            if whole.len() > REPLY_BYTES_MAX {
                let detail = format!("more than {REPLY_BYTES_MAX} bytes");
                return Err(Error::Garbled { request: describe(request), detail });
            }
        }
        Ok(whole)
    }
}

/// Reads a body that was received whole.
pub(super) fn parse_answer(request: &Request, status: u16, body: &[u8]) -> Result<Answer, Error> {
    if (200..300).contains(&status) {
        return json::event(body)
            .map(Ok)
            .map_err(|error| Error::Garbled { request: describe(request), detail: error.to_string() });
    }
    if let Ok(error) = serde_json::from_slice::<ApiError>(body) {
        return Ok(Err(error));
    }
    let message: String = String::from_utf8_lossy(body).trim().chars().take(200).collect();
    let (request, message) = (describe(request), format!("status {status}: {message}"));
    match status {
        500.. => Err(Error::Unavailable { request, message }),
        // The API that is not served at all answers in plain text.
        404 => Err(Error::Garbled { request, detail: format!("no v2 API is served ({message})") }),
        _ => Err(Error::Refused { request, message }),
    }
}

/// What an API error that the caller did not expect means to it.
pub(super) fn refusal(request: &Request, error: ApiError) -> Error {
    let message =
        if error.cause.is_empty() { error.message } else { format!("{} ({})", error.message, error.cause) };
    let request = describe(request);
    // 300 and 301: the cluster could not agree in time, or has no leader.
    if (300..400).contains(&error.code) {
        Error::Unavailable { request, message }
    } else {
        Error::Refused { request, message }
    }
}

fn describe(request: &Request) -> String {
    format!("{} {}", request.method, request.target)
}

/// A request about one key, which is in its one spelling. `query` starts with `?` or is empty.
pub(super) fn about(method: Method, key: &str, query: &str) -> Request {
    let mut target = String::with_capacity(key.len() + query.len() + 16);
    target.push_str("/v2/keys");
    encode_into(&mut target, key, KeepSlash::Yes);
    target.push_str(query);
    Request { method, target, form: None }
}

/// `name=value` with the value escaped.
pub(super) fn field(name: &str, value: &str) -> String {
    let mut text = format!("{name}=");
    encode_into(&mut text, value, KeepSlash::No);
    text
}

/// The header of HTTP's basic scheme.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_logins_are_base64() {
        for (password, expected) in
            [("a", "Basic cm9vdDph"), ("ab", "Basic cm9vdDphYg=="), ("abc", "Basic cm9vdDphYmM=")]
        {
            assert_eq!(basic("root", password), expected);
        }
    }
}
