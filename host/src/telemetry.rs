//! Log lines on standard error: for people, or JSON for machines.

mod queue;

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::debug_fn;

use self::queue::Queue;
use crate::cli::{LogFormat, LogLevel};

/// Fields that say again what the words of the line say. Machines read them, people do not need them.
const FIELDS_IN_WORDS: [&str; 2] = ["service", "unit"];

/// What `RUST_LOG` asks for; one that is empty asks for nothing, and would silence all but errors.
fn from_environment() -> Option<EnvFilter> {
    std::env::var_os(EnvFilter::DEFAULT_ENV).filter(|value| !value.is_empty())?;
    EnvFilter::try_from_default_env().ok()
}

/// What is said until this is dropped is written before that ends, if it can be.
#[must_use = "what is said last would be lost"]
pub struct Logging(Queue);

impl Drop for Logging {
    fn drop(&mut self) {
        self.0.flush();
    }
}

/// Sets up logging for the process. `level` beats `RUST_LOG`; without both it is info. Nobody who logs waits for standard
/// error.
pub fn init(format: LogFormat, level: Option<LogLevel>) -> Logging {
    let queue = Queue::new(io::stderr(), |lines| {
        tracing::warn!(lines, "the log could not be written; {lines} lines were left out");
    });
    let filter = match level {
        Some(level) => EnvFilter::new(format!("{level:?}").to_lowercase()),
        None => from_environment().unwrap_or_else(|| EnvFilter::new("info")),
    };
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(queue.clone()).with_target(false);
    match format {
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
        LogFormat::Human => {
            let fields = debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{value:?}"),
                name if FIELDS_IN_WORDS.contains(&name) => Ok(()),
                name => write!(writer, " {name}={value:?}"),
            });
            builder.fmt_fields(fields).with_ansi(io::stderr().is_terminal()).init();
        }
    }
    Logging(queue)
}
