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

use super::act::{Job, Outcome};
use super::board::{Board, Effects};
use super::context::{Context, LeadershipLost};
use super::inventory::Inventory;
use super::looking;
use super::policies::{Mode, Policies, Shown};
use super::post::Post;
use super::registrations::Registrations;
use crate::clock::Clock;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::metrics::{Metrics, Skipped};
use crate::record::{self, Status, Stored};
use crate::store::{Change, Store};

/// Something that the loop waits for.
pub(super) enum Event {
    Finished(Box<Job>, Outcome),
    Looked(Inventory),
    TemplateWritten(usize),
    CleanUpDue,
    Deleted,
    Done,
}

type Pending<'c> = FuturesUnordered<Pin<Box<dyn Future<Output = Result<Event, LeadershipLost>> + Send + 'c>>>;

/// How far reading etcd has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Registrations that were there before the start come first: they say whose the samples are.
    Registrations,
    /// Samples that were there before the start cause no action.
    Backlog,
    /// Changes come as they happen.
    Live,
    /// Some were lost, and everything is read again.
    Again,
}

pub(super) struct Engine<'c, S, F, C> {
    pub(super) context: &'c Context<S, F, C>,
    pub(super) config: &'c Config,
    pub(super) board: Board,
    pub(super) policies: Policies,
    pub(super) metrics: Metrics,
    registrations: Registrations,
    /// The templates as last written, with fields of others.
    pub(super) templates: Vec<Option<Value>>,
    /// The templates that are being written, and whether they changed meanwhile.
    pub(super) writing: BTreeMap<usize, bool>,
    pub(super) pending: Pending<'c>,
    pub(super) status: Status,
    pub(super) reading: Reading,
    /// Unneeded keys are waited for or being deleted.
    pub(super) cleaning: bool,
}

impl<'c, S: Store, F: Fleet, C: Clock> Engine<'c, S, F, C> {
    /// An engine that has done nothing yet.
    pub(super) fn new(context: &'c Context<S, F, C>, config: &'c Config, stored: &Stored) -> Self {
        let board = Board::new(config);
        let mut metrics = Metrics::new(config);
        let policies = Policies::new(config, &board, &mut metrics, stored);
        let templates =
            board.posts.iter().map(|post| stored.templates.get(&post.service.name).cloned()).collect();
        let fresh = stored.status.as_deref().is_none_or(|status| status == Status::Initializing.as_str());
        Self {
            context,
            config,
            policies,
            metrics,
            registrations: Registrations::new(config, &board),
            board,
            templates,
            writing: BTreeMap::new(),
            pending: Pending::default(),
            status: if fresh { Status::Initializing } else { Status::Recovering },
            reading: Reading::Registrations,
            cleaning: false,
        }
    }

    /// Takes over what was stored, and loops until the leadership is lost.
    pub(super) async fn run(
        &mut self,
        stored: &Stored,
        registrations: mpsc::Receiver<Vec<Change>>,
        metrics: mpsc::Receiver<Vec<Change>>,
    ) -> Result<Infallible, LeadershipLost> {
        self.take_over(stored).await?;
        self.serve(registrations, metrics).await
    }

    /// The records of the instances that there are, by key.
    pub(super) fn records(&self) -> Vec<(String, String)> {
        self.board.posts.iter().flat_map(Post::records).collect()
    }

