//! The windows of every signal that is read: readings go in once, whoever wants them, and come out in the order of time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Turn;
use super::samples::{Opened, Reading, SampleBatch, SkippedSample, Stretch};
use super::series::{Series, SignalIndex};
use crate::{Counts, Event, Sample, SeenWindow, SeriesId, SignalSpec, Skipped, Spec, WindowSpec};

/// The most series that are kept: twice the 100,000 that this is built for. Each costs some 300 bytes.
pub const SERIES_MAX: usize = 200_000;
/// The most samples that are kept for one series: more than a day of one each second.
pub(super) const SERIES_SAMPLES_MAX: usize = 100_000;
/// The most samples that are kept in all, about 100 bytes each. Beyond it a series keeps no more than it has.
pub const SAMPLES_MAX: usize = 1_000_000;
/// A time further ahead of the clock than this is nonsense: it would make its series ignore every honest sample.
pub const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);
/// A sample that was not shown to policies yet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fresh {
    pub(super) series: SeriesId,
    pub(super) signal: SignalIndex,
    pub(super) sample: Sample,
}

/// What is known of whoever writes a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Writer {
    /// No instance of that id has registered.
    Unknown,
    /// The service's unit of this name.
    Own(Arc<str>),
    /// Another service of the same type: the policy is not shown the series.
    Foreign,
}

#[derive(Clone, Debug)]
struct Signal {
    spec: SignalSpec,
    span: SignedDuration,
    series: BTreeMap<Arc<str>, SeriesId>,
}

/// The windows of every signal.
#[derive(Clone, Debug, Default)]
pub(super) struct Signals {
    all: Vec<Signal>,
    by_spec: HashMap<SignalSpec, SignalIndex>,
    /// By place.
    series: Vec<Option<Box<Series>>>,
    held_back: Vec<SeriesId>,
    let_go: Vec<SeriesId>,
    samples_held: usize,
    /// When each series, or later, has been silent for long enough.
    silence: BinaryHeap<Reverse<(Timestamp, SeriesId)>>,
    counts: Counts,
    /// It was told that there are more samples than are kept.
    is_full: bool,
}

impl Signals {
    /// What a specification reads, and nothing read yet.
    pub(super) fn of(spec: &Spec) -> Self {
        let mut signals = Self::default();
        for kept in &spec.signals {
            signals.keep(&kept.signal, kept.span);
        }
        signals
    }

    fn keep(&mut self, spec: &SignalSpec, span: SignedDuration) {
        if let Some(known) = self.by_spec.get(spec) {
            let signal = &mut self.all[known.0];
            signal.span = signal.span.max(span);
            return;
        }
        self.by_spec.insert(spec.clone(), SignalIndex(self.all.len()));
        self.all.push(Signal { spec: spec.clone(), span, series: BTreeMap::new() });
    }

    /// Reads what another specification says; what it reads too is kept, over its span.
    pub(super) fn specify(&mut self, spec: &Spec) {
        let before = std::mem::replace(self, Self::of(spec));
        (self.counts, self.is_full) = (before.counts, before.is_full);
        for mut series in before.series.into_iter().flatten() {
            let old = &before.all[series.signal.0].spec;
            let Some(&signal) = self.by_spec.get(old) else { continue };
            let span = self.all[signal.0].span;
            series.signal = signal;
            series.window.set_span(span);
            series.columns.take();
            self.samples_held += series.window.len();
            self.silence.push(Reverse((series.silent_at(span), series.id)));
            if series.is_held_back {
                self.held_back.push(series.id);
            }
            self.all[signal.0].series.insert(series.instance.clone(), series.id);
            self.place(series);
        }
    }

