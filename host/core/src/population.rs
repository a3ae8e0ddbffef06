//! The instances of one service: where each is in its life, and which slots are free.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{ActionId, Slot};

/// How few and how many instances may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// At least so many.
    pub min: u32,
    /// At most so many, not less than `min`; `None`: as many as there are slots.
    pub max: Option<u32>,
}

impl Bounds {
    /// The count within the bounds that is nearest to `count`.
    #[must_use]
    pub fn clamp(&self, count: u32) -> u32 {
        count.max(self.min).min(self.max.unwrap_or(u32::MAX))
    }
}

/// The slots of a service's instances: instance `i` has `base + i * per_instance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// The slot of the first instance.
    pub base: u32,
    /// The distance to the next one, at least 1.
    pub per_instance: u32,
}

/// The highest slot there is: slots are ports.
pub const NUMBER_MAX: u32 = 65_535;

impl Ports {
    /// The slots in ascending order, up to the last one whose ports all exist.
    pub fn slots(self) -> impl Iterator<Item = Slot> {
        let step = self.per_instance.max(1);
        let numbers = (self.base..).step_by(step as usize);
        numbers.take_while(move |number| number.saturating_add(step - 1) <= NUMBER_MAX).map(Slot)
    }
}

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Being started, or being put back in its place.
    Starting,
    /// Up.
    Running,
    /// Being removed. It does not count any more; its slot is still taken.
    Stopping,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Where it is in its life.
    pub phase: Phase,
    /// Since when, as far as this run knows.
    pub since: Timestamp,
    /// It was lost, and another is about to take its place.
    pub replaced: bool,
    /// When it came up; `None` if that was before this run.
    pub up_at: Option<Timestamp>,
    /// The attached units that it was begun with; `None` if nothing is recorded of it.
    pub attached: Option<Vec<String>>,
    /// The action under way on it or on what is attached to it: there is one at a time.
    pub busy: Option<ActionId>,
    /// How many looks in a row found it lost.
    pub doubts: u8,
    /// How often attached units were mended of late, and when last.
    pub mended: BTreeMap<String, Mended>,
}

/// How often an attached unit was mended of late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mended {
    /// How often.
    pub times: u32,
    /// When last.
    pub last: Timestamp,
}

impl Instance {
    /// One that enters a phase now, with nothing recorded of it.
    #[must_use]
    pub fn new(phase: Phase, since: Timestamp) -> Self {
        Self {
            phase,
            since,
            replaced: false,
            up_at: None,
            attached: None,
            busy: None,
            doubts: 0,
            mended: BTreeMap::new(),
        }
    }

    /// Whether it came up less than so long ago.
    #[must_use]
    pub fn is_young(&self, now: Timestamp, stable: SignedDuration) -> bool {
        self.up_at.is_some_and(|up| now.duration_since(up) < stable)
    }
}

/// The instances of one service by slot, and the slots that others have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Population {
    instances: BTreeMap<Slot, Instance>,
    /// The slots under which a unit was there at the last look, ours or not.
    occupied: BTreeSet<Slot>,
    /// The slots that turned out to be somebody else's since the last look.
    taken: BTreeSet<Slot>,
    active: u32,
}

impl Population {
    /// How many instances there are, without those that are going.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.active
    }

    /// How many instances are up.
    #[must_use]
    pub fn running(&self) -> u32 {
        let running = self.instances.values().filter(|instance| instance.phase == Phase::Running);
        u32::try_from(running.count()).unwrap_or(u32::MAX)
    }

    /// Every instance, by slot.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Slot, &Instance)> {
        self.instances.iter().map(|(slot, instance)| (*slot, instance))
    }

    /// The slots of the instances in a phase, ascending.
    #[must_use]
    pub fn in_phase(&self, phase: Phase) -> impl DoubleEndedIterator<Item = Slot> {
        self.iter().filter(move |(_, instance)| instance.phase == phase).map(|(slot, _)| slot)
    }

    /// The instance in a slot.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&Instance> {
        self.instances.get(&slot)
    }

    /// Its phase.
    #[must_use]
    pub fn phase(&self, slot: Slot) -> Option<Phase> {
        self.get(slot).map(|instance| instance.phase)
    }

    /// Puts an instance into a slot, whatever was there.
    pub fn put(&mut self, slot: Slot, instance: Instance) {
        self.remove(slot);
        self.active += u32::from(instance.phase != Phase::Stopping);
        self.instances.insert(slot, instance);
    }

    /// Takes an instance out: its slot is free.
    pub fn remove(&mut self, slot: Slot) -> Option<Instance> {
        let instance = self.instances.remove(&slot)?;
        self.active -= u32::from(instance.phase != Phase::Stopping);
        Some(instance)
    }

    /// Changes an instance that is there.
    pub fn change<T>(&mut self, slot: Slot, change: impl FnOnce(&mut Instance) -> T) -> Option<T> {
        let instance = self.instances.get_mut(&slot)?;
        self.active -= u32::from(instance.phase != Phase::Stopping);
        let changed = change(instance);
        self.active += u32::from(instance.phase != Phase::Stopping);
        Some(changed)
    }

    /// Takes in under which slots units are there. What turned out to be taken since the last look is in it.
    pub fn see(&mut self, occupied: BTreeSet<Slot>) {
        self.occupied = occupied;
        self.taken.clear();
    }

    /// A slot turned out to be somebody else's.
    pub fn take(&mut self, slot: Slot) {
        self.taken.insert(slot);
    }

    /// Whether neither an instance of ours nor anybody else has the slot.
    #[must_use]
    pub fn is_free(&self, slot: Slot) -> bool {
        !self.instances.contains_key(&slot) && !self.occupied.contains(&slot) && !self.taken.contains(&slot)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instance(phase: Phase) -> Instance {
        Instance::new(phase, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn slots_go_by_the_ports_of_an_instance_and_end_with_the_ports() {
        let ports = Ports { base: 65_530, per_instance: 3 };
        assert_eq!(ports.slots().collect::<Vec<_>>(), [Slot(65_530), Slot(65_533)]);
    }

    #[test]
    fn a_slot_is_free_that_nobody_has() {
        let mut population = Population::default();
        population.put(Slot(1), instance(Phase::Stopping));
        population.see(BTreeSet::from([Slot(2)]));
        population.take(Slot(3));
        let free = |population: &Population| {
            (1..6).filter(|slot| population.is_free(Slot(*slot))).collect::<Vec<_>>()
        };
        assert_eq!(free(&population), [4, 5]);
        population.see(BTreeSet::new());
        assert_eq!(free(&population), [2, 3, 4, 5], "a look knows better");
    }

    proptest! {
        #[test]
        fn the_count_is_what_is_not_stopping(moves in prop::collection::vec((0..6_u32, 0..4_u32), 0..60)) {
            let mut population = Population::default();
            for (slot, step) in moves {
                let slot = Slot(slot);
                let enter = |population: &mut Population, phase| population.change(slot, |it| it.phase = phase);
                match step {
                    0 => population.put(slot, instance(Phase::Starting)),
                    1 => { enter(&mut population, Phase::Running); }
                    2 => { enter(&mut population, Phase::Stopping); }
                    _ => { population.remove(slot); }
                }
                let counted = population.iter().filter(|(_, it)| it.phase != Phase::Stopping).count();
                prop_assert_eq!(population.count() as usize, counted);
            }
        }
    }
}
