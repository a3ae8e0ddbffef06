//! The journal as lines of JSON in a file, written by a thread of its own: a slow disk slows nothing else down.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::{Happened, Journal};
use crate::scaling::Input;

/// How many lines may wait for the disk: some seconds of a busy daemon. What is beyond is left out, and counted.
const LINES_MAX: usize = 10_000;

/// How long the end of the process waits for the disk.
const END_TIME_MAX: Duration = Duration::from_secs(1);

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Events,
    Inputs,
}

/// Writes what it is told to a file, a line of JSON for each.
#[derive(Debug)]
pub struct FileJournal {
    content: Content,
    lines: Option<SyncSender<String>>,
    left_out: Mutex<u64>,
    /// Told when everything is written. Only whoever drops the journal listens.
    written: Mutex<Receiver<()>>,
}

impl FileJournal {
    /// Writes events.
    #[must_use]
    pub fn of_events(file: File) -> Self {
        Self::new(file, Content::Events)
    }

    /// Writes the inputs of the planner: with them a run can be played again.
    #[must_use]
    pub fn of_inputs(file: File) -> Self {
        Self::new(file, Content::Inputs)
    }

    fn new(file: File, content: Content) -> Self {
        let (lines, waiting) = sync_channel(LINES_MAX);
        let (ended, written) = sync_channel(1);
        std::thread::spawn(move || {
            write(file, &waiting);
            // Nobody may wait for it.
            let _is_heard = ended.send(());
        });
        Self { content, lines: Some(lines), left_out: Mutex::new(0), written: Mutex::new(written) }
    }

    fn line(&self, value: &impl Serialize) {
        let (Some(lines), Ok(line)) = (&self.lines, serde_json::to_string(value)) else { return };
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        if *left_out > 0 && lines.try_send(json!({ "left_out": *left_out }).to_string()).is_ok() {
            *left_out = 0;
        }
        if *left_out > 0 || lines.try_send(line).is_err() {
            *left_out += 1;
        }
    }
}

impl Journal for FileJournal {
    fn record(&self, happened: &Happened) {
        if self.content == Content::Events {
            self.line(happened);
        }
    }

    fn input(&self, now: Timestamp, input: &Input) {
        if self.content == Content::Inputs {
            self.line(&json!({ "at": now, "input": input }));
        }
    }
}

impl Drop for FileJournal {
    /// What was told is written before the process ends, unless the disk does not take it.
    fn drop(&mut self) {
        self.lines = None;
        let written = self.written.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _is_written = written.recv_timeout(END_TIME_MAX);
    }
}

/// Writes lines until nobody can tell any more. A disk that fails is said once, and then nothing is written.
fn write(file: File, lines: &Receiver<String>) {
    let mut file = BufWriter::new(file);
    let mut put = |first: String| -> io::Result<()> {
        writeln!(file, "{first}")?;
        while let Ok(next) = lines.try_recv() {
            writeln!(file, "{next}")?;
        }
        file.flush()
    };
    while let Ok(line) = lines.recv() {
        if let Err(error) = put(line) {
            tracing::warn!(%error, "events cannot be written to their file any more");
            return;
        }
    }
}

/// Opens a file to be written to at its end.
///
/// # Errors
/// What the file system says, or that it is a pipe: opening one waits for whoever reads it.
pub fn open(path: &Path) -> io::Result<File> {
    if path.metadata().is_ok_and(|about| about.file_type().is_fifo()) {
        return Err(io::Error::other("it is a pipe, and may have no reader"));
    }
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::EngineEvent;

    #[test]
    fn events_are_added_to_a_file_a_line_each() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.ndjson");
        for key in ["a", "b"] {
            let journal = FileJournal::of_events(open(&path).unwrap());
            let event = EngineEvent::Unreadable { key: key.to_owned() }.into();
            journal.record(&Happened { at: Timestamp::UNIX_EPOCH, event });
            journal.input(Timestamp::UNIX_EPOCH, &Input::Tick);
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let line = |key| format!(r#"{{"at":"1970-01-01T00:00:00Z","event":"unreadable","key":"{key}"}}"#);
        assert_eq!(text, line("a") + "\n" + &line("b") + "\n");
    }

    #[test]
    fn a_file_that_takes_nothing_stops_nobody() {
        let journal = FileJournal::of_inputs(File::create("/dev/full").unwrap());
        for _ in 0..2 * LINES_MAX {
            journal.input(Timestamp::UNIX_EPOCH, &Input::Tick);
        }
    }
}
