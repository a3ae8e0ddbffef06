//! The loop: takes in what happened, and sets going what follows from it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::World;
use super::act::{Job, Outcome};
use super::board::Effects;
use super::brain::Brain;
use super::context::{Context, LeadershipLost};
use super::inventory::Inventory;
use super::looking::{self, Newcomer, Pace};
use super::post::Post;
use crate::clock::Clock;
use crate::config::Config;
use crate::health::Stage;
use crate::modules::Modules;
use crate::record::{self, Status, Stored};
use crate::scaling::Verdict;
use crate::store::Change;

/// Something that the loop waits for.
pub(super) enum Event {
    Finished(Box<Job>, Outcome),
    Looked(Inventory, Newcomer),
    TemplateWritten(usize),
    CleanUpDue,
    Answered(usize, Result<Verdict, String>),
    StateDue(usize),
    StateWritten(usize),
    Renewed(Vec<String>),
    Deleted,
    Done,
}

type Pending<'c> = FuturesUnordered<Pin<Box<dyn Future<Output = Result<Event, LeadershipLost>> + Send + 'c>>>;

/// The loop with everything it holds.
pub(super) struct Engine<'c, W: World> {
    pub(super) context: &'c Context<W>,
    pub(super) config: &'c Config,
    pub(super) brain: Brain,
    /// The templates as last written, with fields of others.
    pub(super) templates: Vec<Option<Value>>,
    /// The templates that are being written, and whether they changed meanwhile.
    pub(super) writing: BTreeMap<usize, bool>,
    pub(super) pending: Pending<'c>,
    pub(super) status: Status,
    /// Unneeded keys are waited for or being deleted.
    pub(super) cleaning: bool,
    /// The states of policies that are to be written, and whether they changed since that began.
    pub(super) saving: BTreeMap<usize, bool>,
}

impl<'c, W: World> Engine<'c, W> {
    /// An engine that has done nothing yet.
    pub(super) fn new(context: &'c Context<W>, config: &'c Config, stored: &Stored) -> Self {
        let brain = Brain::new(config, stored);
        let posts = &brain.board.posts;
        let templates = posts.iter().map(|post| stored.templates.get(&post.service.name).cloned()).collect();
        let fresh = stored.status.as_deref().is_none_or(|status| status == Status::Initializing.as_str());
        Self {
            context,
            config,
            brain,
            templates,
            writing: BTreeMap::new(),
            pending: Pending::default(),
            status: if fresh { Status::Initializing } else { Status::Recovering },
            cleaning: false,
            saving: BTreeMap::new(),
        }
    }

    /// Takes over what was stored, and loops until the leadership is lost.
    pub(super) async fn run(
        &mut self,
        stored: &Stored,
        registrations: mpsc::Receiver<Vec<Change>>,
        metrics: mpsc::Receiver<Vec<Change>>,
    ) -> Result<Infallible, LeadershipLost> {
        // The loop does not turn yet: fleet may be away for long.
        self.context.parts.health.answering(self.take_over(stored)).await?;
        self.serve(registrations, metrics).await
    }

    /// The records of the instances that there are, by key.
    pub(super) fn records(&self) -> Vec<(String, String)> {
        self.brain.board.posts.iter().flat_map(Post::records).collect()
    }

