//! Bodies of requests and answers. Only a few large ones are in memory at a time; others wait for their turn.

use std::ops::Deref;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::HangUp;

/// How long a body may take. Local clients send it at once; this only frees the connection of a dead one.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a large answer may take to be read, so that whoever reads one slowly does not keep others from theirs.
const LARGE_TIMEOUT: Duration = Duration::from_mins(2);

/// What a body may have without being large, in bytes: 1,000 connections with it are 64 MiB.
const SMALL_BYTES_MAX: usize = 64 << 10;

/// Large bodies of requests that are read or worked on at a time, at 10 MiB each.
static LARGE_REQUESTS: Semaphore = Semaphore::const_new(16);

/// Large answers that are made or sent at a time; each may tell of the whole store.
static LARGE_ANSWERS: Semaphore = Semaphore::const_new(8);

/// The body of an answer.
pub(in super::super) type Payload = UnsyncBoxBody<Bytes, HangUp>;

/// A body whose length is announced.
pub(in super::super) fn whole(bytes: impl Into<Bytes>) -> Payload {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body in chunks.
pub(in super::super) fn chunks(bytes: impl Stream<Item = Bytes> + Send + 'static) -> Payload {
    StreamBody::new(bytes.map(|bytes| Ok(Frame::data(bytes)))).boxed_unsync()
}

/// A turn to make and send a large answer.
pub(in super::super) struct Turn {
    _permit: Option<SemaphorePermit<'static>>,
}

impl Turn {
    /// Waits for it.
    pub(in super::super) async fn wait() -> Self {
        // The semaphore is never closed.
        Self { _permit: LARGE_ANSWERS.acquire().await.ok() }
    }
}

/// A body that is sent piece by piece, as the other side takes it, and breaks off when that takes too long.
pub(in super::super) fn pieces(bytes: impl Into<Bytes>, turn: Turn) -> Payload {
    let end = Instant::now() + LARGE_TIMEOUT;
    let pieces = stream::unfold((bytes.into(), turn), move |(mut bytes, turn)| async move {
        if bytes.is_empty() {
            return None;
        }
        if Instant::now() > end {
            return Some((Err(HangUp), (Bytes::new(), turn)));
        }
        let piece = bytes.split_to(bytes.len().min(SMALL_BYTES_MAX));
        Some((Ok(Frame::data(piece)), (bytes, turn)))
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum BodyError {
    /// It is longer than is allowed.
    TooLarge,
    /// It did not come in time.
    TooSlow,
    /// The connection broke, or it is not framed as HTTP demands.
    Broken,
}

/// The body of a request.
pub(in super::super) struct Received {
    bytes: BytesMut,
    _turn: Option<SemaphorePermit<'static>>,
}

impl Deref for Received {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a whole body of at most so many bytes.
pub(in super::super) async fn read_body(body: Incoming, bytes_max: usize) -> Result<Received, BodyError> {
    timeout(BODY_TIMEOUT, collect(body, bytes_max)).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn collect(mut body: Incoming, bytes_max: usize) -> Result<Received, BodyError> {
    let (mut bytes, mut turn) = (BytesMut::new(), None);
    while let Some(frame) = body.frame().await {
        // Trailers tell nothing.
        let Ok(data) = frame.map_err(|_| BodyError::Broken)?.into_data() else { continue };
        let length = bytes.len() + data.len();
        if length > bytes_max {
            return Err(BodyError::TooLarge);
        }
        if length > SMALL_BYTES_MAX && turn.is_none() {
            turn = LARGE_REQUESTS.acquire().await.ok();
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Received { bytes, _turn: turn })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_comes_in_pieces_and_in_time() {
        let bytes = vec![b'x'; 3 * SMALL_BYTES_MAX + 1];
        let whole = pieces(bytes.clone(), Turn::wait().await).collect().await.unwrap().to_bytes();
        assert_eq!(whole, bytes);
        let mut slow = pieces(bytes, Turn::wait().await);
        assert!(slow.frame().await.unwrap().is_ok());
        tokio::time::advance(LARGE_TIMEOUT * 2).await;
        assert!(slow.frame().await.unwrap().is_err());
    }
}
