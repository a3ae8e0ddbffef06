//! The instances of one service: how many may run, which numbers they bear, which one goes.

use std::collections::BTreeMap;

use super::Reason;

/// How few and how many instances may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At least so many.
    pub min: u32,
    /// At most so many, not less than `min`; `None`: as many as there are numbers.
    pub max: Option<u32>,
}

impl Bounds {
    /// The count within the bounds that is nearest to `count`.
    #[must_use]
    pub fn clamp(&self, count: u32) -> u32 {
        count.max(self.min).min(self.max.unwrap_or(u32::MAX))
    }
}

/// The numbers of a service's instances: instance `i` bears `base + i * per_instance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The number of the first instance.
    pub base: u32,
    /// The distance to the next one, at least 1.
    pub per_instance: u32,
}

/// The highest number there is: numbers are ports.
pub const NUMBER_MAX: u32 = 65_535;

impl Ports {
    /// The numbers in ascending order, up to the last one whose ports all exist.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        let step = self.per_instance.max(1);
        (self.base..)
            .step_by(step as usize)
            .take_while(move |number| number.saturating_add(step - 1) <= NUMBER_MAX)
    }
}

/// Where an instance is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Being started, or being put back in its place.
    Starting,
    /// Up.
    Running,
    /// Being removed. It does not count any more; its number is still taken.
    Stopping,
}

/// An instance with what its owner keeps about it.
#[derive(Clone, Debug)]
struct Seat<T> {
    phase: Phase,
    about: T,
}

/// The instances of one service by number, how many of them are wanted, and what the bounds say to that.
///
/// `T` is what the owner of the roster keeps about each instance.
#[derive(Clone, Debug)]
pub struct Roster<T> {
    bounds: Bounds,
    seats: BTreeMap<u32, Seat<T>>,
    wanted: u32,
    active: u32,
}

