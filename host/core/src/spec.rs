//! The specification: which services there are, what they are made of, and what scales them. One value, valid by its types,
//! with names as identities, so that two of them can be compared.

use std::sync::Arc;

use indexmap::IndexMap;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Bounds, Direction, PolicyId, Ports, ServiceId, Slot, ThresholdRule};

/// Everything that is to be kept running, and by which rules.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The services in the order of the configuration; what is attached to one stands within it.
    pub services: IndexMap<ServiceId, ServiceSpec>,
    /// Every signal that is read, also for policies that no service uses, and how long its samples are kept.
    pub signals: Vec<KeptSignal>,
}

/// A signal with the span that is kept of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptSignal {
    /// The signal.
    pub signal: SignalSpec,
    /// How far back from its newest sample a series is kept; not negative. Zero: the newest sample alone.
    pub span: SignedDuration,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its name.
    pub id: ServiceId,
    /// Its type, under which its instances register and write metrics; may be empty.
    pub kind: Arc<str>,
    /// What its instances are.
    pub unit: UnitTemplate,
    /// What lives and dies with each of its instances, in the order of their start.
    pub attached: Vec<UnitTemplate>,
    /// How few and how many instances may run.
    pub bounds: Bounds,
    /// The slots of its instances.
    pub ports: Ports,
    /// The services that are started first.
    pub depends_on: Vec<ServiceId>,
    /// What scales it.
    pub policies: Vec<PolicyUse>,
}

/// What instances are made from: how they are called, and a text that only the orchestrator understands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitTemplate {
    /// The name of the file: `apache@.service` is a template of any number of units, `haproxy.service` is one unit.
    pub file: String,
    /// What they are made from.
    pub blueprint: Arc<Blueprint>,
}

/// What a unit is made from, in the orchestrator's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blueprint {
    /// What the orchestrator takes.
    pub text: String,
    /// What tells it from others, as the orchestrator does.
    pub hash: String,
}

/// One number that is measured over and over.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SignalSpec {
    /// The type of the services that it is measured at.
    pub service_type: Arc<str>,
    /// Its name as configured.
    pub metric: Arc<str>,
    /// Whether there is one series for all instances of the type, instead of one for each.
    pub aggregated: bool,
}

/// A signal as a policy is shown it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowSpec {
    /// The signal.
    pub signal: SignalSpec,
    /// The unit of its values as configured; empty if none is.
    pub unit: Arc<str>,
    /// How far back from its newest sample a series is shown; not negative.
    pub span: SignedDuration,
}

/// A policy that scales a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyUse {
    /// The built-in rule.
    Threshold(ThresholdUse),
    /// A policy that is asked.
    Module(ModuleUse),
}

/// The built-in rule, in one direction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdUse {
    /// The policy.
    pub policy: PolicyId,
    /// Which way it scales.
    pub direction: Direction,
    /// What it reads.
    pub signal: SignalSpec,
    /// What it decides by.
    pub rule: ThresholdRule,
}

/// A policy that is asked, and answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModuleUse {
    /// The policy.
    pub policy: PolicyId,
    /// Which way it may scale.
    pub directions: Directions,
    /// What it is shown, in the order of its configuration.
    pub windows: Vec<WindowSpec>,
    /// How long it may not be asked, at most; positive.
    pub interval: SignedDuration,
    /// How long after it scaled in a direction it does not scale in it again; not negative.
    pub cooldown: SignedDuration,
}

/// Which ways a policy may scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Directions {
    /// Up alone.
    Up,
    /// Down alone.
    Down,
    /// Both ways.
    Both,
}

impl Directions {
    /// Whether it may scale that way.
    #[must_use]
    pub fn allow(self, direction: Direction) -> bool {
        match self {
            Self::Both => true,
            Self::Up => direction == Direction::Up,
            Self::Down => direction == Direction::Down,
        }
    }
}

