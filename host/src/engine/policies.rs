//! The policies of every service, and which samples each of them reads.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::act::Job;
use super::board::Board;
use super::post;
use super::registrations::Owner;
use super::told::Told;
use crate::config::{Config, PolicyKind, Role};
use crate::metrics::{Fresh, Metrics, SeriesId, Signal};
use crate::record::{CooldownRecord, Stored};
use crate::scaling::{Decision, Direction, Firing, Outcome, Reason, Threshold, Verb};

/// A policy in one direction of one service.
#[derive(Debug)]
struct Scaler {
    service: usize,
    direction: Direction,
    policy: String,
    metric: String,
    threshold: Threshold<SeriesId>,
    /// How many of its decisions something stopped.
    stopped: u64,
    told: Told,
}

/// The scalers that read a signal and scale services of one type.
#[derive(Debug, Default)]
struct Readers {
    all: Vec<usize>,
    by_service: HashMap<usize, Vec<usize>>,
}

/// Every policy of every service.
#[derive(Debug)]
pub(crate) struct Policies {
    scalers: Vec<Scaler>,
    /// The readers of each signal, by the type of the service that they scale.
    readers: HashMap<Signal, BTreeMap<String, Readers>>,
}

/// Whether samples may cause actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They were there before the start: they only bring triggers up to date.
    Rebuild,
    /// They came since.
    Live,
}

/// A sample with what is known of its series.
#[derive(Debug)]
pub(crate) struct Shown<'s> {
    pub(crate) fresh: &'s Fresh,
    /// The instance id; `None` when the metric is aggregated.
    pub(crate) id: Option<&'s str>,
    /// The instance that the series belongs to, if it has registered.
    pub(crate) owner: Option<Owner>,
    pub(crate) mode: Mode,
}

impl Policies {
    /// The policies that services of the board refer to, with their cooldowns.
    pub(crate) fn new(config: &Config, board: &Board, metrics: &mut Metrics, stored: &Stored) -> Self {
        let mut policies = Self { scalers: Vec::new(), readers: HashMap::new() };
        for service in config.services.values().filter(|service| service.role == Role::Scaled) {
            let Some(&index) = board.by_name.get(&service.name) else { continue };
            for (name, directions) in service.policies() {
                let Some(policy) = config.policies.get(name) else { continue };
                // A threshold policy goes one way, and has one window.
                let (PolicyKind::Threshold(rule), [direction], [window]) =
                    (&policy.kind, directions, &*policy.windows)
                else {
                    continue;
                };
                let (rule, direction) = (*rule, *direction);
                let cooldown = stored.cooldown(&service.name, direction, &policy.name);
                let threshold = Threshold::new(rule, cooldown);
                let signal = metrics.subscribe(window);
                let by_type = policies.readers.entry(signal).or_default();
                let readers = by_type.entry(service.service_type.clone()).or_default();
                readers.all.push(policies.scalers.len());
                readers.by_service.entry(index).or_default().push(policies.scalers.len());
                policies.scalers.push(Scaler {
                    service: index,
                    direction,
                    policy: policy.name.clone(),
                    metric: window.metric.to_string(),
                    threshold,
                    stopped: 0,
                    told: Told::default(),
                });
            }
        }
        policies
    }

    /// Forgets a series that is gone.
    pub(crate) fn forget(&mut self, signal: Signal, series: SeriesId) {
        for readers in self.readers.get(&signal).into_iter().flat_map(BTreeMap::values) {
            for &index in &readers.all {
                self.scalers[index].threshold.forget(&series);
            }
        }
    }

    /// Shows a sample to every policy that reads it.
    pub(crate) fn step(&mut self, shown: &Shown<'_>, board: &mut Board, jobs: &mut Vec<Job>) {
        let Some(by_type) = self.readers.get(&shown.fresh.signal) else { return };
        for (service_type, readers) in by_type {
            // A series of some instance is no business of other services of that instance's type.
            let own =
                shown.owner.filter(|owner| board.posts[owner.service].service.service_type == *service_type);
            let indices = match own {
                Some(owner) => readers.by_service.get(&owner.service).map_or(&[][..], Vec::as_slice),
                None => &readers.all,
            };
            for &index in indices {
                jobs.extend(self.scalers[index].step(shown, board));
            }
        }
    }
}

impl Scaler {
    fn step(&mut self, shown: &Shown<'_>, board: &mut Board) -> Option<Job> {
        let Fresh { series, sample, .. } = *shown.fresh;
        let Outcome::Fired(since) = self.threshold.step(series, sample) else { return None };
        if shown.mode == Mode::Rebuild {
            return None;
        }
        let number = shown.owner.filter(|owner| owner.service == self.service).map(|owner| owner.number);
        match board.scale(self.service, self.direction, number) {
            Err(reason) => {
                self.hold(reason, sample.at, board);
                None
            }
            Ok(number) => {
                let reason = Reason::Threshold(Box::new(self.firing(shown.fresh, since, shown.id)));
                let cooldown = self.threshold.fired(&series, sample.at);
                let count = board.posts[self.service].roster.count();
                let to = self.direction.step(count);
                let cooldown = CooldownRecord::new(&self.policy, cooldown, (count, to));
                self.told.forget();
                Some(board.decide(self.service, self.direction, number, &reason, cooldown))
            }
        }
    }

    fn firing(&self, fresh: &Fresh, since: Timestamp, id: Option<&str>) -> Firing {
        Firing {
            policy: self.policy.clone(),
            metric: self.metric.clone(),
            instance: id.map(str::to_owned),
            value: fresh.sample.value,
            operator: self.threshold.rule().operator,
            threshold: self.threshold.rule().threshold,
            lasted: fresh.sample.at.duration_since(since),
            at: fresh.sample.at,
        }
    }

    fn hold(&mut self, reason: Reason, at: Timestamp, board: &Board) {
        self.stopped += 1;
        if self.told.is_news(&reason, at) {
            let service = board.posts[self.service].service.name.clone();
            post::log(&Decision { service, verb: Verb::Hold, unit: None, reason });
            tracing::debug!(policy = self.policy, stopped = self.stopped, "decisions stopped so far");
        }
    }
}