impl<T> Roster<T> {
    /// A service with no instances, of which `min` are wanted.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, seats: BTreeMap::new(), wanted: bounds.min, active: 0 }
    }

    /// The bounds.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// How many instances there are, without those that are going.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.active
    }

    /// How many instances are up.
    #[must_use]
    pub fn running(&self) -> usize {
        self.seats.values().filter(|seat| seat.phase == Phase::Running).count()
    }

    /// How many there should be; always within the bounds.
    #[must_use]
    pub fn wanted(&self) -> u32 {
        self.wanted
    }

    /// Makes the wanted count the nearest to `count` that the bounds allow.
    pub fn want(&mut self, count: u32) {
        self.wanted = self.bounds.clamp(count);
    }

    /// Puts an instance into the roster, or into another phase.
    pub fn set(&mut self, number: u32, phase: Phase, about: T) {
        self.remove(number);
        self.active += u32::from(phase != Phase::Stopping);
        self.seats.insert(number, Seat { phase, about });
    }

    /// Takes an instance out of the roster: its number is free.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let seat = self.seats.remove(&number)?;
        self.active -= u32::from(seat.phase != Phase::Stopping);
        Some(seat.about)
    }

    /// Changes the phase of an instance that is there.
    pub fn enter(&mut self, number: u32, phase: Phase) {
        if let Some(about) = self.remove(number) {
            self.set(number, phase, about);
        }
    }

    /// The phase of an instance.
    #[must_use]
    pub fn phase(&self, number: u32) -> Option<Phase> {
        self.seats.get(&number).map(|seat| seat.phase)
    }

    /// What is kept about an instance.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&T> {
        self.seats.get(&number).map(|seat| &seat.about)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.seats.get_mut(&number).map(|seat| &mut seat.about)
    }

    /// Every instance, by number.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, Phase, &T)> {
        self.seats.iter().map(|(&number, seat)| (number, seat.phase, &seat.about))
    }

    /// Whether one instance more is allowed.
    ///
    /// # Errors
    /// The reason to hold.
    pub fn may_grow(&self) -> Result<(), Reason> {
        match self.bounds.max {
            Some(max) if self.wanted.max(self.active) >= max => {
                Err(Reason::AtMaximum { count: self.active, max })
            }
            _ => Ok(()),
        }
    }

    /// How many instances may go: those that are up beyond the minimum. Those that are still starting serve nobody yet.
    #[must_use]
    pub fn spare(&self) -> u32 {
        let up = u32::try_from(self.running()).unwrap_or(u32::MAX);
        up.min(self.wanted).saturating_sub(self.bounds.min)
    }

    /// The instance that goes when there shall be one less: the one with this number, else the one with the highest.
    ///
    /// # Errors
    /// The reason to hold: the lower bound, or an instance that is on its way.
    pub fn may_shrink(&self, number: Option<u32>, unit_name: impl Fn(u32) -> String) -> Result<u32, Reason> {
        if self.spare() == 0 {
            let starting = self.iter().find(|&(_, phase, _)| phase == Phase::Starting);
            return Err(match starting {
                Some((number, ..)) if self.active.min(self.wanted) > self.bounds.min => {
                    Reason::StillStarting { unit: unit_name(number) }
                }
                _ => Reason::AtMinimum { count: self.active.min(self.wanted), min: self.bounds.min },
            });
        }
        let named = number.filter(|number| self.seats.contains_key(number));
        let highest =
            || self.iter().rev().find(|&(_, phase, _)| phase != Phase::Stopping).map(|(number, ..)| number);
        let Some(number) = named.or_else(highest) else {
            return Err(Reason::AtMinimum { count: self.active, min: self.bounds.min });
        };
        match self.phase(number) {
            Some(Phase::Running) => Ok(number),
            Some(Phase::Stopping) => Err(Reason::AlreadyStopping { unit: unit_name(number) }),
            _ => Err(Reason::StillStarting { unit: unit_name(number) }),
        }
    }

    /// The lowest number that no instance here has and that is not `taken` elsewhere.
    #[must_use]
    pub fn free_number(&self, ports: Ports, taken: impl Fn(u32) -> bool) -> Option<u32> {
        ports.numbers().find(|number| !self.seats.contains_key(number) && !taken(*number))
    }

    /// The running instances that are too many, highest number first.
    #[must_use]
    pub fn surplus(&self) -> Vec<u32> {
        let excess = self.active.saturating_sub(self.wanted) as usize;
        let running = self.iter().rev().filter(|&(_, phase, _)| phase == Phase::Running);
        running.map(|(number, ..)| number).take(excess).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn roster(min: u32, max: u32, phases: &[(u32, Phase)]) -> Roster<()> {
        let mut roster = Roster::new(Bounds { min, max: Some(max) });
        for &(number, phase) in phases {
            roster.set(number, phase, ());
        }
        roster.want(roster.count());
        roster
    }

    fn unit(number: u32) -> String {
        format!("a@{number}.service")
    }

    #[test]
    fn it_grows_up_to_the_maximum_and_counts_what_is_starting() {
        assert_eq!(roster(1, 3, &[(1, Phase::Running), (2, Phase::Starting)]).may_grow(), Ok(()));
        let full = roster(1, 2, &[(1, Phase::Running), (2, Phase::Starting), (3, Phase::Stopping)]);
        assert_eq!(full.may_grow(), Err(Reason::AtMaximum { count: 2, max: 2 }));
    }

    #[test]
    fn the_named_instance_goes_else_the_highest() {
        let three = roster(1, 5, &[(1, Phase::Running), (2, Phase::Running), (3, Phase::Running)]);
        assert_eq!(three.may_shrink(Some(2), unit), Ok(2));
        assert_eq!(three.may_shrink(None, unit), Ok(3));
        assert_eq!(three.may_shrink(Some(9), unit), Ok(3));
    }

    #[test]
    fn nothing_goes_below_the_minimum_or_twice_or_before_it_is_up() {
        let two = roster(2, 5, &[(1, Phase::Running), (2, Phase::Running)]);
        assert_eq!(two.may_shrink(None, unit), Err(Reason::AtMinimum { count: 2, min: 2 }));
        let going = roster(1, 5, &[(1, Phase::Running), (2, Phase::Running), (3, Phase::Stopping)]);
        assert_eq!(going.may_shrink(Some(3), unit), Err(Reason::AlreadyStopping { unit: unit(3) }));
        assert_eq!(going.may_shrink(None, unit), Ok(2));
        let coming = roster(1, 5, &[(1, Phase::Running), (2, Phase::Running), (3, Phase::Starting)]);
        assert_eq!(coming.may_shrink(None, unit), Err(Reason::StillStarting { unit: unit(3) }));
        let weak = roster(1, 5, &[(1, Phase::Running), (2, Phase::Starting)]);
        assert_eq!(weak.may_shrink(Some(1), unit), Err(Reason::StillStarting { unit: unit(2) }));
        let none_yet = roster(0, 5, &[(1, Phase::Starting)]);
        assert_eq!(none_yet.may_shrink(None, unit), Err(Reason::StillStarting { unit: unit(1) }));
    }

    #[test]
    fn numbers_go_by_the_ports_of_an_instance_and_end_with_the_ports() {
        let ports = Ports { base: 65_530, per_instance: 3 };
        assert_eq!(ports.numbers().collect::<Vec<_>>(), [65_530, 65_533]);
        assert_eq!(roster(0, 9, &[(65_530, Phase::Stopping)]).free_number(ports, |_| false), Some(65_533));
        assert_eq!(roster(0, 9, &[]).free_number(ports, |number| number < 65_533), Some(65_533));
        assert_eq!(roster(0, 9, &[]).free_number(ports, |_| true), None);
    }

    #[test]
    fn what_lowered_bounds_make_too_many_goes_from_the_top() {
        let mut three = roster(1, 2, &[(1, Phase::Running), (2, Phase::Running), (3, Phase::Running)]);
        assert_eq!(three.wanted(), 2);
        assert_eq!(three.surplus(), [3]);
        three.enter(3, Phase::Stopping);
        assert_eq!(three.surplus(), [] as [u32; 0]);
    }

    proptest! {
        #[test]
        fn a_free_number_is_on_the_grid_unused_and_the_lowest(
            base in 1..70_000_u32,
            per_instance in 1..5_u32,
            used in prop::collection::btree_set(0..20_u32, 0..20),
        ) {
            let ports = Ports { base, per_instance };
            let number_of = |index: &u32| base + index * per_instance;
            let mut roster = Roster::new(Bounds { min: 0, max: None });
            for number in used.iter().map(number_of).filter(|number| number % 2 == 0) {
                roster.set(number, Phase::Running, ());
            }
            let elsewhere = |number: u32| used.iter().map(number_of).any(|used| used == number) && number % 2 == 1;
            let expected = (0..30).find(|index| !used.contains(index)).map(|index| number_of(&index));
            let expected = expected.filter(|number| number + per_instance - 1 <= NUMBER_MAX);
            prop_assert_eq!(roster.free_number(ports, elsewhere), expected);
        }

        #[test]
        fn the_count_is_what_is_not_stopping(
            moves in prop::collection::vec((0..6_u32, 0..4_u32), 0..60),
        ) {
            let mut roster = Roster::new(Bounds { min: 0, max: None });
            for (number, step) in moves {
                match step {
                    0 => roster.set(number, Phase::Starting, ()),
                    1 => roster.enter(number, Phase::Running),
                    2 => roster.enter(number, Phase::Stopping),
                    _ => { roster.remove(number); }
                }
                let counted = roster.iter().filter(|&(_, phase, ())| phase != Phase::Stopping).count();
                prop_assert_eq!(roster.count() as usize, counted);
            }
        }
    }
}
