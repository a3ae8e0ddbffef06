//! The policies in modules: when each is asked about a service, what it is shown, and what becomes of its answer.
//!
//! No I/O: questions go out, answers come in.

mod acting;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::board::{Board, Effects};
use super::registrations::{Owner, Registrations};
use super::told::Told;
use crate::config::{Config, MetricWindow, PolicyKind, Role, WasmPolicy};
use crate::metrics::{Metrics, Signal, Writer};
use crate::modules::Question;
use crate::record::Stored;
use crate::scaling::{Direction, Observation, Stance, Verdict};

/// The shortest time between two questions about one service to one policy: samples that come faster are seen together.
const GAP: SignedDuration = SignedDuration::from_millis(100);

/// Whether an answer is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    No,
    Yes,
    /// Samples have come that the question did not hold.
    AndBehind,
}

/// What is wrong with a policy.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What happened the last time.
    pub(super) error: String,
    /// When it failed for the first time of those in a row.
    pub(super) since: Timestamp,
}

/// A policy of a service.
#[derive(Debug)]
pub(super) struct Advisor {
    pub(super) service: usize,
    pub(super) policy: String,
    directions: &'static [Direction],
    windows: Vec<(Signal, MetricWindow)>,
    interval: SignedDuration,
    cooldown: SignedDuration,
    /// Until when it does not scale up, and down.
    rests_up: Option<Timestamp>,
    rests_down: Option<Timestamp>,
    pub(super) state: Arc<[u8]>,
    /// How many of its decisions failed in a row, and what happened the last time.
    failures: u32,
    pub(super) trouble: Option<Trouble>,
    /// Whether it may be asked: a sample came since the start, or it reads none.
    is_live: bool,
    waiting: Waiting,
    asked_at: Timestamp,
    /// Whether the last question held any sample, or the policy wants none.
    has_data: bool,
    due: Option<Timestamp>,
    /// When the question that is under way was due.
    was_due: Timestamp,
    told: Told,
}

/// Every policy in a module, of every service.
#[derive(Debug, Default)]
pub(super) struct Advisors {
    pub(super) all: Vec<Advisor>,
    readers: HashMap<Signal, Vec<usize>>,
    /// When each is to be asked next.
    due: BTreeSet<(Timestamp, usize)>,
}

impl Advisors {
    /// The policies in modules that services of the board refer to, with what is stored of them.
    pub(super) fn new(config: &Config, board: &mut Board, metrics: &mut Metrics, stored: &Stored) -> Self {
        let mut advisors = Self::default();
        for service in config.services.values().filter(|service| service.role == Role::Scaled) {
            let Some(&index) = board.by_name.get(&service.name) else { continue };
            for (name, directions) in service.policies() {
                let Some(policy) = config.policies.get(name) else { continue };
                let PolicyKind::Wasm(wasm) = &policy.kind else { continue };
                board.posts[index].stances.insert(name.to_owned(), Stance::NoData);
                let rests = |direction| Some(stored.cooldown(&service.name, direction, name)?.until);
                let states = stored.policy_states.get(&service.name);
                let state = states.and_then(|states| states.get(name)).map_or(&[][..], Vec::as_slice);
                let windows = policy.windows.iter();
                let WasmPolicy { interval, cooldown, .. } = **wasm;
                let advisor = Advisor {
                    service: index,
                    policy: name.to_owned(),
                    directions,
                    windows: windows.map(|window| (metrics.subscribe(window), window.clone())).collect(),
                    interval,
                    cooldown,
                    rests_up: rests(Direction::Up),
                    rests_down: rests(Direction::Down),
                    state: state.into(),
                    failures: 0,
                    trouble: None,
                    is_live: false,
                    waiting: Waiting::No,
                    asked_at: Timestamp::MIN,
                    has_data: false,
                    due: None,
                    was_due: Timestamp::MIN,
                    told: Told::default(),
                };
                for (signal, _) in &advisor.windows {
                    advisors.readers.entry(*signal).or_default().push(advisors.all.len());
                }
                advisors.all.push(advisor);
            }
        }
        advisors
    }

    /// Samples from before the start have been read: policies that need none are asked. The others are once a sample comes,
    /// as those from before must cause nothing by themselves.
    pub(super) fn go_live(&mut self, now: Timestamp) {
        for index in 0..self.all.len() {
            if self.all[index].windows.is_empty() {
                self.all[index].is_live = true;
                self.set_due(index, Some(now));
            }
        }
    }

    /// Asks these policies without waiting for a sample: they cannot decide, and their answer says why.
    pub(super) fn ask_at_once(&mut self, policies: &[String], now: Timestamp) {
        for index in 0..self.all.len() {
            if policies.contains(&self.all[index].policy) {
                self.set_due(index, Some(now));
            }
        }
    }

