//! The rules of the lanes in the fewest words, which looks at all that waits each time: what the lanes are compared with.

use std::collections::VecDeque;

use super::{Lane, PLACES_OF_ONE, QUICK_PLACES, SLOW_PLACES};

#[derive(Debug)]
pub(super) struct Model<T> {
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
    fn ready(&self, lane: Lane) -> usize {
        if self.lane == lane { self.waiting.len().min(PLACES_OF_ONE.saturating_sub(self.running)) } else { 0 }
    }
}

impl<T> Model<T> {
    pub(super) fn new(policies: usize) -> Self {
        let policy = || Policy { waiting: VecDeque::new(), running: 0, lane: Lane::Slow };
        let policies = std::iter::repeat_with(policy).take(policies).collect();
        Self { policies, turns: VecDeque::new(), workers: [0; 2], busy: [0; 2] }
    }

    pub(super) fn add(&mut self, policy: usize, decision: T) -> Option<Lane> {
        let waiting = &mut self.policies[policy].waiting;
        waiting.push_back(decision);
        if waiting.len() == 1 {
            self.turns.push_back(policy);
        }
        self.wanted_worker()
    }

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

    pub(super) fn done(&mut self, policy: usize, lane: Lane, now: Lane) -> Option<Lane> {
        self.busy[lane as usize] -= 1;
        self.policies[policy].running -= 1;
        self.policies[policy].lane = now;
        self.wanted_worker()
    }

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
