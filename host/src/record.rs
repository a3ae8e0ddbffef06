//! What Dynamite keeps in etcd under `/_dynamite`, as JSON.
//!
//! The keys and field names under `state`, `init` and `run` are those of the original Dynamite, so that a cluster which
//! it left running is taken over; fields that are not known here are kept. Everything else has keys of its own.

mod instance;
mod template;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dynamite_core::{CooldownRecord, Stored};
use dynamite_units::UnitOption;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::instance::InstanceRecord;
pub use self::template::template;

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
    let (policy, direction) = (utf8_percent_encode(policy.as_str(), NAME), direction.as_str());
    format!("{COOLDOWN}/{service}/{policy}/{direction}")
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
pub struct Contents {
    /// What a former run left, as far as decisions follow from it.
    pub left: Stored,
    /// The status, as written.
    pub status: Option<String>,
    /// The configuration, as written.
    pub configuration: Option<String>,
    /// The templates by service.
    pub templates: BTreeMap<String, Value>,
    /// The records of instances by their key, with fields of others.
    pub records: BTreeMap<String, InstanceRecord>,
    /// The keys that say what a former process found wrong with services and policies.
    pub troubles: Vec<String>,
    /// Keys whose values could not be read; they are left alone.
    pub unreadable: Vec<String>,
}

impl Contents {
    /// Sorts the keys that were found under [`ROOT`].
    pub fn read<'e>(entries: impl IntoIterator<Item = (&'e str, &'e str)>) -> Self {
        let mut contents = Self::default();
        for (key, value) in entries {
            if contents.take(key, value).is_none() {
                contents.unreadable.push(key.to_owned());
            }
        }
        let Stored { intents, cooldowns, .. } = &mut contents.left;
        for (service, intents) in intents {
            let of_service = cooldowns.entry(service.clone()).or_default();
            of_service.extend(intents.values().filter_map(|intent| intent.cooldown.clone()));
        }
        contents
    }

    fn take(&mut self, key: &str, value: &str) -> Option<()> {
        let below = |root: &str| key.strip_prefix(root)?.strip_prefix('/')?.split_once('/');
        if key.split('/').any(|part| part == "..") {
            return None; // No name of ours, and v3 takes such keys.
        }
        let left = &mut self.left;
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
            let instances = left.instances.entry(service.into()).or_default();
            instances.insert(unit.to_owned(), record.attached.clone());
            self.records.insert(key.to_owned(), record);
        } else if let Some((service, unit)) = below(INTENT) {
            let intent = serde_json::from_str(value).ok()?;
            left.intents.entry(service.into()).or_default().insert(unit.to_owned(), intent);
        } else if let Some((service, _)) = below(COOLDOWN) {
            let cooldown = serde_json::from_str(value).ok()?;
            left.cooldowns.entry(service.into()).or_default().push(cooldown);
        } else if let Some((service, policy)) = below(POLICY_STATE) {
            let state: PolicyState = serde_json::from_str(value).ok()?;
            let bytes = BASE64_STANDARD.decode(state.state).ok()?;
            left.policy_states.entry(service.into()).or_default().insert(policy.into(), bytes);
        }
        Some(())
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
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::Timestamp;

    use super::*;
    use dynamite_core::{Direction, Intent, IntentAction};

    #[test]
    fn what_was_written_is_found_again() {
        let intent = Intent {
            action: IntentAction::Start,
            units: BTreeMap::from([("web@2.service".to_owned(), BTreeSet::from(["ab".to_owned()]))]),
            reason: "0 of 1 wanted".to_owned(),
            cooldown: Some(CooldownRecord {
                direction: Direction::Up,
                policy: "p".into(),
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
        let contents = Contents::read(entries.iter().map(|(key, value)| (&**key, &**value)));
        assert_eq!(contents.status.as_deref(), Some("Running"));
        assert_eq!(contents.records[&instance_key("web", "web@1.service")], record);
        assert_eq!(contents.unreadable, [intent_key("web", "web@3.service")]);
        let stored = contents.left;
        assert_eq!(stored.instances["web"]["web@1.service"], ["log@1.service"]);
        assert_eq!(stored.intents["web"]["web@2.service"], intent);
        let cooldown = stored.cooldown(&"web".into(), Direction::Up, &"p".into()).unwrap();
        assert_eq!(
            cooldown.until,
            Timestamp::from_second(60).unwrap(),
            "a cooldown is in force from its intent on"
        );
        assert_eq!(stored.cooldown(&"web".into(), Direction::Up, &"another".into()), None);
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
