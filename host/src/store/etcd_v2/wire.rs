//! Several requests in one write, and their answers in few reads: HTTP/1.1 pipelining over plain TCP.
//!
//! The system calls and wake-ups of a request cost three times what everything else about it does, and the daemon
//! sends two requests for each sample: to hear of it and to delete it. No client library pipelines. This one knows
//! nothing but what etcd's keys API needs: requests without a body, answers with a length or in chunks.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::json::Cutter;
use super::transport::{CHUNK_TIMEOUT, CONNECT_TIMEOUT, Request};

/// The most bytes of requests that are sent at once: what Go's server reads at once. While it serves a request it
/// takes any byte that it has not read yet for a client that has left, and ends a long-poll without an answer.
const BATCH_BYTES_MAX: usize = 4000;
/// The most bytes of one answer, its long strings cut.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The longest head of an answer; etcd's have 400 bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 32;
const READ_BYTES: usize = 16 * 1024;

/// A connection is used after it failed.
const LOST: &str = "the connection failed before";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An answer that was received whole. The body is empty when etcd ended a poll without an event.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The index of the store.
    pub(super) index: Option<u64>,
    pub(super) body: Vec<u8>,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    /// `None` after a failure.
    stream: Option<TcpStream>,
    /// What goes into every request.
    headers: String,
    parser: Parser,
    input: Vec<u8>,
}

impl Wire {
    pub(super) async fn open(authority: &str, login: Option<&str>) -> Result<Self, BoxError> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(authority)).await??;
        stream.set_nodelay(true)?;
        let login = login.map_or(String::new(), |login| format!("Authorization: {login}\r\n"));
        let headers = format!(" HTTP/1.1\r\nHost: {authority}\r\n{login}\r\n");
        Ok(Self { stream: Some(stream), headers, parser: Parser::default(), input: vec![0; READ_BYTES] })
    }

    /// How many of these requests, one at least, may be sent at once.
    pub(super) fn fitting<'a>(&self, requests: impl IntoIterator<Item = &'a Request>) -> usize {
        let mut left = BATCH_BYTES_MAX;
        let fits = requests.into_iter().take_while(|request| {
            let bytes = request.method.as_str().len() + 1 + request.target.len() + self.headers.len();
            let fits = bytes <= left;
            left = left.saturating_sub(bytes);
            fits
        });
        fits.count().max(1)
    }

    /// Sends the requests, which are not more than [`Self::fitting`] and nothing is under way. After an error the
    /// connection is of no use.
    pub(super) async fn send<'a>(
        &mut self,
        requests: impl IntoIterator<Item = &'a Request>,
    ) -> Result<(), BoxError> {
        let mut output = String::new();
        for request in requests {
            // Writing to a string cannot fail.
            let _ = write!(output, "{} {}{}", request.method, request.target, self.headers);
        }
        let stream = self.stream.as_mut().ok_or(LOST)?;
        Ok(timeout(CHUNK_TIMEOUT, stream.write_all(output.as_bytes())).await??)
    }

    /// Lets answers gather in the kernel for some time. The runtime does not watch the connection meanwhile: etcd writes
    /// each answer by itself, and to be woken for each costs more than to read it.
    pub(super) async fn gather(&mut self, time: Duration) -> Result<(), BoxError> {
        let unwatched = self.stream.take().ok_or(LOST)?.into_std()?;
        sleep(time).await;
        self.stream = Some(TcpStream::from_std(unwatched)?);
        Ok(())
    }

    /// Waits for an answer, however long it takes, and returns it with those that came with it; none if it is only
    /// the head of one that came. After an error the connection is of no use.
    pub(super) async fn receive(&mut self) -> Result<VecDeque<Answer>, BoxError> {
        let begun = self.begun();
        while self.parser.done.is_empty() && self.begun() == begun {
            let count = self.stream.as_mut().ok_or(LOST)?.read(&mut self.input).await?;
            if count == 0 {
                return Err("the connection was closed".into());
            }
            self.parser.push(&self.input[..count])?;
        }
        Ok(std::mem::take(&mut self.parser.done))
    }

    /// The index of the store in the head of an answer whose body is to come.
    pub(super) fn begun(&self) -> Option<u64> {
        self.parser.current.index
    }
}

/// Turns bytes into answers.
#[derive(Debug, Default)]
struct Parser {
    /// Bytes of a head or of a chunk's size line that is not complete yet.
    line: Vec<u8>,
    state: State,
    current: Answer,
    cutter: Cutter,
    done: VecDeque<Answer>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before or in a head.
    #[default]
    Head,
    /// That much of a body of known length is to come.
    Length(u64),
    /// Before or in the line with the size of a chunk.
    ChunkSize,
    /// That much of a chunk is to come.
    Chunk(u64),
    /// Before or in the empty line after a chunk, or after the last one.
    ChunkEnd(Last),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Yes,
    No,
}

