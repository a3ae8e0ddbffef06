//! fleet's engine: which unit goes to which machine. `Replaces` is accepted and moves nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use dynamite_units::{UnitOption, is_template, matches_glob, values};

use super::{Cluster, Scope, Stored};
use crate::fleet::DesiredState;

/// How often a pass repeats for units that depend on each other. Each round settles one link of a chain; longer chains
/// wait for the next pass.
const ROUNDS_MAX: usize = 16;

impl Cluster {
    pub(super) fn engine_pass(&mut self, at: Duration) {
        let work = std::mem::take(&mut self.engine_work);
        for name in work {
            self.reconsider(at, &name);
        }
        for _ in 0..ROUNDS_MAX {
            let names: Vec<String> = self.constrained.iter().cloned().collect();
            let mut changed = false;
            for name in names {
                changed |= self.reconsider(at, &name) == Change::Moved;
            }
            if !changed {
                break;
            }
        }
    }

    fn reconsider(&mut self, at: Duration, name: &str) -> Change {
        let Some(stored) = self.units.get(name) else {
            self.constrained.remove(name);
            self.wake_agent(at, name);
            return Change::None;
        };
        if self.refuses(name) {
            self.refuse(name);
            return Change::None;
        }
        if stored.scope == Scope::Global {
            self.wake_agent(at, name);
            return Change::None;
        }
        let wanted = stored.wanted() != DesiredState::Inactive && !name.starts_with('_');
        let next = match stored.scheduled {
            Some(_) if stored.is_poisoned() => return Change::None,
            Some(host) if wanted && self.has_peers(name, stored, host) => Some(host),
            _ if wanted => self.choose(name, stored),
            _ => None,
        };
        let nowhere = (wanted && next.is_none()).then(|| self.obstacle(name, stored));
        if nowhere.is_some() {
            // Somebody else is in its way, whatever its own requirements are.
            self.constrained.insert(name.to_owned());
        }
        self.tell_homeless(name, nowhere.flatten());
        if self.units.get(name).is_some_and(|stored| stored.scheduled == next) {
            return Change::None;
        }
        self.schedule(name, next);
        self.keep_place(name);
        self.wake_agent(at, name);
        Change::Moved
    }

    /// Whether a unit is never run: fleet's agents get stuck on a template for good, which must not happen to real units.
    pub(super) fn refuses(&self, name: &str) -> bool {
        is_template(name) && !self.systemd.is_wedged_by_templates()
    }

    /// Leaves a unit where it is, on no machine, and says so once.
    fn refuse(&mut self, name: &str) {
        self.schedule(name, None);
        let is_wanted = self.units.get(name).is_some_and(|stored| stored.wanted() != DesiredState::Inactive);
        if !is_wanted {
            self.homeless.remove(name);
        } else if self.homeless.insert(name.to_owned()) {
            tracing::error!(
                unit = name,
                "{name}: it is a template and cannot be run; only its instances can"
            );
        }
    }

    /// Gives a unit a machine, or takes it away, and keeps the counts.
    pub(super) fn schedule(&mut self, name: &str, next: Option<usize>) {
        let Some(stored) = self.units.get_mut(name) else { return };
        if let Some(host) = std::mem::replace(&mut stored.scheduled, next) {
            self.hosts[host].load -= 1;
        }
        if let Some(host) = next {
            self.hosts[host].load += 1;
        }
    }

    /// Keeps where a unit is now. If that fails, a later server schedules it anew, and the log has said so.
    fn keep_place(&mut self, name: &str) {
        let Some(stored) = self.units.remove(name) else { return };
        let _ = self.keep(name, &stored, stored.scheduled);
        self.units.insert(name.to_owned(), stored);
    }

    fn choose(&self, name: &str, stored: &Stored) -> Option<usize> {
        let fitting = (0..self.hosts.len()).filter(|&host| self.fits(name, stored, host));
        fitting.min_by_key(|&host| self.hosts[host].load)
    }

