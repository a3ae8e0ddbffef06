//! The socket of a supervisor: reports go out, the order to stop comes in. One Dynamite is served at a time.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::super::message::STOP;
use super::desk::Desk;

/// The longest order, in bytes; there is one, and it is short.
const ORDER_BYTES_MAX: u64 = 4096;

/// How long to wait when a connection cannot be accepted, which means that files or memory ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Server {
    listener: UnixListener,
    desk: Desk,
    stop: watch::Sender<bool>,
}

impl Server {
    pub(super) fn new(listener: StdListener, desk: Desk, stop: watch::Sender<bool>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, desk, stop })
    }

    /// Serves until it is aborted.
    pub(super) async fn run(self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => self.serve(stream).await,
                Err(_) => sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn serve(&self, stream: UnixStream) {
        let (reading, writing) = stream.into_split();
        self.desk.open();
        tokio::select! {
            // An order is heard before more is told, however much there is to tell.
            biased;
            () = self.read(reading) => {}
            () = self.write(writing) => {}
        }
        self.desk.close();
    }

    /// Reads orders until the connection ends.
    async fn read(&self, reading: OwnedReadHalf) {
        let mut orders = BufReader::new(reading.take(ORDER_BYTES_MAX));
        let mut order = String::new();
        while let Ok(1..) = orders.read_line(&mut order).await {
            if order == STOP {
                self.stop.send_replace(true);
            }
            order.clear();
        }
    }

    /// Writes reports until the connection ends.
    async fn write(&self, mut writing: OwnedWriteHalf) {
        loop {
            let reports = self.desk.take().await;
            if writing.write_all(reports.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}
