//! Metrics as they are written to etcd, turned into samples: each key is read once, whoever wants it.
//!
//! A *topic* is a metric key of a service type, a *series* the samples of one instance under a topic (or of all, when the
//! metric is aggregated), a *signal* one number in the value: the value itself or a field of its JSON. Nothing here decides
//! or talks to etcd: changes go in, fresh samples and keys that nobody needs any more come out.

mod key;
mod ledger;
mod value;
mod view;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

pub use key::parse_timestamp;
use ledger::Ledger;
pub use view::{Writer, shown_until};

use crate::config::{Cleanup, Config, MetricWindow};
use crate::scaling::{Sample, Window};

/// The most series that are kept: twice the 100,000 the engine is built for. Each costs some 300 bytes.
pub const SERIES_MAX: usize = 200_000;
/// The most samples that are kept for one series: more than a day of one each second.
pub const SERIES_SAMPLES_MAX: usize = 100_000;
/// The most samples that are kept in all, about 100 bytes each. Beyond it a series keeps no more than it has.
pub const SAMPLES_MAX: usize = 1_000_000;
/// A time stamp further ahead of the clock than this is nonsense: it would make its series ignore every honest sample.
pub const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);
/// How long after its window a silent series is kept, by the clock.
pub const SILENCE: SignedDuration = SignedDuration::from_hours(24);
/// How many keys may wait for their deletion while etcd does not take it. The rest is found again at the next start.
const UNNEEDED_MAX: usize = 200_000;
/// How many key prefixes with bad values are remembered, so that each is reported once.
const REPORTED_MAX: usize = 100;

/// Tells topics apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicId(u32);

/// Tells series apart; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesId(u64);

/// Where the number that a policy wants is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal {
    /// The topic.
    pub topic: TopicId,
    /// Which of the topic's fields.
    pub field: usize,
}

/// A new sample of a series, with the place of its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fresh {
    /// The series.
    pub series: SeriesId,
    /// The topic and field.
    pub signal: Signal,
    /// The sample.
    pub sample: Sample,
}

/// Why a key under the metrics path gave no sample. Each is counted; the first of a key prefix is worth a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skipped {
    /// No policy reads it.
    Unwanted,
    /// It is not newer than the newest sample of its series.
    Late,
    /// The last part of the key is no time, or one more than a day ahead.
    BadTime,
    /// The value is no finite number, or its JSON has none at the field.
    BadValue,
    /// There are more series or samples than are kept.
    TooMany,
}

/// How many keys were read and skipped since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples taken in.
    pub samples: u64,
    /// Not newer than the newest of the series.
    pub late: u64,
    /// No time in the key.
    pub bad_time: u64,
    /// No number in the value.
    pub bad_value: u64,
    /// Beyond the bounds on memory.
    pub too_many: u64,
}

#[derive(Debug)]
struct Topic {
    service_type: String,
    aggregated: bool,
    /// The fields that policies read; `None` is the value itself.
    fields: Vec<Option<String>>,
    /// The longest window that any policy wants of it.
    span: SignedDuration,
    series: HashMap<Box<str>, SeriesId>,
}

#[derive(Debug)]
struct Series {
    topic: TopicId,
    /// The instance id; empty when the metric is aggregated.
    instance: Box<str>,
    /// One window for each field of the topic.
    windows: Box<[Window]>,
    /// Up to which time each field's samples were handed out.
    handed_out: Box<[Option<Timestamp>]>,
    /// Every key of the series that is still in etcd.
    ledger: Ledger,
    /// When it was last heard of, by the clock.
    heard: Timestamp,
}

/// Every metric that some policy reads.
#[derive(Debug)]
pub struct Metrics {
    base: String,
    cleanup: Cleanup,
    topics: Vec<Topic>,
    /// From service type, metric key and whether it is aggregated to the topic.
    by_name: HashMap<String, HashMap<String, [Option<TopicId>; 2]>>,
    series: HashMap<SeriesId, Series>,
    next_series: u64,
    samples_held: usize,
    /// When each series, or later, has been silent for long enough.
    silence: BinaryHeap<Reverse<(Timestamp, SeriesId)>>,
    unneeded: Vec<String>,
    /// Series that have samples which were not handed out yet.
    held_back: HashSet<SeriesId>,
    reported: HashSet<String>,
    counts: Counts,
}

