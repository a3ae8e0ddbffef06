//! What becomes of an answer: a stance, an action or a reason to hold, or a failure.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};

use super::{Advisor, Trouble, later};
use crate::engine::board::{Board, Effects};
use crate::engine::post;
use crate::record::CooldownRecord;
use crate::scaling::{Cooldown, Decision, Direction, Proposal, Reason, Stance, Verb, Verdict};

/// The longest pause after failures; it doubles with each, from the policy's interval on.
const PAUSE_MAX: SignedDuration = SignedDuration::from_mins(5);

impl Advisor {
    /// Takes in a verdict, and scales. Returns when the policy wants to be asked again.
    pub(super) fn act(
        &mut self,
        index: usize,
        verdict: Verdict,
        board: &mut Board,
        effects: &mut Effects,
    ) -> Result<Option<Timestamp>, String> {
        let Verdict { proposal, reason, state, wake_at } = verdict;
        let named = self.named(&proposal, board)?;
        if std::mem::take(&mut self.failures) > 0 {
            self.trouble = None;
            effects.policy_statuses.insert(index);
            let service = &board.posts[self.service].service.name;
            tracing::info!(service, policy = self.policy, "{service}: {} works again", self.policy);
        }
        if *self.state != *state {
            self.state = state.into();
            effects.policy_states.insert(index);
        }
        let post = &mut board.posts[self.service];
        let count = post.roster.count();
        let wanted = proposal.wanted(count);
        let within = post.roster.bounds().clamp(wanted);
        let stance = self.stance(count, within);
        // Without any data a policy may want more, and has no say about less.
        let heard = if self.has_data || within > count { stance } else { Stance::NoData };
        post.stances.insert(self.policy.clone(), heard);
        if let Stance::Wants(within) = heard {
            self.scale(count, (wanted, within), &named, &reason, board, effects);
        } else {
            let service = &*post.service.name;
            tracing::debug!(service, "{service}: hold: {}: {reason}", self.policy);
        }
        Ok(wake_at)
    }

    fn stance(&self, count: u32, wanted: u32) -> Stance {
        let may = |direction| self.directions.contains(&direction);
        match wanted.cmp(&count) {
            std::cmp::Ordering::Greater if may(Direction::Up) => Stance::Wants(wanted),
            std::cmp::Ordering::Less if may(Direction::Down) => Stance::Wants(wanted),
            _ if may(Direction::Down) => Stance::Stays,
            _ => Stance::Abstains,
        }
    }

    /// The numbers of the instances that a policy named.
    fn named(&self, proposal: &Proposal, board: &Board) -> Result<Vec<u32>, String> {
        let Proposal::Stop(names) = proposal else { return Ok(Vec::new()) };
        let post = &board.posts[self.service];
        let number = |name: &String| {
            let known =
                post.roster.iter().map(|(number, ..)| number).find(|number| post.unit_name(*number) == *name);
            known.ok_or_else(|| format!("it wants `{name}` to stop, and there is no such instance"))
        };
        let mut numbers: Vec<u32> = names.iter().map(number).collect::<Result<_, _>>()?;
        let mut seen = HashSet::new();
        numbers.retain(|number| seen.insert(*number));
        Ok(numbers)
    }

    fn scale(
        &mut self,
        count: u32,
        (wanted, within): (u32, u32),
        named: &[u32],
        words: &str,
        board: &mut Board,
        effects: &mut Effects,
    ) {
        let direction = if within > count { Direction::Up } else { Direction::Down };
        let rests = match direction {
            Direction::Up => &mut self.rests_up,
            Direction::Down => &mut self.rests_down,
        };
        if let Some(until) = rests.filter(|until| board.now < *until) {
            self.hold(Reason::CoolingDown { policy: self.policy.clone(), until }, board);
            return;
        }
        let made = match board.reach(self.service, &self.policy, within) {
            Ok(made) => made,
            Err(reason) => return self.hold(reason, board),
        };
        let (made, leaving) = match direction {
            Direction::Up => (made, Vec::new()),
            Direction::Down => match board.leaving(self.service, made, named) {
                Ok(leaving) => (count - u32::try_from(leaving.len()).unwrap_or(count), leaving),
                Err(reason) => return self.hold(reason, board),
            },
        };
        let until = later(board.now, self.cooldown);
        let reason = Reason::Policy { policy: self.policy.clone(), words: words.to_owned(), wanted, made };
        let cooldown = Cooldown { fired_at: board.now, until };
        let record = CooldownRecord::new(&self.policy, cooldown, (count, made));
        match board.move_to(self.service, made, &leaving, &reason, &record) {
            Ok(jobs) => {
                *rests = Some(until);
                self.told.forget();
                effects.jobs.extend(jobs);
            }
            Err(reason) => self.hold(reason, board),
        }
    }

    fn hold(&mut self, reason: Reason, board: &Board) {
        if self.told.is_news(&reason, board.now) {
            let service = board.posts[self.service].service.name.clone();
            post::log(&Decision { service, verb: Verb::Hold, unit: None, reason });
        }
    }

    /// It failed before it was ever to be asked, and need not fail any more: as at the start.
    pub(super) fn start_over(&mut self, index: usize, board: &mut Board, effects: &mut Effects) {
        (self.failures, self.trouble) = (0, None);
        board.posts[self.service].stances.insert(self.policy.clone(), Stance::NoData);
        effects.policy_statuses.insert(index);
    }

    /// Takes in a failure, and returns how long to wait before the next question.
    pub(super) fn fail(
        &mut self,
        index: usize,
        error: String,
        board: &mut Board,
        effects: &mut Effects,
    ) -> SignedDuration {
        let post = &mut board.posts[self.service];
        post.stances.insert(self.policy.clone(), Stance::Failed);
        let (service, policy) = (&*post.service.name, &*self.policy);
        if self.trouble.as_ref().is_none_or(|trouble| trouble.error != error) {
            tracing::warn!(service, policy, error, "{service}: hold: {policy} failed: {error}");
            let since = self.trouble.as_ref().map_or(board.now, |trouble| trouble.since);
            self.trouble = Some(Trouble { error, since });
            effects.policy_statuses.insert(index);
        }
        self.failures = self.failures.saturating_add(1);
        let doubled = self.interval.checked_mul(1 << (self.failures - 1).min(16)).unwrap_or(PAUSE_MAX);
        doubled.min(PAUSE_MAX.max(self.interval))
    }
}
