//! The policies that are asked: when each is, what it is shown, and what becomes of its answer.

mod answers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::registrations::{Owner, Registrations};
use super::series::SignalIndex;
use super::service::ServiceState;
use super::services::ServiceTable;
use super::signals::{Signals, Writer};
use super::{Turn, later};
use crate::{
    ModuleUse, Observation, PolicyError, PolicyId, PolicyUse, Question, ServiceSpec, Spec, Stored, Usage,
    Use, Verdict, Vote, WindowSpec,
};

/// The shortest time between two questions about one service to one policy: samples that come faster are seen together.
const GAP: SignedDuration = SignedDuration::from_millis(100);

/// What a policy answered, and what that took.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// What it wants, or how it failed.
    pub result: Result<Verdict, PolicyError>,
    /// What its run took.
    pub usage: Usage,
}

/// Whether an answer is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    No,
    Yes,
    /// Samples have come that the question did not hold.
    AndBehind,
}

/// What is wrong with a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What happened the last time.
    pub error: PolicyError,
    /// When it failed for the first time of those in a row.
    pub since: Timestamp,
}

/// A policy of a service.
#[derive(Clone, Debug)]
pub(super) struct ModulePolicy {
    of: Use,
    /// The type of the service.
    kind: Arc<str>,
    used: ModuleUse,
    signals: Vec<SignalIndex>,
    state: Arc<[u8]>,
    /// How many of its decisions failed in a row.
    failures: u32,
    trouble: Option<Trouble>,
    /// Whether it may be asked: a sample came since the start, or it reads none.
    is_live: bool,
    waiting: Waiting,
    asked_at: Timestamp,
    /// Whether the last question held any sample, or the policy wants none.
    has_data: bool,
    due: Option<Timestamp>,
    /// When the question that is under way was due.
    was_due: Timestamp,
}

/// Every policy that is asked, of every service.
#[derive(Clone, Debug, Default)]
pub(super) struct ModulePolicies {
    all: Vec<ModulePolicy>,
    by_use: HashMap<Use, usize>,
    readers: BTreeMap<SignalIndex, Vec<usize>>,
    /// When each is to be asked next.
    due: BTreeSet<(Timestamp, usize)>,
}

impl ModulePolicies {
    /// The policies of a specification that are asked, with what is stored of them.
    pub(super) fn of(spec: &Spec, signals: &Signals, stored: &Stored) -> Self {
        let mut policies = Self::default();
        for service in spec.services.values() {
            for used in &service.policies {
                if let PolicyUse::Module(used) = used {
                    let state = stored.policy_state(&service.id, &used.policy);
                    policies.add(ModulePolicy::new(service, used, signals, state));
                }
            }
        }
        policies
    }

    fn add(&mut self, policy: ModulePolicy) {
        let index = self.all.len();
        self.by_use.insert(policy.of.clone(), index);
        for signal in &policy.signals {
            let readers = self.readers.entry(*signal).or_default();
            if !readers.contains(&index) {
                readers.push(index);
            }
        }
        self.due.extend(policy.due.map(|due| (due, index)));
        self.all.push(policy);
    }

    /// The policies of another specification. One that is there keeps its state, and one that is as it was its turn too.
    pub(super) fn specify(&mut self, spec: &Spec, signals: &Signals, now: Timestamp, is_live: bool) {
        let before = std::mem::take(self);
        for mut policy in Self::of(spec, signals, &Stored::default()).all {
            let old = before.by_use.get(&policy.of).map(|index| &before.all[*index]);
            if let Some(old) = old {
                let (used, signals, kind) = (policy.used, policy.signals, policy.kind);
                policy = ModulePolicy { kind, used, signals, ..old.clone() };
            } else if is_live && policy.signals.is_empty() {
                (policy.is_live, policy.due) = (true, Some(now));
            }
            self.add(policy);
        }
    }

    pub(super) fn uses(&self) -> impl Iterator<Item = &Use> {
        self.all.iter().map(|policy| &policy.of)
    }

    pub(super) fn state(&self, of: &Use) -> &[u8] {
        self.get(of).map_or(&[], |policy| &policy.state)
    }

    pub(super) fn trouble(&self, of: &Use) -> Option<&Trouble> {
        self.get(of)?.trouble.as_ref()
    }

    fn get(&self, of: &Use) -> Option<&ModulePolicy> {
        self.by_use.get(of).map(|index| &self.all[*index])
    }

    /// Samples from before the start have been read: policies that need none are asked. The others are once a sample comes,
    /// as those from before must cause nothing by themselves.
    pub(super) fn go_live(&mut self, now: Timestamp) {
        for index in 0..self.all.len() {
            if self.all[index].signals.is_empty() {
                self.all[index].is_live = true;
                self.set_due(index, Some(now));
            }
        }
    }

    /// Asks these policies, whatever they wait for.
    pub(super) fn ask_at_once(&mut self, policies: &[PolicyId], now: Timestamp) {
        for index in 0..self.all.len() {
            if policies.contains(&self.all[index].of.policy) {
                self.set_due(index, Some(now));
            }
        }
    }

