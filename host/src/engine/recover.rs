//! The first plan after a start: what a former run recorded or had begun, held against what fleet knows.

use std::collections::{BTreeMap, BTreeSet};

use super::act::{Claim, Job};
use super::board::{Board, Effects};
use super::crew::{Crew, PlannedUnit};
use super::inventory::{Health, Inventory};
use super::post::{Post, Seat};
use crate::record::{Action, InstanceRecord, Intent, Stored};
use crate::scaling::{Phase, Reason, Verb};

impl Board {
    /// Takes over what was recorded: what is well stays as it is, what is lost is replaced, what was begun is finished,
    /// what is not configured any more goes. Nothing that was not recorded is touched.
    pub(crate) fn recover(&mut self, stored: &Stored, effects: &mut Effects) {
        let inventory = self.inventory.clone();
        let services: BTreeSet<&String> = stored.instances.keys().chain(stored.intents.keys()).collect();
        let (no_records, no_intents) = (BTreeMap::new(), BTreeMap::new());
        for service in services {
            let records = stored.instances.get(service).unwrap_or(&no_records);
            let intents = stored.intents.get(service).unwrap_or(&no_intents);
            let units: BTreeSet<&String> = records.keys().chain(intents.keys()).collect();
            for unit in units {
                let (record, intent) = (records.get(unit), intents.get(unit));
                let index = self.by_name.get(service).copied();
                let known = index.and_then(|index| Some((index, self.posts[index].number_of(unit)?)));
                let job = if let Some((index, number)) = known {
                    self.posts[index].resume(index, number, record, intent, &inventory)
                } else {
                    let removal = orphan(service, unit, record, intent);
                    match index.map(|index| &mut self.posts[index]) {
                        Some(post) if !post.ready => {
                            post.leftovers.push(removal);
                            None
                        }
                        _ => Some(removal),
                    }
                };
                effects.jobs.extend(job);
            }
        }
        for post in &mut self.posts {
            post.roster.want(post.roster.count());
        }
        effects.templates.extend(0..self.posts.len());
    }
}

impl Post {
    /// The number of a unit of this service; `None` if it is of another unit file.
    fn number_of(&self, unit: &str) -> Option<u32> {
        let file = &self.service.unit;
        if file.is_template() { file.number_of(unit) } else { (file.name == unit).then_some(0) }
    }

    /// Puts an instance of a former run on the roster, with the job to bring it to where it should be.
    fn resume(
        &mut self,
        index: usize,
        number: u32,
        record: Option<&InstanceRecord>,
        intent: Option<&Intent>,
        inventory: &Inventory,
    ) -> Option<Job> {
        let crew = self.crew(index, number);
        let seat = Seat::recorded(record);
        if let Some(intent) = intent.filter(|intent| intent.action == Action::Stop) {
            let crew = crew.begun_with(record, Some(intent));
            self.roster.set(number, Phase::Stopping, seat);
            self.tell(Verb::Down, &crew, &Reason::Resumed);
            return Some(Job::Stop {
                intent: crew.intent(Action::Stop, &Reason::Resumed, Some(intent)),
                crew,
            });
        }
        let health = inventory.health(&crew.instance.name);
        if intent.is_none() && health == Health::Up {
            self.roster.set(number, Phase::Running, seat);
            return None;
        }
        self.roster.set(number, Phase::Starting, seat);
        let (verb, reason, claim) = match (intent, record, health) {
            (Some(_), None, _) => (Verb::Up, Reason::Resumed, Claim::Intended),
            (_, Some(_), Health::Lost(loss)) => (Verb::Replace, Reason::Lost(loss), Claim::Lost),
            _ => (Verb::Up, Reason::Resumed, Claim::Recorded),
        };
        self.tell(verb, &crew, &reason);
        let intent = crew.intent(Action::Start, &reason, intent);
        Some(Job::Start { crew, claim, intent, record: record.cloned(), after: std::time::Duration::ZERO })
    }
}

/// The removal of an instance whose service, or unit file, is not configured any more.
fn orphan(service: &str, unit: &str, record: Option<&InstanceRecord>, intent: Option<&Intent>) -> Job {
    let instance = PlannedUnit { name: unit.to_owned(), options: [].into() };
    let crew =
        Crew { service: None, service_name: service.into(), number: 0, instance, attached: Vec::new() };
    let crew = crew.begun_with(record, intent);
    tracing::warn!(service, unit, "{service}: down {unit}: {}", Reason::NotConfigured);
    Job::Stop { intent: crew.intent(Action::Stop, &Reason::NotConfigured, intent), crew }
}
