//! The planner: everything that is known, folded from one list of inputs, and what follows from each. No I/O, no clock, no
//! chance: the same inputs at the same times give the same effects, so a list of them that was written down is a replay.

mod look;
mod modules;
mod orders;
mod recover;
mod registrations;
mod samples;
mod series;
mod service;
mod services;
mod signals;
mod specify;
#[cfg(test)]
mod tests;
mod thresholds;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use self::look::{Health, Look};
pub use self::modules::{Answer, Trouble};
use self::modules::{ModulePolicies, observe};
pub use self::registrations::RegistrationChange;
use self::registrations::Registrations;
pub use self::samples::{Opened, Reading, SampleBatch, SkippedSample, Stretch};
pub use self::service::ServiceState;
use self::services::ServiceTable;
use self::signals::Signals;
pub use self::signals::{AHEAD_MAX, SAMPLES_MAX, SERIES_MAX};
use self::thresholds::{Shown, ThresholdPolicies};
use super::{
    ActionId, Cause, Command, DecisionId, Direction, Effects, Event, Observation, Outcome, PastAction,
    PolicyId, SeenInstance, ServiceId, Spec, Stored, Use, WindowSpec,
};

/// Everything that the planner is told, each with the time at which it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// What shall run, by which rules; another one while it runs changes what differs.
    Spec(Spec),
    /// A term begins, with what a former run left. What is known of the world is forgotten, and a specification of before is
    /// in force until another one follows.
    Stored(Stored),
    /// Who writes which series. These come first: they say whose the samples are.
    Registrations(Vec<RegistrationChange>),
    /// Samples.
    Samples(SampleBatch),
    /// What the orchestrator knows. With the first after [`Input::Stored`] the planner takes over.
    Look(Look),
    /// A policy has answered.
    Answer(Use, Answer),
    /// An action has ended.
    Ended(ActionId, Outcome),
    /// Somebody wants something.
    Command(Command),
    /// A service is in this situation, whatever was thought of it.
    Situation(Situation),
    /// These policies have become others: they may work now.
    Renewed(Vec<PolicyId>),
    /// These policies are to be asked at once, whatever they wait for.
    Ask(Vec<PolicyId>),
    /// It is time for whatever is due: policies are asked, if any are to be. Where many are, this is said again.
    Tick,
}

/// The situation of a service in a world that says what there is, instead of letting actions come to an end: that of a case
/// that says what instances there are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Situation {
    /// The service.
    pub service: ServiceId,
    /// Its instances.
    pub instances: Vec<SeenInstance>,
    /// What was done before, if that is said too: policies that are asked rest no more then.
    pub past: Option<Past>,
}

/// What was done with a service before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// The last time that it was scaled up.
    pub last_up: Option<PastAction>,
    /// The last time that it was scaled down.
    pub last_down: Option<PastAction>,
}

/// How far reading samples and registrations has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Registrations that were there before the start come first.
    Registrations,
    /// Samples that were there before the start cause no action.
    Backlog,
    /// Changes come as they happen.
    Live,
}

/// How many questions are made at a time: some tenth of a millisecond of work.
const QUESTIONS_MAX: usize = 32;

/// Numbers decisions, and takes what follows from an input.
#[derive(Debug)]
struct Turn<'t> {
    now: Timestamp,
    term: i64,
    number: &'t mut u64,
    effects: Effects,
}

impl Turn<'_> {
    fn next_id(&mut self) -> DecisionId {
        *self.number += 1;
        DecisionId { term: self.term, number: *self.number }
    }

    fn tell(&mut self, event: Event) {
        self.effects.events.push(event);
    }
}

/// Everything that is known.
#[derive(Clone, Debug)]
pub struct Planner {
    spec: Spec,
    /// When the term began, and how many decisions were made in it.
    term: i64,
    decisions: u64,
    /// What a former run left, until the first look.
    left: Option<Stored>,
    /// It has taken over what a former run left.
    has_taken_over: bool,
    services: ServiceTable,
    signals: Signals,
    thresholds: ThresholdPolicies,
    modules: ModulePolicies,
    registrations: Registrations,
    progress: Progress,
}

