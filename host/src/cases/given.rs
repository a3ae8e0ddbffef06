//! The samples of a case on their way to the planner: as it would hear of them from a source, when their time has come.

use std::collections::{BTreeMap, BTreeSet};

use dynamite_core::{
    InstanceState, Opened, Reading, RegistrationChange, Sample, SampleBatch, SeenInstance, SeenService,
    SeriesId, SignalSpec, Stretch, WindowSpec,
};
use jiff::Timestamp;

use super::series::Given;
use super::steps::Step;

/// What the planner is told of at a step.
#[derive(Debug)]
pub(super) struct Arrivals {
    /// Whose series are whose.
    pub(super) registrations: Vec<RegistrationChange>,
    /// The samples.
    pub(super) batches: Vec<SampleBatch>,
}

/// A series of the case.
#[derive(Debug)]
struct Series {
    id: Option<SeriesId>,
    /// The unit or number that the case says it belongs to, if it does.
    said: Option<String>,
    /// The unit that the planner was told it belongs to.
    registered: Option<String>,
    /// Samples whose time has not come.
    waiting: Vec<Sample>,
}

/// The samples of a case.
#[derive(Debug)]
pub(super) struct Incoming {
    signals: Vec<SignalSpec>,
    series: BTreeMap<(SignalSpec, String), Series>,
    places: u32,
    is_new: bool,
}

impl Incoming {
    /// None have come.
    pub(super) fn new(windows: &[WindowSpec]) -> Self {
        let signals = windows.iter().map(|window| window.signal.clone()).collect();
        Self { signals, series: BTreeMap::new(), places: 0, is_new: true }
    }

    /// These series are gone; should more come of them, they begin anew.
    pub(super) fn forget(&mut self, dropped: &[SeriesId]) {
        for series in self.series.values_mut() {
            series.id = series.id.filter(|id| !dropped.contains(id));
        }
    }

    /// What arrives at a step, where the service is as it is seen.
    pub(super) fn arrive(&mut self, step: &Step, service: &SeenService) -> Arrivals {
        for given in &*step.given {
            self.take(given);
        }
        if let Some(load) = step.load {
            self.carry(load, step.now, service);
        }
        let registrations = self.register(&service.instances);
        let batches = self.batches(step.now);
        Arrivals { registrations, batches }
    }

    fn take(&mut self, given: &Given) {
        let Some(signal) = self.signals.get(given.window) else { return };
        let key = (signal.clone(), given.id.clone());
        let new = || Series { id: None, said: None, registered: None, waiting: Vec::new() };
        let series = self.series.entry(key).or_insert_with(new);
        if given.instance.is_some() {
            series.said.clone_from(&given.instance);
        }
        series.waiting.extend(&given.samples);
    }

    /// Shares a load out evenly among the running instances, as a sample of the first metric for each of them. Of an
    /// aggregated metric all of it is the sample.
    fn carry(&mut self, load: f64, now: Timestamp, service: &SeenService) {
        let sample = |id, instance, value| {
            let samples = vec![Sample { at: now, value }];
            Given { window: 0, id, instance, samples }
        };
        let is_aggregated = self.signals.first().is_some_and(|signal| signal.aggregated);
        let given: Vec<Given> = if is_aggregated {
            vec![sample(String::new(), None, load)]
        } else {
            let running =
                service.instances.iter().filter(|instance| instance.state == InstanceState::Running);
            let share = load / f64::from(u32::try_from(running.clone().count()).unwrap_or(u32::MAX));
            let of = |instance: &SeenInstance| {
                sample(instance.number.to_string(), Some(instance.name.clone()), share)
            };
            running.map(of).collect()
        };
        for given in &given {
            self.take(given);
        }
    }

    /// An instance registers when it comes, and is not registered any more when it is gone.
    fn register(&mut self, instances: &[SeenInstance]) -> Vec<RegistrationChange> {
        let mut changes = Vec::new();
        for ((signal, id), series) in self.series.iter_mut().filter(|((signal, _), _)| !signal.aggregated) {
            let unit = owner(instances, id, series.said.as_deref()).map(|instance| instance.name.clone());
            if unit == series.registered {
                continue;
            }
            series.registered.clone_from(&unit);
            let (kind, id) = (signal.service_type.to_string(), id.clone());
            changes.push(match unit {
                Some(unit) => RegistrationChange::Registered { kind, id, unit },
                None => RegistrationChange::Gone { kind, id },
            });
        }
        if self.is_new {
            changes.push(RegistrationChange::Complete);
        }
        changes
    }

    /// The samples whose time has come. At the first step all but the newest of each series are from before the start.
    fn batches(&mut self, now: Timestamp) -> Vec<SampleBatch> {
        let mut opened = Vec::new();
        let (mut backlog, mut live) = (Vec::new(), Vec::new());
        let is_new = std::mem::replace(&mut self.is_new, false);
        for ((signal, instance), series) in &mut self.series {
            let (mut ready, waiting): (Vec<Sample>, Vec<Sample>) =
                series.waiting.drain(..).partition(|sample| sample.at <= now);
            series.waiting = waiting;
            let mut times = BTreeSet::new();
            ready.retain(|sample| times.insert(sample.at));
            let Some(newest) = times.last().copied() else { continue };
            let id = *series.id.get_or_insert_with(|| {
                let (series, signal) = (SeriesId { place: self.places, life: 0 }, signal.clone());
                self.places += 1;
                opened.push(Opened { series, signal, instance: instance.clone(), at: newest });
                series
            });
            for Sample { at, value } in ready {
                let reading = Reading { series: id, at, value };
                if is_new && at < newest { &mut backlog } else { &mut live }.push(reading);
            }
        }
        let batch =
            |stretch, opened, readings| SampleBatch { stretch, opened, readings, skipped: Vec::new() };
        if is_new {
            vec![batch(Stretch::SnapshotEnd, opened, backlog), batch(Stretch::Live, Vec::new(), live)]
        } else {
            vec![batch(Stretch::Live, opened, live)]
        }
    }
}

/// The instance that a series belongs to: the one that the case says, else the one whose name or number is the id.
pub(super) fn owner<'i>(
    instances: &'i [SeenInstance],
    id: &str,
    said: Option<&str>,
) -> Option<&'i SeenInstance> {
    let name = said.unwrap_or(id);
    instances.iter().find(|instance| instance.name == name || instance.number.to_string() == name)
}
