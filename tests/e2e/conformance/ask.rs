//! A client that sends what it is told, nonsense too, and shows what comes back as it came.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::store::LIMIT;

/// How long nothing must come where nothing is to come.
const SILENCE: Duration = Duration::from_millis(200);

/// Headers that tell of the time, the machine or the framing.
const OWN_HEADERS: [&str; 7] = [
    "connection",
    "content-length",
    "date",
    "transfer-encoding",
    "x-etcd-cluster-id",
    "x-raft-index",
    "x-raft-term",
];

/// A connection.
pub(super) struct Connection {
    stream: BufReader<TcpStream>,
}

/// An answer, apart from what must differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// Headers with names in lower case, sorted.
    pub(super) headers: Vec<(String, String)>,
    /// The body.
    pub(super) body: String,
}

impl Answer {
    /// The value of a header; empty if there is none.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }
}

/// How the end of a body is told.
enum Framing {
    Length(usize),
    Chunked,
    Closing,
}

impl Connection {
    /// Connects.
    pub(super) async fn open(address: &str) -> Self {
        Self { stream: BufReader::new(TcpStream::connect(address).await.unwrap()) }
    }

    /// Sends a request; a form goes into the body.
    pub(super) async fn request(&mut self, method: &str, target: &str, form: &str) {
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        );
        self.send(request.as_bytes()).await;
    }

    /// Sends anything. The other side may hang up meanwhile.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes).await;
    }

    /// Sends a request and waits for the answer.
    pub(super) async fn ask(mut self, method: &str, target: &str, form: &str) -> Answer {
        self.request(method, target, form).await;
        let (mut answer, framing) = self.head().await.unwrap();
        if method != "HEAD" {
            answer.body = self.body(framing).await;
        }
        answer
    }

    /// The next answer; `None` when the connection is closed instead.
    pub(super) async fn answer(&mut self) -> Option<Answer> {
        let (mut answer, framing) = self.head().await?;
        answer.body = self.body(framing).await;
        Some(answer)
    }

    /// Waits for the head of an answer whose body comes later.
    pub(super) async fn begun(&mut self) -> Answer {
        self.head().await.unwrap().0
    }

    /// The next chunk of a body; `None` at its end.
    pub(super) async fn chunk(&mut self) -> Option<String> {
        let size = self.line().await?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk).await.unwrap();
        chunk.truncate(size);
        (size > 0).then(|| normal(&String::from_utf8(chunk).unwrap()))
    }

    /// Whether nothing comes.
    pub(super) async fn is_silent(&mut self) -> bool {
        timeout(SILENCE, self.stream.fill_buf()).await.is_err()
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(LIMIT, self.stream.read_line(&mut line)).await.unwrap();
        read.ok().filter(|count| *count > 0).map(|_| line)
    }

    async fn head(&mut self) -> Option<(Answer, Framing)> {
        let status = loop {
            let line = self.line().await?;
            match line.split(' ').nth(1).and_then(|status| status.parse().ok()) {
                Some(100) => drop(self.line().await),
                Some(status) => break status,
                None => panic!("a status line: {line}"),
            }
        };
        let (mut headers, mut framing) = (Vec::new(), Framing::Closing);
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            match name.as_str() {
                "content-length" => framing = Framing::Length(value.parse().unwrap()),
                "transfer-encoding" => framing = Framing::Chunked,
                _ => {}
            }
            if !OWN_HEADERS.contains(&name.as_str()) {
                headers.push((name, value));
            }
        }
        headers.sort();
        Some((Answer { status, headers, body: String::new() }, framing))
    }

    async fn body(&mut self, framing: Framing) -> String {
        let mut body = Vec::new();
        match framing {
            Framing::Length(length) => {
                body.resize(length, 0);
                timeout(LIMIT, self.stream.read_exact(&mut body)).await.unwrap().unwrap();
            }
            Framing::Chunked => {
                let mut text = String::new();
                while let Some(chunk) = self.chunk().await {
                    text += &chunk;
                }
                return text;
            }
            // It may be reset.
            Framing::Closing => drop(timeout(LIMIT, self.stream.read_to_end(&mut body)).await.unwrap()),
        }
        normal(&String::from_utf8_lossy(&body))
    }
}

/// The text without times.
fn normal(text: &str) -> String {
    let text = blanked(text, "\"expiration\":\"", |letter| letter != '"');
    blanked(&text, "\"ttl\":", |letter| letter.is_ascii_digit())
}

/// The text without what follows `start` as long as it is `inside`.
fn blanked(text: &str, start: &str, inside: impl Fn(char) -> bool) -> String {
    let mut pieces = text.split(start);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + start + "?" + piece.trim_start_matches(&inside))
}
