//! Who decides next: policies take turns, and those that are slow have a lane of their own. No I/O and no threads.

use std::collections::VecDeque;

/// How many decisions are made at a time for policies that are quick: one more than for one of them, see below.
const QUICK_PLACES: usize = 3;
/// How many are made at a time for policies that are slow: they have this place and no other.
const SLOW_PLACES: usize = 1;
/// How many are made at a time for one policy: should it turn slow, those under way leave a place to the others. Two fill
/// two cores, and more only get into each other's way: each makes the kernel change the memory that all of them share.
const PLACES_OF_ONE: usize = 2;

/// Where decisions are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// For policies whose last decision was quick.
    Quick,
    /// For policies whose last decision took long or failed, or that never made one.
    Slow,
}

/// Decisions that wait. Each worker of a lane takes one after the other, and ends when there is none.
#[derive(Debug)]
pub(super) struct Lanes<T> {
    policies: Vec<Policy<T>>,
    /// The policies with decisions that wait, each once, in the order of their turns.
    turns: VecDeque<usize>,
    /// The workers of each lane, and those of them that have something to do.
    workers: [usize; 2],
    busy: [usize; 2],
}

#[derive(Debug)]
struct Policy<T> {
    waiting: VecDeque<T>,
    running: usize,
    lane: Lane,
}

impl<T> Policy<T> {
    /// How many of those that wait could run now.
    fn ready(&self, lane: Lane) -> usize {
        if self.lane == lane { self.waiting.len().min(PLACES_OF_ONE.saturating_sub(self.running)) } else { 0 }
    }
}

impl<T> Lanes<T> {
    /// For so many policies.
    pub(super) fn new(policies: usize) -> Self {
        let policy = || Policy { waiting: VecDeque::new(), running: 0, lane: Lane::Slow };
        let policies = std::iter::repeat_with(policy).take(policies).collect();
        Self { policies, turns: VecDeque::new(), workers: [0; 2], busy: [0; 2] }
    }

    /// Adds a decision of a policy. Returns the lane that a new worker is to be started for, if one is.
    pub(super) fn add(&mut self, policy: usize, decision: T) -> Option<Lane> {
        let waiting = &mut self.policies[policy].waiting;
        waiting.push_back(decision);
        if waiting.len() == 1 {
            self.turns.push_back(policy);
        }
        self.wanted_worker()
    }

    /// The next decision for a worker of a lane; it ends when there is none.
    pub(super) fn take(&mut self, lane: Lane) -> Option<(usize, T)> {
        let turn = self.turns.iter().position(|&policy| self.policies[policy].ready(lane) > 0);
        let Some(index) = turn.and_then(|turn| self.turns.remove(turn)) else {
            self.workers[lane as usize] -= 1;
            return None;
        };
        let policy = &mut self.policies[index];
        let decision = policy.waiting.pop_front()?;
        policy.running += 1;
        if !policy.waiting.is_empty() {
            self.turns.push_back(index);
        }
        self.busy[lane as usize] += 1;
        Some((index, decision))
    }

    /// A worker of `lane` is done with a decision of a policy, which is of the lane `now` from now on. Returns the lane that
    /// a new worker is to be started for, if one is.
    pub(super) fn done(&mut self, policy: usize, lane: Lane, now: Lane) -> Option<Lane> {
        self.busy[lane as usize] -= 1;
        self.policies[policy].running -= 1;
        self.policies[policy].lane = now;
        self.wanted_worker()
    }

    /// The policy has another module, of which nothing is known.
    pub(super) fn distrust(&mut self, policy: usize) {
        self.policies[policy].lane = Lane::Slow;
    }

    fn wanted_worker(&mut self) -> Option<Lane> {
        for (lane, places) in [(Lane::Quick, QUICK_PLACES), (Lane::Slow, SLOW_PLACES)] {
            let (workers, busy) = (&mut self.workers[lane as usize], self.busy[lane as usize]);
            let ready = self.turns.iter().map(|&policy| self.policies[policy].ready(lane)).sum::<usize>();
            if *workers < places && ready > *workers - busy {
                *workers += 1;
                return Some(lane);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lanes with policies that have shown to be quick.
    fn quick(policies: usize) -> Lanes<u32> {
        let mut lanes = Lanes::new(policies);
        for policy in 0..policies {
            assert_eq!(lanes.add(policy, 0), Some(Lane::Slow));
            assert_eq!(lanes.take(Lane::Slow), Some((policy, 0)));
            assert_eq!(lanes.done(policy, Lane::Slow, Lane::Quick), None);
            assert_eq!(lanes.take(Lane::Slow), None);
        }
        lanes
    }

    #[test]
    fn policies_take_turns_and_one_has_not_all_places() {
        let mut lanes = quick(2);
        let started: Vec<_> = (1..=5).map(|decision| lanes.add(0, decision)).collect();
        assert_eq!(started, [Some(Lane::Quick), Some(Lane::Quick), None, None, None]);
        assert_eq!(lanes.take(Lane::Quick), Some((0, 1)));
        assert_eq!(lanes.take(Lane::Quick), Some((0, 2)));
        assert_eq!(lanes.add(1, 6), Some(Lane::Quick), "the third place is for another");
        assert_eq!(lanes.take(Lane::Quick), Some((1, 6)));
        assert_eq!(lanes.add(1, 7), None, "all places are taken");
        assert_eq!(lanes.done(0, Lane::Quick, Lane::Quick), None);
        assert_eq!(lanes.take(Lane::Quick), Some((0, 3)), "its turn came first");
        assert_eq!(lanes.done(0, Lane::Quick, Lane::Quick), None);
        assert_eq!(lanes.take(Lane::Quick), Some((1, 7)));
    }

    #[test]
    fn one_that_turns_slow_has_one_place_for_all_that_wait() {
        let mut lanes = quick(2);
        for decision in 1..=5 {
            lanes.add(0, decision);
        }
        for decision in 1..=2 {
            assert_eq!(lanes.take(Lane::Quick), Some((0, decision)));
        }
        assert_eq!(lanes.done(0, Lane::Quick, Lane::Slow), Some(Lane::Slow), "what waits goes on there");
        assert_eq!(lanes.take(Lane::Quick), None);
        assert_eq!(lanes.take(Lane::Slow), Some((0, 3)));
        assert_eq!(lanes.done(0, Lane::Quick, Lane::Slow), None);
        assert_eq!(lanes.take(Lane::Quick), None);
        assert_eq!(lanes.add(1, 9), Some(Lane::Quick), "others go on as before");
        assert_eq!(lanes.take(Lane::Quick), Some((1, 9)));
    }

    #[test]
    fn nothing_that_waits_is_forgotten() {
        let mut lanes = Lanes::new(3);
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut added, mut taken) = (0_usize, 0);
        // The lanes of workers that are idle, and the decisions that others are at.
        let (mut idle, mut at) = (Vec::new(), Vec::new());
        while taken < 10_000 {
            let started = if rng.bool() || at.is_empty() {
                added += 1;
                lanes.add(rng.usize(0..3), added)
            } else {
                let (lane, policy) = at.swap_remove(rng.usize(0..at.len()));
                idle.push(lane);
                lanes.done(policy, lane, if rng.bool() { Lane::Quick } else { Lane::Slow })
            };
            idle.extend(started);
            while let Some(lane) = idle.pop() {
                if let Some((policy, _)) = lanes.take(lane) {
                    taken += 1;
                    at.push((lane, policy));
                }
            }
            if at.is_empty() {
                assert_eq!(added, taken, "with nobody at work, nothing waits");
            }
        }
    }
}
