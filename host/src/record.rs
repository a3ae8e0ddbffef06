//! What Dynamite keeps in etcd under `/_dynamite`, as JSON.
//!
//! The keys and field names under `state`, `init` and `run` are those of the original Dynamite, so that a cluster which
//! it left running is taken over; fields that are not known here are kept. Everything else has keys of its own.

mod instance;
mod template;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::instance::InstanceRecord;
pub use self::template::template;
use crate::fleet::UnitOption;
use crate::scaling::{Cooldown, Direction, PastAction};

/// The root of everything. Its name makes it hidden from etcd v2 listings.
pub const ROOT: &str = "/_dynamite";
/// What Dynamite is doing: see [`Status`].
pub const STATUS: &str = "/_dynamite/state/application_status";
/// The whole configuration.
pub const CONFIGURATION: &str = "/_dynamite/init/application_configuration";
/// Who leads, under a lease.
pub const LEADER: &str = "/_dynamite/leader";

const RUN: &str = "/_dynamite/run/service";
const INTENT: &str = "/_dynamite/intent";
const COOLDOWN: &str = "/_dynamite/cooldown";
const POLICY_STATE: &str = "/_dynamite/policy";
const POLICY_STATUS: &str = "/_dynamite/state/policy";
const SERVICE_STATUS: &str = "/_dynamite/state/service";
const TEMPLATE: &str = "fleet_service_template";

/// What is said of how things are: small, and always readable.
pub const STATE: &str = "/_dynamite/state";
/// What stands for itself in a part of a key: the name of a threshold policy may be any text.
const NAME: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.').remove(b':').remove(b'@');

/// The key of a service's template.
#[must_use]
pub fn template_key(service: &str) -> String {
    format!("{RUN}/{service}/{TEMPLATE}")
}

/// The key of an instance's record.
#[must_use]
pub fn instance_key(service: &str, unit: &str) -> String {
    format!("{RUN}/{service}/{unit}")
}

/// The key of what is about to be done to a unit.
#[must_use]
pub fn intent_key(service: &str, unit: &str) -> String {
    format!("{INTENT}/{service}/{unit}")
}

/// The key of a policy's cooldown in one direction of a service.
#[must_use]
pub fn cooldown_key(service: &str, cooldown: &CooldownRecord) -> String {
    let CooldownRecord { policy, direction, .. } = cooldown;
    format!("{COOLDOWN}/{service}/{}/{direction}", utf8_percent_encode(policy, NAME))
}

/// The key of what a policy in a module wants to be given next time.
#[must_use]
pub fn policy_state_key(service: &str, policy: &str) -> String {
    format!("{POLICY_STATE}/{service}/{policy}")
}

/// The key of what is wrong with a policy of a service.
#[must_use]
pub fn policy_status_key(service: &str, policy: &str) -> String {
    format!("{POLICY_STATUS}/{service}/{policy}")
}

/// The key of what is wrong with a service.
#[must_use]
pub fn service_status_key(service: &str) -> String {
    format!("{SERVICE_STATUS}/{service}")
}

/// What Dynamite is doing, as the original wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It starts for the first time and not every service has its minimum yet.
    Initializing,
    /// It runs.
    Running,
    /// It was started again and not every service has its minimum yet.
    Recovering,
}

impl Status {
    /// The word in etcd.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initializing => "Initializing",
            Self::Running => "Running",
            Self::Recovering => "Recovering",
        }
    }
}

/// What is about to be done to an instance. Written before fleet is asked, removed after the result is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// What.
    pub action: Action,
    /// The instance's unit and those attached to it, each with the hashes of the unit files that it may have been
    /// submitted with, to tell our units from ones that somebody else made under these names.
    pub units: BTreeMap<String, BTreeSet<String>>,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
    /// The cooldown that came with the decision, in case the process dies before it is written to its own key.
    #[serde(default)]
    pub cooldown: Option<CooldownRecord>,
}

impl Intent {
    /// The same with the cooldown that came with the decision.
    #[must_use]
    pub fn with_cooldown(self, cooldown: Option<CooldownRecord>) -> Self {
        Self { cooldown: cooldown.or(self.cooldown), ..self }
    }
}

/// What is about to be done to an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is started.
    Start,
    /// It is removed.
    Stop,
}

