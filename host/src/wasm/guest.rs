//! What a running module can reach: a log that takes a few lines, memory up to a limit, and a WASI with nothing in it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, sink};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};
use wasmtime_wasi::random::Deterministic;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

use super::bindings::dynamite::policy::{log, types};
use super::convert::one_line;

/// The most lines that a call may log.
const LINES_MAX: usize = 20;
/// The longest line, in bytes.
const LINE_BYTES_MAX: usize = 1024;
/// The most tables and memories a module may have; what compilers make has one or two of each.
const TABLES_MAX: usize = 16;
/// The most elements of a table. Large interpreters have ten thousand.
const TABLE_ELEMENTS_MAX: usize = 100_000;
/// What a stream takes at once.
const STREAM_BYTES: usize = 4096;

/// How important a line is to an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Only to whoever looks for a mistake.
    Debug,
    /// Always.
    Info,
    /// Something is wrong.
    Warn,
}

/// A line that a module logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How important it is.
    pub level: Level,
    /// What it says, in one line.
    pub text: String,
}

/// What a call logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The first lines.
    pub lines: Vec<Line>,
    /// How many more there were.
    pub left_out: usize,
}

impl Log {
    fn write(&mut self, level: Level, text: &str) {
        if self.lines.len() == LINES_MAX {
            self.left_out += 1;
            return;
        }
        let text = one_line(&text[..text.floor_char_boundary(LINE_BYTES_MAX)]);
        if !text.is_empty() {
            self.lines.push(Line { level, text });
        }
    }
}

/// The limits on memory, and how much was used.
#[derive(Debug)]
pub(super) struct Meter {
    memory_max: usize,
    pub(super) memory: usize,
    /// Whether more was asked for than there may be.
    pub(super) refused: bool,
}

impl wasmtime::ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_sub(current).saturating_add(desired);
        if total > self.memory_max {
            self.refused = true;
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        TABLES_MAX
    }
}

/// What belongs to one call.
pub(super) struct Guest {
    pub(super) meter: Meter,
    pub(super) log: Arc<Mutex<Log>>,
    now_ms: u64,
    seed: [u8; 32],
    /// Made when it is first asked for: most modules never do.
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl Guest {
    /// A guest whose clocks stand at `now_ms` and whose random numbers follow from `seed`.
    pub(super) fn new(memory_max: usize, now_ms: u64, seed: [u8; 32]) -> Self {
        let meter = Meter { memory_max, memory: 0, refused: false };
        Self { meter, log: Arc::default(), now_ms, seed, wasi: None }
    }
}

impl log::Host for Guest {
    fn write(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => Level::Debug,
            log::Level::Info => Level::Info,
            log::Level::Warn => Level::Warn,
        };
        self.log.lock().unwrap_or_else(PoisonError::into_inner).write(level, &message);
    }
}

impl types::Host for Guest {}

/// A clock that stands still.
struct Stopped {
    at_ms: u64,
}

impl HostWallClock for Stopped {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.at_ms)
    }
}

impl HostMonotonicClock for Stopped {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        self.at_ms.saturating_mul(1_000_000)
    }
}

/// Standard output and error: lines for the log. Takes whatever comes, as a module dies when it cannot print.
#[derive(Clone)]
struct ToLog {
    log: Arc<Mutex<Log>>,
    /// What was written of a line that has not ended yet.
    line: Vec<u8>,
}

impl ToLog {
    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        self.log.lock().unwrap_or_else(PoisonError::into_inner).write(Level::Warn, &text);
    }
}

impl Drop for ToLog {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
    }
}

impl IsTerminal for ToLog {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for ToLog {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(sink()) // For the third version of WASI, which is not offered.
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for ToLog {
    async fn ready(&mut self) {}
}

impl OutputStream for ToLog {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        for &byte in &bytes {
            if byte == b'\n' {
                self.end_line();
            } else if self.line.len() < LINE_BYTES_MAX {
                self.line.push(byte);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_BYTES)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (log, at_ms, seed) = (&self.log, self.now_ms, self.seed);
        let (ctx, table) = &mut **self.wasi.get_or_insert_with(|| {
            let output = || ToLog { log: log.clone(), line: Vec::new() };
            let random = || Deterministic::new(seed.to_vec());
            let mut number = [0; 16];
            number.copy_from_slice(&seed[..16]);
            let ctx = WasiCtx::builder()
                .stdout(output())
                .stderr(output())
                .wall_clock(Stopped { at_ms })
                .monotonic_clock(Stopped { at_ms })
                .secure_random(random())
                .insecure_random(random())
                .insecure_random_seed(u128::from_le_bytes(number))
                .allow_tcp(false)
                .allow_udp(false)
                .build();
            Box::new((ctx, ResourceTable::new()))
        });
        WasiCtxView { ctx, table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_lines_is_counted_and_left_out() {
        let mut log = Log::default();
        for _ in 0..1000 {
            log.write(Level::Info, &"ö".repeat(5000));
        }
        assert_eq!((log.lines.len(), log.left_out), (LINES_MAX, 1000 - LINES_MAX));
        assert_eq!(log.lines[0].text.len(), LINE_BYTES_MAX);
    }

    #[test]
    fn memory_is_counted_over_all_memories_and_bounded() {
        use wasmtime::ResourceLimiter;
        let mut meter = Meter { memory_max: 100, memory: 0, refused: false };
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 40, None).unwrap());
        assert!(!meter.memory_growing(60, 61, None).unwrap());
        assert_eq!((meter.memory, meter.refused), (100, true));
    }
}
