//! The loop: takes in what happened, lets the planner say what follows, and sets that going.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use dynamite_core::{
    ActionId, Effects, Input, Outcome, Phase, Planner, PolicyId, ServiceId, ServiceState, Use,
};
use futures_util::stream::{FuturesUnordered, SelectAll};
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::World;
use super::context::{Context, LeadershipLost};
use super::inventory::Inventory;
use super::looking::{self, Newcomer, Pace};
use crate::clock::Clock;
use crate::config::{Config, difference};
use crate::health::Stage;
use crate::journal::EngineEvent;
use crate::metrics::Metrics;
use crate::modules::{Answered, Modules};
use crate::record::{self, Contents, Status};
use crate::registrations::registrations;
use crate::store::Change;

/// Something that the loop waits for.
pub(super) enum Arrival {
    Finished(ActionId, Outcome),
    Looked(Inventory, Newcomer),
    TemplateWritten(ServiceId),
    CleanUpDue,
    StateDue(Use),
    StateWritten(Use),
    Renewed(Vec<PolicyId>),
    Deleted,
    Done,
}

type Pending<'c> =
    FuturesUnordered<Pin<Box<dyn Future<Output = Result<Arrival, LeadershipLost>> + Send + 'c>>>;
/// The answers to questions, a stream for those that were asked at once.
type Answers<'c> = SelectAll<Pin<Box<dyn Stream<Item = Vec<Answered>> + Send + 'c>>>;

/// The loop with everything it holds.
pub(super) struct Engine<'c, W: World> {
    pub(super) context: &'c Context<W>,
    pub(super) config: &'c Config,
    pub(super) planner: Planner,
    pub(super) metrics: Metrics,
    /// The templates as last written, with fields of others.
    pub(super) templates: BTreeMap<ServiceId, Value>,
    /// The templates that are being written, and whether they changed meanwhile.
    pub(super) writing: BTreeMap<ServiceId, bool>,
    pub(super) pending: Pending<'c>,
    answers: Answers<'c>,
    pub(super) status: Status,
    /// Unneeded keys are waited for or being deleted.
    pub(super) cleaning: bool,
    /// The states of policies that are to be written, and whether they changed since that began.
    pub(super) saving: BTreeMap<Use, bool>,
}

impl<'c, W: World> Engine<'c, W> {
    /// An engine that has done nothing yet.
    pub(super) fn new(context: &'c Context<W>, config: &'c Config, stored: &Contents) -> Self {
        let spec = config.spec();
        let metrics = Metrics::new(&config.etcd.metrics_base, config.etcd.cleanup, &spec.signals);
        let templates =
            stored.templates.iter().map(|(name, template)| (name.as_str().into(), template.clone()));
        let fresh = stored.status.as_deref().is_none_or(|status| status == Status::Initializing.as_str());
        let mut engine = Self {
            context,
            config,
            planner: Planner::default(),
            metrics,
            templates: templates.filter(|(service, _)| spec.services.contains_key(service)).collect(),
            writing: BTreeMap::new(),
            pending: Pending::default(),
            answers: Answers::default(),
            status: if fresh { Status::Initializing } else { Status::Recovering },
            cleaning: false,
            saving: BTreeMap::new(),
        };
        // In this order a planner that has seen a term before begins anew, and takes no specification for a change of its own.
        engine.turn(Input::Stored(stored.left.clone()));
        engine.turn(Input::Spec(spec));
        engine
    }

    /// One turn: an input is folded, what follows is told and set going. It waits for nothing, and its cost follows the input,
    /// not how much there is. The clock is read once.
    pub(super) fn turn(&mut self, input: Input) {
        self.turn_at(input, self.context.parts.clock.now());
    }

    fn turn_at(&mut self, input: Input, now: Timestamp) {
        let journal = &self.context.parts.journal;
        journal.input(now, &input);
        let effects = self.planner.take(input, now);
        let Effects { questions, orders, records, released, dropped, events } = effects;
        for event in events {
            journal.tell(now, event);
        }
        let context = self.context;
        if !questions.is_empty() {
            self.answers.push(Box::pin(context.parts.modules.ask(questions)));
        }
        for order in orders {
            self.pending.push(Box::pin(async move {
                let outcome = context.carry_out(&order).await?;
                Ok(Arrival::Finished(order.id, outcome))
            }));
        }
        for (series, until) in released {
            self.metrics.release(series, until);
        }
        for series in dropped {
            self.metrics.forget(series);
        }
        self.write_records(records);
    }

