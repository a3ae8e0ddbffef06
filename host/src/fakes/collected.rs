//! A journal that keeps what it is told, for tests.

use std::sync::{Mutex, PoisonError};

use dynamite_core::{self as scaling, Decision, Input};
use jiff::Timestamp;

use crate::journal::{Event, Happened, Journal};

/// What was told.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    events: Mutex<Vec<Happened>>,
    inputs: Mutex<Vec<(Timestamp, Input)>>,
}

impl Journal for Collected {
    fn record(&self, happened: &Happened) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(happened.clone());
    }

    fn input(&self, now: Timestamp, input: &Input) {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner).push((now, input.clone()));
    }
}

impl Collected {
    /// Every event, a line of JSON each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|happened| serde_json::to_string(happened).unwrap()).collect()
    }

    /// The decisions of the planner.
    pub(crate) fn decisions(&self) -> Vec<Decision> {
        let events = self.events.lock().unwrap();
        let decided = events.iter().filter_map(|happened| match &happened.event {
            Event::Planner(scaling::Event::Decided(decision)) => Some((**decision).clone()),
            _ => None,
        });
        decided.collect()
    }

    /// What the planner was told, written down, a line of JSON each.
    pub(crate) fn inputs(&self) -> Vec<String> {
        self.inputs.lock().unwrap().iter().map(|input| serde_json::to_string(input).unwrap()).collect()
    }
}
