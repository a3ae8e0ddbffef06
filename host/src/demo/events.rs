//! Hears what the daemon tells, as it tells it: what the demo shows of decisions is the daemon's own word. What is not told
//! to the journal, as it is about etcd's and fleet's servers, is heard in the log.

use std::fmt::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use dynamite_core::{self as scaling, Deed, Line, Outcome, Reason};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;
use tracing::field::{Field, Visit};
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::story::{Decided, Way};
use crate::journal::{EngineEvent, Event, Happened, Journal, LogDedup};

/// How many lines may wait to be shown; there are a few each second.
const LINES_MAX: usize = 1_000;

/// Something that the daemon said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// How long after the start.
    pub(super) at: Duration,
    pub(super) what: What,
}

/// What it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// It decided something.
    Decided(Decided),
    /// An instance is up, in words.
    Up(String),
    /// Something else about a service, in words.
    News(String),
    /// Something that is not well, in words.
    Trouble(String),
}

/// Takes the place of the log for the whole process, and hands over what this program says there and in its journal.
pub(super) fn listen(began: Instant) -> (Ear, Receiver<Heard>) {
    let (lines, heard) = channel(LINES_MAX);
    let ours = Targets::new().with_target(env!("CARGO_CRATE_NAME"), LevelFilter::WARN);
    let listener = Listener { began, lines: lines.clone() }.with_filter(ours);
    // Fails if there is a log already, as in a test.
    let _is_first = tracing_subscriber::registry().with(listener).try_init();
    (Ear { began, lines, told: Mutex::default() }, heard)
}

/// The reader of the journal.
#[derive(Debug)]
pub(super) struct Ear {
    began: Instant,
    lines: Sender<Heard>,
    told: Mutex<LogDedup>,
}

impl Journal for Ear {
    fn record(&self, happened: &Happened) {
        let at = self.began.elapsed();
        for what in self.heard(&happened.event) {
            // What nobody has the time to look at is left out.
            let _is_kept = self.lines.try_send(Heard { at, what });
        }
    }
}

impl Ear {
    fn heard(&self, event: &Event) -> Vec<What> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Planner(scaling::Event::Decided(decision)) => told
                .news(decision)
                .iter()
                .filter_map(|line| decided(decision.service.as_str(), line))
                .collect(),
            Event::Planner(event) => {
                told.note(event);
                planner(event).into_iter().collect()
            }
            Event::Engine(event) => engine(event).into_iter().collect(),
        }
    }
}

fn decided(service: &str, line: &Line<'_>) -> Option<What> {
    let (way, unit) = match line.action {
        None if matches!(line.reason, Reason::Stays { .. } | Reason::PolicyFailed { .. }) => return None,
        None => (Way::Hold, None),
        Some(action) if action.is_waiting() => (Way::Hold, None),
        Some(action) => {
            let way = match action.deed {
                Deed::Start => Way::Up,
                Deed::Stop => Way::Down,
                Deed::Replace | Deed::Mend => Way::Replace,
            };
            (way, Some(action.unit.clone()))
        }
    };
    let (service, reason) = (service.to_owned(), line.reason.to_string());
    Some(What::Decided(Decided { service, way, unit, reason }))
}

fn planner(event: &scaling::Event) -> Option<What> {
    Some(match event {
        scaling::Event::ActionEnded { service, unit, outcome, running, .. } => match outcome {
            Outcome::Started => What::Up(format!("{service}: {unit} is up, {running} run")),
            Outcome::Stopped => What::News(format!("{service}: {unit} is gone")),
            Outcome::Failed(error) => What::Trouble(format!("{service}: an instance did not start: {error}")),
            Outcome::Taken => What::Trouble(format!("{service}: {unit} is a unit of somebody else")),
            Outcome::Mended => return None,
        },
        scaling::Event::ServiceDegraded { service, reason } => {
            What::Trouble(format!("{service}: degraded: {reason}"))
        }
        scaling::Event::ServiceRecovered { service } => What::News(format!("{service}: recovered")),
        scaling::Event::PolicyFails { of, error, .. } => {
            What::Trouble(format!("{}: {} failed: {error}", of.service, of.policy))
        }
        _ => return None,
    })
}

fn engine(event: &EngineEvent) -> Option<What> {
    Some(match event {
        EngineEvent::CallFailed { what, error, .. } => What::Trouble(format!("{what} failed: {error}")),
        EngineEvent::ModuleRefused { policy, error, .. } => {
            What::Trouble(format!("{policy}: its module cannot be used: {error}"))
        }
        EngineEvent::LeadershipLost { why } => What::Trouble(format!("no longer leading: {why}")),
        EngineEvent::PolicySaid { service, policy, text, .. } => {
            What::News(format!("{service}: {policy} says: {text}"))
        }
        _ => return None,
    })
}

struct Listener {
    began: Instant,
    lines: Sender<Heard>,
}

impl<S: Subscriber> Layer<S> for Listener {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > Level::WARN {
            return;
        }
        let mut words = Words::default();
        event.record(&mut words);
        let what = What::Trouble(words.message + &words.fields);
        let _is_kept = self.lines.try_send(Heard { at: self.began.elapsed(), what });
    }
}

#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => {
                // Writing to a string cannot fail.
                let _ = write!(self.fields, " {name}={value:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn what_is_told_and_logged_is_heard() {
        let (lines, mut heard) = channel(2);
        let began = Instant::now();
        let listener = Listener { began, lines: lines.clone() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(listener), || {
            tracing::warn!(attempt = 2, "the disk is full");
            tracing::info!("this is of no interest");
        });
        let ear = Ear { began, lines, told: Mutex::default() };
        let event = scaling::Event::ServiceRecovered { service: "web".into() }.into();
        ear.record(&Happened { at: Timestamp::UNIX_EPOCH, event });
        let event = EngineEvent::Running { status: "running" }.into();
        ear.record(&Happened { at: Timestamp::UNIX_EPOCH, event });
        assert_eq!(heard.try_recv().unwrap().what, What::Trouble("the disk is full attempt=2".to_owned()));
        assert_eq!(heard.try_recv().unwrap().what, What::News("web: recovered".to_owned()));
        assert!(heard.try_recv().is_err());
    }
}
