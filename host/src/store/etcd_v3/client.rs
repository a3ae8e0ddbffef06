//! The servers of one cluster over gRPC: whose turn it is, the login, and what their errors mean.

use std::error::Error as StdError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, Stream};
use prost::Message;
use tokio::time::timeout;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::messages::{AuthenticateRequest, AuthenticateResponse};
use crate::store::Error;
use crate::store::connect::Checked;

/// A server that is there accepts in milliseconds; a lost packet is sent again after one second.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest wait for an answer. etcd gives up on a request that finds no leader after about 7 s.
const REPLY_TIMEOUT: Duration = Duration::from_secs(8);
/// How often a connection with a watch is probed: a watch whose peer died says nothing by itself.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// How long a probe may go without an answer.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The largest message that is accepted, in bytes; it bounds memory. Larger ones are asked for in smaller pages.
pub(super) const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What a server may send in one answer before it hears from us.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// The same for all answers together: more than a few watches take up whose followers stand still, or everything else
/// would stand still with them.
const CONNECTION_WINDOW_BYTES: u32 = 16 * STREAM_WINDOW_BYTES;

/// A handle on the cluster.
#[derive(Debug)]
pub(super) struct Client {
    servers: Vec<Channel>,
    names: String,
    /// The server that answered last.
    working: AtomicUsize,
    login: Option<(String, String)>,
    token: Mutex<Option<MetadataValue<Ascii>>>,
}

/// Whether a request may be sent to a second server when the first may have carried it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is the same as once.
    Harmless,
    /// The answer of the second would be about the first.
    Misleading,
}

impl Client {
    pub(super) fn new(checked: &Checked) -> Result<Self, Error> {
        let servers = checked
            .endpoints
            .iter()
            .map(|uri| channel(uri.clone().into(), checked))
            .collect::<Result<Vec<Channel>, tonic::transport::Error>>()
            .map_err(|error| Error::Setting(format!("certificate: {}", chain(&error))))?;
        let names: Vec<String> =
            checked.endpoints.iter().map(|uri| uri.to_string().trim_end_matches('/').to_owned()).collect();
        Ok(Self {
            servers,
            names: names.join(", "),
            working: AtomicUsize::new(0),
            login: checked.login.clone(),
            token: Mutex::default(),
        })
    }

    /// One request, one answer.
    pub(super) async fn call<Q, R>(&self, path: &'static str, message: Q, repeat: Repeat) -> Result<R, Status>
    where
        Q: Message + Clone + 'static,
        R: Message + Default + 'static,
    {
        let open = |mut grpc: Grpc<Channel>, request: Request<Q>| {
            let path = PathAndQuery::from_static(path);
            async move { grpc.unary(request, path, ProstCodec::default()).await }.boxed()
        };
        self.ask(|| message.clone(), repeat, open).await
    }

    /// A stream of requests, which must not end before the answers shall, and its answers.
    pub(super) async fn stream<S, Q, R>(
        &self,
        path: &'static str,
        messages: impl Fn() -> S,
    ) -> Result<Streaming<R>, Status>
    where
        S: Stream<Item = Q> + Send + 'static,
        Q: Message + 'static,
        R: Message + Default + 'static,
    {
        let open = |mut grpc: Grpc<Channel>, request: Request<S>| {
            let path = PathAndQuery::from_static(path);
            async move { grpc.streaming(request, path, ProstCodec::default()).await }.boxed()
        };
        self.ask(messages, Repeat::Harmless, open).await
    }

    /// Asks the server that answered last, then the others; logs in again when the login has expired.
    async fn ask<M, R>(
        &self,
        message: impl Fn() -> M,
        repeat: Repeat,
        open: impl Fn(Grpc<Channel>, Request<M>) -> BoxFuture<'static, Result<tonic::Response<R>, Status>>,
    ) -> Result<R, Status> {
        let first = self.working.load(Ordering::Relaxed);
        let count = self.servers.len();
        let mut last = Status::unavailable("no endpoint");
        for at in (first..first + count).map(|at| at % count) {
            for fresh_login in [false, true] {
                let answer = async {
                    let mut request = Request::new(message());
                    if let Some(token) = self.token(at).await? {
                        request.metadata_mut().insert("token", token);
                    }
                    open(self.grpc(at).await?, request).await
                };
                match timeout(REPLY_TIMEOUT, answer).await {
                    Ok(Ok(answer)) => {
                        self.working.store(at, Ordering::Relaxed);
                        return Ok(answer.into_inner());
                    }
                    Ok(Err(status)) => last = status,
                    Err(_) => last = Status::deadline_exceeded("no answer in time"),
                }
                if fresh_login || !(self.login.is_some() && is_login_stale(&last)) {
                    break;
                }
                self.forget_login();
            }
            let sent = !is_connect_error(&last);
            if !is_passing(&last) || (sent && repeat == Repeat::Misleading) {
                break;
            }
            self.working.store((at + 1) % count, Ordering::Relaxed);
        }
        Err(last)
    }

    async fn grpc(&self, at: usize) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(self.servers[at].clone())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(usize::MAX);
        grpc.ready().await.map_err(|error| Status::from_error(error.into()))?;
        Ok(grpc)
    }