    /// Other modules decide for these policies from now on: those that failed need not wait until their pause is over.
    pub(super) fn renewed(&mut self, policies: &[String], board: &mut Board, effects: &mut Effects) {
        for index in 0..self.all.len() {
            let advisor = &mut self.all[index];
            if advisor.failures == 0 || !policies.contains(&advisor.policy) {
                continue;
            }
            if !advisor.is_live {
                advisor.start_over(index, board, effects);
                self.set_due(index, None);
                continue;
            }
            advisor.failures = 1;
            if advisor.waiting == Waiting::No {
                self.set_due(index, Some(board.now));
            }
        }
    }

    /// A sample came: the policies that are shown it are asked soon.
    pub(super) fn hear(&mut self, signal: Signal, owner: Option<Owner>, board: &Board) {
        let Self { all, readers, due } = self;
        for &index in readers.get(&signal).into_iter().flatten() {
            let advisor = &mut all[index];
            if owner.is_some_and(|owner| is_foreign(owner, advisor.service, board)) {
                continue;
            }
            advisor.is_live = true;
            if advisor.waiting != Waiting::No {
                advisor.waiting = Waiting::AndBehind;
            } else if advisor.failures == 0 {
                // Not later than a gap from now, should the clock have gone back.
                let soon = board.now.max(later(advisor.asked_at, GAP)).min(later(board.now, GAP));
                let at = advisor.due.map_or(soon, |due| due.min(soon));
                advisor.set_due(index, Some(at), due);
            }
        }
    }

    /// When the next question is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The question that is due first, with the place of the policy that is asked.
    pub(super) fn question(
        &mut self,
        board: &Board,
        metrics: &Metrics,
        registrations: &Registrations,
    ) -> Option<(usize, Question)> {
        let (due, index) = self.due.first().copied().filter(|(due, _)| *due <= board.now)?;
        self.set_due(index, None);
        let advisor = &mut self.all[index];
        advisor.was_due = due;
        advisor.waiting = Waiting::Yes;
        advisor.asked_at = board.now;
        let question = advisor.question(board, metrics, registrations);
        advisor.has_data = !question.seen.lacks_data();
        Some((index, question))
    }

    /// Takes in an answer, and decides.
    pub(super) fn answered(
        &mut self,
        index: usize,
        answer: Result<Verdict, String>,
        board: &mut Board,
        effects: &mut Effects,
    ) {
        let now = board.now;
        let advisor = &mut self.all[index];
        let (service, policy) = (&*board.posts[advisor.service].service.name, &*advisor.policy);
        let delay_us = now.duration_since(advisor.was_due).as_micros();
        tracing::debug!(service, policy, delay_us, "{service}: {policy} answered");
        let is_behind = advisor.waiting == Waiting::AndBehind;
        advisor.waiting = Waiting::No;
        let soonest = later(advisor.asked_at, GAP);
        let due = match answer.and_then(|verdict| advisor.act(index, verdict, board, effects)) {
            Ok(_) if is_behind => soonest,
            Ok(Some(wake_at)) => later(now, advisor.interval).min(wake_at).max(soonest),
            Ok(None) => later(now, advisor.interval),
            Err(error) => {
                let pause = advisor.fail(index, error, board, effects);
                later(now, pause)
            }
        };
        self.set_due(index, Some(due));
    }

    fn set_due(&mut self, index: usize, due: Option<Timestamp>) {
        self.all[index].set_due(index, due, &mut self.due);
    }
}

impl Advisor {
    /// When it is to be asked next, which `all` says too.
    fn set_due(&mut self, index: usize, due: Option<Timestamp>, all: &mut BTreeSet<(Timestamp, usize)>) {
        if let Some(before) = std::mem::replace(&mut self.due, due) {
            all.remove(&(before, index));
        }
        all.extend(due.map(|due| (due, index)));
    }

    fn question(&self, board: &Board, metrics: &Metrics, registrations: &Registrations) -> Question {
        let post = &board.posts[self.service];
        let windows = self.windows.iter().map(|(signal, window)| {
            metrics.seen(*signal, window, board.now, |id| {
                match registrations.owner(&window.service_type, id) {
                    Some(owner) if owner.service == self.service => Writer::Own(post.unit_name(owner.number)),
                    Some(owner) if is_foreign(owner, self.service, board) => Writer::Foreign,
                    _ => Writer::Unknown,
                }
            })
        });
        let seen = Observation {
            now: board.now,
            service: post.seen(),
            windows: windows.collect(),
            last_up: post.last_up,
            last_down: post.last_down,
        };
        Question { policy: self.policy.clone(), seen, state: self.state.clone() }
    }
}

/// Whether an instance is of another service of the same type: its series are no business of this one.
fn is_foreign(owner: Owner, service: usize, board: &Board) -> bool {
    let service_type = |index: usize| &board.posts[index].service.service_type;
    owner.service != service && service_type(owner.service) == service_type(service)
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}
