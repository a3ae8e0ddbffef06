//! The world of a case: the daemon's planner, with instances and samples as the case says. What the planner wants done is
//! done at once, or after as long as the case says; nothing is decided here.

#[cfg(test)]
mod differential;

use std::collections::BTreeMap;

use dynamite_core::{
    ActionId, Answer, Cause, Decision, Directions, Effects, Event, Input, InstanceState, Look, ModuleUse,
    Observation, Order, Outcome, Past, Planner, PolicyError, PolicyUse, Question, SeenInstance, SeenService,
    ServiceId, ServiceState, Situation, Spec, Stored, Task, Use, Verdict, WindowSpec, Wish,
};
use jiff::{SignedDuration, Timestamp};

use super::decider::Contestant;
use super::file::Case;
use super::given::{Arrivals, Incoming};
use super::steps::Step;
use crate::config::MetricWindow;

/// How long a policy may not be asked, at most. Each step asks it anyway.
const INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// The world of a case.
#[derive(Debug)]
pub(crate) struct World<'c> {
    case: &'c Case,
    planner: Planner,
    now: Timestamp,
    of: Use,
    windows: Vec<WindowSpec>,
    incoming: Incoming,
    /// The instances as the case said last.
    given: Vec<SeenInstance>,
    /// When actions that take their time come to an end.
    coming: BTreeMap<(Timestamp, ActionId), Outcome>,
}

/// What came of what a policy said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdicts {
    /// What it said, or how it failed.
    pub(crate) result: Result<Verdict, PolicyError>,
    /// How many instances are wanted then, within the bounds and its direction.
    pub(crate) wanted: u32,
}

impl<'c> World<'c> {
    /// The world as the case begins.
    pub(crate) fn new(case: &'c Case, contestant: &Contestant<'_>) -> Self {
        let windows: Vec<WindowSpec> = case.policy.windows.iter().map(MetricWindow::spec).collect();
        let used = match contestant {
            Contestant::Rule(used) => PolicyUse::Threshold(used.clone()),
            Contestant::Asked(_) => PolicyUse::Module(ModuleUse {
                policy: "policy".into(),
                directions: case
                    .policy
                    .direction
                    .map_or(Directions::Both, |one| Directions::from(&[one][..])),
                windows: windows.clone(),
                interval: INTERVAL,
                cooldown: case.policy.cooldown,
            }),
        };
        let policy = used.policy().clone();
        let service = case.service.spec(used);
        let of = Use { service: service.id.clone(), policy };
        let signals = case.policy.kept_signals();
        let spec = Spec { services: [(service.id.clone(), service)].into_iter().collect(), signals };
        let mut planner = Planner::default();
        for input in [Input::Spec(spec), Input::Stored(Stored::default()), Input::Look(Look::default())] {
            // What it would do about a service without instances is not done: they follow.
            drop(planner.take(input, case.now));
        }
        let given = case.service.seen.instances.clone();
        let (incoming, coming) = (Incoming::new(&windows), BTreeMap::new());
        let mut world = Self { case, planner, now: case.now, of, windows, incoming, given, coming };
        world.place(Some(Past { last_up: case.last_up, last_down: case.last_down }));
        world
    }

    fn service(&self) -> &ServiceId {
        &self.of.service
    }

    /// The service as the planner has it.
    fn state(&self) -> Option<&ServiceState> {
        self.planner.service(self.service().as_str())
    }

    /// Puts the instances that the case gives in their place.
    fn place(&mut self, past: Option<Past>) {
        self.coming.clear();
        let (service, instances) = (self.service().clone(), self.given.clone());
        self.tell(Input::Situation(Situation { service, instances, past }), self.now);
    }

    /// Tells the planner, and does what it wants done. Returns what it decided.
    fn tell(&mut self, input: Input, now: Timestamp) -> Vec<Decision> {
        let Effects { orders, events, dropped, .. } = self.planner.take(input, now);
        self.incoming.forget(&dropped);
        for order in orders {
            self.carry_out(&order, now);
        }
        let decided = events.into_iter().filter_map(|event| match event {
            Event::Decided(decision) => Some(*decision),
            _ => None,
        });
        decided.collect()
    }

