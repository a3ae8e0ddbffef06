//! The one function that decides: what a service's state and a cause come to.
//!
//! A wish goes through [`STAGES`], each of which lets it pass, trims it or stops it; what is left becomes actions. Nothing
//! is changed here: whoever called carries the decision out.

mod other;
mod stages;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use self::stages::{Draft, Ruling, STAGES};
use super::{
    Abstention, Action, Attempts, BackingOff, Bounds, Cause, Command, Cooldown, Decision, DecisionId, Deed,
    Direction, Grounds, ModuleUse, PolicyId, PolicyUse, Population, Reason, ServiceId, ServiceSpec, Slot,
    Spent, ThresholdUse, Victims, Vote, Wish,
};

/// Until when each policy rests in each direction.
pub type Rests = BTreeMap<(PolicyId, Direction), Cooldown>;

/// A service as it is when it is decided about.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a> {
    /// What it shall be.
    pub spec: &'a ServiceSpec,
    /// Its instances.
    pub population: &'a Population,
    /// How many instances there should be.
    pub wanted: u32,
    /// What the policies that are asked said last.
    pub last: &'a BTreeMap<PolicyId, Vote>,
    /// Which of them rest.
    pub rests: &'a Rests,
    /// The first service that must run first and does not yet.
    pub waits_for: Option<&'a ServiceId>,
    /// Attempts that failed.
    pub attempts: &'a Attempts,
}

impl ServiceView<'_> {
    fn bounds(&self) -> Bounds {
        self.spec.bounds
    }

    /// How many more may be started: what `max_instance` leaves.
    fn room(&self) -> u32 {
        let present = self.wanted.max(self.population.count());
        self.bounds().max.map_or(u32::MAX, |max| max.saturating_sub(present))
    }

    /// How many instances may go: those that are up beyond the minimum. Those that are still starting serve nobody yet.
    fn spare(&self) -> u32 {
        self.population.running().min(self.wanted).saturating_sub(self.bounds().min)
    }

    /// The lowest free slots, at most so many.
    fn free_slots(&self, most: u32) -> Vec<Slot> {
        let free = |slot: &Slot| self.population.is_free(*slot);
        let unit = &self.spec.unit;
        if unit.is_template() {
            return self.spec.ports.slots().filter(free).take(most as usize).collect();
        }
        [Slot(0)].into_iter().filter(free).take(most as usize).collect()
    }

    /// How a policy that is asked is configured here.
    fn module(&self, policy: &PolicyId) -> Option<&ModuleUse> {
        self.spec.policies.iter().find_map(|used| match used {
            PolicyUse::Module(module) if module.policy == *policy => Some(module),
            _ => None,
        })
    }

    fn threshold(&self, policy: &PolicyId, direction: Direction) -> Option<&ThresholdUse> {
        self.spec.policies.iter().find_map(|used| match used {
            PolicyUse::Threshold(used) if used.policy == *policy && used.direction == direction => Some(used),
            _ => None,
        })
    }

    fn action(&self, deed: Deed, slot: Slot, reason: Reason) -> Action {
        Action { deed, slot: Some(slot), unit: self.spec.unit_name(slot), reason, backing_off: None }
    }

    /// A start after failed attempts waits.
    fn waiting(&self, action: Action) -> Action {
        Action { backing_off: self.attempts.backing_off(), ..action }
    }

    fn blank(&self, id: DecisionId, cause: &Cause, now: Timestamp) -> Decision {
        let voter = if let Cause::Vote(vote) = cause { Some(&vote.policy) } else { None };
        Decision {
            id,
            service: self.spec.id.clone(),
            at: now,
            cause: cause.clone(),
            last: self.last.values().filter(|vote| Some(&vote.policy) != voter).cloned().collect(),
            heard: None,
            count: self.population.count(),
            stages: Vec::new(),
            wanted: (self.wanted, self.wanted),
            actions: Vec::new(),
            hold: None,
            spent: None,
        }
    }
}

/// What follows from `cause` for a service.
#[must_use]
pub fn decide(view: &ServiceView<'_>, cause: &Cause, id: DecisionId, now: Timestamp) -> Decision {
    let blank = view.blank(id, cause, now);
    match cause {
        Cause::Vote(vote) => by_vote(view, vote, blank),
        Cause::Command(Command::Scale { to, .. }) => by_command(view, *to, blank),
        Cause::Review => other::review(view, blank),
        Cause::Lost { slot, loss } => other::lost(view, *slot, loss, blank),
        Cause::AttachedLost { slot, units } => other::attached_lost(*slot, units, blank),
        Cause::Left { slot, found } => other::left(view, *slot, found, blank),
        Cause::Unknown { unit } => other::unknown(unit, blank),
    }
}

