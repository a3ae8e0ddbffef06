//! HTTP/1 as the embedded servers share it: listeners, connections, and bounds on what clients can make them hold.

mod bodies;
mod stall;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::HOST;
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

pub(super) use bodies::{BodyError, Payload, Turn, chunks, pieces, read_body, whole};
use stall::Unstalled;

use crate::crowd::{Crowd, Place};

/// How long headers may take, and how long an idle connection is kept.
const HEADER_TIMEOUT: Duration = Duration::from_mins(1);

/// How long a connection may be quiet when others want its place.
pub(super) const QUIET_MAX: Duration = Duration::from_secs(1);

/// How long to wait when a connection cannot be accepted, which means that files or memory ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is closed on purpose")]
pub(super) struct HangUp;

/// What answers requests.
pub(super) trait Handler: Send + Sync + 'static {
    /// Answers one.
    fn respond(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Payload>, HangUp>> + Send;
}

/// Whether it lacks the header that HTTP/1.1 demands.
pub(super) fn lacks_host(parts: &Parts) -> bool {
    parts.version == Version::HTTP_11 && !parts.headers.contains_key(HOST)
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
pub(super) async fn accept(handler: Arc<impl Handler>, crowd: Arc<Crowd>, listener: impl Listener) {
    let mut connections = JoinSet::new();
    loop {
        match listener.next().await {
            Ok(stream) => {
                let place = crowd.enter().await;
                connections.spawn(serve(Arc::clone(&handler), stream, place));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Serves one connection to its end. What goes wrong with it is the client's affair.
async fn serve<S>(handler: Arc<impl Handler>, stream: S, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let place = Arc::new(place);
    let service = service_fn({
        let place = Arc::clone(&place);
        move |request| {
            let (handler, place) = (Arc::clone(&handler), Arc::clone(&place));
            async move {
                let _busy = place.busy();
                handler.respond(request).await
            }
        }
    });
    let mut http = http1::Builder::new();
    // Some read answers with nothing but their eyes and `grep`.
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).title_case_headers(true);
    tokio::select! {
        // A request that comes too late is not begun, rather than carried out and not answered.
        biased;
        () = place.dismissed() => {}
        _ = http.serve_connection(TokioIo::new(Unstalled::new(stream)), service) => {}
    }
}
