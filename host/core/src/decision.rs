//! A decision about one service, as a value: its cause, what every policy said, which rules looked at it, what is done
//! and what was spent. It is all that there is to say about it, and its words are here alone.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Cause, Cooldown, DecisionId, PolicyId, Reason, ServiceId, Slot, Vote, Wish};

/// The two ways a policy can scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More instances.
    Up,
    /// Fewer instances.
    Down,
}

impl Direction {
    /// `up` or `down`, as in keys and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The count that is one step from `count` in this direction.
    #[must_use]
    pub fn step(self, count: u32) -> u32 {
        match self {
            Self::Up => count.saturating_add(1),
            Self::Down => count.saturating_sub(1),
        }
    }
}

/// One rule that looked at the wish, and what it made of it. Rules that let it pass are not listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// The rule.
    pub rule: Rule,
    /// The count that was wanted.
    pub before: u32,
    /// The count that it left.
    pub after: u32,
    /// Why.
    pub reason: Reason,
}

/// The rules that look at a wish, in the order in which they do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// `min_instance` and `max_instance`.
    Bounds,
    /// A policy that is for one direction does not act in the other.
    Direction,
    /// Without any sample a policy may want more, and has no say about less.
    Data,
    /// Services that are to run first.
    Dependencies,
    /// A policy rests after it scaled.
    Rest,
    /// The largest count wins, and who cannot say keeps instances.
    Objections,
    /// What is still starting serves nobody yet: the minimum stays up.
    Starting,
    /// Which instances go.
    Victims,
    /// Which slots are free.
    Slots,
}

/// What is done with one unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Action {
    /// What.
    pub deed: Deed,
    /// The slot of the instance; `None` for one that the specification does not know any more.
    pub slot: Option<Slot>,
    /// The unit that is started, stopped or put back in its place.
    pub unit: String,
    /// Why.
    pub reason: Reason,
    /// What is waited for before, as attempts failed.
    pub backing_off: Option<BackingOff>,
}

impl Action {
    /// Whether nothing is to be seen of it yet, as it waits after failed attempts to start an instance.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.deed == Deed::Start && self.backing_off.is_some()
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// An instance is brought up.
    Start,
    /// An instance is put back in its place; the count stays.
    Replace,
    /// An instance is taken away.
    Stop,
    /// An attached unit is put back in its place.
    Mend,
}

/// Why an attempt waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackingOff {
    /// How many attempts failed in a row.
    pub attempts: u32,
    /// How long this one waits.
    pub pause: SignedDuration,
}

/// What a decision costs the policy that caused it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// The policy.
    pub policy: PolicyId,
    /// The direction in which it rests now.
    pub direction: Direction,
    /// Until when.
    pub cooldown: Cooldown,
    /// How many instances there were.
    pub before: u32,
    /// How many there are to be.
    pub after: u32,
}

/// All that there is to say about a decision. Without actions it is a hold, and nothing is spent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Its number.
    pub id: DecisionId,
    /// The service.
    pub service: ServiceId,
    /// When it was made, by the clock.
    pub at: Timestamp,
    /// Why the service was looked at.
    pub cause: Cause,
    /// What the other policies said last.
    #[serde(rename = "other_votes")]
    pub last: Vec<Vote>,
    /// What the policy that caused it is taken to have said, within bounds and direction; it is heard by others.
    pub heard: Option<Wish>,
    /// How many instances there were.
    pub count: u32,
    /// The rules that made something of the wish, in order.
    pub stages: Vec<Stage>,
    /// How many instances are wanted, before and after.
    pub wanted: (u32, u32),
    /// What is done.
    pub actions: Vec<Action>,
    /// Why nothing is done, or not all of it.
    pub hold: Option<Reason>,
    /// What it cost.
    pub spent: Option<Spent>,
}

/// A line about a decision: what is done with a unit, or that nothing is.
#[derive(Clone, Copy, Debug)]
pub struct Line<'d> {
    service: &'d ServiceId,
    /// What is done; `None`: nothing.
    pub action: Option<&'d Action>,
    /// Why.
    pub reason: &'d Reason,
}

