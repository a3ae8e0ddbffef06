//! The first plan of a term: what a former run recorded or had begun, held against what the orchestrator knows.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::look::Health;
use super::services::ServiceTable;
use super::{Turn, orders};
use crate::decide::decide_unknown;
use crate::{ActionId, Cause, Found, Instance, Intent, IntentAction, Phase, ServiceId, Slot, Stored};

impl ServiceTable {
    /// Takes over what was recorded: what is well stays as it is, what is lost is replaced, what was begun is finished,
    /// what is not configured any more goes. Nothing that was not recorded is touched.
    pub(super) fn recover(&mut self, stored: &Stored, turn: &mut Turn<'_>) {
        let services: BTreeSet<&ServiceId> = stored.instances.keys().chain(stored.intents.keys()).collect();
        let (no_records, no_intents) = (BTreeMap::new(), BTreeMap::new());
        for service in services {
            let records = stored.instances.get(service).unwrap_or(&no_records);
            let intents = stored.intents.get(service).unwrap_or(&no_intents);
            let units: BTreeSet<&String> = records.keys().chain(intents.keys()).collect();
            for unit in units {
                let (recorded, intent) = (records.get(unit), intents.get(unit));
                let slot = self.get(service.as_str()).and_then(|state| state.spec.unit.slot_of(unit));
                match slot {
                    Some(slot) => self.resume(service, slot, recorded, intent, turn),
                    None => self.remove_unknown(service, unit, recorded, intent, turn),
                }
            }
        }
        for state in self.all.values_mut() {
            state.want(state.population.count());
        }
        turn.effects.records.templates.extend(self.order.iter().cloned());
    }

    /// Puts an instance of a former run in its slot, and brings it to where it should be.
    fn resume(
        &mut self,
        service: &ServiceId,
        slot: Slot,
        recorded: Option<&Vec<String>>,
        intent: Option<&Intent>,
        turn: &mut Turn<'_>,
    ) {
        let look = self.look.clone();
        let Some(state) = self.all.get_mut(service) else { return };
        let health = look.health(&state.spec.unit_name(slot));
        let found = match (intent, recorded, health) {
            (Some(intent), ..) if intent.action == IntentAction::Stop => Some(Found::Stopping),
            (None, _, Health::Up) => None,
            (Some(_), None, _) => Some(Found::Starting),
            (_, Some(_), Health::Lost(loss)) => Some(Found::Lost(loss)),
            _ => Some(Found::Doubtful),
        };
        // Nobody knows since when it is what it is: for long, as far as policies are concerned.
        let running = Instance::new(Phase::Running, Timestamp::UNIX_EPOCH);
        state.population.put(slot, Instance { attached: recorded.cloned(), ..running });
        if let Some(intent) = intent {
            state.begun.insert(slot, intent.clone());
        }
        if let Some(found) = found {
            self.decide(service, &Cause::Left { slot, found }, turn);
        }
    }

    /// Removes an instance whose service is not configured any more, or that is of a former unit file: such a one goes
    /// when there are enough of the present one.
    pub(super) fn remove_unknown(
        &mut self,
        service: &ServiceId,
        unit: &str,
        recorded: Option<&Vec<String>>,
        intent: Option<&Intent>,
        turn: &mut Turn<'_>,
    ) {
        let decision = decide_unknown(service, unit, turn.next_id(), turn.now);
        let order =
            orders::removal(ActionId { decision: decision.id, index: 0 }, service, unit, recorded, intent);
        self.carry_out(decision, turn);
        match self.all.get_mut(service).filter(|state| !state.ready) {
            Some(state) => state.leftovers.push(order),
            None => self.hand_over(order, turn),
        }
    }
}
