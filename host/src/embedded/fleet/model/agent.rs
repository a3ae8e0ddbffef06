//! fleet's agents: what is loaded on each machine, and what of it is published.

use std::time::Duration;

use dynamite_units::is_template;

use super::super::behaviour::Unload;
use super::super::systemd::{Found, Place, SystemdState};
use super::{Cluster, Scope, Stored};
use crate::fleet::DesiredState;

/// A unit that is loaded on a machine.
pub(super) struct Placement {
    pub(super) hash: String,
    loaded_at: Duration,
    heartbeat: DesiredState,
}

impl Placement {
    pub(super) fn is_launched(&self) -> bool {
        self.heartbeat == DesiredState::Launched
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
                    self.unload(at, &key);
                    *unloaded += 1;
                }
            }
            return;
        };
        let mut reload_at = reload_at;
        if self.placements.get(&key).is_some_and(|placement| placement.hash != hash) {
            self.unload(at, &key);
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
            self.load(at, &key, hash);
        }
        self.drive(at, &key, target);
    }

    fn load(&mut self, at: Duration, key: &(String, usize), hash: String) {
        let Some(stored) = self.units.get(&key.0) else { return };
        self.systemd.load(at, place(key), &hash, &stored.options);
        let placement = Placement { hash, loaded_at: at, heartbeat: DesiredState::Loaded };
        self.placements.insert(key.clone(), placement);
    }

    fn unload(&mut self, at: Duration, key: &(String, usize)) {
        self.placements.remove(key);
        self.systemd.unload(at, place(key));
    }

    /// Starts or stops a loaded unit when its target changed; fleet starts a unit once.
    fn drive(&mut self, at: Duration, key: &(String, usize), target: DesiredState) {
        let (Some(stored), Some(placement)) = (self.units.get(&key.0), self.placements.get_mut(key)) else {
            return;
        };
        match (target, placement.heartbeat) {
            (DesiredState::Launched, DesiredState::Loaded) => {
                self.systemd.start(at, place(key), &placement.hash, &stored.options);
            }
            (DesiredState::Loaded, DesiredState::Launched) => self.systemd.stop(at, place(key)),
            _ => {}
        }
        placement.heartbeat = target;
    }

    /// Takes over a unit that was loaded before the server started.
    pub(super) fn take_over(&mut self, found: Found) {
        let heartbeat = if found.launched { DesiredState::Launched } else { DesiredState::Loaded };
        let placement = Placement { hash: found.hash, loaded_at: Duration::ZERO, heartbeat };
        self.wake_agent(Duration::ZERO, &found.name);
        // Only a cluster of one machine finds what a former server left.
        self.placements.insert((found.name, 0), placement);
    }

    /// The hash, the target and the earliest time of loading of a unit that belongs on a machine.
    fn wanted_on(&self, name: &str, host: usize) -> Option<(String, DesiredState, Duration)> {
        let stored: &Stored = self.units.get(name).filter(|_| !self.refuses(name))?;
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

    /// Makes a unit fail that is up, where nothing is real; false when none is.
    pub fn crash(&mut self, now: Duration, name: &str) -> bool {
        self.advance(now);
        self.systemd.crash(now, name)
    }

    /// What is published of a unit, as of the last sample; `None` before the first one and for a machine gone silent.
    pub(super) fn row_state(
        &self,
        now: Duration,
        key: &(String, usize),
        placement: &Placement,
    ) -> Option<SystemdState> {
        let period = self.timings.sample_period.as_nanos();
        let late = now.as_nanos().checked_rem(period).unwrap_or(0);
        let sampled = now.saturating_sub(Duration::from_nanos(u64::try_from(late).unwrap_or(0)));
        let silent =
            self.hosts[key.1].wedged_at.is_some_and(|wedged_at| now >= wedged_at + self.timings.row_ttl);
        (!silent && placement.loaded_at <= sampled).then(|| self.systemd.state(sampled, place(key)))
    }
}

fn place(key: &(String, usize)) -> Place<'_> {
    Place { unit: &key.0, machine: key.1 }
}