    /// Whether a machine meets what the unit asks of machines and of other units.
    pub(super) fn fits(&self, name: &str, stored: &Stored, host: usize) -> bool {
        let machine = &self.hosts[host].machine;
        let ids = requirement(name, &stored.options, &["MachineID", "X-ConditionMachineID"]);
        ids.first().is_none_or(|id| *id == machine.id)
            && has_metadata(name, &stored.options, &machine.metadata)
            && self.has_peers(name, stored, host)
            && self.conflict(name, stored, host).is_none()
    }

    /// What is in the way of a unit on the only machine; where there are several it would be a long story.
    fn obstacle(&self, name: &str, stored: &Stored) -> Option<String> {
        let [host] = self.hosts.as_slice() else { return None };
        if let Some(other) = self.conflict(name, stored, 0) {
            return Some(format!("it conflicts with {other} on this machine"));
        }
        if !self.has_peers(name, stored, 0) {
            // An attached unit comes before the one that it belongs to.
            return None;
        }
        Some(format!("it is meant for another machine than {} (MachineID, MachineMetadata)", host.machine.id))
    }

    /// Says once why a unit cannot be run; fleet itself never does.
    fn tell_homeless(&mut self, name: &str, obstacle: Option<String>) {
        let Some(obstacle) = obstacle else {
            self.homeless.remove(name);
            return;
        };
        if self.homeless.insert(name.to_owned()) {
            tracing::warn!(unit = name, "{name}: waits: {obstacle}");
        }
    }

    fn has_peers(&self, name: &str, stored: &Stored, host: usize) -> bool {
        let peers = requirement(name, &stored.options, &["X-ConditionMachineOf", "MachineOf"]);
        peers.iter().all(|peer| self.units.get(peer).is_some_and(|peer| peer.scheduled == Some(host)))
    }

    /// The first unit on a machine that this one must not be with, or that must not be with it.
    fn conflict(&self, name: &str, stored: &Stored, host: usize) -> Option<&str> {
        let patterns = |name: &str, stored: &Stored| {
            let lines = requirement(name, &stored.options, &["X-Conflicts", "Conflicts"]);
            lines.iter().flat_map(|line| line.split_whitespace()).map(str::to_owned).collect::<Vec<_>>()
        };
        let own = patterns(name, stored);
        let is_neighbour = |other: &str, known: &Stored| other != name && known.scheduled == Some(host);
        let mine = self.units.iter().filter(|_| !own.is_empty()).find(|(other, known)| {
            is_neighbour(other, known) && own.iter().any(|pattern| matches_glob(pattern, other))
        });
        // Only constrained units have conflicts of their own.
        let theirs = || {
            let constrained = self.constrained.iter().filter_map(|other| self.units.get_key_value(other));
            constrained.into_iter().find(|(other, known)| {
                is_neighbour(other, known)
                    && patterns(other, known).iter().any(|pattern| matches_glob(pattern, name))
            })
        };
        mine.or_else(theirs).map(|(other, _)| other.as_str())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Moved,
}

/// The values of some keys with fleet's specifiers filled in.
fn requirement(name: &str, options: &[UnitOption], keys: &[&str]) -> Vec<String> {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let (prefix, instance) = stem.split_once('@').unwrap_or((stem, ""));
    let fill = |value: String| {
        value.replace("%n", name).replace("%N", stem).replace("%p", prefix).replace("%i", instance)
    };
    values(options, keys).into_iter().map(fill).collect()
}

/// One of the values of each key that is asked for.
fn has_metadata(name: &str, options: &[UnitOption], metadata: &BTreeMap<String, String>) -> bool {
    let mut wanted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in requirement(name, options, &["X-ConditionMachineMetadata", "MachineMetadata"]) {
        let Some((key, value)) = pair.split_once('=') else { continue };
        if !key.is_empty() && !value.is_empty() && !value.contains('=') {
            wanted.entry(key.to_owned()).or_default().push(value.to_owned());
        }
    }
    wanted.iter().all(|(key, accepted)| metadata.get(key).is_some_and(|value| accepted.contains(value)))
}