impl From<&[Direction]> for Directions {
    fn from(directions: &[Direction]) -> Self {
        match directions {
            [Direction::Up] => Self::Up,
            [Direction::Down] => Self::Down,
            _ => Self::Both,
        }
    }
}

impl PolicyUse {
    /// Its name.
    #[must_use]
    pub fn policy(&self) -> &PolicyId {
        match self {
            Self::Threshold(ThresholdUse { policy, .. }) | Self::Module(ModuleUse { policy, .. }) => policy,
        }
    }
}

impl UnitTemplate {
    /// Whether any number of units can be made from it.
    #[must_use]
    pub fn is_template(&self) -> bool {
        is_template(&self.file)
    }

    /// The name of the unit in a slot; the file's own name when it is one unit.
    #[must_use]
    pub fn unit_name(&self, slot: Slot) -> String {
        unit_name(&self.file, slot)
    }

    /// The slot of a unit made from this: 8080 for `apache@8080.service`, 0 if it is one unit.
    #[must_use]
    pub fn slot_of(&self, unit: &str) -> Option<Slot> {
        slot_of(&self.file, unit)
    }

    /// What the names of all its units begin with, up to and with the `@`; the whole name if it is one unit.
    #[must_use]
    pub fn stem(&self) -> &str {
        stem(&self.file)
    }
}

/// What stands before and after the slot in the name of a unit that is made from a file; `None` if it is one unit.
fn parts(file: &str) -> Option<(&str, &str)> {
    file.rsplit_once('.').filter(|(stem, _)| stem.ends_with('@'))
}

/// Whether any number of units can be made from a file of this name.
#[must_use]
pub fn is_template(file: &str) -> bool {
    parts(file).is_some()
}

/// The name of the unit in a slot that is made from a file of this name; the file's own name when it is one unit.
#[must_use]
pub fn unit_name(file: &str, slot: Slot) -> String {
    match parts(file) {
        Some((stem, suffix)) => format!("{stem}{slot}.{suffix}"),
        None => file.to_owned(),
    }
}

/// The slot of a unit that is made from a file of this name, 0 if it is one unit; `None` if it is not made from it.
#[must_use]
pub fn slot_of(file: &str, unit: &str) -> Option<Slot> {
    let Some((stem, suffix)) = parts(file) else { return (file == unit).then_some(Slot(0)) };
    let digits = unit.strip_prefix(stem)?.strip_suffix(suffix)?.strip_suffix('.')?;
    // Only the canonical spelling is a slot of ours: `+1` and `007` parse too.
    digits.parse().ok().filter(|slot: &u32| slot.to_string() == digits).map(Slot)
}

/// The part of a unit's name that all units of its template share: with the `@`; the whole name if it has none.
#[must_use]
pub fn stem(unit: &str) -> &str {
    unit.find('@').map_or(unit, |at| &unit[..=at])
}

impl ServiceSpec {
    /// The name of the instance in a slot.
    #[must_use]
    pub fn unit_name(&self, slot: Slot) -> String {
        self.unit.unit_name(slot)
    }

    /// The templates of everything that an instance is made of.
    pub fn templates(&self) -> impl Iterator<Item = &UnitTemplate> {
        self.attached.iter().chain([&self.unit])
    }
}

/// How two specifications differ, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Services that were not there.
    pub added: Vec<ServiceId>,
    /// Services that are not there any more.
    pub removed: Vec<ServiceId>,
    /// Services that are another, with what changed in each.
    pub changed: Vec<(ServiceId, Vec<String>)>,
}

