//! fleet's agents: what is loaded on each machine, and what systemd says of it.

use std::time::Duration;

use super::super::behaviour::{Behaviour, Phase, SystemdState, Unload};
use super::{Cluster, Scope, Stored};
use crate::fleet::DesiredState;
use crate::fleet::unit_file::is_template;

/// How many past phases are kept. States are sampled, so one shows what was true up to a sample period ago.
const HISTORY_MAX: usize = 4;

/// A unit that is loaded on a machine.
pub(super) struct Placement {
    pub(super) hash: String,
    loaded_at: Duration,
    heartbeat: DesiredState,
    behaviour: Behaviour,
    /// What was done to it and when, oldest first, never empty.
    history: Vec<(Duration, Phase)>,
}

impl Placement {
    pub(super) fn is_launched(&self) -> bool {
        self.heartbeat == DesiredState::Launched
    }

    fn enter(&mut self, at: Duration, phase: Phase) {
        if self.history.len() == HISTORY_MAX {
            self.history.remove(0);
        }
        self.history.push((at, phase));
    }

    fn state(&self, at: Duration) -> SystemdState {
        let past = self.history.iter().rev().find(|(since, _)| *since <= at);
        let phase = past.or(self.history.first()).map_or(Phase::Dead, |(_, phase)| *phase);
        self.behaviour.state(phase, at)
    }

    fn stop(&mut self, at: Duration) {
        if matches!(self.state(at).active, "active" | "activating") {
            self.enter(at, Phase::Stopping(at));
        }
    }
}

/// What a pass left undone.
#[derive(Default)]
struct Left {
    unloads: Vec<String>,
    reloads: Vec<(Duration, String)>,
}

impl Cluster {
    pub(super) fn agent_pass(&mut self, at: Duration) {
        let work = std::mem::take(&mut self.agent_work);
        let mut left = Left::default();
        for host in 0..self.hosts.len() {
            let mut unloaded = 0;
            for name in &work {
                if self.hosts[host].wedged_at.is_some() {
                    break;
                }
                self.settle(at, name, host, &mut unloaded, &mut left);
            }
        }
        if !left.unloads.is_empty() {
            self.agent_due = Some(at + self.timings.agent_period);
        }
        let reload = left.reloads.iter().map(|(due, _)| *due).min();
        self.agent_due = [self.agent_due, reload].into_iter().flatten().min();
        self.agent_work.extend(left.unloads);
        self.agent_work.extend(left.reloads.into_iter().map(|(_, name)| name));
    }

    /// Brings one unit on one machine to what is wanted of it.
    fn settle(&mut self, at: Duration, name: &str, host: usize, unloaded: &mut usize, left: &mut Left) {
        let key = (name.to_owned(), host);
        let wanted = self.wanted_on(name, host);
        let Some((hash, target, reload_at)) = wanted else {
            if self.placements.contains_key(&key) {
                if self.timings.unload == Unload::OnePerPass && *unloaded > 0 {
                    left.unloads.push(name.to_owned());
                } else {
                    self.placements.remove(&key);
                    *unloaded += 1;
                }
            }
            return;
        };
        let mut reload_at = reload_at;
        if self.placements.get(&key).is_some_and(|placement| placement.hash != hash) {
            self.placements.remove(&key);
            reload_at = at + self.timings.replace_gap;
            if let Some(stored) = self.units.get_mut(name) {
                stored.reload_at = reload_at;
            }
        }
        if !self.placements.contains_key(&key) {
            if reload_at > at {
                left.reloads.push((reload_at, name.to_owned()));
                return;
            }
            if is_template(name) {
                self.hosts[host].wedged_at = Some(at);
                return;
            }
            self.load(at, name, &key, hash);
        }
        self.drive(at, name, &key, target);
    }

    fn load(&mut self, at: Duration, name: &str, key: &(String, usize), hash: String) {
        let Some(stored) = self.units.get(name) else { return };
        let behaviour = self.behaviour(name, &stored.options);
        let history = vec![(at, Phase::Dead)];
        let heartbeat = DesiredState::Loaded;
        let placement = Placement { hash, loaded_at: at, heartbeat, behaviour, history };
        self.placements.insert(key.clone(), placement);
    }

    /// Starts or stops a loaded unit when its target changed; fleet starts a unit once.
    fn drive(&mut self, at: Duration, name: &str, key: &(String, usize), target: DesiredState) {
        let Some(stored) = self.units.get(name) else { return };
        let behaviour = self.behaviour(name, &stored.options);
        let Some(placement) = self.placements.get_mut(key) else { return };
        match (target, placement.heartbeat) {
            (DesiredState::Launched, DesiredState::Loaded) => {
                placement.behaviour = behaviour;
                placement.enter(at, Phase::Started(at));
            }
            (DesiredState::Loaded, DesiredState::Launched) => placement.stop(at),
            _ => {}
        }
        placement.heartbeat = target;
    }

    /// The hash, the target and the earliest time of loading of a unit that belongs on a machine.
    fn wanted_on(&self, name: &str, host: usize) -> Option<(String, DesiredState, Duration)> {
        let stored: &Stored = self.units.get(name)?;
        let belongs = match stored.scope {
            Scope::OneMachine => stored.scheduled == Some(host),
            Scope::Global => stored.wanted() != DesiredState::Inactive && self.fits(name, stored, host),
        };
        let target = match stored.wanted() {
            DesiredState::Launched => DesiredState::Launched,
            DesiredState::Inactive | DesiredState::Loaded => DesiredState::Loaded,
        };
        belongs.then(|| (stored.hash.clone(), target, stored.reload_at))
    }

    /// Makes a unit fail that is up; false when none is.
    pub fn crash(&mut self, now: Duration, name: &str) -> bool {
        self.advance(now);
        let mut hit = false;
        for ((_, _), placement) in self.placements.iter_mut().filter(|((known, _), _)| known == name) {
            if matches!(placement.state(now).active, "active" | "activating" | "deactivating") {
                placement.enter(now, Phase::Failed);
                hit = true;
            }
        }
        hit
    }

    /// What is published of a unit, as of the last sample; `None` before the first one and for a machine gone silent.
    pub(super) fn row_state(
        &self,
        now: Duration,
        host: usize,
        placement: &Placement,
    ) -> Option<SystemdState> {
        let period = self.timings.sample_period.as_nanos();
        let late = now.as_nanos().checked_rem(period).unwrap_or(0);
        let sampled = now.saturating_sub(Duration::from_nanos(u64::try_from(late).unwrap_or(0)));
        let silent =
            self.hosts[host].wedged_at.is_some_and(|wedged_at| now >= wedged_at + self.timings.row_ttl);
        (!silent && placement.loaded_at <= sampled).then(|| placement.state(sampled))
    }
}
