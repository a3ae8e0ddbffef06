//! Another specification while the planner runs: what did not change keeps its instances, windows, triggers, rests, votes
//! and states, and what changed is treated as it would be by a restart.

use super::modules::first_votes;
use super::service::ServiceState;
use super::services::ServiceTable;
use super::{Planner, Turn};
use crate::{ActionId, Difference, Event, Instance, ServiceId, Slot, Spec, Stored, UnitTemplate};

/// An instance of a unit file, or of a service, that is not configured any more.
#[derive(Clone, Debug)]
pub(super) struct Former {
    pub(super) service: ServiceId,
    pub(super) unit: String,
    pub(super) attached: Vec<String>,
    /// What is under way on it: it goes when that has ended.
    pub(super) busy: Option<ActionId>,
}

impl Planner {
    /// Takes in another specification.
    pub(super) fn specify(&mut self, spec: Spec, turn: &mut Turn<'_>) {
        if !self.has_taken_over {
            self.spec = spec;
            if let Some(stored) = self.left.take() {
                self.build(&stored);
                self.left = Some(stored);
            }
            return;
        }
        let difference = Difference::between(&self.spec, &spec);
        let before = std::mem::replace(&mut self.spec, spec);
        if before == self.spec {
            return;
        }
        self.signals.specify(&self.spec);
        let formers = self.services.specify(&self.spec, &before);
        self.thresholds.specify(&self.spec, &self.signals);
        self.modules.specify(&self.spec, &self.signals, turn.now, self.progress == super::Progress::Live);
        self.registrations.specify(&self.services);
        turn.tell(Event::ConfigurationChanged { difference: difference.clone() });
        for former in formers {
            self.services.give_up(former, turn);
        }
        let changed = difference.changed.into_iter().map(|(service, _)| service);
        let touched: Vec<ServiceId> = difference.added.into_iter().chain(changed).collect();
        turn.effects.records.templates.extend(touched.iter().cloned());
        self.services.review_all(turn);
    }
}

impl ServiceTable {
    /// Removes an instance that is nobody's any more, once nothing is under way on it.
    fn give_up(&mut self, former: Former, turn: &mut Turn<'_>) {
        match former.busy {
            Some(action) => drop(self.formers.insert(action, former)),
            None => self.remove_unknown(&former.service, &former.unit, Some(&former.attached), None, turn),
        }
    }

    /// Changes what differs. Returns the instances that are of no service or unit file any more.
    fn specify(&mut self, spec: &Spec, before: &Spec) -> Vec<Former> {
        let mut formers = Vec::new();
        for id in before.services.keys().filter(|id| !spec.services.contains_key(*id)) {
            if let Some(mut state) = self.all.remove(id) {
                formers.extend(state.give_up_all());
            }
            self.unsettled.remove(id);
        }
        for (id, service) in &spec.services {
            let Some(state) = self.all.get_mut(id) else {
                let state = ServiceState::new(service, &Stored::default());
                if !state.ready {
                    self.unsettled.insert(id.clone());
                }
                self.all.insert(id.clone(), state);
                continue;
            };
            if state.spec.unit.file != service.unit.file {
                formers.extend(state.give_up_all());
                state.ready = service.bounds.min == 0;
                if !state.ready {
                    self.unsettled.insert(id.clone());
                }
            }
            state.keep_attached(&service.attached);
            state.spec = service.clone();
            let wanted = state.population.count().max(state.wanted);
            state.want(wanted);
            let named: Vec<_> = service.policies.iter().map(|used| used.policy().clone()).collect();
            state.votes.retain(|policy, _| named.contains(policy));
            for (policy, vote) in first_votes(service) {
                state.votes.entry(policy).or_insert(vote);
            }
            state.rests.retain(|(policy, _), _| named.contains(policy));
        }
        self.index(spec);
        let look = (*self.look).clone();
        self.see(look);
        formers
    }
}

impl ServiceState {
    /// Every instance is nobody's any more.
    fn give_up_all(&mut self) -> Vec<Former> {
        let slots: Vec<Slot> = self.population.iter().map(|(slot, _)| slot).collect();
        let former = |slot: Slot| {
            let configured = || self.spec.attached.iter().map(|template| template.unit_name(slot)).collect();
            let begun = self.begun_with(slot).map(|names| names.into_iter().cloned().collect());
            let busy = self.population.get(slot).and_then(|instance| instance.busy);
            let (unit, attached) = (self.spec.unit_name(slot), begun.unwrap_or_else(configured));
            Former { service: self.id().clone(), unit, attached, busy }
        };
        let formers = slots.iter().map(|slot| former(*slot)).collect();
        for slot in slots {
            self.population.remove(slot);
        }
        self.queued.clear();
        self.begun.clear();
        formers
    }

    /// Instances keep what is attached to them, whatever is attached to new ones.
    fn keep_attached(&mut self, now: &[UnitTemplate]) {
        if self.spec.attached == now {
            return;
        }
        let slots: Vec<Slot> = self.population.iter().map(|(slot, _)| slot).collect();
        for slot in slots {
            let names: Vec<String> =
                self.spec.attached.iter().map(|template| template.unit_name(slot)).collect();
            self.population.change(slot, |instance: &mut Instance| {
                instance.attached.get_or_insert(names);
            });
        }
    }
}
