//! What instances write under metrics: the series that come of it, and every key that is still in etcd.

use dynamite_core::{SAMPLES_MAX, SERIES_MAX, SeriesId};
use jiff::Timestamp;

use super::ledger::Ledger;

/// The most keys that are remembered for one entry: as many as a series has samples.
const ENTRY_KEYS_MAX: usize = 100_000;

/// Which entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryIndex(usize);

/// What one instance writes under a topic.
#[derive(Debug)]
struct Entry {
    topic: usize,
    /// The instance id; empty when the metric is aggregated.
    instance: Box<str>,
    /// The series of each field of the topic, once it has one.
    series: Box<[Option<SeriesId>]>,
    /// From which time on the samples of each field are needed.
    needed_from: Box<[Timestamp]>,
    /// Every key that is still in etcd.
    ledger: Ledger,
}

/// Where a series is found.
#[derive(Clone, Copy, Debug)]
struct Place {
    life: u32,
    entry: EntryIndex,
    field: usize,
}

/// Every entry, and every series by its place.
#[derive(Debug, Default)]
pub(super) struct Entries {
    all: Vec<Option<Box<Entry>>>,
    free: Vec<usize>,
    places: Vec<Place>,
    free_places: Vec<u32>,
    keys_held: usize,
}

impl Entries {
    /// A new entry with so many fields; `None` when there are too many.
    pub(super) fn add(&mut self, topic: usize, instance: &str, fields: usize) -> Option<EntryIndex> {
        if self.all.len() - self.free.len() >= SERIES_MAX {
            return None;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            self.all.len() - 1
        });
        self.all[index] = Some(Box::new(Entry {
            topic,
            instance: instance.into(),
            series: vec![None; fields].into(),
            needed_from: vec![Timestamp::MIN; fields].into(),
            ledger: Ledger::default(),
        }));
        Some(EntryIndex(index))
    }

    /// Notes a key. Returns the keys that nobody needs any more; `None` if it was noted before.
    pub(super) fn note(&mut self, index: EntryIndex, at: Timestamp, key: &str) -> Option<Vec<String>> {
        let is_crowded = self.keys_held >= SAMPLES_MAX;
        let entry = self.all[index.0].as_mut()?;
        let keys_max = if is_crowded { entry.ledger.len().max(1) } else { ENTRY_KEYS_MAX };
        if !entry.ledger.insert(at, key) {
            return None;
        }
        self.keys_held += 1;
        let oldest = entry.needed_from();
        Some(self.dropped(index, oldest, keys_max))
    }

    /// The series of a field of an entry, and whether it is new.
    pub(super) fn series(&mut self, index: EntryIndex, field: usize) -> (SeriesId, bool) {
        let known = self.all[index.0].as_ref().and_then(|entry| entry.series[field]);
        if let Some(series) = known {
            return (series, false);
        }
        let place = self.free_places.pop().unwrap_or_else(|| {
            self.places.push(Place { life: 0, entry: index, field });
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        let found = &mut self.places[place as usize];
        (found.entry, found.field) = (index, field);
        let series = SeriesId { place, life: found.life };
        if let Some(entry) = &mut self.all[index.0] {
            entry.series[field] = Some(series);
            entry.needed_from[field] = Timestamp::MIN;
        }
        (series, true)
    }

    fn place(&self, series: SeriesId) -> Option<Place> {
        self.places.get(series.place as usize).copied().filter(|place| place.life == series.life)
    }

    /// Of a series nobody needs the samples before this time. Returns the keys that nobody needs then.
    pub(super) fn release(&mut self, series: SeriesId, until: Timestamp) -> Vec<String> {
        let Some(Place { entry: index, field, .. }) = self.place(series) else { return Vec::new() };
        let Some(entry) = &mut self.all[index.0] else { return Vec::new() };
        let needed_from = &mut entry.needed_from[field];
        *needed_from = until.max(*needed_from);
        let oldest = entry.needed_from();
        self.dropped(index, oldest, usize::MAX)
    }

    /// Of a series nobody needs anything. Returns the keys that nobody needs then, and the topic and instance of its entry if
    /// that was the last series of it.
    pub(super) fn forget(&mut self, series: SeriesId) -> (Vec<String>, Option<(usize, Box<str>)>) {
        let Some(Place { entry: index, field, .. }) = self.place(series) else { return (Vec::new(), None) };
        self.places[series.place as usize].life += 1;
        self.free_places.push(series.place);
        let Some(entry) = &mut self.all[index.0] else { return (Vec::new(), None) };
        (entry.series[field], entry.needed_from[field]) = (None, Timestamp::MAX);
        let is_gone = entry.series.iter().all(Option::is_none);
        let oldest = entry.needed_from();
        let dropped = self.dropped(index, oldest, usize::MAX);
        if !is_gone {
            return (dropped, None);
        }
        self.free.push(index.0);
        (dropped, self.all[index.0].take().map(|entry| (entry.topic, entry.instance)))
    }

    fn dropped(&mut self, index: EntryIndex, oldest: Timestamp, keys_max: usize) -> Vec<String> {
        let Some(entry) = &mut self.all[index.0] else { return Vec::new() };
        let dropped = entry.ledger.take(oldest, keys_max);
        self.keys_held -= dropped.len();
        dropped
    }
}

impl Entry {
    fn needed_from(&self) -> Timestamp {
        self.needed_from.iter().copied().min().unwrap_or(Timestamp::MIN)
    }
}
