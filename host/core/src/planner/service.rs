//! One service: what it shall be, its instances, and what was decided about it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use super::Past;
use super::modules::first_votes;
use crate::attempts::{FAILURES_APART, PAUSE_MAX, PAUSE_MIN, STABLE};
use crate::{
    ActionId, Attempts, Cause, Decision, Deed, Direction, Instance, InstanceState, Intent, Mended, Order,
    PastAction, Phase, PolicyId, Population, Rests, SeenInstance, SeenService, ServiceId, ServiceSpec,
    ServiceView, Slot, Stored, Vote,
};

/// How many looks in a row must miss a unit before it is asked after: right after a restart fleet shows units as lost.
const DOUBTS_MAX: u8 = 2;

/// One service.
#[derive(Clone, Debug)]
pub struct ServiceState {
    pub(super) spec: ServiceSpec,
    pub(super) population: Population,
    pub(super) wanted: u32,
    /// It had its minimum once, so that what depends on it may start.
    pub(super) ready: bool,
    pub(super) attempts: Attempts,
    /// What its policies that are asked last said.
    pub(super) votes: BTreeMap<PolicyId, Vote>,
    pub(super) rests: Rests,
    pub(super) last_up: Option<PastAction>,
    pub(super) last_down: Option<PastAction>,
    /// What a former run had begun with an instance, until it is ended.
    pub(super) begun: BTreeMap<Slot, Intent>,
    /// Orders that wait until what is under way on their instance has ended.
    pub(super) queued: BTreeMap<Slot, VecDeque<Order>>,
    /// Removals of instances of a former unit file, until there are enough of the present one.
    pub(super) leftovers: Vec<Order>,
}

