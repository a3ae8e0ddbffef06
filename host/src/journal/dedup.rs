//! What was told last, so that people are not told the same reason to hold over and over. The journal has each.

use std::collections::BTreeMap;

use dynamite_core::{Cause, Decision, Direction, Event, Line, Outcome, PolicyId, Reason, ServiceId};
use jiff::{SignedDuration, Timestamp};

/// How long the same reason to hold is not told again.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// Whose reasons to hold are told apart: those of a service's planning, and those of each policy in each direction.
type Voice = (ServiceId, Option<(PolicyId, Option<Direction>)>);

/// The last reason to hold of every voice, and when it was told.
#[derive(Debug, Default)]
pub struct LogDedup(BTreeMap<Voice, (Reason, Timestamp)>);

impl LogDedup {
    /// The lines of a decision that are news.
    pub fn news<'d>(&mut self, decision: &'d Decision) -> Vec<Line<'d>> {
        let (voter, at) = match &decision.cause {
            Cause::Vote(vote) => (Some((vote.policy.clone(), vote.direction_of_threshold())), vote.at),
            _ => (None, decision.at),
        };
        let voice: Voice = (decision.service.clone(), voter);
        decision.lines().filter(|line| self.is_news(line, &voice, at)).collect()
    }

    /// Once an instance is up, what keeps others from starting is news.
    pub fn note(&mut self, event: &Event) {
        if let Event::ActionEnded { service, outcome: Outcome::Started, .. } = event {
            self.0.remove(&(service.clone(), None));
        }
    }

    fn is_news(&mut self, line: &Line<'_>, voice: &Voice, at: Timestamp) -> bool {
        if let Some(action) = line.action {
            if voice.1.is_some() || action.is_waiting() {
                // Something happened: the next reason is news.
                self.0.remove(voice);
            }
            return true;
        }
        // From a policy that was long ago is news, too.
        let is_old = |when: Timestamp| voice.1.is_some() && at.duration_since(when) >= AGAIN_AFTER;
        let is_news =
            self.0.get(voice).is_none_or(|(last, when)| !last.same_kind(line.reason) || is_old(*when));
        // Content and failure are told in other ways, and change nothing about what was told.
        if is_news && !matches!(line.reason, Reason::Stays { .. } | Reason::PolicyFailed { .. }) {
            self.0.insert(voice.clone(), (line.reason.clone(), at));
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dynamite_core::{Action, DecisionId, Deed, Grounds, Slot, Vote, Wish};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// A decision of a policy, or of planning, that holds for a reason or acts.
    fn decision(policy: Option<&str>, second: i64, hold: Option<Reason>) -> Decision {
        let vote = |policy: &str| Vote {
            policy: policy.into(),
            at: at(second),
            wish: Wish::Stay,
            grounds: Grounds::Silence,
        };
        let action = Action {
            deed: Deed::Start,
            slot: Some(Slot(1)),
            unit: "web@1.service".to_owned(),
            reason: Reason::Resumed,
            backing_off: None,
        };
        Decision {
            id: DecisionId { term: 0, number: 1 },
            service: "web".into(),
            at: at(second),
            cause: policy.map_or(Cause::Review, |policy| Cause::Vote(vote(policy))),
            last: Vec::new(),
            heard: None,
            count: 1,
            stages: Vec::new(),
            wanted: (1, 1),
            actions: if hold.is_none() { vec![action] } else { Vec::new() },
            hold,
            spent: None,
        }
    }

    const FULL: Option<Reason> = Some(Reason::AtMaximum { count: 2, max: 2 });
    const SPENT: Option<Reason> = Some(Reason::NoFreeNumber);

    fn check(table: &[(Option<&str>, i64, &Option<Reason>, usize)]) {
        let mut dedup = LogDedup::default();
        for (index, (policy, second, hold, told)) in table.iter().enumerate() {
            let decision = decision(*policy, *second, (*hold).clone());
            assert_eq!(dedup.news(&decision).len(), *told, "decision {index}");
        }
    }

    #[test]
    fn a_reason_is_told_once_and_again_after_five_minutes_or_an_action() {
        let hot = Some("hot");
        check(&[
            (hot, 0, &FULL, 1),
            (hot, 10, &FULL, 0),
            (Some("cold"), 11, &FULL, 1),
            (hot, 20, &SPENT, 1),
            (hot, 21, &FULL, 1),
            (hot, 320, &FULL, 0),
            (hot, 321, &FULL, 1),
            (hot, 322, &None, 1),
            (hot, 323, &FULL, 1),
        ]);
    }

    #[test]
    fn what_keeps_planning_is_told_again_once_an_instance_is_up() {
        check(&[(None, 0, &SPENT, 1), (None, 1_000, &SPENT, 0)]);
        let mut dedup = LogDedup::default();
        let held = decision(None, 0, SPENT);
        assert_eq!([dedup.news(&held).len(), dedup.news(&held).len()], [1, 0]);
        dedup.note(&Event::ActionEnded {
            action: dynamite_core::ActionId { decision: DecisionId { term: 0, number: 1 }, index: 0 },
            service: "web".into(),
            slot: Some(Slot(1)),
            unit: "web@1.service".to_owned(),
            outcome: Outcome::Started,
            running: 1,
            failures: 0,
        });
        assert_eq!(dedup.news(&held).len(), 1);
    }
}