impl Parser {
    fn push(&mut self, mut input: &[u8]) -> Result<(), BoxError> {
        while !input.is_empty() {
            match self.state {
                State::Length(left) | State::Chunk(left) => input = self.body(left, input)?,
                State::Head => {
                    if let Some(head) = self.upto(&mut input, b"\r\n\r\n")? {
                        self.head(&head)?;
                    }
                }
                State::ChunkSize => {
                    if let Some(line) = self.upto(&mut input, b"\r\n")? {
                        let text = std::str::from_utf8(&line)?;
                        let digits = text.split(';').next().unwrap_or_default().trim();
                        self.state = match u64::from_str_radix(digits, 16)? {
                            0 => State::ChunkEnd(Last::Yes),
                            size => State::Chunk(size),
                        };
                    }
                }
                State::ChunkEnd(last) => {
                    if self.upto(&mut input, b"\r\n")?.is_some() {
                        match last {
                            Last::Yes => self.finish(),
                            Last::No => self.state = State::ChunkSize,
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What was received up to and with `end`, once that is there.
    fn upto(&mut self, input: &mut &[u8], end: &[u8]) -> Result<Option<Vec<u8>>, BoxError> {
        // Both ends that are looked for end with a line feed.
        while let Some(at) = input.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = input.split_at(at + 1);
            self.line.extend_from_slice(line);
            *input = rest;
            if self.line.ends_with(end) {
                return Ok(Some(std::mem::take(&mut self.line)));
            }
        }
        self.line.extend_from_slice(input);
        *input = &[];
        if self.line.len() > HEAD_BYTES_MAX { Err("a head without end".into()) } else { Ok(None) }
    }

    fn head(&mut self, head: &[u8]) -> Result<(), BoxError> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut response = httparse::Response::new(&mut headers);
        response.parse(head)?;
        self.current.status = response.code.unwrap_or(0);
        let mut state = None;
        for header in response.headers {
            let value = std::str::from_utf8(header.value)?.trim();
            if header.name.eq_ignore_ascii_case("x-etcd-index") {
                self.current.index = value.parse().ok();
            } else if header.name.eq_ignore_ascii_case("content-length") {
                state = Some(State::Length(value.parse()?));
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                state = Some(State::ChunkSize);
            }
        }
        self.state = state.ok_or("an answer without a length")?;
        if self.state == State::Length(0) {
            self.finish();
        }
        Ok(())
    }

    fn body<'a>(&mut self, left: u64, input: &'a [u8]) -> Result<&'a [u8], BoxError> {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
        let (piece, rest) = input.split_at(count);
        self.cutter.push(piece, &mut self.current.body);
        if self.current.body.len() > ANSWER_BYTES_MAX {
            return Err("an answer that is too long".into());
        }
        let left = left - count as u64;
        match self.state {
            State::Chunk(_) if left == 0 => self.state = State::ChunkEnd(Last::No),
            State::Chunk(_) => self.state = State::Chunk(left),
            _ if left == 0 => self.finish(),
            _ => self.state = State::Length(left),
        }
        Ok(rest)
    }

    fn finish(&mut self) {
        self.done.push_back(std::mem::take(&mut self.current));
        self.cutter = Cutter::default();
        self.state = State::Head;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWERS: &str = "HTTP/1.1 200 OK\r\nX-Etcd-Index: 7\r\nTransfer-Encoding: chunked\r\n\r\n\
        5\r\n{\"a\":\r\n2;x=y\r\n1}\r\n0\r\n\r\n\
        HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n{}\
        HTTP/1.1 200 OK\r\nX-Etcd-Index: 8\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

    #[test]
    fn answers_are_found_however_they_are_cut() {
        for size in 1..ANSWERS.len() {
            let mut parser = Parser::default();
            for piece in ANSWERS.as_bytes().chunks(size) {
                parser.push(piece).unwrap();
            }
            let answers: Vec<_> = parser.done.into_iter().map(|a| (a.status, a.index, a.body)).collect();
            let expected: [(u16, Option<u64>, &[u8]); 3] =
                [(200, Some(7), b"{\"a\":1}"), (404, None, b"{}"), (200, Some(8), b"")];
            assert_eq!(
                answers,
                expected.map(|(status, index, body)| (status, index, body.to_vec())),
                "{size}"
            );
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for text in ["HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0\r\n\r\n", &"x".repeat(HEAD_BYTES_MAX + 1)] {
            assert!(Parser::default().push(text.as_bytes()).is_err());
        }
    }
}
