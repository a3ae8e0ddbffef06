//! A systemd that runs nothing: units do what a [`Behaviour`] says, by the clock that is handed in.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dynamite_units::{UnitOption, matches_glob};

use super::behaviour::{Behaviour, Phase};
use super::systemd::{Place, Systemd, SystemdState};

/// Says how a unit behaves, from its name and options.
pub type Runner = Arc<dyn Fn(&str, &[UnitOption]) -> Behaviour + Send + Sync>;

/// How many past phases are kept. States are sampled, so one shows what was true up to a sample period ago.
const HISTORY_MAX: usize = 4;

/// Every loaded unit of every machine.
pub(super) struct Simulated {
    runner: Runner,
    /// Names that behave otherwise; the last match counts.
    rules: Vec<(String, Behaviour)>,
    units: HashMap<(String, usize), Loaded>,
}

struct Loaded {
    behaviour: Behaviour,
    /// What was done to it and when, oldest first, never empty.
    history: Vec<(Duration, Phase)>,
}

impl Simulated {
    pub(super) fn new(runner: Runner) -> Self {
        Self { runner, rules: Vec::new(), units: HashMap::new() }
    }

    fn behaviour(&self, name: &str, options: &[UnitOption]) -> Behaviour {
        let rule = self.rules.iter().rev().find(|(pattern, _)| matches_glob(pattern, name));
        rule.map_or_else(|| (self.runner)(name, options), |(_, behaviour)| *behaviour)
    }
}

impl Systemd for Simulated {
    fn load(&mut self, at: Duration, place: Place<'_>, _: &str, options: &[UnitOption]) {
        let behaviour = self.behaviour(place.unit, options);
        self.units.insert(key(place), Loaded { behaviour, history: vec![(at, Phase::Dead)] });
    }

    fn start(&mut self, at: Duration, place: Place<'_>, _: &str, options: &[UnitOption]) {
        let behaviour = self.behaviour(place.unit, options);
        if let Some(unit) = self.units.get_mut(&key(place)) {
            unit.behaviour = behaviour;
            unit.enter(at, Phase::Started(at));
        }
    }

    fn stop(&mut self, at: Duration, place: Place<'_>) {
        if let Some(unit) = self.units.get_mut(&key(place))
            && matches!(unit.state(at).active, "active" | "activating")
        {
            unit.enter(at, Phase::Stopping(at));
        }
    }

    fn unload(&mut self, _: Duration, place: Place<'_>) {
        self.units.remove(&key(place));
    }

    fn state(&self, at: Duration, place: Place<'_>) -> SystemdState {
        let unloaded = || Behaviour::RUNS.state(Phase::Dead, at);
        self.units.get(&key(place)).map_or_else(unloaded, |unit| unit.state(at))
    }

    fn is_wedged_by_templates(&self) -> bool {
        true
    }

    fn behave(&mut self, pattern: &str, behaviour: Behaviour) {
        self.rules.retain(|(known, _)| known != pattern);
        self.rules.push((pattern.to_owned(), behaviour));
    }

    fn crash(&mut self, at: Duration, name: &str) -> bool {
        let mut hit = false;
        for (_, unit) in self.units.iter_mut().filter(|((known, _), _)| known == name) {
            if matches!(unit.state(at).active, "active" | "activating" | "deactivating") {
                unit.enter(at, Phase::Failed);
                hit = true;
            }
        }
        hit
    }
}

impl Loaded {
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
}

fn key(place: Place<'_>) -> (String, usize) {
    (place.unit.to_owned(), place.machine)
}
