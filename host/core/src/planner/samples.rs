//! Samples as sources hand them over: series that are opened, and readings of them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{SeriesId, SignalSpec, Skipped};

/// Samples as they come from a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampleBatch {
    /// Where in the stream they stand.
    pub stretch: Stretch,
    /// Series that were not there before.
    pub opened: Vec<Opened>,
    /// The samples, in any order.
    pub readings: Vec<Reading>,
    /// What gave none.
    pub skipped: Vec<SkippedSample>,
}

impl SampleBatch {
    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty() && self.readings.is_empty() && self.skipped.is_empty()
    }
}

/// Where in the stream of a source samples stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stretch {
    /// They were there before, and more of that follows: nothing is decided yet.
    Snapshot,
    /// They are the last that were there before.
    SnapshotEnd,
    /// They have just been written.
    Live,
}

/// A series that was not there before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opened {
    /// What it is called in readings.
    pub series: SeriesId,
    /// What it measures.
    pub signal: SignalSpec,
    /// The instance id of whoever writes it; empty if it is one for all.
    pub instance: String,
    /// The time of the first sample, or of what should have been one.
    pub at: Timestamp,
}

/// A sample of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The series.
    pub series: SeriesId,
    /// When it was measured.
    pub at: Timestamp,
    /// What was measured; finite.
    pub value: f64,
}

/// Something that should have been a sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SkippedSample {
    /// Why it is none.
    pub why: Skipped,
    /// Where it was found, if it is the first of its kind there; `None`: it is only counted.
    pub first_at: Option<String>,
}
