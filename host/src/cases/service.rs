//! The service of a case and its instances.

use dynamite_core::{
    Bounds, InstanceState, NUMBER_MAX, PastAction, PolicyUse, Ports, SeenInstance, SeenService, ServiceSpec,
    Slot,
};
use jiff::{SignedDuration, Timestamp};

use crate::config::UnitFile;
use crate::config::read::{Fields, Reader};
use crate::config::tree::{Node, Value};
use crate::config::words::Words;

const SERVICE: [&str; 8] = [
    "name",
    "name_of_unit_file",
    "type",
    "min_instance",
    "max_instance",
    "base_instance_prefix_number",
    "ports_per_instance",
    "instances",
];
const INSTANCE: [&str; 3] = ["number", "state", "since"];
const ACTION: [&str; 3] = ["ago", "from", "to"];

const STATES: Words<InstanceState> = Words {
    right: &[
        ("starting", InstanceState::Starting),
        ("running", InstanceState::Running),
        ("stopping", InstanceState::Stopping),
        ("failed", InstanceState::Failed),
    ],
    other: &[("up", "running"), ("launched", "starting"), ("lost", "failed")],
};

/// How long ago instances have entered their state, unless the case says so.
const SINCE_DEFAULT: SignedDuration = SignedDuration::from_hours(1);

/// The most instances of a case.
const INSTANCES_MAX: u32 = 10_000;

/// The service of a case.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// As a policy sees it, at the start.
    pub(crate) seen: SeenService,
    unit: UnitFile,
    ports: Ports,
}

impl Service {
    /// How few and how many instances there may be.
    pub(crate) fn bounds(&self) -> Bounds {
        Bounds { min: self.seen.min, max: self.seen.max }
    }

    /// The service as the planner is told of it, scaled by one policy.
    pub(super) fn spec(&self, used: PolicyUse) -> ServiceSpec {
        ServiceSpec {
            id: self.seen.name.as_str().into(),
            kind: self.seen.service_type.clone(),
            unit: self.unit.template(),
            attached: Vec::new(),
            bounds: self.bounds(),
            ports: self.ports,
            depends_on: Vec::new(),
            policies: vec![used],
        }
    }

    /// An instance with this number.
    pub(crate) fn instance(&self, number: u32, state: InstanceState, since: Timestamp) -> SeenInstance {
        let seen_number = if self.unit.is_template() { number } else { 0 };
        SeenInstance { name: self.unit.unit_name(number), number: seen_number, state, since }
    }

    /// Whether there could be an instance with this name or number.
    pub(crate) fn may_have(&self, name: &str) -> bool {
        let number = self.unit.number_of(name).or_else(|| name.parse().ok());
        match number.map(Slot) {
            Some(slot) => self.ports.slots().take_while(|other| *other <= slot).any(|other| other == slot),
            None => self.unit.name == name,
        }
    }

    /// The lowest numbers that none of these instances has.
    pub(crate) fn free_numbers<'s>(&self, taken: &'s [SeenInstance]) -> impl Iterator<Item = u32> + use<'s> {
        let numbers = self.ports.slots().map(|slot| slot.0);
        numbers.filter(|number| taken.iter().all(|instance| instance.number != *number))
    }
}

