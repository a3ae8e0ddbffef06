//! Hears what the daemon logs, as it logs it: what the demo shows of decisions is the daemon's own word.

use std::fmt::{self, Write as _};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// How many lines may wait to be shown; there are a few each second.
const LINES_MAX: usize = 1_000;

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// How long after the start.
    pub(super) at: Duration,
    pub(super) level: Level,
    /// Which service it is about, if it is about one.
    pub(super) service: Option<String>,
    /// Its words, and then its other fields.
    pub(super) words: String,
}

/// Takes the place of the log for the whole process, and hands over what this program says in it.
pub(super) fn listen(began: Instant) -> Receiver<Line> {
    let (lines, heard) = channel(LINES_MAX);
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::INFO);
    let listener = Listener { began, lines }.with_filter(ours);
    // Fails if there is a log already, as in a test.
    let _is_first = tracing_subscriber::registry().with(listener).try_init();
    heard
}

struct Listener {
    began: Instant,
    lines: Sender<Line>,
}

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        let line = Line {
            at: self.began.elapsed(),
            level: *event.metadata().level(),
            service: words.service,
            words: words.message + &words.fields,
        };
        // What nobody has the time to look at is left out.
        let _is_kept = self.lines.try_send(line);
    }
}

#[derive(Default)]
struct Words {
    message: String,
    service: Option<String>,
    fields: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "service" => self.service = Some(value.to_owned()),
            // It is in the words.
            "unit" => {}
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "service" | "unit" => {}
            name => {
                // Writing to a string cannot fail.
                let _ = write!(self.fields, " {name}={value:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_heard_with_their_fields() {
        let (lines, mut heard) = channel(1);
        let listener = Listener { began: Instant::now(), lines };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(listener), || {
            let unit = Some("web@1.service");
            tracing::warn!(service = "web", unit, attempt = 2, "an instance did not start");
            tracing::info!("what is too much is left out");
        });
        let line = heard.try_recv().unwrap();
        assert_eq!((line.level, line.service.as_deref()), (Level::WARN, Some("web")));
        assert_eq!(line.words, "an instance did not start attempt=2");
        assert!(heard.try_recv().is_err());
    }
}
