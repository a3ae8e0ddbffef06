//! Every service, and what is to be done about them: decisions become orders here, and outcomes come back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::look::{Health, Look};
use super::service::ServiceState;
use super::specify::Former;
use super::{Situation, Turn, orders};
use crate::attempts::Verge;
use crate::{
    Action, ActionId, Cause, Decision, Deed, Event, Loss, Order, Outcome, Phase, ServiceId, Slot, Spec,
    Stored, decide, stem,
};

/// An order under way.
#[derive(Clone, Debug)]
struct UnderWay {
    service: ServiceId,
    slot: Option<Slot>,
    unit: String,
    attached: Vec<String>,
}

/// What came of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// Something is done.
    Acted,
    /// Nothing is.
    Held,
}

/// Every service.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceTable {
    pub(super) all: BTreeMap<ServiceId, ServiceState>,
    /// In the order of the configuration.
    pub(super) order: Vec<ServiceId>,
    pub(super) dependents: BTreeMap<ServiceId, Vec<ServiceId>>,
    /// From what the names of units begin with to the services whose instances have such units.
    pub(super) by_stem: HashMap<String, Vec<ServiceId>>,
    /// Services that have not had their minimum yet and are not hopeless either.
    pub(super) unsettled: BTreeSet<ServiceId>,
    under_way: BTreeMap<ActionId, UnderWay>,
    /// Instances that are of no service or unit file any more, by the action that is under way on them.
    pub(super) formers: BTreeMap<ActionId, Former>,
    pub(super) look: Arc<Look>,
}

impl ServiceTable {
    /// The services of a specification, with no instances.
    pub(super) fn of(spec: &Spec, stored: &Stored) -> Self {
        let all = spec.services.iter().map(|(id, service)| (id.clone(), ServiceState::new(service, stored)));
        let mut table = Self { all: all.collect(), ..Self::default() };
        table.index(spec);
        table.unsettled = table.iter().filter(|state| !state.ready).map(|state| state.id().clone()).collect();
        table
    }

    /// Makes what is looked up by other things than names.
    pub(super) fn index(&mut self, spec: &Spec) {
        self.order = spec.services.keys().cloned().collect();
        self.dependents.clear();
        self.by_stem.clear();
        for (id, service) in &spec.services {
            for dependency in &service.depends_on {
                self.dependents.entry(dependency.clone()).or_default().push(id.clone());
            }
            for template in service.templates() {
                let services = self.by_stem.entry(template.stem().to_owned()).or_default();
                if !services.contains(id) {
                    services.push(id.clone());
                }
            }
        }
    }

