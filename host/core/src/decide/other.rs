//! What is decided without a wish: filling up, shrinking, replacing, mending, and going on from what a former run left.

use super::ServiceView;
use crate::{Action, Decision, Deed, Found, Loss, Phase, Reason, Slot};

/// Starts what is missing and stops what is too much.
pub(super) fn review(view: &ServiceView<'_>, mut decision: Decision) -> Decision {
    let count = view.population.count();
    if count == view.wanted {
        return decision;
    }
    if let Some(service) = view.waits_for {
        decision.hold = Some(Reason::WaitingFor { service: service.clone() });
        return decision;
    }
    let excess = count.saturating_sub(view.wanted);
    let too_many = view.population.in_phase(Phase::Running).rev().take(excess as usize);
    for (slot, count) in too_many.zip((0..=count).rev()) {
        let reason = Reason::AboveMaximum { count, max: view.wanted };
        decision.actions.push(view.action(Deed::Stop, slot, reason));
    }
    let missing = view.wanted.saturating_sub(count);
    let free = view.free_slots(missing);
    let short = free.len() < missing as usize;
    for (slot, count) in free.into_iter().zip(count..) {
        let reason = Reason::BelowWanted { count, wanted: view.wanted };
        decision.actions.push(view.waiting(view.action(Deed::Start, slot, reason)));
    }
    decision.hold = short.then_some(Reason::NoFreeNumber);
    decision
}

/// Puts an instance back in its place.
pub(super) fn lost(view: &ServiceView<'_>, slot: Slot, loss: &Loss, mut decision: Decision) -> Decision {
    let action = view.action(Deed::Replace, slot, Reason::Lost(loss.clone()));
    decision.actions = vec![view.waiting(action)];
    decision
}

/// Puts what is attached to an instance back in its place.
pub(super) fn attached_lost(slot: Slot, units: &[(String, Loss)], mut decision: Decision) -> Decision {
    let mend = |(unit, loss): &(String, Loss)| Action {
        deed: Deed::Mend,
        slot: Some(slot),
        unit: unit.clone(),
        reason: Reason::Lost(loss.clone()),
        backing_off: None,
    };
    decision.actions = units.iter().map(mend).collect();
    decision
}

/// Goes on with what a former run left.
pub(super) fn left(view: &ServiceView<'_>, slot: Slot, found: &Found, mut decision: Decision) -> Decision {
    let (deed, reason) = match found {
        Found::Stopping => (Deed::Stop, Reason::Resumed),
        Found::Lost(loss) => (Deed::Replace, Reason::Lost(loss.clone())),
        Found::Starting | Found::Doubtful => (Deed::Start, Reason::Resumed),
    };
    decision.actions = vec![view.action(deed, slot, reason)];
    decision
}

/// Takes away what is not configured any more.
pub(super) fn unknown(unit: &str, mut decision: Decision) -> Decision {
    let (unit, reason) = (unit.to_owned(), Reason::NotConfigured);
    decision.actions = vec![Action { deed: Deed::Stop, slot: None, unit, reason, backing_off: None }];
    decision
}
