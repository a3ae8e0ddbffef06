//! What a policy under test sees of the world, and what its decisions change in it: the daemon in small, without fleet.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::decider::Fresh;
use super::file::Case;
use super::series::Given;
use super::steps::Step;
use crate::metrics::shown_until;
use crate::scaling::{
    Direction, InstanceState, Observation, PastAction, Proposal, Sample, SeenInstance, SeenSeries,
    SeenWindow, Verdict, Window,
};

/// The most samples of a series, as in the daemon.
const SERIES_SAMPLES_MAX: usize = 10_000;

/// A series with what the policy has seen of it.
#[derive(Debug)]
struct Series {
    window: Window,
    /// The unit or number that the case says it belongs to.
    instance: Option<String>,
    /// The newest sample that was shown.
    shown: Option<Timestamp>,
    /// When samples last came.
    heard: Timestamp,
}

/// The world of a case.
#[derive(Debug)]
pub(crate) struct World<'c> {
    case: &'c Case,
    now: Timestamp,
    instances: Vec<SeenInstance>,
    /// By the number of the window, and the id.
    series: Vec<BTreeMap<String, Series>>,
    last_up: Option<PastAction>,
    last_down: Option<PastAction>,
    /// When a decision of this case scaled, for the cooldown.
    scaled_up_at: Option<Timestamp>,
    scaled_down_at: Option<Timestamp>,
}

impl<'c> World<'c> {
    /// The world as the case begins.
    pub(super) fn new(case: &'c Case) -> Self {
        Self {
            case,
            now: case.now,
            instances: case.service.seen.instances.clone(),
            series: case.policy.windows.iter().map(|_| BTreeMap::new()).collect(),
            last_up: case.last_up,
            last_down: case.last_down,
            scaled_up_at: None,
            scaled_down_at: None,
        }
    }

    /// Takes in what has happened by the time of a step. Returns the samples that are new, in the order of their time.
    pub(super) fn advance(&mut self, step: &Step) -> Vec<Fresh> {
        self.now = step.now;
        if let Some(instances) = &step.instances {
            self.instances = instances.to_vec();
        }
        for instance in &mut self.instances {
            let up_at = instance.since.saturating_add(self.case.start_takes).unwrap_or(Timestamp::MAX);
            if self.case.closed_loop && instance.state == InstanceState::Starting && up_at <= self.now {
                *instance = SeenInstance { state: InstanceState::Running, since: up_at, ..instance.clone() };
            }
        }
        for given in &*step.given {
            self.take(given);
        }
        if let Some(load) = step.load {
            self.carry(load);
        }
        self.fresh()
    }

    fn take(&mut self, given: &Given) {
        let Some(window) = self.case.policy.windows.get(given.window) else { return };
        let series = self.series[given.window].entry(given.id.clone()).or_insert_with(|| Series {
            window: Window::new(window.span),
            instance: None,
            shown: None,
            heard: self.now,
        });
        series.heard = self.now;
        if given.instance.is_some() {
            series.instance.clone_from(&given.instance);
        }
        for &sample in &given.samples {
            // Once a newer sample was shown, an older one comes too late.
            if series.shown.is_none_or(|shown| sample.at > shown) {
                series.window.insert(sample, SERIES_SAMPLES_MAX);
            }
        }
    }

