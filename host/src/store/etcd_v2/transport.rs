//! One HTTP/1.1 request to one server: the connections, the time limits, and the body as it comes.
//!
//! Plain HTTP goes over hyper's bare connections: measured on one core, 50 µs of CPU a request against 86 µs with
//! reqwest. TLS costs more than either, so there reqwest it is. What is sent for every sample goes over a `Wire`.
//! Neither follows redirects nor reads proxies from the environment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{HeaderMap, Method, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::store::Error;
use crate::store::connect::Checked;

/// A server that is there accepts in milliseconds; a lost packet is sent again after one second.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest wait for the head of a reply. etcd gives up on a request that finds no leader after about 7 s.
const HEAD_TIMEOUT: Duration = Duration::from_secs(8);
/// The longest silence within a body.
pub(super) const CHUNK_TIMEOUT: Duration = Duration::from_secs(10);
/// The most connections that are kept for the next request: as many as one `delete` uses, and some for the watches.
const IDLE_MAX: usize = 24;

/// Why no reply came.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What to ask.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Path and query, as they stand in the request line.
    pub(super) target: String,
    /// The body, a form.
    pub(super) form: Option<String>,
}

/// The head of an answer, and its body to be read.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Body,
}

/// One server.
#[derive(Debug)]
pub(super) enum Transport {
    Plain(Arc<Pool>),
    Tls { base: String, client: reqwest::Client },
}

impl Transport {
    pub(super) fn new(endpoint: &Uri, checked: &Checked) -> Result<Self, Error> {
        let authority = endpoint.authority().map(ToString::to_string).unwrap_or_default();
        if endpoint.scheme_str() == Some("http") {
            return Ok(Self::Plain(Arc::new(Pool { authority, idle: Mutex::default() })));
        }
        let wrong = |error: reqwest::Error| Error::Setting(format!("certificate: {error}"));
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .http1_only();
        if let Some(ca) = &checked.ca {
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(ca).map_err(wrong)?);
        }
        if let Some((cert, key)) = &checked.identity {
            let pem = [cert.as_slice(), b"\n", key.as_slice()].concat();
            builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(wrong)?);
        }
        let client = builder.build().map_err(wrong)?;
        Ok(Self::Tls { base: format!("https://{authority}"), client })
    }

    /// `host:port`, when plain HTTP is spoken there.
    pub(super) fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(pool) => Some(&pool.authority),
            Self::Tls { .. } => None,
        }
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn send(&self, request: &Request, login: Option<&str>) -> Result<Reply, BoxError> {
        match self {
            Self::Plain(pool) => pool.send(request, login).await,
            Self::Tls { base, client } => {
                let mut builder = client.request(request.method.clone(), format!("{base}{}", request.target));
                if let Some(form) = &request.form {
                    builder = builder.header(CONTENT_TYPE, FORM).body(form.clone());
                }
                if let Some(login) = login {
                    builder = builder.header(AUTHORIZATION, login);
                }
                let response = timeout(HEAD_TIMEOUT, builder.send()).await??;
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                Ok(Reply { status, headers, body: Body::Tls(response) })
            }
        }
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// The idle connections to one server.
#[derive(Debug)]
pub(super) struct Pool {
    authority: String,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Pool {
    async fn send(self: &Arc<Self>, request: &Request, login: Option<&str>) -> Result<Reply, BoxError> {
        let mut message = self.message(request, login)?;
        loop {
            let (mut connection, fresh) = match self.idle() {
                Some(connection) => (connection, false),
                None => (self.connect().await?, true),
            };
            let reply = match timeout(HEAD_TIMEOUT, connection.try_send_request(message)).await {
                Err(elapsed) => return Err(elapsed.into()),
                Ok(Ok(reply)) => reply,
                Ok(Err(mut error)) => match error.take_message() {
                    // The server had closed an idle connection; the request never left.
                    Some(unsent) if !fresh => {
                        message = unsent;
                        continue;
                    }
                    _ => return Err(error.into_error().into()),
                },
            };
            let (head, incoming) = reply.into_parts();
            let body = Body::Plain { incoming, back: Some((connection, Arc::clone(self))) };
            return Ok(Reply { status: head.status.as_u16(), headers: head.headers, body });
        }
    }

    fn message(
        &self,
        request: &Request,
        login: Option<&str>,
    ) -> Result<hyper::Request<Full<Bytes>>, BoxError> {
        let mut builder = hyper::Request::builder()
            .method(request.method.clone())
            .uri(request.target.as_str())
            .header(HOST, self.authority.as_str());
        if request.form.is_some() {
            builder = builder.header(CONTENT_TYPE, FORM);
        }
        if let Some(login) = login {
            builder = builder.header(AUTHORIZATION, login);
        }
        let body = request.form.clone().map(Bytes::from).unwrap_or_default();
        Ok(builder.body(Full::new(body))?)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, BoxError> {
        let open = async {
            let stream = TcpStream::connect(self.authority.as_str()).await?;
            stream.set_nodelay(true)?;
            std::io::Result::Ok(stream)
        };
        let stream = timeout(CONNECT_TIMEOUT, open).await??;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // Ends with the sender, that is with the body or the pool.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::trace!(error = &error as &dyn std::error::Error, "a connection to etcd ended");
            }
        });
        Ok(sender)
    }

    fn idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    fn give_back(&self, connection: SendRequest<Full<Bytes>>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }
}

/// A body that is being read. Dropped half-way, it closes its connection.
#[derive(Debug)]
pub(super) enum Body {
    Plain { incoming: Incoming, back: Option<(SendRequest<Full<Bytes>>, Arc<Pool>)> },
    Tls(reqwest::Response),
}

impl Body {
    /// The next piece, however long it takes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BoxError> {
        match self {
            Self::Tls(response) => Ok(response.chunk().await?),
            Self::Plain { incoming, back } => loop {
                let Some(frame) = incoming.frame().await else {
                    if let Some((mut connection, pool)) = back.take() {
                        // The connection is free a moment after the end of the body; for the next request in line
                        // waiting for it is cheaper than a new one.
                        if connection.ready().await.is_ok() {
                            pool.give_back(connection);
                        }
                    }
                    return Ok(None);
                };
                if let Ok(data) = frame?.into_data() {
                    return Ok(Some(data));
                }
            },
        }
    }

    /// The next piece of a body that is on its way.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, BoxError> {
        timeout(CHUNK_TIMEOUT, self.next()).await?
    }
}
