//! Metrics as they are written to etcd, turned into samples: each key is read once, whoever wants it.
//!
//! A *topic* is a metric key of a service type, an *entry* what one instance writes under it (or all together, when the metric
//! is aggregated); each field of the topic that somebody reads makes a series of an entry. Nothing here decides or talks to
//! etcd: changes go in, batches of samples and keys that nobody needs any more come out.

mod entries;
mod key;
mod ledger;
mod name;
#[cfg(test)]
mod tests;
mod value;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use dynamite_core::{
    AHEAD_MAX, KeptSignal, Opened, Reading, SampleBatch, SeriesId, SignalSpec, Skipped, SkippedSample,
    Stretch,
};
use jiff::Timestamp;

use self::entries::{Entries, EntryIndex};
pub use self::key::parse_timestamp;
pub use self::name::MetricName;
use crate::config::Cleanup;
use crate::store::Change;

/// How many keys may wait for their deletion while etcd does not take it. The rest is found again at the next start.
const UNNEEDED_MAX: usize = 200_000;
/// How many key prefixes with bad values are remembered, so that each is reported once.
const REPORTED_MAX: usize = 100;

/// A metric key of a service type.
#[derive(Debug)]
struct Topic {
    /// The fields that policies read; `None` is the value itself.
    fields: Vec<Option<String>>,
    /// What each field measures.
    signals: Vec<SignalSpec>,
    entries: HashMap<Box<str>, EntryIndex>,
}

/// From the metric key and whether it is aggregated to the topic.
type ByMetric = HashMap<String, [Option<usize>; 2]>;

/// Every metric that some policy reads.
#[derive(Debug)]
pub struct Metrics {
    base: String,
    cleanup: Cleanup,
    topics: Vec<Topic>,
    /// By service type.
    by_name: HashMap<Arc<str>, ByMetric>,
    entries: Entries,
    in_snapshot: bool,
    unneeded: Vec<String>,
    reported: BTreeSet<String>,
}

/// Why a key gave no sample, and the part of it that others share.
type Refusal<'k> = (Skipped, &'k str);

impl Metrics {
    /// What is read of these signals, under `base`.
    #[must_use]
    pub fn new(base: &str, cleanup: Cleanup, signals: &[KeptSignal]) -> Self {
        let mut metrics = Self {
            base: base.to_owned(),
            cleanup,
            topics: Vec::new(),
            by_name: HashMap::new(),
            entries: Entries::default(),
            in_snapshot: false,
            unneeded: Vec::new(),
            reported: BTreeSet::new(),
        };
        for kept in signals {
            metrics.subscribe(&kept.signal);
        }
        metrics
    }

    fn subscribe(&mut self, signal: &SignalSpec) {
        let MetricName { key, field } = MetricName::new(&signal.metric);
        let by_metric = self.by_name.entry(signal.service_type.clone()).or_default();
        let slot = &mut by_metric.entry(key).or_default()[usize::from(signal.aggregated)];
        let index = *slot.get_or_insert(self.topics.len());
        if index == self.topics.len() {
            let (fields, signals, entries) = (Vec::new(), Vec::new(), HashMap::new());
            self.topics.push(Topic { fields, signals, entries });
        }
        let topic = &mut self.topics[index];
        if !topic.fields.contains(&field) {
            topic.fields.push(field);
            topic.signals.push(signal.clone());
        }
    }

    /// Takes changes in, and gives the samples in them.
    pub fn take(&mut self, changes: &[Change], now: Timestamp) -> Vec<SampleBatch> {
        let mut batches = Vec::with_capacity(1);
        let mut batch = self.batch();
        for change in changes {
            match change {
                Change::SnapshotStart => {
                    batches.push(batch);
                    self.in_snapshot = true;
                    batch = self.batch();
                }
                Change::SnapshotEnd => {
                    batches.push(SampleBatch { stretch: Stretch::SnapshotEnd, ..batch });
                    self.in_snapshot = false;
                    batch = self.batch();
                }
                Change::Put { key, value } => {
                    if let Err((why, prefix)) = self.put(key, value, now, &mut batch) {
                        batch.skipped.push(self.skipped(why, key, prefix));
                    }
                }
                Change::Oversized { key, bytes } => {
                    tracing::warn!(key, bytes, "a value is too large and is not read");
                }
                // Whoever deletes samples, the windows keep them.
                Change::Delete { .. } | Change::DeleteTree { .. } => {}
            }
        }
        batches.push(batch);
        batches.retain(|batch| batch.stretch == Stretch::SnapshotEnd || !batch.is_empty());
        batches
    }