/// A policy's cooldown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CooldownRecord {
    /// `up` or `down`.
    pub direction: String,
    /// The policy that fired.
    pub policy: String,
    /// The time of the sample that fired.
    pub fired_at: Timestamp,
    /// The sample time from which on it may fire again.
    pub until: Timestamp,
    /// How many instances there were.
    #[serde(default)]
    pub instances_before: u32,
    /// How many there were to be.
    #[serde(default)]
    pub instances_after: u32,
}

impl CooldownRecord {
    /// The record of a cooldown that began when the count of instances was changed `from` one `to` another.
    #[must_use]
    pub fn new(policy: &str, cooldown: Cooldown, (from, to): (u32, u32)) -> Self {
        let Cooldown { fired_at, until } = cooldown;
        let direction = if to > from { Direction::Up } else { Direction::Down };
        Self {
            direction: direction.as_str().to_owned(),
            policy: policy.to_owned(),
            fired_at,
            until,
            instances_before: from,
            instances_after: to,
        }
    }

    /// What was done.
    #[must_use]
    pub fn action(&self) -> PastAction {
        PastAction { at: self.fired_at, before: self.instances_before, after: self.instances_after }
    }

    /// The cooldown, if the direction is a word we know.
    #[must_use]
    pub fn cooldown(&self) -> Cooldown {
        Cooldown { fired_at: self.fired_at, until: self.until }
    }
}

/// What a policy in a module wants to be given next time, as it is stored.
#[derive(Serialize, Deserialize)]
struct PolicyState {
    /// The bytes in base64.
    state: String,
}

/// What is stored of a policy's state.
#[must_use]
pub fn policy_state(state: &[u8]) -> String {
    json!(PolicyState { state: BASE64_STANDARD.encode(state) }).to_string()
}

/// Everything that was found under [`ROOT`] at the start.
#[derive(Debug, Default)]
pub struct Stored {
    /// The status, as written.
    pub status: Option<String>,
    /// The configuration, as written.
    pub configuration: Option<String>,
    /// The templates by service.
    pub templates: BTreeMap<String, Value>,
    /// The instances by service and unit.
    pub instances: BTreeMap<String, BTreeMap<String, InstanceRecord>>,
    /// The intents by service and unit.
    pub intents: BTreeMap<String, BTreeMap<String, Intent>>,
    /// The cooldowns by service, with their direction.
    pub cooldowns: BTreeMap<String, Vec<CooldownRecord>>,
    /// What policies in modules want to be given, by service and policy.
    pub policy_states: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// The keys that say what a former process found wrong with services and policies.
    pub troubles: Vec<String>,
    /// Keys whose values could not be read; they are left alone.
    pub unreadable: Vec<String>,
}

