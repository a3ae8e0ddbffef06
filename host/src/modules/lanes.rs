//! Who decides next: policies take turns, and those that are slow have a lane of their own. No I/O and no threads.
//!
//! It is asked twice for each decision, under a lock that the loop and all workers share, so nothing in it looks at all
//! that waits: whatever is done costs at most the logarithm of how many policies there are.

use std::collections::{BTreeMap, VecDeque};

#[cfg(test)]
mod model;

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
    places: [Places; 2],
    /// The turns that were given so far.
    turns: u64,
}

/// One lane.
#[derive(Debug, Default)]
struct Places {
    /// The policies of the lane that have something to decide now, by their turns. One that may run no more is not among
    /// them, and comes back with the turn that it had.
    ready: BTreeMap<u64, usize>,
    /// How many decisions could be made for them now, were there no end of workers.
    decisions: usize,
    /// The workers, and those of them that have something to do.
    workers: usize,
    busy: usize,
}

#[derive(Debug)]
struct Policy<T> {
    waiting: VecDeque<T>,
    running: usize,
    lane: Lane,
    /// Its turn, when anything waits: a lower one comes first.
    turn: u64,
}

impl<T> Policy<T> {
    /// How many of those that wait could run now.
    fn ready(&self) -> usize {
        self.waiting.len().min(PLACES_OF_ONE.saturating_sub(self.running))
    }
}

impl<T> Lanes<T> {
    /// For so many policies.
    pub(super) fn new(policies: usize) -> Self {
        let policy = || Policy { waiting: VecDeque::new(), running: 0, lane: Lane::Slow, turn: 0 };
        let policies = std::iter::repeat_with(policy).take(policies).collect();
        Self { policies, places: Default::default(), turns: 0 }
    }

    /// Adds a decision of a policy. Returns the lane that a new worker is to be started for, if one is.
    pub(super) fn add(&mut self, policy: usize, decision: T) -> Option<Lane> {
        let turn = self.next_turn();
        self.change(policy, |policy| {
            if policy.waiting.is_empty() {
                policy.turn = turn;
            }
            policy.waiting.push_back(decision);
        });
        self.wanted_worker()
    }

    /// The next decision for a worker of a lane; it ends when there is none.
    pub(super) fn take(&mut self, lane: Lane) -> Option<(usize, T)> {
        let turn = self.next_turn();
        let places = &mut self.places[lane as usize];
        let Some((_, &index)) = places.ready.first_key_value() else {
            places.workers -= 1;
            return None;
        };
        places.busy += 1;
        let decision = self.change(index, |policy| {
            policy.running += 1;
            policy.turn = turn;
            policy.waiting.pop_front()
        })?;
        Some((index, decision))
    }

    /// A worker of `lane` is done with a decision of a policy, which is of the lane `now` from now on. Returns the lane that
    /// a new worker is to be started for, if one is.
    pub(super) fn done(&mut self, policy: usize, lane: Lane, now: Lane) -> Option<Lane> {
        self.places[lane as usize].busy -= 1;
        self.change(policy, |policy| {
            policy.running -= 1;
            policy.lane = now;
        });
        self.wanted_worker()
    }

    /// The policy has another module, of which nothing is known.
    pub(super) fn distrust(&mut self, policy: usize) {
        self.change(policy, |policy| policy.lane = Lane::Slow);
    }

    /// Changes a policy, which is in the queue of its lane before and after if it is ready. All changes come through here,
    /// so that what the lanes hold never differs from what their policies are.
    fn change<R>(&mut self, index: usize, change: impl FnOnce(&mut Policy<T>) -> R) -> R {
        let policy = &mut self.policies[index];
        let before = (policy.lane, policy.turn, policy.ready());
        let result = change(policy);
        let after = (policy.lane, policy.turn, policy.ready());
        let (lane, turn, ready) = before;
        let places = &mut self.places[lane as usize];
        places.decisions -= ready;
        if ready > 0 {
            places.ready.remove(&turn);
        }
        let (lane, turn, ready) = after;
        let places = &mut self.places[lane as usize];
        places.decisions += ready;
        if ready > 0 {
            places.ready.insert(turn, index);
        }
        result
    }