    fn batch(&self) -> SampleBatch {
        let stretch = if self.in_snapshot { Stretch::Snapshot } else { Stretch::Live };
        SampleBatch { stretch, opened: Vec::new(), readings: Vec::new(), skipped: Vec::new() }
    }

    fn skipped(&mut self, why: Skipped, key: &str, prefix: &str) -> SkippedSample {
        let prefix = if why == Skipped::TooMany { "" } else { prefix };
        let is_first = why != Skipped::Late
            && self.reported.len() < REPORTED_MAX
            && self.reported.insert(format!("{why:?} {prefix}"));
        SkippedSample { why, first_at: is_first.then(|| key.to_owned()) }
    }

    fn put<'k>(
        &mut self,
        key: &'k str,
        value: &str,
        now: Timestamp,
        batch: &mut SampleBatch,
    ) -> Result<(), Refusal<'k>> {
        let Some(path) = key::parse(&self.base, key) else { return Ok(()) };
        let topics = self.by_name.get(path.service_type).and_then(|by_metric| by_metric.get(path.metric));
        let Some(topic) = topics.and_then(|topics| topics[usize::from(path.instance.is_none())]) else {
            return Ok(());
        };
        let prefix = path.prefix;
        let at = parse_timestamp(path.time).filter(|at| at.duration_since(now) <= AHEAD_MAX);
        let at = at.ok_or((Skipped::BadTime, prefix))?;
        let index = self.entry(topic, path.instance.unwrap_or_default()).ok_or((Skipped::TooMany, prefix))?;
        let Self { topics, entries, .. } = self;
        let Topic { fields, signals, .. } = &topics[topic];
        let Some(dropped) = entries.note(index, at, key) else { return Err((Skipped::Late, prefix)) };
        let mut skipped = Ok(());
        for (field, number) in value::numbers(value, fields).into_iter().enumerate() {
            let (series, is_new) = entries.series(index, field);
            if is_new {
                let signal = signals[field].clone();
                let instance = path.instance.unwrap_or_default().to_owned();
                batch.opened.push(Opened { series, signal, instance, at });
            }
            match number {
                Some(value) => batch.readings.push(Reading { series, at, value }),
                None => skipped = Err((Skipped::BadValue, prefix)),
            }
        }
        self.discard(dropped);
        skipped
    }

    /// What an instance writes under a topic, made if it is new; `None` when there are too many.
    fn entry(&mut self, topic: usize, instance: &str) -> Option<EntryIndex> {
        let Topic { fields, entries, .. } = &mut self.topics[topic];
        if let Some(index) = entries.get(instance) {
            return Some(*index);
        }
        let index = self.entries.add(topic, instance, fields.len())?;
        entries.insert(instance.into(), index);
        Some(index)
    }

    /// Of a series nobody needs the samples before this time any more.
    pub fn release(&mut self, series: SeriesId, until: Timestamp) {
        let dropped = self.entries.release(series, until);
        self.discard(dropped);
    }

    /// Of a series nobody needs anything any more.
    pub fn forget(&mut self, series: SeriesId) {
        let (dropped, gone) = self.entries.forget(series);
        if let Some((topic, instance)) = gone {
            self.topics[topic].entries.remove(&instance);
        }
        self.discard(dropped);
    }

    fn discard(&mut self, keys: Vec<String>) {
        if self.cleanup == Cleanup::WhenUnneeded && self.unneeded.len() < UNNEEDED_MAX {
            self.unneeded.extend(keys);
        }
    }

    /// How many keys can be deleted from etcd.
    #[must_use]
    pub fn unneeded(&self) -> usize {
        self.unneeded.len()
    }

    /// Takes up to `keys_max` keys that can be deleted from etcd.
    pub fn take_unneeded(&mut self, keys_max: usize) -> Vec<String> {
        let rest = self.unneeded.split_off(self.unneeded.len().min(keys_max));
        std::mem::replace(&mut self.unneeded, rest)
    }
}