    /// Where the samples of a signal are found; `None` if nobody reads it.
    pub(super) fn index(&self, spec: &SignalSpec) -> Option<SignalIndex> {
        self.by_spec.get(spec).copied()
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// What a series measures, and the instance id of whoever writes it.
    pub(super) fn origin(&self, series: SeriesId) -> Option<(&SignalSpec, &str)> {
        let series = self.get(series)?;
        Some((&self.all[series.signal.0].spec, &series.instance))
    }

    fn get(&self, series: SeriesId) -> Option<&Series> {
        self.series.get(series.place as usize)?.as_deref().filter(|found| found.id == series)
    }

    fn place(&mut self, series: Box<Series>) {
        let place = series.id.place as usize;
        if place >= self.series.len() {
            self.series.resize(place + 1, None);
        }
        self.series[place] = Some(series);
    }

    /// Takes a batch in. Its samples come out of [`Signals::fresh`].
    pub(super) fn take(&mut self, batch: SampleBatch, turn: &mut Turn<'_>) {
        for opened in batch.opened {
            self.open(opened, turn.now);
        }
        let is_live = batch.stretch == Stretch::Live;
        for reading in batch.readings {
            self.read(reading, is_live, turn);
        }
        self.tell_released(turn);
        for SkippedSample { why, first_at } in batch.skipped {
            self.counts.skip(why);
            if let Some(key) = first_at {
                turn.tell(Event::SampleSkipped { key, why, counts: self.counts });
            }
        }
    }

    fn open(&mut self, opened: Opened, now: Timestamp) {
        let Opened { series: id, signal, instance, at } = opened;
        let Some(signal) = self.index(&signal) else { return };
        if id.place as usize >= SERIES_MAX * self.all.len() {
            return;
        }
        let entry = &mut self.all[signal.0];
        let instance: Arc<str> = instance.into();
        entry.series.insert(instance.clone(), id);
        let series = Series::new(id, signal, instance, entry.span, at.min(now));
        self.silence.push(Reverse((series.silent_at(entry.span), id)));
        self.place(Box::new(series));
    }

    fn read(&mut self, reading: Reading, is_live: bool, turn: &mut Turn<'_>) {
        let Reading { series: id, at, value } = reading;
        let Some(series) = find(&mut self.series, id) else { return };
        let before = series.window.len();
        let is_crowded = self.samples_held >= SAMPLES_MAX;
        let samples_max = if is_crowded { before.max(1) } else { SERIES_SAMPLES_MAX };
        series.heard = series.heard.max(at.min(turn.now));
        let is_late = series.shown.is_some_and(|newest| at <= newest);
        // Each sample is shown, also if another of the same batch leaves it behind; those from before the start need not be.
        let keep_after = series.shown.unwrap_or(if is_live { Timestamp::MIN } else { Timestamp::MAX });
        if is_late || !series.window.insert(Sample { at, value }, samples_max, keep_after) {
            self.counts.skip(Skipped::Late);
            return;
        }
        series.columns.take();
        self.counts.samples += 1;
        let held = series.window.len();
        self.samples_held = self.samples_held + held - before;
        if !std::mem::replace(&mut series.is_held_back, true) {
            self.held_back.push(id);
        }
        if held <= before && !std::mem::replace(&mut series.has_let_go, true) {
            self.let_go.push(id);
        }
        if held == samples_max && held <= before {
            self.counts.skip(Skipped::TooMany);
            if !std::mem::replace(&mut self.is_full, true) {
                let SignalSpec { service_type, metric, .. } = &self.all[series.signal.0].spec;
                let key = format!("{service_type}/{}/{metric}", series.instance);
                turn.tell(Event::SampleSkipped { key, why: Skipped::TooMany, counts: self.counts });
            }
        }
    }

    /// Tells what windows have let go: of each series once, however much that was.
    fn tell_released(&mut self, turn: &mut Turn<'_>) {
        let is_crowded = self.samples_held >= SAMPLES_MAX;
        for id in self.let_go.drain(..) {
            let Some(series) = find(&mut self.series, id) else { continue };
            series.has_let_go = false;
            // Full, it wants no more than it holds, and else what its span reaches.
            let is_full = is_crowded || series.window.len() >= SERIES_SAMPLES_MAX;
            let held_from = series.window.oldest().map(|sample| sample.at).filter(|_| is_full);
            let oldest = held_from.or(series.window.oldest_wanted());
            turn.effects.released.extend(oldest.map(|oldest| (id, oldest)));
        }
    }

    /// The samples that were not shown yet, in the order of their time; `live` if they were written just now.
    pub(super) fn fresh(&mut self, turn: &mut Turn<'_>, live: bool) -> Vec<Fresh> {
        let mut fresh = Vec::with_capacity(self.held_back.len());
        for id in self.held_back.drain(..) {
            let Some(series) = find(&mut self.series, id) else { continue };
            series.is_held_back = false;
            let signal = series.signal;
            let new = series.window.since(series.shown);
            fresh.extend(new.map(|sample| Fresh { series: id, signal, sample }));
            series.shown = series.window.newest().map(|newest| newest.at);
            let held = series.window.len();
            series.window.trim();
            let gone = held - series.window.len();
            if gone > 0 {
                self.samples_held -= gone;
                turn.effects.released.extend(series.window.oldest_wanted().map(|oldest| (id, oldest)));
            }
            if live {
                series.heard = turn.now;
            }
        }
        fresh.sort_by_key(|fresh| (fresh.sample.at, fresh.series));
        fresh
    }

    /// Drops the series that have been silent for their window and a day, and says which.
    pub(super) fn drop_silent(&mut self, now: Timestamp) -> Vec<(SignalIndex, SeriesId)> {
        let mut dropped = Vec::new();
        while let Some(&Reverse((due, id))) = self.silence.peek() {
            if due > now {
                break;
            }
            self.silence.pop();
            let Some(series) = self.get(id) else { continue };
            let (signal, due) = (series.signal, series.silent_at(self.all[series.signal.0].span));
            if due > now {
                self.silence.push(Reverse((due, id)));
                continue;
            }
            dropped.push((signal, id));
            if let Some(series) = self.series[id.place as usize].take() {
                self.samples_held -= series.window.len();
                self.all[signal.0].series.remove(&series.instance);
            }
        }
        dropped
    }

    /// The window of a policy on a signal at `now`. `writer` says of each instance id whose it is. Costs as much as it
    /// returns.
    pub(super) fn seen(
        &self,
        signal: SignalIndex,
        window: &WindowSpec,
        now: Timestamp,
        writer: impl Fn(&str) -> Writer,
    ) -> SeenWindow {
        let aggregated = window.signal.aggregated;
        let series = self.all[signal.0].series.values().filter_map(|id| {
            let series = self.get(*id).filter(|series| now <= series.shown_until(window.span))?;
            let writer = if aggregated { Writer::Unknown } else { writer(&series.instance) };
            match writer {
                Writer::Unknown => series.seen(window, None),
                Writer::Own(unit) => series.seen(window, Some(unit)),
                Writer::Foreign => None,
            }
        });
        SeenWindow {
            service_type: window.signal.service_type.clone(),
            metric: window.signal.metric.clone(),
            unit: window.unit.clone(),
            aggregated,
            length_ms: u64::try_from(window.span.as_millis()).unwrap_or(0),
            series: series.collect(),
        }
    }
}

/// A series, unless another one has its place by now.
fn find(all: &mut [Option<Box<Series>>], id: SeriesId) -> Option<&mut Series> {
    all.get_mut(id.place as usize)?.as_deref_mut().filter(|found| found.id == id)
}
