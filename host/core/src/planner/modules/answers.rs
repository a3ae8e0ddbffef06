//! What becomes of an answer: a vote that is decided about, or a failure.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Answer, GAP, ModulePolicy, Trouble, Waiting};
use crate::planner::services::ServiceTable;
use crate::planner::{Turn, later};
use crate::{
    Abstention, Cause, Event, FailureKind, Grounds, PolicyError, Proposal, Slot, Verdict, Victims, Vote, Wish,
};

/// The longest pause after failures; it doubles with each, from the policy's interval on.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(5);

impl ModulePolicy {
    /// Takes in an answer. Returns when it is to be asked again.
    pub(super) fn answered(
        &mut self,
        answer: Answer,
        services: &mut ServiceTable,
        turn: &mut Turn<'_>,
    ) -> Timestamp {
        let Answer { result, usage } = answer;
        let is_behind = self.waiting == Waiting::AndBehind;
        self.waiting = Waiting::No;
        let result = result.and_then(|verdict| Ok((self.wish(&verdict.proposal, services)?, verdict)));
        let error = result.as_ref().err().cloned();
        let delay = turn.now.duration_since(self.was_due);
        turn.tell(Event::PolicyAnswered { of: self.of.clone(), delay, usage, error });
        let soonest = later(self.asked_at, GAP);
        match result {
            Err(error) => later(turn.now, self.fail(error, services, turn)),
            Ok((wish, verdict)) => match self.act(wish, verdict, services, turn) {
                _ if is_behind => soonest,
                Some(wake_at) => later(turn.now, self.used.interval).min(wake_at).max(soonest),
                None => later(turn.now, self.used.interval),
            },
        }
    }

    /// What a proposal comes to for the service.
    fn wish(&self, proposal: &Proposal, services: &ServiceTable) -> Result<Wish, PolicyError> {
        Ok(match proposal {
            Proposal::Hold => Wish::Stay,
            Proposal::To(count) => Wish::To(*count),
            Proposal::Up(more) => Wish::More(*more),
            Proposal::Down(by) => Wish::Less { by: *by, who: Victims::Highest },
            Proposal::Stop(names) => {
                let by = u32::try_from(names.len()).unwrap_or(u32::MAX);
                Wish::Less { by, who: Victims::Exactly(self.slots(names, services)?) }
            }
        })
    }

    /// The slots of the instances that a policy named, each once.
    fn slots(&self, names: &[String], services: &ServiceTable) -> Result<Vec<Slot>, PolicyError> {
        let state = services.get(self.of.service.as_str());
        let slot = |name: &String| {
            let known = state.and_then(|state| {
                let slot = state.spec.unit.slot_of(name)?;
                state.population.get(slot).map(|_| slot)
            });
            let words = || format!("it wants `{name}` to stop, and there is no such instance");
            known.ok_or_else(|| PolicyError::new(FailureKind::Answer, words()))
        };
        let mut slots = names.iter().map(slot).collect::<Result<Vec<_>, _>>()?;
        let mut seen = BTreeSet::new();
        slots.retain(|slot| seen.insert(*slot));
        Ok(slots)
    }

    /// Lets a verdict be decided about. Returns when the policy wants to be asked again.
    fn act(
        &mut self,
        wish: Wish,
        verdict: Verdict,
        services: &mut ServiceTable,
        turn: &mut Turn<'_>,
    ) -> Option<Timestamp> {
        let Verdict { reason, state, wake_at, .. } = verdict;
        if std::mem::take(&mut self.failures) > 0 {
            self.trouble = None;
            turn.effects.records.policy_statuses.insert(self.of.clone());
            turn.tell(Event::PolicyWorks { of: self.of.clone() });
        }
        if *self.state != *state {
            self.state = state.into();
            turn.effects.records.policy_states.insert(self.of.clone());
        }
        let grounds = Grounds::Words { text: reason.into(), has_data: self.has_data };
        services.decide(&self.of.service, &Cause::Vote(self.vote(wish, grounds, turn.now)), turn);
        wake_at
    }

    fn vote(&self, wish: Wish, grounds: Grounds, at: Timestamp) -> Vote {
        Vote { policy: self.of.policy.clone(), at, wish, grounds }
    }

    /// It failed before it was ever to be asked, and need not fail any more: as at the start.
    pub(super) fn start_over(&mut self, services: &mut ServiceTable, turn: &mut Turn<'_>) {
        (self.failures, self.trouble) = (0, None);
        if let Some(state) = services.all.get_mut(&self.of.service) {
            state.votes.insert(self.of.policy.clone(), Vote::none_yet(self.of.policy.clone(), turn.now));
        }
        turn.effects.records.policy_statuses.insert(self.of.clone());
    }

    /// Takes in a failure, and returns how long to wait before the next question.
    fn fail(
        &mut self,
        error: PolicyError,
        services: &mut ServiceTable,
        turn: &mut Turn<'_>,
    ) -> SignedDuration {
        if self.trouble.as_ref().is_none_or(|trouble| trouble.error != error) {
            let since = self.trouble.as_ref().map_or(turn.now, |trouble| trouble.since);
            self.trouble = Some(Trouble { error: error.clone(), since });
            turn.tell(Event::PolicyFails { of: self.of.clone(), error: error.clone(), since });
            turn.effects.records.policy_statuses.insert(self.of.clone());
        }
        let wish = Wish::Abstain(Abstention::Failed);
        let vote = self.vote(wish, Grounds::Failure(error), turn.now);
        services.decide(&self.of.service, &Cause::Vote(vote), turn);
        self.failures = self.failures.saturating_add(1);
        let interval = self.used.interval;
        let doubled = interval.checked_mul(1 << (self.failures - 1).min(16)).unwrap_or(PAUSE_MAX);
        doubled.min(PAUSE_MAX.max(interval))
    }
}