impl Default for Planner {
    /// One that has been told nothing.
    fn default() -> Self {
        Self {
            spec: Spec::default(),
            term: 0,
            decisions: 0,
            left: None,
            has_taken_over: false,
            services: ServiceTable::default(),
            signals: Signals::default(),
            thresholds: ThresholdPolicies::default(),
            modules: ModulePolicies::default(),
            registrations: Registrations::default(),
            progress: Progress::Registrations,
        }
    }
}

impl Planner {
    /// Folds an input, and says what follows.
    pub fn take(&mut self, input: Input, now: Timestamp) -> Effects {
        let (term, mut number) = (self.term, self.decisions);
        let mut turn = Turn { now, term, number: &mut number, effects: Effects::default() };
        match input {
            Input::Spec(spec) => self.specify(spec, &mut turn),
            Input::Stored(stored) => return self.begin(stored, now),
            Input::Registrations(changes) => self.take_registrations(changes, &mut turn),
            Input::Samples(batch) => self.take_samples(batch, &mut turn),
            Input::Look(look) => self.look(look, &mut turn),
            Input::Answer(of, answer) => self.modules.answered(&of, answer, &mut self.services, &mut turn),
            Input::Ended(action, outcome) => self.services.ended(action, outcome, &mut turn),
            Input::Command(command) => self.command(command, &mut turn),
            Input::Situation(situation) => self.services.place(&situation),
            Input::Renewed(policies) => self.modules.renewed(&policies, &mut self.services, &mut turn),
            Input::Ask(policies) => self.modules.ask_at_once(&policies, now),
            Input::Tick => self.ask(&mut turn),
        }
        if self.progress == Progress::Live {
            self.drop_silent(&mut turn);
        }
        let effects = turn.effects;
        self.decisions = number;
        effects
    }