    /// Shares a load out evenly among the running instances, as a sample of the first metric for each of them. Of an
    /// aggregated metric all of it is the sample.
    fn carry(&mut self, load: f64) {
        let sample = |id, instance, value| {
            let samples = vec![Sample { at: self.now, value }];
            Given { window: 0, id, instance, samples }
        };
        let aggregated = self.case.policy.windows.first().is_some_and(|window| window.aggregated);
        let given: Vec<Given> = if aggregated {
            vec![sample(String::new(), None, load)]
        } else {
            let running = self.instances.iter().filter(|instance| instance.state == InstanceState::Running);
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

    fn fresh(&mut self) -> Vec<Fresh> {
        let instances = &self.instances;
        let mut fresh = Vec::new();
        for (window, by_id) in self.series.iter_mut().enumerate() {
            for (id, series) in by_id {
                let instance = owner(instances, id, series.instance.as_deref());
                let new: Vec<Sample> = series.window.since(series.shown).collect();
                series.shown = new.last().map(|sample| sample.at).or(series.shown);
                fresh.extend(new.into_iter().map(|sample| Fresh {
                    window,
                    id: id.clone(),
                    instance: instance.map(|instance| instance.name.clone()),
                    sample,
                }));
            }
        }
        fresh.sort_by_key(|fresh| fresh.sample.at);
        fresh
    }

    /// What the policy sees now.
    pub(crate) fn observation(&self) -> Observation {
        let mut service = self.case.service.seen.clone();
        service.instances.clone_from(&self.instances);
        let windows = self.case.policy.windows.iter().zip(&self.series);
        let windows = windows.map(|(window, by_id)| SeenWindow {
            service_type: window.service_type.clone(),
            metric: window.metric.to_string(),
            unit: window.unit.clone().unwrap_or_default(),
            aggregated: window.aggregated,
            length_ms: u64::try_from(window.span.as_millis()).unwrap_or(0),
            series: by_id
                .iter()
                .filter(|(_, series)| self.now <= shown_until(series.heard, window.span))
                .map(|(id, series)| self.seen_series(id, series))
                .collect(),
        });
        Observation {
            now: self.now,
            service,
            windows: windows.collect(),
            last_up: self.last_up,
            last_down: self.last_down,
        }
    }

    fn seen_series(&self, id: &str, series: &Series) -> SeenSeries {
        let owner = owner(&self.instances, id, series.instance.as_deref());
        let ms = |at: Timestamp| u64::try_from(at.as_millisecond()).unwrap_or(0);
        SeenSeries {
            id: id.to_owned(),
            instance: owner.map(|instance| instance.name.clone()),
            at_ms: series.window.since(None).map(|sample| ms(sample.at)).collect(),
            values: series.window.since(None).map(|sample| sample.value).collect(),
        }
    }

    /// How many instances there are, without those that are going.
    pub(super) fn count(&self) -> u32 {
        let counted = self.instances.iter().filter(|instance| instance.state != InstanceState::Stopping);
        u32::try_from(counted.count()).unwrap_or(u32::MAX)
    }

    /// How many instances there shall be by a proposal: within the bounds, and only in a direction that the policy has.
    pub(crate) fn wanted(&self, proposal: &Proposal) -> u32 {
        let count = self.count();
        let wanted = self.case.service.bounds().clamp(proposal.wanted(count));
        match self.case.policy.direction {
            Some(Direction::Up) => wanted.max(count),
            Some(Direction::Down) => wanted.min(count),
            None => wanted,
        }
    }

    /// A verdict, unless it names instances that there are not.
    pub(crate) fn checked(&self, verdict: Verdict) -> Result<Verdict, String> {
        let Proposal::Stop(names) = &verdict.proposal else { return Ok(verdict) };
        let is_unknown = |name: &&String| self.instances.iter().all(|instance| instance.name != **name);
        let unknown: Vec<&str> = names.iter().filter(is_unknown).map(String::as_str).collect();
        if unknown.is_empty() {
            return Ok(verdict);
        }
        Err(format!("it wants to stop {}, which is none of the instances", unknown.join(", ")))
    }

    /// Lets the instances follow a decision, unless the policy is resting.
    pub(super) fn follow(&mut self, proposal: &Proposal) {
        let (count, wanted) = (self.count(), self.wanted(proposal));
        let resting = |scaled_at: Option<Timestamp>| {
            scaled_at.is_some_and(|at| self.now.duration_since(at) < self.case.policy.cooldown)
        };
        let action = PastAction { at: self.now, before: count, after: wanted };
        if wanted > count && !resting(self.scaled_up_at) {
            (self.last_up, self.scaled_up_at) = (Some(action), Some(self.now));
            self.grow(wanted - count);
        } else if wanted < count && !resting(self.scaled_down_at) {
            let gone = self.shrink(count - wanted, proposal);
            if gone > 0 {
                let action = PastAction { after: count - gone, ..action };
                (self.last_down, self.scaled_down_at) = (Some(action), Some(self.now));
            }
        }
    }

    fn grow(&mut self, by: u32) {
        let service = &self.case.service;
        let state =
            if self.case.start_takes.is_zero() { InstanceState::Running } else { InstanceState::Starting };
        let numbers: Vec<u32> = service.free_numbers(&self.instances).take(by as usize).collect();
        self.instances.extend(numbers.into_iter().map(|number| service.instance(number, state, self.now)));
        self.instances.sort_by_key(|instance| instance.number);
    }

    /// Those that are named go, else those with the highest numbers, as far as they are up, and the minimum stays up. Returns
    /// how many went. Their series are shown until they have been silent for long enough.
    fn shrink(&mut self, by: u32, proposal: &Proposal) -> u32 {
        let is_up = |instance: &&SeenInstance| instance.state == InstanceState::Running;
        let counts = |instance: &&SeenInstance| instance.state != InstanceState::Stopping;
        let up = self.instances.iter().filter(is_up).count();
        let spare = up.saturating_sub(self.case.service.bounds().min as usize);
        let candidates: Vec<&SeenInstance> = if let Proposal::Stop(names) = proposal {
            self.instances.iter().filter(|instance| names.contains(&instance.name)).collect()
        } else {
            self.instances.iter().rev().filter(counts).take(by as usize).collect()
        };
        let going = candidates.into_iter().filter(is_up).map(|instance| instance.name.clone());
        let going: Vec<String> = going.take(spare.min(by as usize)).collect();
        self.instances.retain(|instance| !going.contains(&instance.name));
        u32::try_from(going.len()).unwrap_or(u32::MAX)
    }
}

/// The instance that a series belongs to: the one that the case says, else the one whose name or number is the id.
pub(super) fn owner<'i>(
    instances: &'i [SeenInstance],
    id: &str,
    instance: Option<&str>,
) -> Option<&'i SeenInstance> {
    let name = instance.unwrap_or(id);
    instances.iter().find(|instance| instance.name == name || instance.number.to_string() == name)
}