    async fn take_over(&mut self, stored: &Stored) -> Result<(), LeadershipLost> {
        let context = self.context;
        context.parts.health.enter(Stage::TakingOver);
        for key in &stored.unreadable {
            tracing::warn!(key, "cannot be read, and is taken as not there");
        }
        let document = self.config.document.to_string();
        let (wrote, inventory) = tokio::join!(
            async {
                context.put(record::STATUS, self.status.as_str()).await?;
                let before = stored.configuration.as_deref().map(serde_json::from_str::<Value>);
                if !matches!(&before, Some(Ok(before)) if *before == self.config.document) {
                    if before.is_some() {
                        tracing::info!("the configuration differs from the stored one, and is applied");
                    }
                    context.put(record::CONFIGURATION, &document).await?;
                }
                Ok(())
            },
            looking::look(context),
        );
        wrote?;
        context.set_inventory(inventory);
        let mut effects = Effects::default();
        self.brain.take_over(stored, context.inventory(), context.parts.clock.now(), &mut effects);
        for service in stored.templates.keys() {
            if !self.brain.board.by_name.contains_key(service) {
                self.write(record::template_key(service), None);
            }
        }
        // Every start is a new chance; if it is in vain, that is written again.
        let unusable = context.parts.modules.unusable();
        self.brain.ask_at_once(&unusable, context.parts.clock.now());
        let in_vain = self.brain.policy_status_keys(&unusable);
        let stale = stored.troubles.iter().filter(|key| !in_vain.contains(key)).cloned();
        for key in stale.chain(self.brain.unasked(stored)).collect::<Vec<_>>() {
            self.write(key, None);
        }
        let instances: u32 = self.brain.board.posts.iter().map(|post| post.roster.count()).sum();
        tracing::info!(
            services = self.brain.board.posts.len(),
            instances,
            units_in_fleet = context.inventory().len(),
            status = self.status.as_str(),
            "took over"
        );
        context.parts.health.enter(Stage::Leading(self.status));
        self.apply(effects);
        self.pending.push(Box::pin(looking::look_after(context, Pace::first())));
        self.await_modules();
        Ok(())
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
                Some(event) = self.pending.next() => match event? {
                    Event::Looked(inventory, newcomer) => {
                        pace = pace.after(inventory.asked_at.elapsed(), newcomer);
                        self.looked(inventory, pace);
                    }
                    event => self.take(event),
                },
                Some(changes) = registrations.recv() => self.brain.take_registrations(&changes),
                // Samples that were there before the start are read when it is known whose they are.
                Some(changes) = metrics.recv(), if self.brain.knows_owners() => {
                    let effects = self.brain.take_metrics(&changes, self.context.parts.clock.now());
                    self.apply(effects);
                }
                () = sleep(question_due.unwrap_or_default()), if question_due.is_some() => {}
            }
            self.ask();
            self.clean_up();
            self.note_status();
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Finished(job, outcome) => {
                let mut effects = Effects::default();
                self.brain.board.finished(&job, outcome, self.context.parts.clock.now(), &mut effects);
                self.apply(effects);
            }
            Event::TemplateWritten(index) => {
                if self.writing.remove(&index) == Some(true) {
                    self.write_template(index);
                }
            }
            Event::Answered(index, answer) => {
                let mut effects = Effects::default();
                self.brain.answered(index, answer, self.context.parts.clock.now(), &mut effects);
                self.apply(effects);
            }
            Event::StateDue(index) => self.write_state(index),
            Event::StateWritten(index) => {
                if self.saving.remove(&index) == Some(true) {
                    self.save_state(index);
                }
            }
            Event::Renewed(policies) => {
                let mut effects = Effects::default();
                self.brain.renewed(&policies, self.context.parts.clock.now(), &mut effects);
                self.apply(effects);
                self.await_modules();
            }
            Event::CleanUpDue => self.delete_unneeded(),
            Event::Deleted => self.cleaning = false,
            Event::Looked(..) | Event::Done => {}
        }
    }

    /// How long it is until a policy is to be asked.
    fn question_due(&self) -> Option<Duration> {
        let due = self.brain.advisors.next_due()?;
        Some(due.duration_since(self.context.parts.clock.now()).try_into().unwrap_or_default())
    }

    /// Takes over modules that change.
    fn await_modules(&self) {
        let context = self.context;
        self.pending.push(Box::pin(async move { Ok(Event::Renewed(context.parts.modules.renewed().await)) }));
    }

    /// Asks the policies that are due.
    fn ask(&mut self) {
        if self.brain.advisors.next_due().is_none_or(|due| due > self.context.parts.clock.now()) {
            return;
        }
        let context = self.context;
        let now = context.parts.clock.now();
        // Each is handed over before the next is made: with many, the first are answered meanwhile.
        while let Some((index, question)) = self.brain.question(now) {
            let answer = context.parts.modules.decide(question);
            self.pending.push(Box::pin(async move { Ok(Event::Answered(index, answer.await)) }));
        }
    }

    fn looked(&mut self, inventory: Inventory, pace: Pace) {
        self.context.set_inventory(inventory);
        let mut effects = Effects::default();
        self.brain.look(self.context.inventory(), self.context.parts.clock.now(), &mut effects);
        self.apply(effects);
        self.pending.push(Box::pin(looking::look_after(self.context, pace)));
    }

    /// Sets going what follows from an event.
    fn apply(&mut self, effects: Effects) {
        let context = self.context;
        for job in effects.jobs {
            let job = Box::new(job);
            self.pending.push(Box::pin(async move {
                let outcome = context.carry_out(&job).await?;
                Ok(Event::Finished(job, outcome))
            }));
        }
        for index in effects.templates {
            self.write_template(index);
        }
        for index in effects.statuses {
            self.write_service_status(index);
        }
        for index in effects.policy_states {
            self.save_state(index);
        }
        for index in effects.policy_statuses {
            self.write_policy_status(index);
        }
    }
}