impl Stored {
    /// Sorts the keys that were found under [`ROOT`].
    pub fn read<'e>(entries: impl IntoIterator<Item = (&'e str, &'e str)>) -> Self {
        let mut stored = Self::default();
        for (key, value) in entries {
            if stored.take(key, value).is_none() {
                stored.unreadable.push(key.to_owned());
            }
        }
        for (service, intents) in &stored.intents {
            let of_service = stored.cooldowns.entry(service.clone()).or_default();
            of_service.extend(intents.values().filter_map(|intent| intent.cooldown.clone()));
        }
        stored
    }

    fn take(&mut self, key: &str, value: &str) -> Option<()> {
        let below = |root: &str| key.strip_prefix(root)?.strip_prefix('/')?.split_once('/');
        if key.split('/').any(|part| part == "..") {
            return None; // No name of ours, and v3 takes such keys.
        }
        if key == STATUS {
            self.status = Some(value.trim().to_owned());
        } else if key == CONFIGURATION {
            self.configuration = Some(value.to_owned());
        } else if key.starts_with(SERVICE_STATUS) || key.starts_with(POLICY_STATUS) {
            self.troubles.push(key.to_owned());
        } else if let Some((service, TEMPLATE)) = below(RUN) {
            self.templates.insert(service.to_owned(), serde_json::from_str(value).ok()?);
        } else if let Some((service, unit)) = below(RUN) {
            let record = InstanceRecord::read(value).filter(|record| record.name() == Some(unit))?;
            self.instances.entry(service.to_owned()).or_default().insert(unit.to_owned(), record);
        } else if let Some((service, unit)) = below(INTENT) {
            let intent = serde_json::from_str(value).ok()?;
            self.intents.entry(service.to_owned()).or_default().insert(unit.to_owned(), intent);
        } else if let Some((service, _)) = below(COOLDOWN) {
            let cooldown = serde_json::from_str(value).ok()?;
            self.cooldowns.entry(service.to_owned()).or_default().push(cooldown);
        } else if let Some((service, policy)) = below(POLICY_STATE) {
            let state: PolicyState = serde_json::from_str(value).ok()?;
            let bytes = BASE64_STANDARD.decode(state.state).ok()?;
            self.policy_states.entry(service.to_owned()).or_default().insert(policy.to_owned(), bytes);
        }
        Some(())
    }

    /// The latest cooldown of a service in a direction, if it was of this policy.
    #[must_use]
    pub fn cooldown(&self, service: &str, direction: Direction, policy: &str) -> Option<Cooldown> {
        let of_service = self.cooldowns.get(service)?;
        let matching = of_service
            .iter()
            .filter(|record| record.direction == direction.as_str() && record.policy == policy);
        matching.map(CooldownRecord::cooldown).max_by_key(|cooldown| cooldown.fired_at)
    }

    /// The last action in a direction of a service, by whichever policy.
    #[must_use]
    pub fn last_action(&self, service: &str, direction: Direction) -> Option<PastAction> {
        let of_service = self.cooldowns.get(service)?;
        let matching = of_service.iter().filter(|record| record.direction == direction.as_str());
        matching.map(CooldownRecord::action).max_by_key(|action| action.at)
    }

    /// The options of the unit file of every service, as the templates hold them, for a start without files.
    pub fn all_unit_options(&self) -> impl Iterator<Item = (String, Vec<UnitOption>)> {
        let attached =
            self.templates.values().filter_map(|template| template.get("attached_services")?.as_array());
        let templates = attached.flatten().chain(self.templates.values());
        templates.filter_map(|template| {
            let name = template.get("name")?.as_str()?;
            let options = template.get("unit_file_details_json_dict")?.get("options")?;
            Some((name.to_owned(), Vec::deserialize(options).ok()?))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_found_again() {
        let intent = Intent {
            action: Action::Start,
            units: BTreeMap::from([("web@2.service".to_owned(), BTreeSet::from(["ab".to_owned()]))]),
            reason: "0 of 1 wanted".to_owned(),
            cooldown: Some(CooldownRecord {
                direction: "up".to_owned(),
                policy: "p".to_owned(),
                fired_at: Timestamp::UNIX_EPOCH,
                until: Timestamp::from_second(60).unwrap(),
                instances_before: 1,
                instances_after: 2,
            }),
        };
        let record = InstanceRecord::launched("web@1.service", &["log@1.service".to_owned()]);
        let entries = [
            (STATUS.to_owned(), "Running".to_owned()),
            (template_key("web"), "{}".to_owned()),
            (instance_key("web", "web@1.service"), record.text()),
            (intent_key("web", "web@2.service"), serde_json::to_string(&intent).unwrap()),
            (intent_key("web", "web@3.service"), "nonsense".to_owned()),
            ("/_dynamite/something/else".to_owned(), "kept".to_owned()),
        ];
        let stored = Stored::read(entries.iter().map(|(key, value)| (&**key, &**value)));
        assert_eq!(stored.status.as_deref(), Some("Running"));
        assert_eq!(stored.instances["web"]["web@1.service"], record);
        assert_eq!(stored.intents["web"]["web@2.service"], intent);
        assert_eq!(stored.unreadable, [intent_key("web", "web@3.service")]);
        let cooldown = stored.cooldown("web", Direction::Up, "p").unwrap();
        assert_eq!(
            cooldown.until,
            Timestamp::from_second(60).unwrap(),
            "a cooldown is in force from its intent on"
        );
        assert_eq!(stored.cooldown("web", Direction::Up, "another"), None);
    }

    #[test]
    fn fields_of_others_survive_a_relaunch() {
        let record =
            InstanceRecord::read(r#"{"name": "a@1.service", "state": "loaded", "theirs": 1}"#).unwrap();
        let again = record.relaunched("a@1.service", &[]);
        assert_eq!(
            again.text(),
            r#"{"name":"a@1.service","state":"launched","theirs":1,"attached_services":[]}"#
        );
    }
}