/// The decision about an instance of a service, or of a unit file, that the specification does not know any more.
#[must_use]
pub(super) fn decide_unknown(service: &ServiceId, unit: &str, id: DecisionId, now: Timestamp) -> Decision {
    let decision = Decision {
        id,
        service: service.clone(),
        at: now,
        cause: Cause::Unknown { unit: unit.to_owned() },
        last: Vec::new(),
        heard: None,
        count: 0,
        stages: Vec::new(),
        wanted: (0, 0),
        actions: Vec::new(),
        hold: None,
        spent: None,
    };
    other::unknown(unit, decision)
}

/// Every rule in turn looks at the wish; the first that stops it has the last word.
fn through_stages<'v>(
    view: &'v ServiceView<'v>,
    draft: &mut Draft<'v>,
    decision: &mut Decision,
) -> Option<Reason> {
    for (rule, stage) in STAGES {
        if draft.target == draft.count {
            break;
        }
        let before = draft.target;
        let (after, reason, stops) = match stage(view, draft) {
            Ruling::Passes => continue,
            Ruling::Trims(after, reason) => (after, reason, None),
            Ruling::Stops(reason) => (draft.count, reason.clone(), Some(reason)),
        };
        draft.target = after;
        decision.stages.push(super::Stage { rule, before, after, reason });
        if rule.is_about_the_policy() {
            draft.heard = after;
        }
        if let Some(reason) = stops {
            return Some(reason);
        }
    }
    None
}

fn by_vote(view: &ServiceView<'_>, vote: &Vote, mut decision: Decision) -> Decision {
    if let Grounds::Failure(error) = &vote.grounds {
        decision.heard = Some(Wish::Abstain(Abstention::Failed));
        decision.hold = Some(Reason::PolicyFailed { policy: vote.policy.clone(), error: error.clone() });
        return decision;
    }
    let mut draft = Draft::of_vote(view, vote, decision.at);
    let stopped = through_stages(view, &mut draft, &mut decision);
    decision.heard = draft.asked.map(|asked| asked.heard(draft.count, draft.heard));
    if draft.target == draft.count {
        decision.hold = Some(stopped.unwrap_or_else(|| stays(vote)));
        return decision;
    }
    let wanted = vote.count_from(draft.count);
    let reason = match &vote.grounds {
        Grounds::Threshold(firing) => Reason::Threshold(firing.clone()),
        _ => Reason::Policy { policy: vote.policy.clone(), words: words(vote), wanted, made: draft.target },
    };
    decision.spent = spent(view, vote, &draft);
    carried_out(view, &draft, &reason, decision)
}

fn by_command(view: &ServiceView<'_>, to: u32, mut decision: Decision) -> Decision {
    let mut draft = Draft::new(view, to, Victims::Highest, decision.at);
    let stopped = through_stages(view, &mut draft, &mut decision);
    if draft.target == draft.count {
        decision.hold = Some(stopped.unwrap_or(Reason::Told { to }));
        return decision;
    }
    carried_out(view, &draft, &Reason::Told { to }, decision)
}

/// The actions of what is left of a wish.
fn carried_out(
    view: &ServiceView<'_>,
    draft: &Draft<'_>,
    reason: &Reason,
    mut decision: Decision,
) -> Decision {
    let starts = draft.starting.iter().map(|slot| view.action(Deed::Start, *slot, reason.clone()));
    let stops = draft.leaving.iter().map(|slot| view.action(Deed::Stop, *slot, reason.clone()));
    decision.actions = starts.chain(stops).collect();
    let started = u32::try_from(draft.starting.len()).unwrap_or(u32::MAX);
    let stopped = u32::try_from(draft.leaving.len()).unwrap_or(u32::MAX);
    let wanted = view.wanted.saturating_add(started).saturating_sub(stopped);
    decision.wanted.1 = view.bounds().clamp(wanted);
    decision
}

fn stays(vote: &Vote) -> Reason {
    Reason::Stays { policy: vote.policy.clone(), words: words(vote) }
}

fn words(vote: &Vote) -> Arc<str> {
    if let Grounds::Words { text, .. } = &vote.grounds { text.clone() } else { Arc::default() }
}

/// What the policy has spent: its rest begins.
fn spent(view: &ServiceView<'_>, vote: &Vote, draft: &Draft<'_>) -> Option<Spent> {
    let direction = if draft.target > draft.count { Direction::Up } else { Direction::Down };
    let cooldown = match vote.direction_of_threshold() {
        Some(direction) => Cooldown::after(view.threshold(&vote.policy, direction)?.rule.cooldown, vote.at),
        None => Cooldown::after(view.module(&vote.policy)?.cooldown, vote.at),
    };
    Some(Spent { policy: vote.policy.clone(), direction, cooldown, before: draft.count, after: draft.target })
}

/// The pause of an attempt as the clock counts it; nothing without one.
#[must_use]
pub(super) fn pause_of(backing_off: Option<BackingOff>) -> std::time::Duration {
    backing_off.and_then(|it| it.pause.try_into().ok()).unwrap_or_default()
}