impl Metrics {
    /// What the policies of this configuration read.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut metrics = Self {
            base: config.etcd.metrics_base.clone(),
            cleanup: config.etcd.cleanup,
            topics: Vec::new(),
            by_name: HashMap::new(),
            series: HashMap::new(),
            next_series: 0,
            samples_held: 0,
            silence: BinaryHeap::new(),
            unneeded: Vec::new(),
            held_back: HashSet::new(),
            reported: HashSet::new(),
            counts: Counts::default(),
        };
        for policy in config.policies.values() {
            for window in &policy.windows {
                metrics.subscribe(window);
            }
        }
        metrics
    }

    /// Makes sure that a metric is read and kept long enough, and says where its samples will be found.
    pub fn subscribe(&mut self, window: &MetricWindow) -> Signal {
        let MetricWindow { service_type, metric, aggregated, span, .. } = window;
        let by_metric = self.by_name.entry(service_type.clone()).or_default();
        let slot = &mut by_metric.entry(metric.key.clone()).or_default()[usize::from(*aggregated)];
        let topic = *slot.get_or_insert_with(|| {
            self.topics.push(Topic {
                service_type: service_type.clone(),
                aggregated: *aggregated,
                fields: Vec::new(),
                span: SignedDuration::ZERO,
                series: HashMap::new(),
            });
            TopicId(u32::try_from(self.topics.len() - 1).unwrap_or(u32::MAX))
        });
        let entry = &mut self.topics[topic.0 as usize];
        entry.span = entry.span.max(*span);
        let known = entry.fields.iter().position(|field| *field == metric.field);
        let field = known.unwrap_or_else(|| {
            entry.fields.push(metric.field.clone());
            entry.fields.len() - 1
        });
        Signal { topic, field }
    }

    /// The service types whose metrics are read.
    pub fn service_types(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// The service type and instance id of a series; no id when the metric is aggregated.
    #[must_use]
    pub fn origin(&self, series: SeriesId) -> Option<(&str, Option<&str>)> {
        let series = self.series.get(&series)?;
        let topic = &self.topics[series.topic.0 as usize];
        Some((&topic.service_type, (!topic.aggregated).then_some(&*series.instance)))
    }

    /// How many keys were read and skipped so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes in a key that was written. Its samples come out of [`Metrics::fresh`]. Returns why it gave none, or not all,
    /// and whether that is the first time for keys with this prefix; nothing for a key that nobody reads.
    pub fn put(&mut self, key: &str, value: &str, now: Timestamp) -> Option<(Skipped, bool)> {
        let (skipped, prefix) = match self.try_put(key, value, now) {
            Ok(()) => return None,
            Err(refusal) => refusal,
        };
        match skipped {
            Skipped::Unwanted => return None,
            Skipped::Late => self.counts.late += 1,
            Skipped::BadTime => self.counts.bad_time += 1,
            Skipped::BadValue => self.counts.bad_value += 1,
            Skipped::TooMany => self.counts.too_many += 1,
        }
        let prefix = if skipped == Skipped::TooMany { "" } else { prefix };
        let first =
            self.reported.len() < REPORTED_MAX && self.reported.insert(format!("{skipped:?} {prefix}"));
        Some((skipped, first))
    }

    fn try_put<'k>(&mut self, key: &'k str, value: &str, now: Timestamp) -> Result<(), (Skipped, &'k str)> {
        let Some(path) = key::parse(&self.base, key) else { return Err((Skipped::Unwanted, key)) };
        let topics = self.by_name.get(path.service_type).and_then(|by_metric| by_metric.get(path.metric));
        let Some(topic) = topics.and_then(|topics| topics[usize::from(path.instance.is_none())]) else {
            return Err((Skipped::Unwanted, key));
        };
        let prefix = path.prefix;
        let at = parse_timestamp(path.time).filter(|at| at.duration_since(now) <= AHEAD_MAX);
        let at = at.ok_or((Skipped::BadTime, prefix))?;
        let id = self
            .series_of(topic, path.instance.unwrap_or_default(), at, now)
            .ok_or((Skipped::TooMany, prefix))?;
        self.record(id, at, key, value, now).map_err(|skipped| (skipped, prefix))
    }

    /// The series of an instance, made if it is new; `None` when there are too many.
    fn series_of(
        &mut self,
        topic: TopicId,
        instance: &str,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<SeriesId> {
        let entry = &mut self.topics[topic.0 as usize];
        if let Some(&id) = entry.series.get(instance) {
            return Some(id);
        }
        if self.series.len() >= SERIES_MAX {
            return None;
        }
        let id = SeriesId(self.next_series);
        self.next_series += 1;
        entry.series.insert(instance.into(), id);
        let windows = entry.fields.iter().map(|_| Window::new(entry.span)).collect();
        let handed_out = entry.fields.iter().map(|_| None).collect();
        let series = Series {
            topic,
            instance: instance.into(),
            windows,
            handed_out,
            ledger: Ledger::default(),
            heard: at.min(now),
        };
        self.silence.push(Reverse((series.silent_at(entry.span), id)));
        self.series.insert(id, series);
        Some(id)
    }

    fn record(
        &mut self,
        id: SeriesId,
        at: Timestamp,
        key: &str,
        value: &str,
        now: Timestamp,
    ) -> Result<(), Skipped> {
        let Some(series) = self.series.get_mut(&id) else { return Err(Skipped::Unwanted) };
        let topic = &self.topics[series.topic.0 as usize];
        let crowded = self.samples_held >= SAMPLES_MAX;
        let samples_max = if crowded { series.ledger.len().max(1) } else { SERIES_SAMPLES_MAX };
        if !series.ledger.insert(at, key) {
            return Err(Skipped::Late); // The key was written again.
        }
        self.samples_held += 1;
        let mut outcome = Ok(());
        for (field, number) in value::numbers(value, &topic.fields).into_iter().enumerate() {
            let Some(value) = number else {
                outcome = Err(Skipped::BadValue);
                continue;
            };
            let late = series.handed_out[field].is_some_and(|newest| at <= newest);
            if late || !series.windows[field].insert(Sample { at, value }, samples_max) {
                outcome = Err(Skipped::Late);
            } else {
                self.counts.samples += 1;
                self.held_back.insert(id);
            }
        }
        series.heard = series.heard.max(at.min(now));
        let held = series.ledger.len();
        // Only a sample of the series itself ages it: a key with a bad value says nothing about time.
        let oldest = series.windows.iter().filter_map(Window::oldest_wanted).min();
        let dropped = series.ledger.take(oldest.unwrap_or(Timestamp::MIN), samples_max);
        if held > samples_max {
            outcome = outcome.and(Err(Skipped::TooMany));
        }
        self.discard(dropped);
        outcome
    }

    fn discard(&mut self, keys: Vec<String>) {
        self.samples_held -= keys.len();
        if self.cleanup == Cleanup::WhenUnneeded && self.unneeded.len() < UNNEEDED_MAX {
            self.unneeded.extend(keys);
        }
    }

    /// The samples that were not handed out yet, in the order of their time; `live` if they were written just now and not
    /// found in a snapshot.
    pub fn fresh(&mut self, now: Timestamp, live: bool) -> Vec<Fresh> {
        let mut fresh = Vec::new();
        for id in self.held_back.drain() {
            let Some(series) = self.series.get_mut(&id) else { continue };
            for (field, window) in series.windows.iter().enumerate() {
                let signal = Signal { topic: series.topic, field };
                let before = fresh.len();
                fresh.extend(window.since(series.handed_out[field]).map(|sample| Fresh {
                    series: id,
                    signal,
                    sample,
                }));
                if fresh.len() > before {
                    series.handed_out[field] = fresh.last().map(|last: &Fresh| last.sample.at);
                }
            }
            if live {
                series.heard = now;
            }
        }
        fresh.sort_by_key(|fresh| (fresh.sample.at, fresh.series));
        fresh
    }

    /// Drops the series that have been silent for their window and a day, and says which, once for each of its signals.
    pub fn drop_silent(&mut self, now: Timestamp) -> Vec<(Signal, SeriesId)> {
        let mut dropped = Vec::new();
        while let Some(&Reverse((due, id))) = self.silence.peek() {
            if due > now {
                break;
            }
            self.silence.pop();
            let Some(series) = self.series.get(&id) else { continue };
            let topic = series.topic;
            let due = series.silent_at(self.topics[topic.0 as usize].span);
            if due > now {
                self.silence.push(Reverse((due, id)));
            } else {
                let fields = 0..self.topics[topic.0 as usize].fields.len();
                dropped.extend(fields.map(|field| (Signal { topic, field }, id)));
                self.drop_series(id);
            }
        }
        dropped
    }

    fn drop_series(&mut self, id: SeriesId) {
        let Some(mut series) = self.series.remove(&id) else { return };
        self.topics[series.topic.0 as usize].series.remove(&series.instance);
        self.held_back.remove(&id);
        let keys = series.ledger.take(Timestamp::MAX, 0);
        self.discard(keys);
    }

    /// When [`Metrics::drop_silent`] may next have something to do.
    #[must_use]
    pub fn next_silence(&self) -> Option<Timestamp> {
        self.silence.peek().map(|Reverse((due, _))| *due)
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

impl Series {
    fn silent_at(&self, span: SignedDuration) -> Timestamp {
        let patience = span.checked_add(SILENCE).unwrap_or(SignedDuration::MAX);
        self.heard.saturating_add(patience).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests;