    /// Takes over what was stored, and loops until the leadership is lost.
    pub(super) async fn run(
        &mut self,
        stored: &Contents,
        registrations: mpsc::Receiver<Vec<Change>>,
        metrics: mpsc::Receiver<Vec<Change>>,
    ) -> Result<Infallible, LeadershipLost> {
        // The loop does not turn yet: fleet may be away for long.
        self.context.parts.health.answering(self.take_over(stored)).await?;
        self.serve(registrations, metrics).await
    }

    /// The records of the instances that there are or shall be, by key.
    pub(super) fn records(&self) -> Vec<(String, String)> {
        self.planner.services().flat_map(|state| self.records_of(state)).collect()
    }

    fn records_of(&self, state: &ServiceState) -> Vec<(String, String)> {
        let spec = state.spec();
        let there = state.population().iter().filter(|(_, instance)| instance.phase != Phase::Stopping);
        let record = there.map(|(slot, instance)| {
            let unit = spec.unit_name(slot);
            let configured = || spec.attached.iter().map(|template| template.unit_name(slot)).collect();
            let attached = instance.attached.clone().unwrap_or_else(configured);
            let key = record::instance_key(spec.id.as_str(), &unit);
            let text = self.context.records.text(&key, &unit, &attached);
            (key, text)
        });
        record.collect()
    }

    async fn take_over(&mut self, stored: &Contents) -> Result<(), LeadershipLost> {
        let context = self.context;
        context.parts.health.enter(Stage::TakingOver);
        for key in &stored.unreadable {
            context.tell(EngineEvent::KeyUnreadable { key: key.clone() });
        }
        let (wrote, inventory) =
            tokio::join!(write_start(context, self.config, stored, self.status), looking::look(context));
        wrote?;
        let units = inventory.len();
        context.set_inventory(inventory);
        self.turn(Input::Look(context.inventory().look()));
        self.tidy_up(stored);
        let services = self.planner.services();
        let instances = services.map(|state| state.population().count()).sum();
        let (services, status) = (self.planner.services().count(), self.status.as_str());
        context.tell(EngineEvent::TookOver { services, instances, units, status });
        context.parts.health.enter(Stage::Leading(self.status));
        self.pending.push(Box::pin(looking::look_after(context, Pace::first())));
        self.await_modules();
        Ok(())
    }

    /// Removes what a former run wrote and is not true any more.
    fn tidy_up(&mut self, stored: &Contents) {
        let unknown = stored.templates.keys().filter(|service| self.planner.service(service).is_none());
        let mut gone: Vec<String> = unknown.map(|service| record::template_key(service)).collect();
        // Every start is a new chance; if it is in vain, that is written again.
        let unusable = self.context.parts.modules.unusable();
        let asked: BTreeSet<&Use> = self.planner.asked().collect();
        let in_vain: Vec<String> = asked
            .iter()
            .filter(|of| unusable.contains(&of.policy))
            .map(|of| record::policy_status_key(of.service.as_str(), of.policy.as_str()))
            .collect();
        gone.extend(stored.troubles.iter().filter(|key| !in_vain.contains(key)).cloned());
        for (service, states) in &stored.left.policy_states {
            let uses = states.keys().map(|policy| Use { service: service.clone(), policy: policy.clone() });
            let unasked = uses.filter(|of| !asked.contains(of));
            gone.extend(unasked.map(|of| record::policy_state_key(of.service.as_str(), of.policy.as_str())));
        }
        for key in gone {
            self.write(key, None);
        }
        if !unusable.is_empty() {
            self.turn(Input::Ask(unusable));
        }
    }