impl Decision {
    /// Whether there is nothing to say: nothing is done, and nothing keeps anything from being done.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.actions.is_empty() && self.hold.is_none()
    }

    /// One line for each action, and one for what holds.
    pub fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        let service = &self.service;
        let actions = self.actions.iter().map(move |action| Line {
            service,
            action: Some(action),
            reason: &action.reason,
        });
        actions.chain(self.hold.iter().map(move |reason| Line { service, action: None, reason }))
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            line.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, action, reason } = self;
        match action {
            None => write!(f, "{service}: hold: {reason}"),
            Some(Action { deed: Deed::Start, backing_off: Some(BackingOff { attempts, pause }), .. }) => {
                let reason = Reason::BackingOff { attempts: *attempts, pause: *pause };
                write!(f, "{service}: hold: {reason}")
            }
            Some(Action { deed, unit, backing_off: Some(BackingOff { attempts, pause }), .. }) => {
                let waiting = Reason::BackingOff { attempts: *attempts, pause: *pause };
                write!(f, "{service}: {deed} {unit}: {reason}; {waiting}")
            }
            Some(Action { deed, unit, .. }) => write!(f, "{service}: {deed} {unit}: {reason}"),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "up",
            Self::Stop => "down",
            Self::Replace | Self::Mend => "replace",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::reason::Firing;
    use super::super::{Loss, Operator};
    use super::*;

    /// A decision about `apache` in which nothing is known.
    pub(crate) fn blank() -> Decision {
        Decision {
            id: DecisionId { term: 0, number: 1 },
            service: "apache".into(),
            at: Timestamp::UNIX_EPOCH,
            cause: Cause::Review,
            last: Vec::new(),
            heard: None,
            count: 2,
            stages: Vec::new(),
            wanted: (2, 2),
            actions: Vec::new(),
            hold: None,
            spent: None,
        }
    }

    fn check(deed: Option<Deed>, reason: Reason, expected: &str) {
        let mut decision = blank();
        match deed {
            None => decision.hold = Some(reason),
            Some(deed) => {
                let unit = "apache@8082.service".to_owned();
                decision.actions =
                    vec![Action { deed, slot: Some(Slot(8082)), unit, reason, backing_off: None }];
            }
        }
        assert_eq!(decision.to_string(), expected);
        let text = serde_json::to_string(&decision).unwrap();
        assert_eq!(serde_json::from_str::<Decision>(&text).unwrap(), decision, "{text}");
    }

    #[test]
    fn decisions_read_as_words_and_can_be_written_down() {
        check(None, Reason::AtMaximum { count: 2, max: 2 }, "apache: hold: 2 of 2 (max_instance)");
        check(
            Some(Deed::Start),
            Reason::BelowWanted { count: 0, wanted: 2 },
            "apache: up apache@8082.service: 0 of 2 wanted",
        );
        let firing = Firing {
            policy: "apache_scale_up".into(),
            metric: "cpu_user".into(),
            instance: Some("4f2a".to_owned()),
            value: 95.5,
            operator: Operator::Greater,
            threshold: 90.0,
            lasted: SignedDuration::from_secs(30),
            at: Timestamp::UNIX_EPOCH,
        };
        check(
            Some(Deed::Start),
            Reason::Threshold(Box::new(firing)),
            "apache: up apache@8082.service: apache_scale_up: cpu_user of 4f2a is 95.5 (> 90 for 30s)",
        );
        check(
            Some(Deed::Replace),
            Reason::Lost(Loss::Failed("failed/failed".to_owned())),
            "apache: replace apache@8082.service: failed (failed/failed)",
        );
    }

    #[test]
    fn an_attempt_that_waits_is_told_as_a_hold() {
        let mut decision = blank();
        let backing_off = Some(BackingOff { attempts: 2, pause: SignedDuration::from_secs(2) });
        let reason = Reason::BelowWanted { count: 0, wanted: 2 };
        let unit = "apache@1.service".to_owned();
        let action = Action { deed: Deed::Start, slot: Some(Slot(1)), unit, reason, backing_off };
        decision.actions = vec![action.clone()];
        assert_eq!(decision.to_string(), "apache: hold: 2 failed attempts, next in 2s");
        decision.actions = vec![Action { deed: Deed::Replace, reason: Reason::Lost(Loss::Ended), ..action }];
        let words = "apache: replace apache@1.service: its process ended; 2 failed attempts, next in 2s";
        assert_eq!(decision.to_string(), words);
    }
}