    /// When the next [`Input::Tick`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.modules.next_due()
    }

    /// Whether registrations have been read, so that samples can be.
    #[must_use]
    pub fn knows_owners(&self) -> bool {
        self.progress != Progress::Registrations
    }

    /// Whether samples cause actions: those that were there before the start have been read.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.progress == Progress::Live
    }

    /// Whether every service has had its minimum, or cannot have it for now.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.has_taken_over && self.services.is_settled()
    }

    /// A service.
    #[must_use]
    pub fn service(&self, service: &str) -> Option<&ServiceState> {
        self.services.get(service)
    }

    /// Every service, by name.
    pub fn services(&self) -> impl Iterator<Item = &ServiceState> {
        self.services.iter()
    }

    /// The policies that are asked, with their services.
    pub fn asked(&self) -> impl Iterator<Item = &Use> {
        self.modules.uses()
    }

    /// What a policy wants to be given next time.
    #[must_use]
    pub fn policy_state(&self, of: &Use) -> &[u8] {
        self.modules.state(of)
    }

    /// What is wrong with a policy.
    #[must_use]
    pub fn trouble(&self, of: &Use) -> Option<&Trouble> {
        self.modules.trouble(of)
    }

    /// What a policy with these windows would see of a service.
    #[must_use]
    pub fn observation(&self, service: &str, windows: &[WindowSpec], now: Timestamp) -> Option<Observation> {
        let state = self.services.get(service)?;
        let read = windows.iter().filter_map(|window| Some((self.signals.index(&window.signal)?, window)));
        Some(observe(state, read, &self.signals, &self.registrations, now))
    }

    /// What a threshold made of the last sample that it was shown, in words; `None` also if it fired.
    #[must_use]
    pub fn last_step(&self, of: &Use, direction: Direction) -> Option<String> {
        self.thresholds.last_step(of, direction, &self.signals)
    }

    /// A term begins with what a former run left; of what was known only the specification stays.
    fn begin(&mut self, stored: Stored, now: Timestamp) -> Effects {
        let spec = std::mem::take(&mut self.spec);
        *self = Self { spec, term: now.as_millisecond(), ..Self::default() };
        self.build(&stored);
        self.left = Some(stored);
        Effects::default()
    }

    fn take_registrations(&mut self, changes: Vec<RegistrationChange>, turn: &mut Turn<'_>) {
        for change in changes {
            if change == RegistrationChange::Complete && self.progress == Progress::Registrations {
                self.progress = Progress::Backlog;
            }
            self.registrations.take(change, &self.services, turn);
        }
    }

    fn take_samples(&mut self, batch: SampleBatch, turn: &mut Turn<'_>) {
        let stretch = batch.stretch;
        self.signals.take(batch, turn);
        match (stretch, self.progress) {
            (Stretch::SnapshotEnd, Progress::Registrations | Progress::Backlog) => {
                self.evaluate(turn, false);
                turn.tell(Event::PoliciesLive { samples: self.signals.counts().samples });
                self.modules.go_live(turn.now);
                self.progress = Progress::Live;
            }
            (Stretch::SnapshotEnd | Stretch::Live, Progress::Live) => self.evaluate(turn, true),
            // Before the snapshot is read nothing is live.
            (Stretch::Snapshot | Stretch::Live, _) => {}
        }
    }

    /// Shows the samples that were not shown yet to every policy that reads them. Unless they are live they only bring
    /// triggers up to date.
    fn evaluate(&mut self, turn: &mut Turn<'_>, live: bool) {
        for fresh in self.signals.fresh(turn, live) {
            let Some((signal, id)) = self.signals.origin(fresh.series) else { continue };
            let id = (!signal.aggregated).then_some(id);
            let owner = id.and_then(|id| self.registrations.owner(&signal.service_type, id));
            let shown = Shown { fresh: &fresh, id, owner, live };
            self.thresholds.step(&shown, &mut self.services, turn);
            if live {
                self.modules.hear(fresh.signal, owner, turn.now);
            }
        }
    }

    fn look(&mut self, look: Look, turn: &mut Turn<'_>) {
        self.services.see(look);
        match self.left.take() {
            Some(stored) => {
                self.has_taken_over = true;
                self.services.recover(&stored, turn);
                self.services.review_all(turn);
            }
            None if self.has_taken_over => self.services.observe(turn),
            None => {}
        }
    }

    fn command(&mut self, command: Command, turn: &mut Turn<'_>) {
        let Command::Scale { service, .. } = &command;
        let service = service.clone();
        self.services.decide(&service, &Cause::Command(command), turn);
    }

    /// Asks policies that are due, and not all of them at once: their answers, and what else happens, can be taken in between.
    fn ask(&mut self, turn: &mut Turn<'_>) {
        let Self { modules, services, signals, registrations, .. } = self;
        let questions = std::iter::from_fn(|| modules.question(services, signals, registrations, turn.now));
        turn.effects.questions.extend(questions.take(QUESTIONS_MAX));
    }

    /// Drops the series that have been silent for long, and forgets their triggers.
    fn drop_silent(&mut self, turn: &mut Turn<'_>) {
        for (signal, series) in self.signals.drop_silent(turn.now) {
            self.thresholds.forget(signal, series);
            turn.effects.dropped.push(series);
        }
    }

    /// Makes everything anew that follows from the specification, with what is stored of it.
    fn build(&mut self, stored: &Stored) {
        self.signals = Signals::of(&self.spec);
        self.services = ServiceTable::of(&self.spec, stored);
        self.thresholds = ThresholdPolicies::of(&self.spec, &self.signals, stored);
        self.modules = ModulePolicies::of(&self.spec, &self.signals, stored);
        self.registrations = Registrations::default();
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}
