//! What is written besides the actions: templates and statuses; and samples that are deleted.

use std::time::Duration;

use tokio::time::sleep;

use super::World;
use super::advisors::Trouble;
use super::main_loop::{Engine, Event};
use crate::clock::Clock;
use crate::health::Stage;
use crate::record::{self, Status};
use crate::store::Store;

/// How many keys are deleted in one go.
const DELETE_KEYS_MAX: usize = 512;
/// How long a changed state of a policy waits for further changes. A crash costs a policy no more than that.
const STATE_PAUSE: Duration = Duration::from_secs(1);
/// How long unneeded keys wait for others to be deleted with.
const DELETE_PAUSE: Duration = Duration::from_secs(1);

impl<W: World> Engine<'_, W> {
    pub(super) fn write_template(&mut self, index: usize) {
        let post = &self.brain.board.posts[index];
        let running: Vec<(u32, String)> =
            post.running().map(|number| (number, post.service.unit.unit_name(number))).collect();
        let template = record::template(self.config, &post.service, self.templates[index].as_ref(), &running);
        if self.templates[index].as_ref() == Some(&template) {
            return;
        }
        if let Some(again) = self.writing.get_mut(&index) {
            *again = true;
            return;
        }
        self.writing.insert(index, false);
        let (key, text) = (record::template_key(&post.service.name), template.to_string());
        self.templates[index] = Some(template);
        let context = self.context;
        self.pending.push(Box::pin(async move {
            context.put(&key, &text).await?;
            Ok(Event::TemplateWritten(index))
        }));
    }

    pub(super) fn write_service_status(&mut self, index: usize) {
        let post = &self.brain.board.posts[index];
        let key = record::service_status_key(&post.service.name);
        let text = post.degraded.as_ref().map(|error| {
            let now = self.context.parts.clock.now().to_string();
            serde_json::json!({"status": "degraded", "error": error, "since": now}).to_string()
        });
        self.write(key, text);
    }

    pub(super) fn write_policy_status(&mut self, index: usize) {
        let (service, policy) = self.brain.advised(index);
        let key = record::policy_status_key(service, policy);
        let trouble = self.brain.advisors.all[index].trouble.as_ref();
        let text = trouble.map(|Trouble { error, since }| {
            serde_json::json!({"status": "failing", "error": error, "since": since.to_string()}).to_string()
        });
        self.write(key, text);
    }

    /// Sees to it that the state of a policy is written soon: it may change with every sample.
    pub(super) fn save_state(&mut self, index: usize) {
        if let Some(again) = self.saving.get_mut(&index) {
            *again = true;
            return;
        }
        self.saving.insert(index, false);
        self.pending.push(Box::pin(async move {
            sleep(STATE_PAUSE).await;
            Ok(Event::StateDue(index))
        }));
    }

    pub(super) fn write_state(&mut self, index: usize) {
        self.saving.insert(index, false);
        let (key, text) = self.state_record(index);
        let context = self.context;
        self.pending.push(Box::pin(async move {
            context.put(&key, &text).await?;
            Ok(Event::StateWritten(index))
        }));
    }

    /// What was to be written soon, by key.
    pub(super) fn unsaved(&self) -> Vec<(String, String)> {
        self.saving.keys().map(|&index| self.state_record(index)).collect()
    }

    fn state_record(&self, index: usize) -> (String, String) {
        let (service, policy) = self.brain.advised(index);
        let state = &self.brain.advisors.all[index].state;
        (record::policy_state_key(service, policy), record::policy_state(state))
    }

    /// Writes or removes a key that nothing waits for.
    pub(super) fn write(&mut self, key: String, text: Option<String>) {
        let context = self.context;
        self.pending.push(Box::pin(async move {
            match text {
                Some(text) => context.put(&key, &text).await?,
                None => context.remove(key).await?,
            }
            Ok(Event::Done)
        }));
    }

    /// Sees to it that samples which nobody needs any more are deleted, many at a time.
    pub(super) fn clean_up(&mut self) {
        if self.cleaning || !self.brain.is_live() {
            return;
        }
        self.brain.drop_silent(self.context.parts.clock.now());
        let pause = match self.brain.metrics.unneeded() {
            0 => return,
            few if few < DELETE_KEYS_MAX => DELETE_PAUSE,
            _ => Duration::ZERO,
        };
        self.cleaning = true;
        self.pending.push(Box::pin(async move {
            sleep(pause).await;
            Ok(Event::CleanUpDue)
        }));
    }

    pub(super) fn delete_unneeded(&mut self) {
        let keys = self.brain.metrics.take_unneeded(DELETE_KEYS_MAX);
        let context = self.context;
        self.pending.push(Box::pin(async move {
            context.persist("deleting samples", || context.parts.store.delete(&keys)).await?;
            Ok(Event::Deleted)
        }));
    }

    /// Says that it runs, when it does.
    pub(super) fn note_status(&mut self) {
        if self.status == Status::Running || !self.brain.board.settled() {
            return;
        }
        self.status = Status::Running;
        self.context.parts.health.enter(Stage::Leading(self.status));
        tracing::info!(status = self.status.as_str(), "every service that can be up is up");
        self.write(record::STATUS.to_owned(), Some(self.status.as_str().to_owned()));
    }
}