    fn carry_out(&mut self, order: &Order, now: Timestamp) {
        if !self.case.closed_loop {
            return;
        }
        let (takes, outcome) = match order.task {
            Task::Start { .. } => (self.case.start_takes, Outcome::Started),
            Task::Stop { .. } => (SignedDuration::ZERO, Outcome::Stopped),
            Task::Mend { .. } => (SignedDuration::ZERO, Outcome::Mended),
        };
        let at = now.saturating_add(takes).unwrap_or(Timestamp::MAX);
        self.coming.insert((at, order.id), outcome);
    }

    /// Lets those actions come to an end that have by then.
    fn end_actions(&mut self, until: Timestamp) {
        while let Some(entry) = self.coming.first_entry().filter(|entry| entry.key().0 <= until) {
            let ((at, action), outcome) = entry.remove_entry();
            self.tell(Input::Ended(action, outcome), at);
        }
    }

    /// Takes in what has happened by the time of a step. Returns the service as it was then, and what thresholds decided about
    /// the samples.
    pub(crate) fn advance(&mut self, step: &Step) -> (SeenService, Vec<Decision>) {
        self.now = step.now;
        self.end_actions(step.now);
        if let Some(instances) = &step.instances {
            self.given = instances.to_vec();
        }
        if self.case.closed_loop {
            if step.instances.is_some() {
                self.place(None);
            }
            self.bring_up();
        } else {
            // Whatever was decided is not done, so nobody rests because of it either.
            self.place(Some(Past { last_up: self.case.last_up, last_down: self.case.last_down }));
        }
        let seen = self.state().map(ServiceState::seen).unwrap_or_default();
        let arrivals = self.incoming.arrive(step, &seen);
        let mut decisions = Vec::new();
        let Arrivals { registrations, batches } = arrivals;
        self.tell(Input::Registrations(registrations), step.now);
        for batch in batches {
            decisions.extend(self.tell(Input::Samples(batch), step.now));
        }
        decisions.retain(|decision| matches!(decision.cause, Cause::Vote(_)));
        self.end_actions(step.now);
        (seen, decisions)
    }

    /// Instances that the case gave as starting come up when their time has come.
    fn bring_up(&mut self) {
        let Some(state) = self.state() else { return };
        let mut seen = state.seen().instances;
        let nobody = |seen: &SeenInstance| {
            let slot = state.spec().unit.slot_of(&seen.name);
            slot.and_then(|slot| state.population().get(slot)).is_some_and(|instance| instance.busy.is_none())
        };
        let mut came_up = false;
        for instance in seen.iter_mut().filter(|instance| instance.state == InstanceState::Starting) {
            let up_at = instance.since.saturating_add(self.case.start_takes).unwrap_or(Timestamp::MAX);
            if up_at <= self.now && nobody(instance) {
                (instance.state, instance.since) = (InstanceState::Running, up_at);
                came_up = true;
            }
        }
        if came_up && self.coming.is_empty() {
            self.given = seen;
            self.place(None);
        }
    }

    /// What a policy sees now.
    pub(crate) fn observation(&self) -> Observation {
        let seen = self.planner.observation(self.service().as_str(), &self.windows, self.now);
        // The service of the case is always there.
        seen.unwrap_or_else(|| unreachable!("a case has a service"))
    }

    /// Asks the policy now, whatever it waits for.
    pub(crate) fn ask(&mut self) -> Option<Question> {
        self.tell(Input::Ask(vec![self.of.policy.clone()]), self.now);
        self.planner.take(Input::Tick, self.now).questions.pop()
    }

    /// Takes in what the policy answered.
    pub(crate) fn answer(&mut self, answer: Answer) -> Verdicts {
        let verdict = answer.result.clone();
        let decisions = self.tell(Input::Answer(self.of.clone(), answer), self.now);
        let failure = self.planner.trouble(&self.of).map(|trouble| trouble.error.clone());
        let result = verdict.and_then(|verdict| failure.map_or(Ok(verdict), Err));
        let heard = decisions.last().map(|decision| (decision.count, decision.heard.clone()));
        let wanted = match heard {
            Some((_, Some(Wish::To(wanted)))) => wanted,
            Some((count, _)) => count,
            None => self.count(),
        };
        self.end_actions(self.now);
        Verdicts { result, wanted }
    }

    /// What a threshold made of the last sample, in words, unless it fired.
    pub(super) fn last_step(&self) -> Option<String> {
        self.planner.last_step(&self.of, self.case.policy.direction?)
    }

    /// How many instances there are, without those that are going.
    pub(super) fn count(&self) -> u32 {
        self.state().map_or(0, |state| state.population().count())
    }
}
