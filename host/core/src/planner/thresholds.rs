//! The built-in rule at work: which samples each threshold reads, and the votes of those that fire.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::Turn;
use super::registrations::Owner;
use super::series::SignalIndex;
use super::services::{Came, ServiceTable};
use super::signals::{Fresh, Signals};
use crate::threshold::{Outcome, Threshold};
use crate::{
    Cause, Cooldown, Direction, Firing, Grounds, PolicyId, PolicyUse, Sample, SeriesId, ServiceId, Spec,
    Stored, ThresholdUse, Use, Victims, Vote, Wish,
};

/// A threshold in one direction of one service.
#[derive(Clone, Debug)]
struct Scaler {
    service: ServiceId,
    used: ThresholdUse,
    threshold: Threshold<SeriesId>,
    /// What it made of the last sample that it was shown.
    last: Option<(SeriesId, Sample, Outcome)>,
}

/// The scalers that read a signal and scale services of one type.
#[derive(Clone, Debug, Default)]
struct Readers {
    kind: String,
    all: Vec<usize>,
    by_service: HashMap<ServiceId, Vec<usize>>,
}

/// Every threshold of every service.
#[derive(Clone, Debug, Default)]
pub(super) struct ThresholdPolicies {
    scalers: Vec<Scaler>,
    /// The readers of each signal, by the type of the service that they scale.
    readers: BTreeMap<SignalIndex, Vec<Readers>>,
}

/// A sample with what is known of its series.
#[derive(Debug)]
pub(super) struct Shown<'s> {
    pub(super) fresh: &'s Fresh,
    /// The instance id; `None` when the signal is aggregated.
    pub(super) id: Option<&'s str>,
    /// The instance that the series belongs to, if it has registered.
    pub(super) owner: Option<&'s Owner>,
    /// It came since the start, and may cause something.
    pub(super) live: bool,
}

impl ThresholdPolicies {
    /// The thresholds of a specification, with the cooldowns that are stored.
    pub(super) fn of(spec: &Spec, signals: &Signals, stored: &Stored) -> Self {
        let mut policies = Self::default();
        for service in spec.services.values() {
            for used in &service.policies {
                let PolicyUse::Threshold(used) = used else { continue };
                let cooldown = stored.cooldown(&service.id, used.direction, &used.policy);
                policies.add(&service.id, &service.kind, used, signals, cooldown);
            }
        }
        policies
    }

    fn add(
        &mut self,
        service: &ServiceId,
        kind: &str,
        used: &ThresholdUse,
        signals: &Signals,
        cooldown: Option<Cooldown>,
    ) {
        let Some(signal) = signals.index(&used.signal) else { return };
        let index = self.scalers.len();
        let kinds = self.readers.entry(signal).or_default();
        let place = kinds.iter().position(|readers| readers.kind == kind).unwrap_or_else(|| {
            kinds.push(Readers { kind: kind.to_owned(), ..Readers::default() });
            kinds.len() - 1
        });
        kinds[place].all.push(index);
        kinds[place].by_service.entry(service.clone()).or_default().push(index);
        self.scalers.push(Scaler {
            service: service.clone(),
            used: used.clone(),
            threshold: Threshold::new(used.rule, cooldown),
            last: None,
        });
    }

    /// The thresholds of another specification. One that is as it was keeps its triggers, and one that is there keeps its rest.
    pub(super) fn specify(&mut self, spec: &Spec, signals: &Signals) {
        let before = std::mem::replace(self, Self::of(spec, signals, &Stored::default()));
        for scaler in &mut self.scalers {
            let is_same_use = |old: &&Scaler| {
                let (now, then) = (&scaler.used, &old.used);
                old.service == scaler.service && then.policy == now.policy && then.direction == now.direction
            };
            let Some(old) = before.scalers.iter().find(is_same_use) else { continue };
            if old.used == scaler.used {
                *scaler = old.clone();
            } else {
                scaler.threshold = Threshold::new(scaler.used.rule, old.threshold.cooldown());
            }
        }
    }

    /// Forgets a series that is gone.
    pub(super) fn forget(&mut self, signal: SignalIndex, series: SeriesId) {
        for readers in self.readers.get(&signal).into_iter().flatten() {
            for &index in &readers.all {
                self.scalers[index].threshold.forget(&series);
            }
        }
    }

    /// Shows a sample to every threshold that reads it.
    pub(super) fn step(&mut self, shown: &Shown<'_>, services: &mut ServiceTable, turn: &mut Turn<'_>) {
        let Self { scalers, readers } = self;
        for readers in readers.get(&shown.fresh.signal).into_iter().flatten() {
            // A series of some instance is no business of other services of that instance's type.
            let indices = match shown.owner.filter(|owner| *owner.kind == *readers.kind) {
                Some(owner) => readers.by_service.get(&owner.service).map_or(&[][..], Vec::as_slice),
                None => &readers.all,
            };
            for &index in indices {
                scalers[index].step(shown, services, turn);
            }
        }
    }

    /// What a threshold made of the last sample that it was shown, in words; `None` also if it fired.
    pub(super) fn last_step(&self, of: &Use, direction: Direction, signals: &Signals) -> Option<String> {
        let is_meant = |scaler: &&Scaler| {
            scaler.service == of.service
                && scaler.used.policy == of.policy
                && scaler.used.direction == direction
        };
        let Scaler { used: ThresholdUse { signal, rule, .. }, last, .. } =
            self.scalers.iter().find(is_meant)?;
        let (series, sample, outcome) = (*last)?;
        let id = signals.origin(series).map_or("", |(_, id)| id);
        let of = if id.is_empty() { String::new() } else { format!(" of {id}") };
        let does = match outcome {
            Outcome::Calm => "does not satisfy".to_owned(),
            Outcome::CoolingDown(until) => format!("cools down until {until} for"),
            Outcome::Waiting(since) => format!("since {since} satisfies"),
            Outcome::Fired(_) => return None,
        };
        Some(format!(
            "{}{of} is {}, {does} {} {}",
            signal.metric, sample.value, rule.operator, rule.threshold
        ))
    }
}

impl Scaler {
    fn step(&mut self, shown: &Shown<'_>, services: &mut ServiceTable, turn: &mut Turn<'_>) {
        let Fresh { series, sample, .. } = *shown.fresh;
        let outcome = self.threshold.step(series, sample);
        self.last = Some((series, sample, outcome));
        let Outcome::Fired(since) = outcome else { return };
        if !shown.live {
            return;
        }
        let vote = self.vote(shown, since);
        if services.decide(&self.service, &Cause::Vote(vote), turn) == Came::Acted {
            self.threshold.fired(&series, sample.at);
        }
    }

    fn vote(&self, shown: &Shown<'_>, since: Timestamp) -> Vote {
        let ThresholdUse { policy, direction, signal, rule } = &self.used;
        let Sample { at, value } = shown.fresh.sample;
        let own = shown.owner.filter(|owner| owner.service == self.service);
        let wish = match direction {
            Direction::Up => Wish::More(1),
            Direction::Down => {
                let who = own.map_or(Victims::Highest, |owner| Victims::Prefer(owner.slot));
                Wish::Less { by: 1, who }
            }
        };
        let firing = Firing {
            policy: policy.clone(),
            metric: signal.metric.clone(),
            instance: shown.id.map(str::to_owned),
            value,
            operator: rule.operator,
            threshold: rule.threshold,
            lasted: at.duration_since(since),
            at,
        };
        let policy: PolicyId = policy.clone();
        Vote { policy, at, wish, grounds: Grounds::Threshold(Box::new(firing)) }
    }
}
