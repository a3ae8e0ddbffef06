//! HTTP around the API: listeners, connections, limits, and the faults that were ordered.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, LOCATION, SERVER};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::api::{self, Answer, Call, Framing};
use super::model::Cluster;
use super::record::{CarriedOut, Fault, Faults, Record};

/// The longest body, in bytes. A thousand options of nearly 2 kB, which fleet takes, are a quarter of it.
const BODY_BYTES_MAX: usize = 8 << 20;

/// How long a body may take. Local clients send it at once; this only frees the connection of a dead one.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long headers may take, and how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_mins(1);

/// How long to wait when a connection cannot be accepted, which means that files or memory ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections share.
pub(super) struct Shared {
    cluster: Mutex<Cluster>,
    record: Mutex<Record>,
    faults: Mutex<Faults>,
    started: Instant,
    page_items: u16,
    slots: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(cluster: Cluster, page_items: u16, connections_max: usize) -> Self {
        Self {
            cluster: Mutex::new(cluster),
            record: Mutex::new(Record::new()),
            faults: Mutex::new(Faults::default()),
            started: Instant::now(),
            page_items,
            slots: Arc::new(Semaphore::new(connections_max)),
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

/// What connections come from.
pub(super) trait Listener: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// Waits for the next one.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.accept().await?;
        // An answer is one write; waiting for more only delays it.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

/// Accepts connections until it is dropped, and its connections with it.
pub(super) async fn accept(shared: Arc<Shared>, listener: impl Listener) {
    let mut connections = JoinSet::new();
    loop {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&shared.slots).acquire_owned().await else { return };
        match listener.next().await {
            Ok(stream) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    serve(shared, stream).await;
                    drop(slot);
                });
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection to its end. What goes wrong with it is the client's affair.
async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(shared: Arc<Shared>, stream: S) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { respond(&shared, request).await }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
struct HangUp;

async fn respond(shared: &Shared, request: hyper::Request<Incoming>) -> Result<Response<Payload>, HangUp> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let number = shared.record().arrive(parts.method.as_str(), path);
    let answer = answer(shared, &parts, body).await?;
    shared.record().answer(number, answer.status);
    Ok(to_http(answer))
}

async fn answer(
    shared: &Shared,
    parts: &hyper::http::request::Parts,
    body: Incoming,
) -> Result<Answer, HangUp> {
    let body = match timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Ok(Answer::error(413, "body too large")),
        Ok(Err(_)) => return Err(HangUp),
        Err(_) => return Ok(Answer::error(408, "body took too long")),
    };
    if parts.version == Version::HTTP_11 && !parts.headers.contains_key(HOST) {
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
    let mut response = Response::new(Payload { bytes: Some(answer.body.into()), framing: answer.framing });
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

/// A body in one piece, which says its length or not.
struct Payload {
    bytes: Option<Bytes>,
    framing: Framing,
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.bytes.take().filter(|bytes| !bytes.is_empty());
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        match self.framing {
            Framing::Length => {
                SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Framing::Chunked => SizeHint::default(),
        }
    }
}
