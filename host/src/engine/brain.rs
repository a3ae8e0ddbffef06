//! The part of the engine that thinks: everything it knows, and no I/O. Changes and looks go in, jobs come out.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::advisors::Advisors;
use super::board::{Board, Effects};
use super::inventory::Inventory;
use super::policies::{Mode, Policies, Shown};
use super::registrations::Registrations;
use crate::config::Config;
use crate::metrics::{Metrics, Skipped};
use crate::modules::Question;
use crate::record::{self, Stored};
use crate::scaling::Verdict;
use crate::store::Change;

/// How far reading etcd has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Registrations that were there before the start come first: they say whose the samples are.
    Registrations,
    /// Samples that were there before the start cause no action.
    Backlog,
    /// Changes come as they happen.
    Live,
    /// Some were lost, and everything is read again.
    Again,
}

/// Everything the engine knows.
#[derive(Debug)]
pub struct Brain {
    pub(super) board: Board,
    pub(super) metrics: Metrics,
    policies: Policies,
    pub(super) advisors: Advisors,
    registrations: Registrations,
    reading: Reading,
}

impl Brain {
    /// What follows from the configuration, and the cooldowns that are stored.
    #[must_use]
    pub fn new(config: &Config, stored: &Stored) -> Self {
        let mut board = Board::new(config);
        let mut metrics = Metrics::new(config);
        let policies = Policies::new(config, &board, &mut metrics, stored);
        let advisors = Advisors::new(config, &mut board, &mut metrics, stored);
        board.remember(stored);
        let registrations = Registrations::new(config, &board);
        Self { board, metrics, policies, advisors, registrations, reading: Reading::Registrations }
    }

    /// Takes over what a former run left, given the first look at fleet.
    pub(super) fn take_over(
        &mut self,
        stored: &Stored,
        inventory: Arc<Inventory>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        self.board.now = now;
        self.board.see(inventory);
        self.board.recover(stored, effects);
        self.board.plan_all(effects);
    }

    /// Takes in a look at fleet.
    pub(super) fn look(&mut self, inventory: Arc<Inventory>, now: Timestamp, effects: &mut Effects) {
        self.board.now = now;
        self.board.see(inventory);
        self.board.observe(now, effects);
    }

    /// Whether registrations have been read, so that samples can be.
    #[must_use]
    pub fn knows_owners(&self) -> bool {
        self.reading != Reading::Registrations
    }

    /// Whether samples cause actions: those that were there before the start have been read.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.reading, Reading::Live | Reading::Again)
    }

    /// Takes in changes below the application's path.
    pub fn take_registrations(&mut self, changes: &[Change]) {
        for change in changes {
            self.registrations.take(change, &self.board);
            if *change == Change::SnapshotEnd && self.reading == Reading::Registrations {
                self.reading = Reading::Backlog;
            }
        }
    }

    /// Takes in changes below the metrics path, and decides. Returns what is to be done.
    pub fn take_metrics(&mut self, changes: &[Change], now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        self.board.now = now;
        for change in changes {
            match change {
                Change::SnapshotStart => self.snapshot_begins(),
                Change::SnapshotEnd => self.snapshot_read(now, &mut effects),
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
            self.evaluate(Mode::Live, now, &mut effects);
        }
        effects
    }

    /// Drops the series that have been silent for long, and forgets their triggers.
    pub(super) fn drop_silent(&mut self, now: Timestamp) {
        for (signal, series) in self.metrics.drop_silent(now) {
            self.policies.forget(signal, series);
        }
    }

    /// The service and policy of a policy in a module.
    pub(super) fn advised(&self, index: usize) -> (&str, &str) {
        let advisor = &self.advisors.all[index];
        (&self.board.posts[advisor.service].service.name, &advisor.policy)
    }

    /// The keys of the states of policies that no service names any more.
    pub(super) fn unasked(&self, stored: &Stored) -> Vec<String> {
        let asked: HashSet<(&str, &str)> =
            (0..self.advisors.all.len()).map(|index| self.advised(index)).collect();
        let pairs = stored.policy_states.iter().flat_map(|(service, policies)| {
            policies.keys().map(move |policy| (service.as_str(), policy.as_str()))
        });
        pairs
            .filter(|pair| !asked.contains(pair))
            .map(|(service, policy)| record::policy_state_key(service, policy))
            .collect()
    }

    /// Policies whose modules cannot be used are asked without waiting for a sample, so that it is said what is wrong.
    pub(super) fn ask_at_once(&mut self, policies: &[String], now: Timestamp) {
        self.advisors.ask_at_once(policies, now);
    }

    /// The keys of the statuses of these policies.
    pub(super) fn policy_status_keys(&self, policies: &[String]) -> Vec<String> {
        let all = (0..self.advisors.all.len()).map(|index| self.advised(index));
        let named = all.filter(|(_, policy)| policies.iter().any(|named| named == policy));
        named.map(|(service, policy)| record::policy_status_key(service, policy)).collect()
    }

    /// Takes in that other modules decide for these policies.
    pub(super) fn renewed(&mut self, policies: &[String], now: Timestamp, effects: &mut Effects) {
        self.board.now = now;
        self.advisors.renewed(policies, &mut self.board, effects);
    }

    /// The next question to a policy in a module that is due.
    pub(super) fn question(&mut self, now: Timestamp) -> Option<(usize, Question)> {
        self.board.now = now;
        self.advisors.question(&self.board, &self.metrics, &self.registrations)
    }

    /// Takes in an answer of a policy in a module.
    pub(super) fn answered(
        &mut self,
        index: usize,
        answer: Result<Verdict, String>,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        self.board.now = now;
        self.advisors.answered(index, answer, &mut self.board, effects);
    }

    fn snapshot_begins(&mut self) {
        if self.reading == Reading::Live {
            self.reading = Reading::Again;
        }
    }

    fn snapshot_read(&mut self, now: Timestamp, effects: &mut Effects) {
        if self.reading == Reading::Backlog {
            self.evaluate(Mode::Rebuild, now, effects);
            let counts = self.metrics.counts();
            tracing::info!(samples = counts.samples, "read the samples that were there; policies are live");
            self.advisors.go_live(now);
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

    fn evaluate(&mut self, mode: Mode, now: Timestamp, effects: &mut Effects) {
        for fresh in self.metrics.fresh(now, mode == Mode::Live) {
            let Some((service_type, id)) = self.metrics.origin(fresh.series) else { continue };
            let owner = id.and_then(|id| self.registrations.owner(service_type, id));
            let shown = Shown { fresh: &fresh, id, owner, mode };
            self.policies.step(&shown, &mut self.board, &mut effects.jobs);
            if mode == Mode::Live {
                self.advisors.hear(fresh.signal, owner, &self.board);
            }
        }
    }
}