    /// The next request goes to the next server, under a new login.
    pub(super) fn lost(&self) {
        self.forget_login();
        let next = (self.working.load(Ordering::Relaxed) + 1) % self.servers.len();
        self.working.store(next, Ordering::Relaxed);
    }

    fn forget_login(&self) {
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The token of our login, from this server if there is none yet.
    async fn token(&self, at: usize) -> Result<Option<MetadataValue<Ascii>>, Status> {
        let Some((name, password)) = self.login.clone() else { return Ok(None) };
        let known = self.token.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if known.is_some() {
            return Ok(known);
        }
        let path = PathAndQuery::from_static("/etcdserverpb.Auth/Authenticate");
        let request = Request::new(AuthenticateRequest { name, password });
        let answer: Result<tonic::Response<AuthenticateResponse>, Status> =
            self.grpc(at).await?.unary(request, path, ProstCodec::default()).await;
        let token = match answer {
            Ok(answer) => answer.into_inner().token,
            // A login that is not needed is no mistake.
            Err(status) if status.message().contains("authentication is not enabled") => return Ok(None),
            Err(status) => return Err(status),
        };
        let token: MetadataValue<Ascii> =
            token.parse().map_err(|_| Status::internal("a token that is no text"))?;
        *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(Some(token))
    }

    /// What a status means to the caller.
    pub(super) fn error(&self, request: &str, status: Status) -> Error {
        let (request, message) = (request.to_owned(), status.message().to_owned());
        let from_us = StdError::source(&status).is_some() || status.code() == Code::DeadlineExceeded;
        match status.code() {
            Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled if from_us => {
                Error::Unreachable { endpoints: self.names.clone(), source: status.into() }
            }
            Code::Unimplemented | Code::Internal => Error::Garbled { request, detail: message },
            _ if is_passing(&status) && !message.contains("larger than max") => {
                Error::Unavailable { request, message }
            }
            _ => Error::Refused { request, message },
        }
    }
}

fn channel(endpoint: Endpoint, checked: &Checked) -> Result<Channel, tonic::transport::Error> {
    let mut endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PROBE_EVERY)
        .keep_alive_timeout(PROBE_TIMEOUT)
        // A watch on which nothing happens is not idle in this sense. Without any stream etcd takes the third probe
        // for an attack and closes the connection.
        .keep_alive_while_idle(false)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .tcp_nodelay(true);
    if endpoint.uri().scheme_str() == Some("https") {
        let mut tls = ClientTlsConfig::new();
        tls = match &checked.ca {
            Some(ca) => tls.ca_certificate(Certificate::from_pem(ca)),
            None => tls.with_native_roots(),
        };
        if let Some((cert, key)) = &checked.identity {
            tls = tls.identity(Identity::from_pem(cert, key));
        }
        endpoint = endpoint.tls_config(tls)?;
    }
    Ok(endpoint.connect_lazy())
}

/// Whether the same request may succeed later, or at another server.
fn is_passing(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Unknown
            | Code::Cancelled
            | Code::Aborted
            | Code::ResourceExhausted
    )
}

fn is_login_stale(status: &Status) -> bool {
    status.code() == Code::Unauthenticated
        || ["invalid auth token", "revision of auth store is old"]
            .iter()
            .any(|text| status.message().contains(text))
}

/// Whether there never was a connection, so that the request was certainly not sent.
fn is_connect_error(status: &Status) -> bool {
    let mut cause = StdError::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
