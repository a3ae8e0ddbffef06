//! The journal: everything that happens is told here, once, as a value. The log, files, the demo and tests read it.

mod dedup;
mod file;
mod log;

use std::sync::Arc;

use dynamite_core::{self as scaling, Input, PolicyId};
use jiff::Timestamp;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

pub use self::dedup::LogDedup;
pub use self::file::{FileJournal, open};
pub use self::log::Log;

/// Something that happened, and when. It is written as one map.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// When, by the clock.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

impl Serialize for Happened {
    /// Every line says when it was, in front and once: a decision says it too, and two fields of one name are one too many.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = serde_json::to_value(self.at).map_err(S::Error::custom)?;
        let mut line = Map::from_iter([("at".to_owned(), at)]);
        if let Value::Object(fields) = serde_json::to_value(&self.event).map_err(S::Error::custom)? {
            line.extend(fields);
        }
        line.serialize(serializer)
    }
}

/// Something that happened: in what decides, or around it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)] // Written alone: both kinds name themselves.
pub enum Event {
    /// In what decides.
    Planner(scaling::Event),
    /// Around it.
    Engine(EngineEvent),
}

/// Something that happened around what decides.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EngineEvent {
    /// This process is ready to lead.
    Started {
        /// Its version.
        version: &'static str,
        /// Where fleet is.
        fleet: String,
        /// Where etcd is.
        etcd: String,
    },
    /// This process was told to end.
    Ending {
        /// By which signal.
        signal: &'static str,
        /// What becomes of the services.
        services: Fate,
    },
    /// This process leads.
    Leading {
        /// The name under which it does.
        holder: String,
    },
    /// It does not lead yet.
    NotLeading {
        /// Why.
        why: String,
        /// Whether something is wrong, other than that another one leads.
        is_trouble: bool,
    },
    /// It does not lead any more.
    LeadershipLost {
        /// Why.
        why: String,
    },
    /// The state store had lost what was kept there; it was written again.
    StateRewritten {
        /// How many records.
        records: usize,
    },
    /// A stored key cannot be read.
    KeyUnreadable {
        /// The key.
        key: String,
    },
    /// The configuration is another than the stored one.
    ConfigurationDiffers {
        /// Where, as dotted keys.
        changed: Vec<String>,
    },
    /// What a former run left was taken over.
    TookOver {
        /// How many services there are.
        services: usize,
        /// How many instances of them.
        instances: u32,
        /// How many units the orchestrator knows, ours or not.
        units: usize,
        /// The status of the application.
        status: &'static str,
    },
    /// Every service that can be up is up.
    Running {
        /// The status of the application.
        status: &'static str,
    },
    /// A call failed and is repeated. Told when it first fails and once a minute.
    CallFailed {
        /// What was called.
        what: &'static str,
        /// How it failed.
        error: String,
        /// How often it did, in a row.
        attempt: u32,
    },
    /// A call that failed works again.
    CallWorks {
        /// What was called.
        what: &'static str,
        /// How many attempts that took.
        attempts: u32,
    },
    /// A unit that was removed is still there.
    UnitLingers {
        /// Its name.
        unit: String,
    },
    /// An attached unit could not be put back in its place.
    UnitNotMended {
        /// Its name.
        unit: String,
        /// Why; `None`: the name is somebody else's.
        error: Option<String>,
    },
    /// At the end something was not written.
    Unsaved {
        /// What, in a sentence.
        what: &'static str,
    },
    /// A module decides for a policy, from the start or from now on.
    ModuleLoaded {
        /// The policy.
        policy: PolicyId,
        /// What the module calls itself.
        name: String,
        /// Its version.
        version: String,
        /// Its hash, in hexadecimal.
        sha256: String,
        /// Its file, if it has taken another one's place.
        file: Option<String>,
    },
    /// A module cannot be used.
    ModuleRefused {
        /// The policy.
        policy: PolicyId,
        /// Its file.
        file: String,
        /// Why.
        error: String,
        /// What that means for the policy.
        consequence: Consequence,
    },
    /// The file of a module is gone.
    ModuleGone {
        /// The policy.
        policy: PolicyId,
        /// The file.
        file: String,
    },
    /// A policy said something.
    PolicySaid {
        /// The service that it was asked about.
        service: String,
        /// The policy.
        policy: PolicyId,
        /// How important it is.
        level: SaidLevel,
        /// What.
        text: String,
    },
    /// A policy said more than is told.
    PolicySaidTooMuch {
        /// The policy.
        policy: PolicyId,
        /// How many lines were left out.
        lines: usize,
    },
}

/// What becomes of the services when this process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// They keep running.
    RunOn,
    /// They end with the container of which this is the first process, and come back with it.
    EndToo,
}

/// What it means for a policy that a module cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Consequence {
    /// Nothing decides, since the start.
    NoneFromTheStart,
    /// Still nothing decides.
    StillNone,
    /// The module before it goes on.
    OldOneStays,
}

/// How important something is that a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SaidLevel {
    /// For its author.
    Debug,
    /// For operators.
    Info,
    /// Operators should look into it.
    Warn,
}

/// Whoever wants to know what happens. Telling never blocks and never fails.
pub trait Journal: Send + Sync {
    /// Something happened.
    fn record(&self, happened: &Happened);

    /// The planner is about to be told this; with all of it a run can be played again.
    fn input(&self, _now: Timestamp, _input: &Input) {}
}

/// Tells several.
pub struct Journals(pub Vec<Arc<dyn Journal>>);

impl Journal for Journals {
    fn record(&self, happened: &Happened) {
        for journal in &self.0 {
            journal.record(happened);
        }
    }

    fn input(&self, now: Timestamp, input: &Input) {
        for journal in &self.0 {
            journal.input(now, input);
        }
    }
}

impl std::fmt::Debug for dyn Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a journal")
    }
}

impl From<scaling::Event> for Event {
    fn from(event: scaling::Event) -> Self {
        Self::Planner(event)
    }
}

impl From<EngineEvent> for Event {
    fn from(event: EngineEvent) -> Self {
        Self::Engine(event)
    }
}

impl dyn Journal {
    /// Something happened now.
    pub fn tell(&self, at: Timestamp, event: impl Into<Event>) {
        self.record(&Happened { at, event: event.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dynamite_core::{Cause, Decision, DecisionId};

    #[test]
    fn a_line_says_when_and_what_in_front_and_once() {
        let at = Timestamp::UNIX_EPOCH;
        let decision = Decision {
            id: DecisionId { term: 0, number: 1 },
            service: "web".into(),
            at,
            cause: Cause::Review,
            last: Vec::new(),
            heard: None,
            count: 1,
            stages: Vec::new(),
            wanted: (1, 1),
            actions: Vec::new(),
            hold: None,
            spent: None,
        };
        let decided = scaling::Event::Decided(Box::new(decision)).into();
        for (event, name) in
            [(decided, "decided"), (EngineEvent::Running { status: "running" }.into(), "running")]
        {
            let line = serde_json::to_string(&Happened { at, event }).unwrap();
            let start = format!("{{\"at\":\"1970-01-01T00:00:00Z\",\"event\":\"{name}\"");
            assert!(line.starts_with(&start) && line.matches("\"at\":").count() == 1, "{line}");
        }
    }
}