    /// Others decide by the names of these policies from now on: those that failed need not wait until their pause is over.
    pub(super) fn renewed(
        &mut self,
        policies: &[PolicyId],
        services: &mut ServiceTable,
        turn: &mut Turn<'_>,
    ) {
        for index in 0..self.all.len() {
            let policy = &mut self.all[index];
            if policy.failures == 0 || !policies.contains(&policy.of.policy) {
                continue;
            }
            if !policy.is_live {
                policy.start_over(services, turn);
                self.set_due(index, None);
                continue;
            }
            policy.failures = 1;
            if policy.waiting == Waiting::No {
                self.set_due(index, Some(turn.now));
            }
        }
    }

    /// A sample came: the policies that are shown it are asked soon.
    pub(super) fn hear(&mut self, signal: SignalIndex, owner: Option<&Owner>, now: Timestamp) {
        let Self { all, readers, due, .. } = self;
        for &index in readers.get(&signal).into_iter().flatten() {
            let policy = &mut all[index];
            if owner.is_some_and(|owner| policy.is_foreign(owner)) {
                continue;
            }
            policy.is_live = true;
            if policy.waiting != Waiting::No {
                policy.waiting = Waiting::AndBehind;
            } else if policy.failures == 0 {
                // Not later than a gap from now, should the clock have gone back.
                let soon = now.max(later(policy.asked_at, GAP)).min(later(now, GAP));
                let at = policy.due.map_or(soon, |due| due.min(soon));
                policy.set_due(index, Some(at), due);
            }
        }
    }

    /// When the next question is due.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// The question that is due first.
    pub(super) fn question(
        &mut self,
        services: &ServiceTable,
        signals: &Signals,
        registrations: &Registrations,
        now: Timestamp,
    ) -> Option<Question> {
        let (due, index) = self.due.first().copied().filter(|(due, _)| *due <= now)?;
        self.set_due(index, None);
        let seen = self.all[index].seen(services, signals, registrations, now)?;
        let policy = &mut self.all[index];
        (policy.was_due, policy.asked_at, policy.waiting) = (due, now, Waiting::Yes);
        policy.has_data = !seen.lacks_data();
        Some(Question { of: policy.of.clone(), seen, state: policy.state.clone() })
    }

    /// Takes in an answer, and decides.
    pub(super) fn answered(
        &mut self,
        of: &Use,
        answer: Answer,
        services: &mut ServiceTable,
        turn: &mut Turn<'_>,
    ) {
        let Some(&index) = self.by_use.get(of) else { return };
        let due = self.all[index].answered(answer, services, turn);
        self.set_due(index, Some(due));
    }

    fn set_due(&mut self, index: usize, due: Option<Timestamp>) {
        self.all[index].set_due(index, due, &mut self.due);
    }
}

impl ModulePolicy {
    fn new(service: &ServiceSpec, used: &ModuleUse, signals: &Signals, state: &[u8]) -> Self {
        Self {
            of: Use { service: service.id.clone(), policy: used.policy.clone() },
            kind: service.kind.clone(),
            signals: used.windows.iter().filter_map(|window| signals.index(&window.signal)).collect(),
            used: used.clone(),
            state: state.into(),
            failures: 0,
            trouble: None,
            is_live: false,
            waiting: Waiting::No,
            asked_at: Timestamp::MIN,
            has_data: false,
            due: None,
            was_due: Timestamp::MIN,
        }
    }

    /// When it is to be asked next, which `all` says too.
    fn set_due(&mut self, index: usize, due: Option<Timestamp>, all: &mut BTreeSet<(Timestamp, usize)>) {
        if let Some(before) = std::mem::replace(&mut self.due, due) {
            all.remove(&(before, index));
        }
        all.extend(due.map(|due| (due, index)));
    }

    /// Whether an instance is of another service of the same type: its series are no business of this one.
    fn is_foreign(&self, owner: &Owner) -> bool {
        owner.service != self.of.service && *owner.kind == *self.kind
    }

    fn seen(
        &self,
        services: &ServiceTable,
        signals: &Signals,
        registrations: &Registrations,
        now: Timestamp,
    ) -> Option<Observation> {
        let state = services.get(self.of.service.as_str())?;
        let windows = self.signals.iter().copied().zip(&self.used.windows);
        Some(observe(state, windows, signals, registrations, now))
    }
}

/// A service and its metrics as a policy would see them.
pub(super) fn observe<'w>(
    state: &ServiceState,
    windows: impl Iterator<Item = (SignalIndex, &'w WindowSpec)>,
    signals: &Signals,
    registrations: &Registrations,
    now: Timestamp,
) -> Observation {
    let spec = state.spec();
    let windows = windows.map(|(signal, window)| {
        signals.seen(signal, window, now, |id| match registrations.owner(&window.signal.service_type, id) {
            Some(owner) if owner.service == spec.id => Writer::Own(owner.unit.clone()),
            Some(owner) if *owner.kind == *spec.kind => Writer::Foreign,
            _ => Writer::Unknown,
        })
    });
    Observation {
        now,
        service: state.seen(),
        windows: windows.collect(),
        last_up: state.last_up,
        last_down: state.last_down,
    }
}

/// What stands for every policy of a service that is asked, before it is.
pub(super) fn first_votes(service: &ServiceSpec) -> BTreeMap<PolicyId, Vote> {
    let asked = service.policies.iter().filter_map(|used| match used {
        PolicyUse::Module(used) => Some(&used.policy),
        PolicyUse::Threshold(_) => None,
    });
    asked.map(|policy| (policy.clone(), Vote::none_yet(policy.clone(), Timestamp::UNIX_EPOCH))).collect()
}
