//! The connection to the supervisor of a unit, and how one is started.

use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;
use tokio::time::sleep;

use super::folder::Folder;
use super::message::{Report, STOP, Start};

/// The longest report, in bytes: a line of output, each byte escaped, and what is around it.
const REPORT_BYTES_MAX: usize = 32 * 1024;

/// How long to wait when a connection cannot be made, which means that files or memory ran out.
const CONNECT_PAUSE: Duration = Duration::from_millis(200);

/// A connection.
pub(super) struct Link {
    /// Which start the supervisor is about.
    pub(super) invocation: String,
    /// Whether it was told to stop.
    told: Told,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    /// A report that has not come in full.
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Stop,
}

impl Link {
    /// Connects to the supervisor of a folder, which runs this start; `None` when there is none. Anything else that
    /// keeps it from being reached is waited out, as nobody could say then whether the unit runs.
    pub(super) async fn connect(folder: &Folder, start: &Start) -> Option<Self> {
        loop {
            match Self::try_connect(folder, start) {
                Ok(link) => return link,
                Err(error) => {
                    tracing::error!(path = %folder.path().display(), %error, "a supervisor cannot be reached");
                    sleep(CONNECT_PAUSE).await;
                }
            }
        }
    }

    fn try_connect(folder: &Folder, start: &Start) -> io::Result<Option<Self>> {
        folder.connect()?.map(|stream| Self::over(stream, start.invocation.clone())).transpose()
    }

    fn over(stream: StdStream, invocation: String) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let (reader, writer) = UnixStream::from_std(stream)?.into_split();
        let (reader, told) = (BufReader::new(reader), Told::Nothing);
        Ok(Self { invocation, told, reader, writer, buffer: Vec::new() })
    }

    /// Starts a supervisor. From the moment it exists it can be connected to, so there is never a second one.
    pub(super) fn launch(folder: &Folder, program: &Path, start: &Start) -> io::Result<Self> {
        folder.write_start(start)?;
        let listener = folder.listen()?;
        let mut command = Command::new(program);
        command
            .arg0("dynamite")
            .arg("supervise")
            .arg(folder.path())
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(listener)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn()?;
        // The command holds the listener too, and would make a dead supervisor look alive.
        drop(command);
        let connected = Self::try_connect(folder, start);
        if !matches!(connected, Ok(Some(_))) {
            // One that cannot be told anything must not go on.
            let _ = child.start_kill();
        }
        // Somebody has to take note of its end.
        tokio::spawn(async move { child.wait().await });
        connected?.ok_or_else(|| io::Error::other("it ended at once"))
    }

    /// Tells the supervisor to stop the unit, once.
    pub(super) async fn stop(&mut self) {
        if self.told == Told::Nothing {
            self.told = Told::Stop;
            // If this fails the supervisor is gone, which the next report says.
            let _ = self.writer.write_all(STOP.as_bytes()).await;
        }
    }

    /// The next report; `None` when the connection has ended. Waiting may be given up at any time.
    pub(super) async fn next(&mut self) -> Option<Report> {
        loop {
            let room = REPORT_BYTES_MAX.saturating_sub(self.buffer.len());
            let mut limited = (&mut self.reader).take(room as u64);
            match limited.read_until(b'\n', &mut self.buffer).await {
                Ok(0) if room > 0 => return None,
                Err(_) => return None,
                Ok(_) if self.buffer.ends_with(b"\n") || room == 0 => {
                    let report = serde_json::from_slice(&self.buffer);
                    self.buffer.clear();
                    // A newer supervisor may tell what is not known here.
                    if let Ok(report) = report {
                        return Some(report);
                    }
                }
                Ok(_) => {}
            }
        }
    }
}