impl ServiceState {
    /// A service with no instances, and what is stored of its decisions.
    pub(super) fn new(spec: &ServiceSpec, stored: &Stored) -> Self {
        let last = |direction| stored.last_action(&spec.id, direction);
        let mut rests = Rests::new();
        for used in &spec.policies {
            for direction in [Direction::Up, Direction::Down] {
                if let Some(cooldown) = stored.cooldown(&spec.id, direction, used.policy()) {
                    rests.insert((used.policy().clone(), direction), cooldown);
                }
            }
        }
        Self {
            population: Population::default(),
            wanted: spec.bounds.min,
            ready: spec.bounds.min == 0,
            attempts: Attempts::default(),
            votes: first_votes(spec),
            rests,
            last_up: last(Direction::Up),
            last_down: last(Direction::Down),
            begun: BTreeMap::new(),
            queued: BTreeMap::new(),
            leftovers: Vec::new(),
            spec: spec.clone(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &ServiceId {
        &self.spec.id
    }

    /// What it shall be.
    #[must_use]
    pub fn spec(&self) -> &ServiceSpec {
        &self.spec
    }

    /// Its instances.
    #[must_use]
    pub fn population(&self) -> &Population {
        &self.population
    }

    /// The slots and units of the instances that are up.
    pub fn running(&self) -> impl Iterator<Item = (Slot, String)> + '_ {
        self.population.in_phase(Phase::Running).map(|slot| (slot, self.spec.unit_name(slot)))
    }

    /// The last error, if it is degraded.
    #[must_use]
    pub fn degraded(&self) -> Option<&str> {
        self.attempts.degraded()
    }

    /// As the function that decides sees it.
    pub(super) fn view<'v>(&'v self, waits_for: Option<&'v ServiceId>) -> ServiceView<'v> {
        ServiceView {
            spec: &self.spec,
            population: &self.population,
            wanted: self.wanted,
            last: &self.votes,
            rests: &self.rests,
            waits_for,
            attempts: &self.attempts,
        }
    }

    /// Has these instances, and no others; nothing is under way with them.
    pub(super) fn place(&mut self, instances: &[SeenInstance], past: Option<Past>) {
        (self.population, self.queued, self.begun) = Default::default();
        for seen in instances {
            let Some(slot) = self.spec.unit.slot_of(&seen.name) else { continue };
            let phase = match seen.state {
                InstanceState::Running => Phase::Running,
                InstanceState::Stopping => Phase::Stopping,
                InstanceState::Starting | InstanceState::Failed => Phase::Starting,
            };
            let replaced = seen.state == InstanceState::Failed;
            self.population.put(slot, Instance { replaced, ..Instance::new(phase, seen.since) });
        }
        self.want(self.population.count());
        if let Some(Past { last_up, last_down }) = past {
            (self.last_up, self.last_down, self.rests) = (last_up, last_down, Rests::new());
        }
    }

    /// Makes the wanted count the nearest to `count` that the bounds allow.
    pub(super) fn want(&mut self, count: u32) {
        self.wanted = self.spec.bounds.clamp(count);
    }

    /// Takes in what a decision says of the service itself; its actions are [`ServiceState::enter`]ed one by one.
    pub(super) fn note(&mut self, decision: &Decision) {
        self.wanted = decision.wanted.1;
        if let (Cause::Vote(vote), Some(wish)) = (&decision.cause, &decision.heard) {
            self.votes.insert(vote.policy.clone(), Vote { wish: wish.clone(), ..vote.clone() });
        }
        if let Some(spent) = &decision.spent {
            let past = PastAction { at: spent.cooldown.fired_at, before: spent.before, after: spent.after };
            self.rests.insert((spent.policy.clone(), spent.direction), spent.cooldown);
            match spent.direction {
                Direction::Up => self.last_up = Some(past),
                Direction::Down => self.last_down = Some(past),
            }
        }
        let is_wish = matches!(decision.cause, Cause::Vote(_) | Cause::Command(_));
        if is_wish && !decision.actions.is_empty() {
            self.attempts.begin_anew();
        }
    }

    /// Notes that an action is under way. Returns whether another one is, so that this one has to wait.
    pub(super) fn enter(&mut self, slot: Slot, deed: Deed, action: ActionId, now: Timestamp) -> bool {
        if self.population.get(slot).is_none() {
            self.population.put(slot, Instance::new(Phase::Starting, now));
        }
        let entered = self.population.change(slot, |instance| {
            match deed {
                Deed::Start | Deed::Replace => (instance.phase, instance.since) = (Phase::Starting, now),
                Deed::Stop => (instance.phase, instance.since) = (Phase::Stopping, now),
                Deed::Mend => {}
            }
            instance.replaced |= deed == Deed::Replace;
            let waits = instance.busy.is_some();
            instance.busy = instance.busy.or(Some(action));
            waits
        });
        entered.unwrap_or(false)
    }

    /// An instance came up with these attached units.
    pub(super) fn came_up(&mut self, slot: Slot, attached: Vec<String>, now: Timestamp) {
        self.population.change(slot, |instance| {
            (instance.phase, instance.since) = (Phase::Running, now);
            (instance.replaced, instance.up_at) = (false, Some(now));
            instance.attached = Some(attached);
        });
    }

    /// Whether an instance that a look missed is certain enough to be lost, and whether it had come up just before.
    pub(super) fn doubt(&mut self, slot: Slot, is_certain: bool, now: Timestamp) -> Option<bool> {
        self.population.change(slot, |instance| {
            instance.doubts += 1;
            if instance.busy.is_some() || (instance.doubts < DOUBTS_MAX && !is_certain) {
                instance.doubts = instance.doubts.min(DOUBTS_MAX);
                return None;
            }
            instance.doubts = 0;
            Some(instance.is_young(now, STABLE))
        })?
    }

    /// Whether an attached unit shall be mended now; one that does not stay up is mended after growing pauses.
    pub(super) fn may_mend(&mut self, slot: Slot, unit: &str, now: Timestamp) -> bool {
        let mended = self.population.change(slot, |instance| {
            if instance.busy.is_some() {
                return false;
            }
            let before =
                instance.mended.get(unit).copied().unwrap_or(Mended { times: 0, last: Timestamp::MIN });
            let since = now.duration_since(before.last);
            let times = if since > FAILURES_APART { 0 } else { before.times };
            let pause = (PAUSE_MIN * (1 << times.min(6))).min(PAUSE_MAX);
            let due = times == 0 || since >= SignedDuration::try_from(pause).unwrap_or(STABLE);
            if due {
                instance.mended.insert(unit.to_owned(), Mended { times: times + 1, last: now });
            }
            due
        });
        mended.unwrap_or(false)
    }

    /// The names of the attached units that an instance was begun with, as recorded or intended; `None` if nothing is.
    pub(super) fn begun_with(&self, slot: Slot) -> Option<BTreeSet<&String>> {
        let recorded = self.population.get(slot).and_then(|instance| instance.attached.as_ref());
        let intended = self.begun.get(&slot).map(|intent| &intent.units);
        if recorded.is_none() && intended.is_none() {
            return None;
        }
        let own = self.spec.unit_name(slot);
        let names = recorded.into_iter().flatten().chain(intended.into_iter().flat_map(BTreeMap::keys));
        Some(names.filter(|name| **name != own).collect())
    }

    /// The service as policies see it.
    #[must_use]
    pub fn seen(&self) -> SeenService {
        let ServiceSpec { id, kind, bounds, .. } = &self.spec;
        let instances = self.population.iter().map(|(slot, instance)| SeenInstance {
            name: self.spec.unit_name(slot),
            number: slot.0,
            state: match instance.phase {
                Phase::Starting if instance.replaced => InstanceState::Failed,
                Phase::Starting => InstanceState::Starting,
                Phase::Running => InstanceState::Running,
                Phase::Stopping => InstanceState::Stopping,
            },
            since: instance.since,
        });
        SeenService {
            name: id.clone(),
            service_type: kind.clone(),
            min: bounds.min,
            max: bounds.max,
            instances: instances.collect(),
        }
    }
}