    /// A turn after all others. No two are the same, and they do not run out: a billion a second last for centuries.
    fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    fn wanted_worker(&mut self) -> Option<Lane> {
        for (lane, most) in [(Lane::Quick, QUICK_PLACES), (Lane::Slow, SLOW_PLACES)] {
            let places = &mut self.places[lane as usize];
            if places.workers < most && places.decisions > places.workers - places.busy {
                places.workers += 1;
                return Some(lane);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use tokio::time::{Duration, Instant};

    use super::model::Model;
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

    /// What may happen. Workers and the decisions that they are at are named by their places, the last standing for those
    /// beyond.
    #[derive(Clone, Debug)]
    enum Step {
        Add(usize),
        Take(usize),
        Done(usize, Lane),
        Distrust(usize),
    }

    fn steps(policies: usize) -> impl Strategy<Value = Vec<Step>> {
        let lane = prop_oneof![Just(Lane::Quick), Just(Lane::Slow)];
        let step = prop_oneof![
            4 => (0..policies).prop_map(Step::Add),
            4 => (0..4_usize).prop_map(Step::Take),
            3 => (0..4_usize, lane).prop_map(|(at, lane)| Step::Done(at, lane)),
            1 => (0..policies).prop_map(Step::Distrust),
        ];
        vec(step, 0..300)
    }

    proptest! {
        #[test]
        fn whatever_happens_the_rules_are_those_of_the_model(steps in steps(6)) {
            let (mut lanes, mut model) = (Lanes::new(6), Model::new(6));
            let (mut idle, mut at): (Vec<Lane>, Vec<(Lane, usize)>) = Default::default();
            for (number, step) in steps.into_iter().enumerate() {
                let started = match step {
                    Step::Add(policy) => {
                        let started = lanes.add(policy, number);
                        prop_assert_eq!(started, model.add(policy, number));
                        started
                    }
                    Step::Take(worker) if !idle.is_empty() => {
                        let lane = idle.remove(worker.min(idle.len() - 1));
                        let taken = lanes.take(lane);
                        prop_assert_eq!(taken, model.take(lane));
                        at.extend(taken.map(|(policy, _)| (lane, policy)));
                        None
                    }
                    Step::Done(decision, now) if !at.is_empty() => {
                        let (lane, policy) = at.remove(decision.min(at.len() - 1));
                        let started = lanes.done(policy, lane, now);
                        prop_assert_eq!(started, model.done(policy, lane, now));
                        idle.push(lane);
                        started
                    }
                    Step::Distrust(policy) => {
                        lanes.distrust(policy);
                        model.distrust(policy);
                        None
                    }
                    Step::Take(_) | Step::Done(..) => None,
                };
                idle.extend(started);
            }
        }
    }

    /// What a decision costs, from its being added to its end, when one of each policy waits: the shortest of some times.
    fn cost(policies: usize, times: u32) -> Duration {
        let all = (0..times).map(|_| {
            let mut lanes = Lanes::new(policies);
            let began = Instant::now();
            for policy in 0..policies {
                lanes.add(policy, ());
            }
            while let Some((policy, ())) = lanes.take(Lane::Slow) {
                lanes.done(policy, Lane::Slow, Lane::Slow);
            }
            began.elapsed() / u32::try_from(policies).unwrap()
        });
        all.min().unwrap()
    }

    #[test]
    fn what_a_decision_costs_does_not_grow_with_those_that_wait() {
        let (few, many) = (cost(100, 50), cost(20_000, 3));
        // Were all that waits looked at, it would be two hundred times as much.
        assert!(many < few * 20, "{few:?} among a hundred, {many:?} among twenty thousand");
    }
}