    async fn serve(
        &mut self,
        mut registrations: mpsc::Receiver<Vec<Change>>,
        mut metrics: mpsc::Receiver<Vec<Change>>,
    ) -> Result<Infallible, LeadershipLost> {
        let health = &self.context.parts.health;
        let mut pace = Pace::first();
        loop {
            let question_due = self.question_due();
            tokio::select! {
                biased;
                // First, so that it is answered however much there is to do.
                () = health.answer() => {}
                Some(arrival) = self.pending.next() => match arrival? {
                    Arrival::Looked(inventory, newcomer) => {
                        pace = pace.after(inventory.asked_at.elapsed(), newcomer);
                        self.looked(inventory, pace);
                    }
                    arrival => self.take(arrival),
                },
                Some(answered) = self.answers.next() => self.answered(answered),
                Some(changes) = registrations.recv() => self.take_registrations(&changes),
                // Samples that were there before the start are read when it is known whose they are.
                Some(changes) = metrics.recv(), if self.planner.knows_owners() => self.take_samples(&changes),
                () = wait(question_due.unwrap_or_default()), if question_due.is_some() => {}
            }
            self.ask();
            self.clean_up();
            self.note_status();
        }
    }

    fn take(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Finished(action, outcome) => self.turn(Input::Ended(action, outcome)),
            Arrival::Renewed(policies) => {
                self.turn(Input::Renewed(policies));
                self.await_modules();
            }
            Arrival::TemplateWritten(service) => {
                if self.writing.remove(&service) == Some(true) {
                    self.write_template(service);
                }
            }
            Arrival::StateDue(of) => self.write_state(of),
            Arrival::StateWritten(of) => {
                if self.saving.remove(&of) == Some(true) {
                    self.save_state(of);
                }
            }
            Arrival::CleanUpDue => self.delete_unneeded(),
            Arrival::Deleted => self.cleaning = false,
            Arrival::Looked(..) | Arrival::Done => {}
        }
    }

    fn answered(&mut self, all: Vec<Answered>) {
        for Answered { question, answer } in all {
            self.turn(Input::Answer(question.of, answer));
        }
    }

    fn take_registrations(&mut self, changes: &[Change]) {
        let changes = registrations(&self.config.etcd.application_base, changes);
        if !changes.is_empty() {
            self.turn(Input::Registrations(changes));
        }
    }

    fn take_samples(&mut self, changes: &[Change]) {
        let now = self.context.parts.clock.now();
        for batch in self.metrics.take(changes, now) {
            self.turn_at(Input::Samples(batch), now);
        }
    }

    /// How long it is until a policy is to be asked.
    fn question_due(&self) -> Option<Duration> {
        let due = self.planner.next_due()?;
        Some(due.duration_since(self.context.parts.clock.now()).try_into().unwrap_or_default())
    }

    /// Takes over modules that change.
    fn await_modules(&self) {
        let context = self.context;
        self.pending
            .push(Box::pin(async move { Ok(Arrival::Renewed(context.parts.modules.renewed().await)) }));
    }

    /// Asks policies that are due.
    fn ask(&mut self) {
        let Some(due) = self.planner.next_due() else { return };
        let now = self.context.parts.clock.now();
        if due <= now {
            self.turn_at(Input::Tick, now);
        }
    }

    fn looked(&mut self, inventory: Inventory, pace: Pace) {
        self.context.set_inventory(inventory);
        self.turn(Input::Look(self.context.inventory().look()));
        self.pending.push(Box::pin(looking::look_after(self.context, pace)));
    }
}

/// Waits. A timer takes a millisecond at the least, so nothing is not waited for with one.
async fn wait(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}

/// Writes what stands at the beginning of every term: the status, and the configuration if it is another than the stored one.
async fn write_start<W: World>(
    context: &Context<W>,
    config: &Config,
    stored: &Contents,
    status: Status,
) -> Result<(), LeadershipLost> {
    context.put(record::STATUS, status.as_str()).await?;
    // One that cannot be read differs as a whole.
    let before =
        stored.configuration.as_deref().map(|text| serde_json::from_str(text).unwrap_or(Value::Null));
    if before.as_ref() != Some(&config.document) {
        if let Some(before) = before {
            let changed = difference(&before, &config.document);
            context.tell(EngineEvent::ConfigurationDiffers { changed });
        }
        context.put(record::CONFIGURATION, &config.document.to_string()).await?;
    }
    Ok(())
}