    pub(super) fn get(&self, service: &str) -> Option<&ServiceState> {
        self.all.get(service)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ServiceState> {
        self.all.values()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// The service whose instance a unit is, and its slot.
    pub(super) fn instance(&self, unit: &str) -> Option<(&ServiceState, Slot)> {
        self.by_stem.get(stem(unit))?.iter().find_map(|id| {
            let state = self.all.get(id)?;
            Some((state, state.spec.unit.slot_of(unit)?))
        })
    }

    /// Takes in a look: which slots have units, ours or not.
    pub(super) fn see(&mut self, look: Look) {
        let mut occupied: BTreeMap<&ServiceId, BTreeSet<Slot>> = BTreeMap::new();
        for unit in look.0.keys() {
            for id in self.by_stem.get(stem(unit)).into_iter().flatten() {
                let templates = self.all.get(id).into_iter().flat_map(|state| state.spec.templates());
                let slots = templates.filter_map(|template| template.slot_of(unit));
                occupied.entry(id).or_default().extend(slots);
            }
        }
        for (id, state) in &mut self.all {
            state.population.see(occupied.remove(id).unwrap_or_default());
        }
        self.look = Arc::new(look);
    }

    /// Takes in what instances a service has, whatever was under way.
    pub(super) fn place(&mut self, situation: &Situation) {
        self.under_way.retain(|_, under_way| under_way.service != situation.service);
        if let Some(state) = self.all.get_mut(&situation.service) {
            state.place(&situation.instances, situation.past);
        }
    }

    /// Decides about a service, and carries it out as far as that is the planner's.
    pub(super) fn decide(&mut self, service: &ServiceId, cause: &Cause, turn: &mut Turn<'_>) -> Came {
        let Some(state) = self.all.get(service) else { return Came::Held };
        let missing = |dependency: &&ServiceId| self.all.get(*dependency).is_some_and(|state| !state.ready);
        let waits_for = state.spec.depends_on.iter().find(missing);
        let id = turn.next_id();
        let decision = decide(&state.view(waits_for), cause, id, turn.now);
        if decision.is_idle() {
            *turn.number -= 1;
            return Came::Held;
        }
        self.carry_out(decision, turn)
    }

    /// What follows from a decision.
    pub(super) fn carry_out(&mut self, decision: Decision, turn: &mut Turn<'_>) -> Came {
        let is_known = !matches!(decision.cause, Cause::Unknown { .. });
        if let Some(state) = self.all.get_mut(&decision.service).filter(|_| is_known) {
            state.note(&decision);
        }
        for (index, action) in decision.actions.iter().enumerate() {
            let id = ActionId { decision: decision.id, index };
            self.order(id, action, &decision, turn);
        }
        let came = if decision.actions.is_empty() { Came::Held } else { Came::Acted };
        turn.tell(Event::Decided(Box::new(decision)));
        came
    }

    fn order(&mut self, id: ActionId, action: &Action, decision: &Decision, turn: &mut Turn<'_>) {
        let (Some(state), Some(slot)) = (self.all.get_mut(&decision.service), action.slot) else { return };
        let order = orders::order(state, id, slot, action, decision);
        let waits = state.enter(slot, action.deed, id, turn.now);
        if !waits {
            self.hand_over(order, turn);
            return;
        }
        let queue = state.queued.entry(slot).or_default();
        if action.deed == Deed::Stop {
            // What would be mended goes.
            queue.clear();
        }
        queue.push_back(order);
    }

    /// An order is on its way.
    pub(super) fn hand_over(&mut self, order: Order, turn: &mut Turn<'_>) {
        let plan = &order.plan;
        let under_way = UnderWay {
            service: plan.service.clone(),
            slot: plan.slot,
            unit: plan.instance.name.clone(),
            attached: plan.attached_names(),
        };
        self.under_way.insert(order.id, under_way);
        turn.effects.orders.push(order);
    }

    /// Plans a service: fills up, shrinks, and lets those start that waited for it.
    pub(super) fn review(&mut self, service: &ServiceId, turn: &mut Turn<'_>) {
        self.decide(service, &Cause::Review, turn);
        let waits = self.waits(service);
        let Some(state) = self.all.get_mut(service) else { return };
        if waits || state.ready || state.population.running() < state.spec.bounds.min {
            return;
        }
        state.ready = true;
        for order in std::mem::take(&mut state.leftovers) {
            self.hand_over(order, turn);
        }
        self.unsettled.remove(service);
        for dependent in self.dependents.get(service).cloned().unwrap_or_default() {
            self.review(&dependent, turn);
        }
    }

    fn waits(&self, service: &ServiceId) -> bool {
        let depends_on = self.all.get(service).map_or(&[][..], |state| &state.spec.depends_on);
        depends_on.iter().any(|dependency| self.all.get(dependency).is_some_and(|state| !state.ready))
    }

    /// Plans every service.
    pub(super) fn review_all(&mut self, turn: &mut Turn<'_>) {
        for service in self.order.clone() {
            self.review(&service, turn);
        }
    }

    /// Takes in what came of an action.
    pub(super) fn ended(&mut self, id: ActionId, outcome: Outcome, turn: &mut Turn<'_>) {
        let Some(UnderWay { service, slot, unit, attached }) = self.under_way.remove(&id) else { return };
        let known = slot.filter(|slot| {
            self.all
                .get(&service)
                .is_some_and(|state| state.population.get(*slot).is_some_and(|it| it.busy == Some(id)))
        });
        let mut verge = Verge::GoesOn;
        if let (Some(slot), Some(state)) = (known, self.all.get_mut(&service)) {
            state.begun.remove(&slot);
            state.population.change(slot, |instance| instance.busy = None);
            match &outcome {
                Outcome::Started => state.came_up(slot, attached, turn.now),
                Outcome::Stopped => drop(state.population.remove(slot)),
                Outcome::Taken => {
                    state.population.remove(slot);
                    state.population.take(slot);
                }
                Outcome::Failed(error) => {
                    state.population.remove(slot);
                    verge = state.attempts.failed(error, turn.now);
                }
                Outcome::Mended => {}
            }
        }
        let state = self.all.get(&service).filter(|_| known.is_some());
        let (running, failures) =
            state.map_or((0, 0), |state| (state.population.running(), state.attempts.failures()));
        let slot = known;
        let is_recorded = matches!(outcome, Outcome::Started | Outcome::Stopped | Outcome::Failed(_));
        let is_there = matches!(outcome, Outcome::Started | Outcome::Mended);
        turn.tell(Event::ActionEnded {
            action: id,
            service: service.clone(),
            slot,
            unit,
            outcome,
            running,
            failures,
        });
        if let Some(slot) = slot {
            if is_recorded {
                turn.effects.records.templates.insert(service.clone());
            }
            self.note_verge(&service, &verge, turn);
            self.go_on(&service, slot, turn);
            self.review(&service, turn);
        }
        if let Some(former) = self.formers.remove(&id).filter(|_| is_there) {
            self.remove_unknown(&former.service, &former.unit, Some(&former.attached), None, turn);
        }
    }

    /// The next order that waited for an instance, if there is one.
    fn go_on(&mut self, service: &ServiceId, slot: Slot, turn: &mut Turn<'_>) {
        let Some(state) = self.all.get_mut(service) else { return };
        let Some(queue) = state.queued.get_mut(&slot) else { return };
        let next = queue.pop_front();
        if queue.is_empty() {
            state.queued.remove(&slot);
        }
        if let Some(order) = next {
            state.population.change(slot, |instance| instance.busy = Some(order.id));
            self.hand_over(order, turn);
        }
    }

    /// Every attempt failed: the service does with the instances that it has.
    fn note_verge(&mut self, service: &ServiceId, verge: &Verge, turn: &mut Turn<'_>) {
        if *verge == Verge::GoesOn {
            return;
        }
        let Some(state) = self.all.get_mut(service) else { return };
        state.want(state.population.count());
        if *verge == Verge::Degraded {
            turn.tell(Event::ServiceDegraded { service: service.clone(), reason: state.attempts.reason() });
        }
        turn.effects.records.service_statuses.insert(service.clone());
        self.give_up_waiting_for(service);
    }

    /// Compares what there is with what there should be: what was lost is replaced.
    pub(super) fn observe(&mut self, turn: &mut Turn<'_>) {
        let look = self.look.clone();
        for service in self.order.clone() {
            let Some(state) = self.all.get(&service) else { continue };
            let running: Vec<Slot> = state.population.in_phase(Phase::Running).collect();
            for slot in running {
                let Some(state) = self.all.get_mut(&service) else { break };
                match look.health(&state.spec.unit_name(slot)) {
                    Health::Lost(loss) => self.lost(&service, slot, loss, turn),
                    Health::Up | Health::Pending => self.look_after(&service, slot, &look, turn),
                }
            }
            let Some(state) = self.all.get_mut(&service) else { continue };
            let all_up = state.population.running() >= state.wanted;
            if state.attempts.recovered(all_up, turn.now) {
                turn.tell(Event::ServiceRecovered { service: service.clone() });
                turn.effects.records.service_statuses.insert(service);
            }
        }
    }

    fn lost(&mut self, service: &ServiceId, slot: Slot, loss: Loss, turn: &mut Turn<'_>) {
        let Some(state) = self.all.get_mut(service) else { return };
        let is_certain = matches!(loss, Loss::Failed(_));
        let Some(is_young) = state.doubt(slot, is_certain, turn.now) else { return };
        if is_young {
            let error = format!("{} came up and was lost: {loss}", state.spec.unit_name(slot));
            if state.attempts.failed(&error, turn.now) == Verge::Degraded {
                turn.tell(Event::ServiceDegraded {
                    service: service.clone(),
                    reason: state.attempts.reason(),
                });
            }
        }
        if state.attempts.degraded().is_some() {
            turn.effects.records.service_statuses.insert(service.clone());
        }
        self.decide(service, &Cause::Lost { slot, loss }, turn);
    }

    /// Looks after the attached units of an instance that is well.
    fn look_after(&mut self, service: &ServiceId, slot: Slot, look: &Look, turn: &mut Turn<'_>) {
        let Some(state) = self.all.get_mut(service) else { return };
        state.population.change(slot, |instance| instance.doubts = 0);
        let plan = orders::plan_as_begun(state, slot);
        let mut units = Vec::new();
        for unit in plan.attached.iter().filter(|unit| unit.blueprint.is_some()) {
            // One whose process ended without a failure may have been meant to: it announces something and exits.
            match look.health(&unit.name) {
                Health::Lost(loss) if loss != Loss::Ended && state.may_mend(slot, &unit.name, turn.now) => {
                    units.push((unit.name.clone(), loss));
                }
                _ => {}
            }
        }
        if !units.is_empty() {
            self.decide(service, &Cause::AttachedLost { slot, units }, turn);
        }
    }

    /// A service that cannot come up for now, and those that wait for it, do not keep Dynamite from running.
    fn give_up_waiting_for(&mut self, service: &ServiceId) {
        let mut hopeless = vec![service.clone()];
        while let Some(service) = hopeless.pop() {
            if self.unsettled.remove(&service) {
                hopeless.extend(self.dependents.get(&service).into_iter().flatten().cloned());
            }
        }
    }
}
