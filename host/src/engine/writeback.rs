//! What is written besides the actions: templates, statuses and states of policies; and samples that are deleted.

use std::time::Duration;

use dynamite_core::{Records, ServiceId, Slot, Trouble, Use};
use tokio::time::sleep;

use super::World;
use super::main_loop::{Arrival, Engine};
use crate::clock::Clock;
use crate::health::Stage;
use crate::journal::EngineEvent;
use crate::record::{self, Status};
use crate::store::Store;

/// How many keys are deleted in one go.
const DELETE_KEYS_MAX: usize = 512;
/// How long a changed state of a policy waits for further changes. A crash costs a policy no more than that.
const STATE_PAUSE: Duration = Duration::from_secs(1);
/// How long unneeded keys wait for others to be deleted with.
const DELETE_PAUSE: Duration = Duration::from_secs(1);

impl<W: World> Engine<'_, W> {
    /// Writes what is out of date.
    pub(super) fn write_records(&mut self, records: Records) {
        let Records { templates, service_statuses, policy_states, policy_statuses } = records;
        for service in templates {
            self.write_template(service);
        }
        for service in service_statuses {
            self.write_service_status(&service);
        }
        for of in policy_states {
            self.save_state(of);
        }
        for of in policy_statuses {
            self.write_policy_status(&of);
        }
    }

    pub(super) fn write_template(&mut self, service: ServiceId) {
        let (Some(state), Some(configured)) =
            (self.planner.service(service.as_str()), self.config.services.get(service.as_str()))
        else {
            return;
        };
        let running: Vec<(u32, String)> = state.running().map(|(Slot(slot), unit)| (slot, unit)).collect();
        let before = self.templates.get(&service);
        let template = record::template(self.config, configured, before, &running);
        if before == Some(&template) {
            return;
        }
        if let Some(again) = self.writing.get_mut(&service) {
            *again = true;
            return;
        }
        self.writing.insert(service.clone(), false);
        let (key, text) = (record::template_key(service.as_str()), template.to_string());
        self.templates.insert(service.clone(), template);
        let context = self.context;
        self.pending.push(Box::pin(async move {
            context.put(&key, &text).await?;
            Ok(Arrival::TemplateWritten(service))
        }));
    }

    fn write_service_status(&mut self, service: &ServiceId) {
        let degraded = self.planner.service(service.as_str()).and_then(|state| state.degraded());
        let text = degraded.map(|error| {
            let now = self.context.parts.clock.now().to_string();
            serde_json::json!({"status": "degraded", "error": error, "since": now}).to_string()
        });
        self.write(record::service_status_key(service.as_str()), text);
    }

    fn write_policy_status(&mut self, of: &Use) {
        let text = self.planner.trouble(of).map(|Trouble { error, since }| {
            let (error, since) = (&error.words, since.to_string());
            serde_json::json!({"status": "failing", "error": error, "since": since}).to_string()
        });
        self.write(record::policy_status_key(of.service.as_str(), of.policy.as_str()), text);
    }

    /// Sees to it that the state of a policy is written soon: it may change with every sample.
    pub(super) fn save_state(&mut self, of: Use) {
        if let Some(again) = self.saving.get_mut(&of) {
            *again = true;
            return;
        }
        self.saving.insert(of.clone(), false);
        self.pending.push(Box::pin(async move {
            sleep(STATE_PAUSE).await;
            Ok(Arrival::StateDue(of))
        }));
    }

    pub(super) fn write_state(&mut self, of: Use) {
        self.saving.insert(of.clone(), false);
        let (key, text) = self.state_record(&of);
        let context = self.context;
        self.pending.push(Box::pin(async move {
            context.put(&key, &text).await?;
            Ok(Arrival::StateWritten(of))
        }));
    }

    /// What was to be written soon, by key.
    pub(super) fn unsaved(&self) -> Vec<(String, String)> {
        self.saving.keys().map(|of| self.state_record(of)).collect()
    }

    fn state_record(&self, of: &Use) -> (String, String) {
        let key = record::policy_state_key(of.service.as_str(), of.policy.as_str());
        (key, record::policy_state(self.planner.policy_state(of)))
    }

    /// Writes or removes a key that nothing waits for.
    pub(super) fn write(&mut self, key: String, text: Option<String>) {
        let context = self.context;
        self.pending.push(Box::pin(async move {
            match text {
                Some(text) => context.put(&key, &text).await?,
                None => context.remove(key).await?,
            }
            Ok(Arrival::Done)
        }));
    }

    /// Sees to it that samples which nobody needs any more are deleted, many at a time.
    pub(super) fn clean_up(&mut self) {
        if self.cleaning || !self.planner.is_live() {
            return;
        }
        let pause = match self.metrics.unneeded() {
            0 => return,
            few if few < DELETE_KEYS_MAX => DELETE_PAUSE,
            _ => Duration::ZERO,
        };
        self.cleaning = true;
        self.pending.push(Box::pin(async move {
            sleep(pause).await;
            Ok(Arrival::CleanUpDue)
        }));
    }

    pub(super) fn delete_unneeded(&mut self) {
        let keys = self.metrics.take_unneeded(DELETE_KEYS_MAX);
        let context = self.context;
        self.pending.push(Box::pin(async move {
            context.persist("deleting samples", || context.parts.store.delete(&keys)).await?;
            Ok(Arrival::Deleted)
        }));
    }

    /// Says that it runs, when it does.
    pub(super) fn note_status(&mut self) {
        if self.status == Status::Running || !self.planner.is_settled() {
            return;
        }
        self.status = Status::Running;
        self.context.parts.health.enter(Stage::Leading(self.status));
        self.context.tell(EngineEvent::Running { status: self.status.as_str() });
        self.write(record::STATUS.to_owned(), Some(self.status.as_str().to_owned()));
    }
}
