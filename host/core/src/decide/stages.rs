//! The rules that look at a wish, one function each. A new rule is one function here, one variant of [`Rule`] and one test.

use jiff::Timestamp;

use super::ServiceView;
use crate::{
    Abstention, Direction, Grounds, ModuleUse, Objection, Phase, Reason, Rule, Slot, Victims, Vote, Wish,
};

/// What a rule makes of a wish.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ruling {
    /// Nothing.
    Passes,
    /// Another count.
    Trims(u32, Reason),
    /// Nothing is done.
    Stops(Reason),
}

/// A rule.
pub(super) type StageFn = for<'v> fn(&ServiceView<'v>, &mut Draft<'v>) -> Ruling;

/// Every rule, in the order in which they look. Those about the policy itself come first: what they leave is what others hear.
pub(super) const STAGES: [(Rule, StageFn); 9] = [
    (Rule::Bounds, bounds),
    (Rule::Direction, direction),
    (Rule::Data, data),
    (Rule::Dependencies, dependencies),
    (Rule::Rest, rest),
    (Rule::Objections, objections),
    (Rule::Starting, starting),
    (Rule::Victims, victims),
    (Rule::Slots, slots),
];

impl Rule {
    /// Whether the rule is about what the policy wants, and not about what can be done now.
    pub(super) fn is_about_the_policy(self) -> bool {
        matches!(self, Self::Bounds | Self::Direction | Self::Data)
    }
}

/// A wish on its way through the rules.
#[derive(Debug)]
pub(super) struct Draft<'v> {
    pub(super) now: Timestamp,
    /// How many instances there are.
    pub(super) count: u32,
    /// How many there shall be, as far as the rules have come.
    pub(super) target: u32,
    /// What others hear of it: the count that the rules about the policy leave.
    pub(super) heard: u32,
    who: Victims,
    vote: Option<&'v Vote>,
    /// The policy, if it is one that is asked.
    pub(super) asked: Option<Asked<'v>>,
    /// The slots of those that go.
    pub(super) leaving: Vec<Slot>,
    /// The slots of those that come.
    pub(super) starting: Vec<Slot>,
}

/// A policy that is asked, as far as rules depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'v> {
    module: &'v ModuleUse,
    has_data: bool,
}

impl Asked<'_> {
    /// What others hear of a policy that wants a `target` within bounds and its direction.
    pub(super) fn heard(self, count: u32, target: u32) -> Wish {
        match target {
            _ if !self.has_data && target <= count => Wish::Abstain(Abstention::NoData),
            _ if target != count => Wish::To(target),
            _ if self.module.directions.allow(Direction::Down) => Wish::Stay,
            _ => Wish::Abstain(Abstention::OneWay),
        }
    }
}

impl<'v> Draft<'v> {
    /// A wish for so many.
    pub(super) fn new(view: &ServiceView<'v>, target: u32, who: Victims, now: Timestamp) -> Self {
        let count = view.population.count();
        let (leaving, starting) = (Vec::new(), Vec::new());
        Self { now, count, target, heard: target, who, vote: None, asked: None, leaving, starting }
    }

    /// What a policy wants. Where it wants to stay beyond the bounds, that is for the bounds to say.
    pub(super) fn of_vote(view: &'v ServiceView<'v>, vote: &'v Vote, now: Timestamp) -> Self {
        let who = if let Wish::Less { who, .. } = &vote.wish { who.clone() } else { Victims::Highest };
        let count = view.population.count();
        let mut target = vote.count_from(count);
        let has_data = !matches!(vote.grounds, Grounds::Words { has_data: false, .. });
        let asked = match vote.grounds {
            Grounds::Threshold(_) => None,
            _ => view.module(&vote.policy).map(|module| Asked { module, has_data }),
        };
        if asked.is_some() && target == count {
            target = view.bounds().clamp(count);
        }
        Self { vote: Some(vote), asked, ..Self::new(view, target, who, now) }
    }

    fn goes(&self, direction: Direction) -> bool {
        match direction {
            Direction::Up => self.target > self.count,
            Direction::Down => self.target < self.count,
        }
    }
}

/// A threshold stops at the maximum, and at the minimum by what is [`starting`]; anybody else's count is brought within.
fn bounds(view: &ServiceView<'_>, draft: &mut Draft<'_>) -> Ruling {
    let (count, bounds) = (draft.count, view.bounds());
    let max = bounds.max.unwrap_or(u32::MAX);
    if draft.asked.is_none() && draft.vote.is_some() {
        let is_full = draft.goes(Direction::Up) && view.room() == 0;
        return if is_full { Ruling::Stops(Reason::AtMaximum { count, max }) } else { Ruling::Passes };
    }
    match bounds.clamp(draft.target) {
        target if target == draft.target => Ruling::Passes,
        target if target < draft.target => Ruling::Trims(target, Reason::AtMaximum { count, max }),
        target => Ruling::Trims(target, Reason::AtMinimum { count, min: bounds.min }),
    }
}

fn direction(_: &ServiceView<'_>, draft: &mut Draft<'_>) -> Ruling {
    let way = if draft.goes(Direction::Up) { Direction::Up } else { Direction::Down };
    match draft.asked {
        Some(asked) if !asked.module.directions.allow(way) => Ruling::Trims(draft.count, Reason::OneWay),
        _ => Ruling::Passes,
    }
}