impl Reader<'_> {
    /// Reads `service`; without one, a service `web` with one instance.
    pub(super) fn case_service(&mut self, node: &Node, default_type: &str, now: Timestamp) -> Service {
        let fields = self.fields(node, "`service`", &SERVICE);
        let name = self.text(&fields, "name").map_or_else(|| "web".to_owned(), |at| at.value);
        let unit = self.text(&fields, "name_of_unit_file");
        let unit = unit.map_or_else(|| format!("{name}@.service"), |at| at.value);
        let unit = if unit.contains('.') { unit } else { format!("{unit}.service") };
        let service_type = self.text(&fields, "type").map_or_else(|| default_type.to_owned(), |at| at.value);
        let number =
            |reader: &mut Self, key, default| reader.count(&fields, key).map_or(default, |at| at.value);
        let min = number(self, "min_instance", 1);
        let max = self.count(&fields, "max_instance");
        if let Some(max) = max.as_ref().filter(|max| max.value < min) {
            let message = format!("`min_instance` {min} is greater than `max_instance` {}", max.value);
            self.error(max.span, message, None);
        }
        let base = number(self, "base_instance_prefix_number", 1).min(NUMBER_MAX);
        let ports = Ports { base, per_instance: number(self, "ports_per_instance", 1).max(1) };
        let (name, service_type) = (name.as_str().into(), service_type.into());
        let max = max.map(|at| at.value);
        let seen = SeenService { name, service_type, min, max, instances: Vec::new() };
        let unit = UnitFile { name: unit, path: std::path::PathBuf::new(), options: Vec::new() };
        let mut service = Service { seen, unit, ports };
        service.seen.instances = match fields.get("instances") {
            Some(node) => self.instances(node, &service, now),
            None => service.free_numbers(&[]).take(1).map(|number| running(&service, number, now)).collect(),
        };
        service
    }

    /// Reads `instances`: so many that run, or a list of them.
    pub(super) fn instances(&mut self, node: &Node, service: &Service, now: Timestamp) -> Vec<SeenInstance> {
        match &node.value {
            Value::Int(count) if (0..=i128::from(INSTANCES_MAX)).contains(count) => {
                let count = usize::try_from(*count).unwrap_or_default();
                let numbers = service.free_numbers(&[]).take(count);
                numbers.map(|number| running(service, number, now)).collect()
            }
            Value::List(items) => {
                let mut instances: Vec<SeenInstance> = Vec::new();
                for item in items {
                    let instance = self.instance(item, service, &instances, now);
                    if instances.iter().any(|other| other.name == instance.name) {
                        self.error(item.span, format!("`{}` is there twice", instance.name), None);
                    }
                    instances.push(instance);
                }
                instances.sort_by_key(|instance| instance.number);
                instances
            }
            _ => {
                let help =
                    "write how many are running, or a list such as `[{number: 8080, state: starting}]`";
                let wanted = format!("a number up to {INSTANCES_MAX} or a list of maps");
                self.wrong_form("`instances`", &wanted, node, Some(help.to_owned()));
                Vec::new()
            }
        }
    }

    fn instance(
        &mut self,
        node: &Node,
        service: &Service,
        others: &[SeenInstance],
        now: Timestamp,
    ) -> SeenInstance {
        let fields = self.fields(node, "an instance", &INSTANCE);
        let number = self.count(&fields, "number").map(|at| at.value);
        let number = number.or_else(|| service.free_numbers(others).next()).unwrap_or(0);
        let state = self.word(&fields, "state", &STATES).map_or(InstanceState::Running, |at| at.value);
        let since = self.span(&fields, "since").map_or(SINCE_DEFAULT, |at| at.value);
        service.instance(number, state, ago(now, since))
    }

    /// Reads `last_scale_up` or `last_scale_down`: `{ago: 30s, from: 2, to: 3}`.
    pub(super) fn past_action(
        &mut self,
        fields: &Fields<'_>,
        key: &str,
        now: Timestamp,
    ) -> Option<PastAction> {
        let node = fields.get(key)?;
        let inner = self.fields(node, &format!("`{key}`"), &ACTION);
        let span = self.span(&inner, "ago");
        let (from, to) = (self.count(&inner, "from"), self.count(&inner, "to"));
        if (span.is_none() || from.is_none() || to.is_none()) && !inner.is_doubtful {
            let help = format!("write for example `{key}: {{ago: 30s, from: 2, to: 3}}`");
            self.error(node.span, format!("`{key}` needs `ago`, `from` and `to`"), Some(help));
        }
        Some(PastAction { at: ago(now, span?.value), before: from?.value, after: to?.value })
    }
}

fn running(service: &Service, number: u32, now: Timestamp) -> SeenInstance {
    service.instance(number, InstanceState::Running, ago(now, SINCE_DEFAULT))
}

/// So long before.
pub(super) fn ago(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_sub(span).unwrap_or(Timestamp::UNIX_EPOCH).max(Timestamp::UNIX_EPOCH)
}
