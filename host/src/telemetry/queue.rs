//! Lines on their way to where they are written. Whoever logs never waits: a reader that is gone, a full disk and a pipe that
//! nobody empties cost lines, which are counted, and nothing else.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait: some seconds of a daemon that says everything there is to say.
const LINES_MAX: usize = 10_000;
/// How much is written in one go.
const BATCH_BYTES_MAX: usize = 64 << 10;
/// How long it waits after that. Where thousands of lines come in a second, writing each would take as long as saying it, from
/// whoever reads too.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the end waits until what was said is written.
const END_TIME_MAX: Duration = Duration::from_secs(1);
/// How often it looks whether there is room to say that it waits.
const END_PAUSE: Duration = Duration::from_millis(10);

enum Message {
    Line(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// The way to a thread that writes.
#[derive(Clone)]
pub(super) struct Queue {
    messages: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

impl Queue {
    /// Lines go to `out` from now on. `tell` says how many were lost, once it works again.
    pub(super) fn new(out: impl Write + Send + 'static, tell: fn(u64)) -> Self {
        let (messages, waiting) = sync_channel(LINES_MAX);
        let lost = Arc::new(AtomicU64::new(0));
        let counter = lost.clone();
        std::thread::spawn(move || write(out, &waiting, &counter, tell));
        Self { messages, lost }
    }

    /// Waits until everything is written that was said, as long as that takes no longer than it may.
    pub(super) fn flush(&self) {
        let (done, written) = sync_channel(1);
        for _ in 0..END_TIME_MAX.as_millis() / END_PAUSE.as_millis() {
            if self.messages.try_send(Message::Flush(done.clone())).is_ok() {
                let _is_written = written.recv_timeout(END_TIME_MAX);
                return;
            }
            std::thread::sleep(END_PAUSE);
        }
    }
}

/// One line that is being said.
pub(super) struct Line<'q>(&'q Queue);

impl<'q> MakeWriter<'q> for Queue {
    type Writer = Line<'q>;

    fn make_writer(&'q self) -> Line<'q> {
        Line(self)
    }
}

impl Write for Line<'_> {
    /// A line comes in one piece.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.0.messages.try_send(Message::Line(line.to_vec())).is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what waits, many lines at a time, until nobody can say anything any more.
fn write(mut out: impl Write, messages: &Receiver<Message>, lost: &AtomicU64, tell: fn(u64)) {
    while let Ok(first) = messages.recv() {
        let (mut batch, mut lines, mut asked) = (Vec::new(), 0, Vec::new());
        let mut next = Ok(first);
        loop {
            match next {
                Ok(Message::Line(line)) => {
                    batch.extend_from_slice(&line);
                    lines += 1;
                }
                Ok(Message::Flush(done)) => asked.push(done),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
            if batch.len() >= BATCH_BYTES_MAX {
                break;
            }
            next = messages.try_recv();
        }
        if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
            lost.fetch_add(lines, Ordering::Relaxed);
        } else if lines > 0 {
            let lost = lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                tell(lost);
            }
        }
        let is_awaited = !asked.is_empty();
        for done in asked {
            // Whoever asked may have had enough of waiting.
            let _is_heard = done.send(());
        }
        if !is_awaited {
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn say(queue: &Queue, line: &str) {
        queue.make_writer().write_all(line.as_bytes()).unwrap();
    }

    #[test]
    fn what_was_said_is_written_in_order_before_the_end() {
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = Queue::new(writer, |_| {});
        for number in 0..1_000 {
            say(&queue, &format!("{number}\n"));
        }
        queue.flush();
        drop(queue);
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(
            said.lines().map(|line| line.parse().unwrap()).collect::<Vec<usize>>(),
            (0..1_000).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_pipe_that_nobody_empties_holds_nobody_up_and_what_is_lost_is_counted() {
        static LOST: AtomicU64 = AtomicU64::new(0);
        let (mut reader, writer) = io::pipe().unwrap();
        let queue = Queue::new(writer, |lost| {
            LOST.fetch_add(lost, Ordering::SeqCst);
        });
        let line = "x".repeat(99) + "\n";
        let said = 5 * LINES_MAX;
        for _ in 0..said {
            say(&queue, &line);
        }
        queue.flush();
        let heard = std::thread::spawn(move || {
            let mut heard = Vec::new();
            reader.read_to_end(&mut heard).map(|_| heard.len() / 100).unwrap()
        });
        queue.flush();
        drop(queue);
        let heard = heard.join().unwrap();
        let lost = usize::try_from(LOST.load(Ordering::SeqCst)).unwrap();
        assert!(lost > said / 2 && heard + lost == said, "{heard} heard, {lost} lost");
    }

    #[test]
    fn a_disk_that_is_full_is_borne_and_said_when_it_has_room_again() {
        struct Disk(Arc<AtomicUsize>);
        impl Write for Disk {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                match self.0.load(Ordering::SeqCst) {
                    0 => Err(io::ErrorKind::StorageFull.into()),
                    _ => Ok(bytes.len()),
                }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        static LOST: AtomicU64 = AtomicU64::new(0);
        let room = Arc::new(AtomicUsize::new(0));
        let queue = Queue::new(Disk(room.clone()), |lost| {
            LOST.fetch_add(lost, Ordering::SeqCst);
        });
        for _ in 0..3 {
            say(&queue, "lost\n");
        }
        queue.flush();
        assert_eq!(LOST.load(Ordering::SeqCst), 0, "there is nowhere to say it");
        room.store(1, Ordering::SeqCst);
        say(&queue, "kept\n");
        queue.flush();
        assert_eq!(LOST.load(Ordering::SeqCst), 3);
    }
}
