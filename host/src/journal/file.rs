//! The journal as lines of JSON in a file, written by a thread of its own: a slow disk slows nothing else down.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dynamite_core::Input;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::{Happened, Journal};

/// How many lines may wait for the disk: some seconds of a busy daemon. What is beyond is left out, and counted.
const LINES_MAX: usize = 10_000;
/// How long the end waits for the disk: a supervisor kills what does not end.
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
    /// Says nothing, and is closed when all is written.
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
        let (open, written) = channel();
        std::thread::spawn(move || {
            write(file, &waiting);
            drop(open);
        });
        Self { content, lines: Some(lines), left_out: Mutex::new(0), written: Mutex::new(written) }
    }

    fn line(&self, at: Timestamp, value: &impl Serialize) {
        let (Some(lines), Ok(line)) = (&self.lines, serde_json::to_string(value)) else { return };
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        if *left_out > 0 {
            let gap = json!({ "at": at, "event": "left_out", "lines": *left_out });
            if lines.try_send(gap.to_string()).is_ok() {
                *left_out = 0;
            }
        }
        if *left_out > 0 || lines.try_send(line).is_err() {
            *left_out += 1;
        }
    }
}

impl Journal for FileJournal {
    fn record(&self, happened: &Happened) {
        if self.content == Content::Events {
            self.line(happened.at, happened);
        }
    }

    fn input(&self, now: Timestamp, input: &Input) {
        if self.content == Content::Inputs {
            self.line(now, &json!({ "at": now, "input": input }));
        }
    }
}

impl Drop for FileJournal {
    /// What was told is written before the process ends, unless the disk is stuck.
    fn drop(&mut self) {
        self.lines = None;
        let written = self.written.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _closed = written.recv_timeout(END_TIME_MAX);
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

/// Opens a file to be written to at its end, on a line of its own: `kill -9` may have cut the last one.
///
/// # Errors
/// What the file system says, or that it is a pipe: opening one waits for whoever reads it.
pub fn open(path: &Path) -> io::Result<File> {
    if path.metadata().is_ok_and(|about| about.file_type().is_fifo()) {
        return Err(io::Error::other("it is a pipe, and may have no reader"));
    }
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    if file.metadata()?.is_file() && ends_within_a_line(path)? {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn ends_within_a_line(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::Value;

    use super::*;
    use crate::journal::EngineEvent;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;

    fn differs() -> Happened {
        Happened { at: AT, event: EngineEvent::Running { status: "running" }.into() }
    }

    fn names(text: &str) -> Vec<Option<String>> {
        let name = |line: &str| {
            let value: Value = serde_json::from_str(line).ok()?;
            value["at"].as_str().and(value["event"].as_str()).map(str::to_owned)
        };
        text.lines().map(name).collect()
    }

    #[test]
    fn lines_follow_those_that_there_are_and_a_cut_one_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("events");
        for cut in ["", "{\"at\":\"19"] {
            File::options().create(true).append(true).open(&path).unwrap().write_all(cut.as_bytes()).unwrap();
            let journal = FileJournal::of_events(open(&path).unwrap());
            journal.record(&differs());
            journal.input(AT, &Input::Tick);
        }
        let told = || Some("running".to_owned());
        assert_eq!(names(&std::fs::read_to_string(&path).unwrap()), [told(), None, told()]);
        drop(FileJournal::of_inputs(open(&path).unwrap()));
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 3, "a whole line stays as it is");
    }

    #[test]
    fn a_number_is_read_as_it_was_written() {
        for number in [91.906_786_966_652_49, 90.919_731_123_561_89, 95.334_819_852_656_27] {
            let text = serde_json::to_string(&number).unwrap();
            let read: f64 = serde_json::from_str(&text).unwrap();
            assert!(read.total_cmp(&number).is_eq(), "{text} is read as {read}");
        }
    }

    #[test]
    fn a_stuck_disk_holds_up_nothing_and_what_is_left_out_is_counted() {
        let (mut reader, writer) = io::pipe().unwrap();
        let journal = FileJournal::of_events(File::from(std::os::fd::OwnedFd::from(writer)));
        // Far more than fits into the pipe, the writer's buffer and the queue.
        for _ in 0..3 * LINES_MAX {
            journal.record(&differs());
        }
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            reader.read_to_string(&mut said).map(|_| said).unwrap()
        });
        // The first one for which there is room again comes behind the gap.
        while *journal.left_out.lock().unwrap() > 0 {
            journal.record(&differs());
        }
        journal.record(&differs());
        drop(journal);
        let said = said.join().unwrap();
        let gap: Vec<Value> = said
            .lines()
            .filter(|line| line.contains("left_out"))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(gap.len(), 1, "{gap:?}");
        assert!(gap[0]["lines"].as_u64().unwrap() > LINES_MAX as u64 / 2, "{gap:?}");
        assert!(names(&said).iter().all(Option::is_some));
    }

    #[test]
    fn a_stuck_disk_does_not_hold_up_the_end() {
        let (reader, writer) = io::pipe().unwrap();
        let journal = FileJournal::of_events(File::from(std::os::fd::OwnedFd::from(writer)));
        for _ in 0..LINES_MAX {
            journal.record(&differs());
        }
        drop(journal);
        drop(reader);
    }
}
