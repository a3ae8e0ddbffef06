//! What an action of a decision comes to: the units that it is about, and what is written down before.

use std::collections::BTreeSet;

use super::service::ServiceState;
use crate::decide::pause_of;
use crate::{
    Action, ActionId, Cause, Claim, CooldownRecord, Decision, Deed, Found, InstancePlan, Intent,
    IntentAction, Order, PlannedUnit, Reason, ServiceId, Slot, Task, UnitTemplate,
};

/// The units of an instance as they are configured.
pub(super) fn plan(state: &ServiceState, slot: Slot) -> InstancePlan {
    let unit = |template: &UnitTemplate| PlannedUnit {
        name: template.unit_name(slot),
        blueprint: Some(template.blueprint.clone()),
    };
    InstancePlan {
        service: state.id().clone(),
        slot: Some(slot),
        instance: unit(&state.spec.unit),
        attached: state.spec.attached.iter().map(unit).collect(),
    }
}

/// The units of an instance that was begun: those that it was begun with.
pub(super) fn plan_as_begun(state: &ServiceState, slot: Slot) -> InstancePlan {
    plan(state, slot).begun_with(state.begun_with(slot).as_ref())
}

/// The order for an action on an instance of a service that is as it was before the decision.
pub(super) fn order(
    state: &ServiceState,
    id: ActionId,
    slot: Slot,
    action: &Action,
    decision: &Decision,
) -> Order {
    let cooldown = decision.spent.as_ref().map(CooldownRecord::from);
    match action.deed {
        Deed::Stop => {
            let plan = plan_as_begun(state, slot);
            let before = state.begun.get(&slot);
            let intent = plan.intent(IntentAction::Stop, &action.reason, before, cooldown);
            Order { id, plan, task: Task::Stop { intent } }
        }
        Deed::Mend => {
            let plan = plan_as_begun(state, slot);
            let found = plan.attached.iter().find(|unit| unit.name == action.unit);
            let unit = found.cloned().unwrap_or(PlannedUnit { name: action.unit.clone(), blueprint: None });
            Order { id, plan, task: Task::Mend { unit } }
        }
        Deed::Start | Deed::Replace => {
            let plan = plan(state, slot);
            let before = state.begun.get(&slot);
            let intent = plan.intent(IntentAction::Start, &action.reason, before, cooldown);
            let recorded = state.population().get(slot).and_then(|instance| instance.attached.clone());
            let names: BTreeSet<&str> = plan.names().into_iter().collect();
            let begun = state.begun_with(slot).unwrap_or_default();
            let former = begun.into_iter().filter(|name| !names.contains(name.as_str())).cloned().collect();
            let claim = claim(&decision.cause, action.deed);
            let after = pause_of(action.backing_off);
            Order { id, plan, task: Task::Start { claim, intent, recorded, former, after } }
        }
    }
}

fn claim(cause: &Cause, deed: Deed) -> Claim {
    match cause {
        _ if deed == Deed::Replace => Claim::Lost,
        Cause::Left { found: Found::Starting, .. } => Claim::Intended,
        Cause::Left { .. } => Claim::Recorded,
        _ => Claim::New,
    }
}

/// The removal of an instance whose service, or unit file, is not configured any more.
pub(super) fn removal(
    id: ActionId,
    service: &ServiceId,
    unit: &str,
    recorded: Option<&Vec<String>>,
    before: Option<&Intent>,
) -> Order {
    let instance = PlannedUnit { name: unit.to_owned(), blueprint: None };
    let plan = InstancePlan { service: service.clone(), slot: None, instance, attached: Vec::new() };
    let intended = before.into_iter().flat_map(|intent| intent.units.keys());
    let begun: BTreeSet<&String> =
        recorded.into_iter().flatten().chain(intended).filter(|name| **name != unit).collect();
    let plan = plan.begun_with(Some(&begun));
    let intent = plan.intent(IntentAction::Stop, &Reason::NotConfigured, before, None);
    Order { id, plan, task: Task::Stop { intent } }
}
