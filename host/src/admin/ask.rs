//! `dynamite health`: asks a running Dynamite whether it is ready.

use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long the answer may take. The endpoint itself waits up to 3 s for the loop.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(8);
/// The longest answer that is read, in bytes; longer ones are not Dynamite's.
const ANSWER_BYTES_MAX: usize = 16 << 10;

/// What `/readyz` at an address says: whether it is ready, and a line about it.
pub async fn ask(address: SocketAddr) -> (bool, String) {
    let address = reachable(address);
    match timeout(ANSWER_TIME_MAX, exchange(address)).await {
        Ok(Ok((status, text))) => told(address, status, &text),
        Ok(Err(error)) => (false, format!("not ready: nobody answers at {address}: {error}")),
        Err(_) => (false, format!("not ready: no answer from {address} in {ANSWER_TIME_MAX:?}")),
    }
}

/// What an answer means. Anybody may listen there: only our words count, and none may move a terminal's cursor.
fn told(address: SocketAddr, status: StatusCode, text: &str) -> (bool, String) {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|character| !character.is_control()).collect();
    match status {
        StatusCode::OK if line.starts_with("ready: ") => (true, line),
        _ if line.starts_with("not ready: ") => (false, line),
        _ => (false, format!("not ready: no answer of Dynamite's from {address} ({status}): {line}")),
    }
}

/// Whoever listens at every address is reached at the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        known => known.ip(),
    };
    (ip, address.port()).into()
}

async fn exchange(address: SocketAddr) -> Result<(StatusCode, String), Box<dyn Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz").header(HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(answer);
    tokio::select! {
        // An answer that is there counts, however the connection ended.
        biased;
        answer = &mut answer => answer,
        ended = connection => {
            ended?;
            answer.await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_asked_at_the_loopback() {
        for (given, asked) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(given.parse().unwrap()).to_string(), asked);
        }
    }
    #[test]
    fn only_dynamite_says_that_it_is_ready() {
        let address = "127.0.0.1:1".parse().unwrap();
        let told = |status: u16, text| told(address, StatusCode::from_u16(status).unwrap(), text);
        assert_eq!(told(200, "ready: leading\n"), (true, "ready: leading".to_owned()));
        assert_eq!(told(503, "not ready: a\u{1b}b\nc\n"), (false, "not ready: ab c".to_owned()));
        for (status, text) in
            [(200, "<html>\u{1b}[2J"), (200, "already: there"), (503, "ready: leading"), (404, "")]
        {
            let (ready, line) = told(status, text);
            let begin = "not ready: no answer of Dynamite's from 127.0.0.1:1 (";
            assert!(!ready && line.starts_with(begin) && !line.contains('\u{1b}'), "{line}");
        }
    }
}