impl Difference {
    /// How the second specification differs from the first.
    #[must_use]
    pub fn between(before: &Spec, after: &Spec) -> Self {
        let missing = |these: &Spec, those: &Spec| {
            these.services.keys().filter(|id| !those.services.contains_key(*id)).cloned().collect()
        };
        let changed = after.services.iter().filter_map(|(id, service)| {
            let changes = service.changes_from(before.services.get(id)?);
            (!changes.is_empty()).then(|| (id.clone(), changes))
        });
        Self { added: missing(after, before), removed: missing(before, after), changed: changed.collect() }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl ServiceSpec {
    /// What of it is not as it was, in the words of the configuration.
    fn changes_from(&self, before: &Self) -> Vec<String> {
        let pairs = [
            (self.kind != before.kind, "type"),
            (self.unit.file != before.unit.file, "name_of_unit_file"),
            (self.unit.blueprint != before.unit.blueprint, "unit file"),
            (self.attached != before.attached, "attached_service"),
            (self.bounds.min != before.bounds.min, "min_instance"),
            (self.bounds.max != before.bounds.max, "max_instance"),
            (self.ports.base != before.ports.base, "base_instance_prefix_number"),
            (self.ports.per_instance != before.ports.per_instance, "ports_per_instance"),
            (self.depends_on != before.depends_on, "service_dependency"),
        ];
        let plain = pairs.into_iter().filter(|(differs, _)| *differs).map(|(_, what)| what.to_owned());
        let all = |uses: &[PolicyUse]| uses.iter().map(|of| of.policy().clone()).collect::<Vec<_>>();
        let (now, then) = (all(&self.policies), all(&before.policies));
        let policies = now.iter().chain(then.iter().filter(|policy| !now.contains(policy)));
        let of = |service: &Self, policy: &PolicyId| {
            service.policies.iter().filter(|of| of.policy() == policy).cloned().collect::<Vec<_>>()
        };
        let differing = policies.filter(|policy| of(self, policy) != of(before, policy));
        plain.chain(differing.map(|policy| format!("policy {policy}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(file: &str) -> UnitTemplate {
        let blueprint = Blueprint { text: "[]".to_owned(), hash: "h".to_owned() };
        UnitTemplate { file: file.to_owned(), blueprint: blueprint.into() }
    }

    fn web() -> ServiceSpec {
        ServiceSpec {
            id: "web".into(),
            kind: "web".into(),
            unit: template("web@.service"),
            attached: Vec::new(),
            bounds: Bounds { min: 1, max: None },
            ports: Ports { base: 1, per_instance: 1 },
            depends_on: Vec::new(),
            policies: Vec::new(),
        }
    }

    fn spec(services: &[ServiceSpec]) -> Spec {
        let services = services.iter().map(|service| (service.id.clone(), service.clone()));
        Spec { services: services.collect(), signals: Vec::new() }
    }

    #[test]
    fn units_are_named_by_their_slot_and_found_by_their_name() {
        let apache = template("apache@.service");
        assert_eq!(apache.unit_name(Slot(8080)), "apache@8080.service");
        assert_eq!(apache.slot_of("apache@8080.service"), Some(Slot(8080)));
        for other in
            ["apache@.service", "apache@007.service", "apache@+1.service", "apache@1.timer", "b@1.service"]
        {
            assert_eq!(apache.slot_of(other), None, "{other}");
        }
        let haproxy = template("haproxy.service");
        assert_eq!(haproxy.unit_name(Slot(0)), "haproxy.service");
        assert_eq!((haproxy.slot_of("haproxy.service"), haproxy.slot_of("x.service")), (Some(Slot(0)), None));
        assert_eq!((apache.stem(), haproxy.stem()), ("apache@", "haproxy.service"));
    }

    #[test]
    fn a_difference_names_what_is_new_gone_and_other() {
        let other = ServiceSpec { id: "other".into(), ..web() };
        let larger = ServiceSpec { bounds: Bounds { min: 1, max: Some(9) }, ..web() };
        let difference = Difference::between(&spec(&[web()]), &spec(&[larger, other]));
        assert_eq!(difference.added, ["other".into()]);
        assert_eq!(difference.changed, [("web".into(), vec!["max_instance".to_owned()])]);
        let gone = Difference::between(&spec(&[web()]), &spec(&[]));
        assert_eq!(gone.removed, ["web".into()]);
        assert!(Difference::between(&spec(&[web()]), &spec(&[web()])).is_empty());
    }
}
