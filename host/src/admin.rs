//! The admin endpoint: `/healthz` and `/readyz` over HTTP, for whoever supervises the process.
//!
//! It runs in a thread of its own, as it must answer above all when the loop hangs. It changes nothing and tells no secrets,
//! and is on the loopback unless told otherwise.

mod ask;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

pub use self::ask::ask;
use crate::cli::{ADMIN_ADDRESS_DEFAULT, Admin};
use crate::crowd::{Crowd, Place};
use crate::health::Health;

/// How many connections are served at a time. A supervisor and some people have one each; the others are for those who
/// connect and ask nothing.
const CONNECTIONS_MAX: usize = 128;
/// How long a connection may be quiet when others want its place: those who ask are near, and do so at once.
const QUIET_MAX: Duration = Duration::from_millis(100);
/// How long headers may take when there is room.
const HEADER_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a connection may last, with its one answer.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(10);
/// The longest head of a request, in bytes; hyper takes no less. Ours has a hundred.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// How often an address that is taken is tried again.
const BIND_PAUSE: Duration = Duration::from_secs(5);
/// How long to wait when a connection cannot be accepted, which means that files or memory ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens where it was wished for, and answers from a thread of its own. When nobody wished for anything, and another
/// process has the usual address (a standby beside its leader), that is tried again from time to time.
///
/// # Errors
/// That the address that was wished for cannot be listened at, or that there can be no thread.
pub fn start(wish: Option<Admin>, health: Arc<Health>) -> io::Result<()> {
    let address = match wish {
        Some(Admin::Off) => return Ok(()),
        Some(Admin::At(address)) => address,
        None => ADMIN_ADDRESS_DEFAULT,
    };
    let listener = match listen(address) {
        Err(error) if wish.is_none() => {
            tracing::warn!(%address, %error, "nobody can ask for /readyz: the address is not free; see --admin");
            None
        }
        listener => Some(listener?),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("admin".to_owned());
    thread.spawn(move || runtime.block_on(serve(address, listener, health)))?;
    Ok(())
}

/// Binds at once, so that the caller hears of an error.
fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Accepts for as long as the process lives.
async fn serve(
    address: SocketAddr,
    listener: Option<std::net::TcpListener>,
    health: Arc<Health>,
) -> Infallible {
    let listener = late(address, listener).await;
    tracing::info!(address = listener.local_addr().ok().map(tracing::field::display), "answering /readyz");
    let crowd = Crowd::new(CONNECTIONS_MAX, QUIET_MAX);
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (health, place) = (health.clone(), Arc::new(crowd.enter().await));
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = place.dismissed() => {}
                // What goes wrong with a connection is the client's affair.
                _ = timeout(CONNECTION_TIME_MAX, converse(stream, health, place.clone())) => {}
            }
        });
    }
}

/// The listener, as soon as there can be one.
async fn late(address: SocketAddr, mut listener: Option<std::net::TcpListener>) -> TcpListener {
    loop {
        if let Some(Ok(listener)) = listener.map(TcpListener::from_std) {
            return listener;
        }
        sleep(BIND_PAUSE).await;
        listener = listen(address).ok();
    }
}

/// One request, one answer.
async fn converse(stream: TcpStream, health: Arc<Health>, place: Arc<Place>) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let (health, place) = (health.clone(), place.clone());
        async move {
            let _busy = place.busy();
            Ok::<_, Infallible>(respond(&request, &health).await)
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIME_MAX);
    http.max_buf_size(HEAD_BYTES_MAX).keep_alive(false);
    http.serve_connection(TokioIo::new(stream), service).await
}

async fn respond(request: &Request<Incoming>, health: &Health) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = line(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are answered");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match request.uri().path() {
        "/healthz" if health.is_alive().await => line(StatusCode::OK, "alive"),
        "/healthz" => line(StatusCode::SERVICE_UNAVAILABLE, "the loop does not answer"),
        "/readyz" => match health.readiness().await {
            Ok(doing) => line(StatusCode::OK, &format!("ready: {doing}")),
            Err(wrong) => line(StatusCode::SERVICE_UNAVAILABLE, &format!("not ready: {wrong}")),
        },
        _ => line(StatusCode::NOT_FOUND, "there are /healthz and /readyz"),
    }
}

fn line(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