    async fn take_over(&mut self, stored: &Stored) -> Result<(), LeadershipLost> {
        let context = self.context;
        for key in &stored.unreadable {
            tracing::warn!(key, "cannot be read, and is left alone");
        }
        let document = self.config.document.to_string();
        let (wrote, inventory) = tokio::join!(
            async {
                context.put(record::STATUS, self.status.as_str()).await?;
                if stored.configuration.as_deref() != Some(&document) {
                    if stored.configuration.is_some() {
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
        let inventory = context.inventory();
        let mut effects = Effects::default();
        self.board.recover(stored, &inventory, &mut effects);
        let instances: u32 = self.board.posts.iter().map(|post| post.roster.count()).sum();
        tracing::info!(
            services = self.board.posts.len(),
            instances,
            units_in_fleet = inventory.len(),
            status = self.status.as_str(),
            "took over"
        );
        self.board.plan_all(&inventory, &mut effects);
        self.apply(effects);
        self.pending.push(Box::pin(looking::look_after(context, looking::BUSY_MIN)));
        Ok(())
    }

    async fn serve(
        &mut self,
        mut registrations: mpsc::Receiver<Vec<Change>>,
        mut metrics: mpsc::Receiver<Vec<Change>>,
    ) -> Result<Infallible, LeadershipLost> {
        let mut look_pause = looking::BUSY_MIN;
        loop {
            tokio::select! {
                biased;
                Some(event) = self.pending.next() => match event? {
                    Event::Looked(inventory) => self.looked(inventory, &mut look_pause),
                    event => self.take(event),
                },
                Some(changes) = registrations.recv() => self.take_registrations(&changes),
                // Samples that were there before the start are read when it is known whose they are.
                Some(changes) = metrics.recv(), if self.reading != Reading::Registrations => self.take_metrics(&changes),
            }
            self.clean_up();
            self.note_status();
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Finished(job, outcome) => {
                let mut effects = Effects::default();
                let (now, inventory) = (self.context.parts.clock.now(), self.context.inventory());
                self.board.finished(&job, outcome, now, &inventory, &mut effects);
                self.apply(effects);
            }
            Event::TemplateWritten(index) => {
                if self.writing.remove(&index) == Some(true) {
                    self.write_template(index);
                }
            }
            Event::CleanUpDue => self.delete_unneeded(),
            Event::Deleted => self.cleaning = false,
            Event::Looked(_) | Event::Done => {}
        }
    }

    fn looked(&mut self, inventory: Inventory, pause: &mut Duration) {
        let took = inventory.asked_at.elapsed();
        self.context.set_inventory(inventory);
        let inventory = self.context.inventory();
        let mut effects = Effects::default();
        self.board.observe(&inventory, self.context.parts.clock.now(), &mut effects);
        self.apply(effects);
        *pause = looking::next_pause(*pause, took, self.context.anyone_waiting());
        self.pending.push(Box::pin(looking::look_after(self.context, *pause)));
    }

    fn take_registrations(&mut self, changes: &[Change]) {
        for change in changes {
            self.registrations.take(change, &self.board);
            if *change == Change::SnapshotEnd && self.reading == Reading::Registrations {
                self.reading = Reading::Backlog;
            }
        }
    }

    fn take_metrics(&mut self, changes: &[Change]) {
        let now = self.context.parts.clock.now();
        for change in changes {
            match change {
                Change::SnapshotStart => self.snapshot_begins(),
                Change::SnapshotEnd => self.snapshot_read(),
                Change::Put { key, value } => {
                    if let Some((skipped, true)) = self.metrics.put(key, value, now) {
                        self.report(skipped, key);
                    }
                }
                Change::Oversized { key, bytes } => {
                    tracing::warn!(key, bytes, "a value is too large and is not read");
                }
                // Whoever deletes samples, the windows keep them.
                Change::Delete { .. } | Change::DeleteTree { .. } => {}
            }
        }
        if self.reading == Reading::Live {
            self.evaluate(Mode::Live);
        }
    }

    fn snapshot_begins(&mut self) {
        if self.reading == Reading::Live {
            self.reading = Reading::Again;
        }
    }

    fn snapshot_read(&mut self) {
        if self.reading == Reading::Backlog {
            self.evaluate(Mode::Rebuild);
            let counts = self.metrics.counts();
            tracing::info!(samples = counts.samples, "read the samples that were there; policies are live");
        }
        self.reading = Reading::Live;
    }

    fn report(&self, skipped: Skipped, key: &str) {
        let counts = self.metrics.counts();
        let why = match skipped {
            Skipped::Unwanted | Skipped::Late => return,
            Skipped::BadTime => "the key ends with no time, or one more than a day ahead",
            Skipped::BadValue => "the value is no finite number, or has none at the field",
            Skipped::TooMany => "there are more series or samples than are kept; some are left out",
        };
        tracing::warn!(key, ?counts, "a sample is skipped, as others under its path may be: {why}");
    }

    fn evaluate(&mut self, mode: Mode) {
        let inventory = self.context.inventory();
        let mut jobs = Vec::new();
        for fresh in self.metrics.fresh(self.context.parts.clock.now(), mode == Mode::Live) {
            let Some((service_type, id)) = self.metrics.origin(fresh.series) else { continue };
            let owner = id.and_then(|id| self.registrations.owner(service_type, id));
            let shown = Shown { fresh: &fresh, id, owner, mode };
            self.policies.step(&shown, &mut self.board, &inventory, &mut jobs);
        }
        self.apply(Effects { jobs, ..Effects::default() });
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
    }
}