fn data(_: &ServiceView<'_>, draft: &mut Draft<'_>) -> Ruling {
    match draft.asked {
        Some(asked) if !asked.has_data && draft.goes(Direction::Down) => {
            Ruling::Trims(draft.count, Reason::NoData)
        }
        _ => Ruling::Passes,
    }
}

fn dependencies(view: &ServiceView<'_>, _: &mut Draft<'_>) -> Ruling {
    match view.waits_for {
        Some(service) => Ruling::Stops(Reason::WaitingFor { service: service.clone() }),
        None => Ruling::Passes,
    }
}

/// Of policies that are asked: a threshold that rests says nothing at all.
fn rest(view: &ServiceView<'_>, draft: &mut Draft<'_>) -> Ruling {
    let Some(Asked { module, .. }) = draft.asked else { return Ruling::Passes };
    let way = if draft.goes(Direction::Up) { Direction::Up } else { Direction::Down };
    let policy = &module.policy;
    match view.rests.get(&(policy.clone(), way)).filter(|rest| draft.now < rest.until) {
        Some(rest) => Ruling::Stops(Reason::CoolingDown { policy: policy.clone(), until: rest.until }),
        None => Ruling::Passes,
    }
}

/// The largest count that any policy wants wins, and whoever cannot say what it wants keeps instances from going, never
/// from coming. A command is somebody's own will: it asks no policy.
fn objections(view: &ServiceView<'_>, draft: &mut Draft<'_>) -> Ruling {
    let Some(vote) = draft.vote.filter(|_| draft.goes(Direction::Down)) else { return Ruling::Passes };
    if draft.count <= view.bounds().min {
        return Ruling::Passes;
    }
    let itself = draft.asked.map(|_| &vote.policy);
    let mut ruling = Ruling::Passes;
    let mut lowest = draft.target;
    for Vote { policy, wish, .. } in view.last.values().filter(|vote| Some(&vote.policy) != itself) {
        let objection = || Reason::Objected(Objection { policy: policy.clone(), wish: wish.clone() });
        match wish {
            Wish::Abstain(Abstention::OneWay) => {}
            Wish::To(theirs) if *theirs < draft.count => {
                if *theirs > lowest {
                    lowest = *theirs;
                    ruling = Ruling::Trims(lowest, objection());
                }
            }
            _ => return Ruling::Stops(objection()),
        }
    }
    ruling
}

fn starting(view: &ServiceView<'_>, draft: &mut Draft<'_>) -> Ruling {
    if draft.goes(Direction::Up) || view.spare() > 0 {
        return Ruling::Passes;
    }
    let (count, min) = (draft.count.min(view.wanted), view.bounds().min);
    Ruling::Stops(match view.population.in_phase(Phase::Starting).next() {
        Some(slot) if count > min => Reason::StillStarting { unit: view.spec.unit_name(slot) },
        _ => Reason::AtMinimum { count, min },
    })
}

/// Of those that the policy named, else of those in the highest slots, those go that can go now. One that is still starting
/// keeps no other from going.
fn victims(view: &ServiceView<'_>, draft: &mut Draft<'_>) -> Ruling {
    if draft.goes(Direction::Up) {
        return Ruling::Passes;
    }
    let less = draft.count - draft.target;
    let highest = |most: u32| {
        let active = view.population.iter().rev().filter(|(_, it)| it.phase != Phase::Stopping);
        active.map(|(slot, _)| slot).take(most as usize).collect::<Vec<_>>()
    };
    let candidates = match &draft.who {
        Victims::Prefer(slot) if view.population.get(*slot).is_some() => vec![*slot],
        Victims::Exactly(slots) => slots.clone(),
        Victims::Prefer(_) | Victims::Highest => highest(less),
    };
    let mut obstacle = None;
    for slot in candidates {
        let unit = view.spec.unit_name(slot);
        match view.population.phase(slot) {
            Some(Phase::Running) => draft.leaving.push(slot),
            Some(Phase::Stopping) => obstacle = obstacle.or(Some(Reason::AlreadyStopping { unit })),
            _ => obstacle = obstacle.or(Some(Reason::StillStarting { unit })),
        }
    }
    draft.leaving.truncate(less.min(view.spare()) as usize);
    let made = draft.count - u32::try_from(draft.leaving.len()).unwrap_or(0);
    match obstacle {
        _ if made == draft.target => Ruling::Passes,
        _ if made < draft.count => {
            let rest = Reason::AtMinimum { count: draft.count, min: view.bounds().min };
            Ruling::Trims(made, obstacle.unwrap_or(rest))
        }
        Some(reason) => Ruling::Stops(reason),
        None => Ruling::Stops(Reason::AtMinimum { count: draft.count, min: view.bounds().min }),
    }
}

fn slots(view: &ServiceView<'_>, draft: &mut Draft<'_>) -> Ruling {
    if draft.goes(Direction::Down) {
        return Ruling::Passes;
    }
    let (count, room) = (draft.count, view.room());
    if room == 0 {
        return Ruling::Stops(Reason::AtMaximum { count, max: view.bounds().max.unwrap_or(u32::MAX) });
    }
    draft.starting = view.free_slots((draft.target - count).min(room));
    let made = count + u32::try_from(draft.starting.len()).unwrap_or(0);
    match made {
        made if made == count => Ruling::Stops(Reason::NoFreeNumber),
        made if made < draft.target && made - count == room => {
            Ruling::Trims(made, Reason::AtMaximum { count, max: view.bounds().max.unwrap_or(u32::MAX) })
        }
        made if made < draft.target => Ruling::Trims(made, Reason::NoFreeNumber),
        _ => Ruling::Passes,
    }
}
