//! One service: its instances, what it may do with them, and how it bears failures.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::act::{Claim, Job};
use super::board::Effects;
use super::crew::{Crew, PlannedUnit};
use super::inventory::{Health, Inventory};
use crate::config::{Config, Service, UnitFile};
use crate::fleet::UnitOption;
use crate::record::{self, Action, CooldownRecord, InstanceRecord};
use crate::scaling::{
    Decision, InstanceState, Loss, PastAction, Phase, Reason, Roster, SeenInstance, SeenService, Stance, Verb,
};

/// How many attempts to start an instance may fail in a row before the service is degraded.
const ATTEMPTS_MAX: u32 = 4;
/// The pause after the first failed attempt; it doubles with each.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest pause between attempts, and the one at which a degraded service below its minimum goes on.
const PAUSE_MAX: Duration = Duration::from_mins(1);
/// Failures this far apart have nothing to do with each other.
const FAILURES_APART: SignedDuration = SignedDuration::from_mins(5);
/// An instance that lived this long did start, and a degraded service without failures for this long has recovered.
const STABLE: SignedDuration = SignedDuration::from_mins(1);
/// How many looks in a row must miss a unit before it is asked after: right after a restart fleet shows units as lost.
const DOUBTS_MAX: u8 = 2;

/// What is kept about an instance.
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) record: Option<InstanceRecord>,
    /// How many looks in a row found it lost.
    doubts: u8,
    /// Attached units that are being mended.
    pub(super) mending: BTreeSet<String>,
    /// How often attached units were mended of late, and when last.
    mended: BTreeMap<String, (u32, Timestamp)>,
    /// When it came up.
    since: Option<Timestamp>,
    /// When it got into its phase, as far as this run knows.
    entered: Timestamp,
    /// It was lost, and another is about to take its place.
    replaced: bool,
}

/// A unit file with its options where jobs can share them.
#[derive(Debug)]
struct Blueprint {
    file: UnitFile,
    options: Arc<[UnitOption]>,
}

impl Seat {
    /// An instance that a former run left, with its record.
    pub(super) fn recorded(record: Option<&InstanceRecord>) -> Self {
        Self { record: record.cloned(), ..Self::default() }
    }

    /// Whether an attached unit shall be mended now; one that does not stay up is mended after growing pauses.
    fn may_mend(&mut self, unit: &str, now: Timestamp) -> bool {
        let (times, last) = self.mended.get(unit).copied().unwrap_or((0, Timestamp::MIN));
        let since = now.duration_since(last);
        let times = if since > FAILURES_APART { 0 } else { times };
        let pause = (PAUSE_MIN * (1 << times.min(6))).min(PAUSE_MAX);
        let due = times == 0 || since >= SignedDuration::try_from(pause).unwrap_or(STABLE);
        let due = due && self.mending.insert(unit.to_owned());
        if due {
            self.mended.insert(unit.to_owned(), (times + 1, now));
        }
        due
    }
}

impl Blueprint {
    fn new(service: &Service) -> Self {
        Self { file: service.unit.clone(), options: service.unit.options.clone().into() }
    }

    fn unit(&self, number: u32) -> PlannedUnit {
        PlannedUnit { name: self.file.unit_name(number), options: self.options.clone() }
    }
}

/// One service.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) service: Service,
    pub(super) name: Arc<str>,
    blueprint: Blueprint,
    attached: Vec<Blueprint>,
    pub(super) roster: Roster<Seat>,
    pub(super) depends_on: Vec<usize>,
    pub(super) dependents: Vec<usize>,
    /// It had its minimum once, so that what depends on it may start.
    pub(super) ready: bool,
    pub(super) failures: u32,
    failed_at: Option<Timestamp>,
    /// The last error, when every attempt failed.
    pub(super) degraded: Option<String>,
    /// Numbers that turned out to be taken since the last look.
    pub(super) taken: BTreeSet<u32>,
    /// Removals of instances of a former unit file, until there are enough of the present one.
    pub(super) leftovers: Vec<Job>,
    /// The last reason to hold that was logged while planning.
    told: Option<Reason>,
    /// What its policies in modules last said.
    pub(super) stances: BTreeMap<String, Stance>,
    /// The last time it was scaled up, and down.
    pub(super) last_up: Option<PastAction>,
    pub(super) last_down: Option<PastAction>,
}

impl Post {
    pub(super) fn new(config: &Config, service: &Service, by_name: &HashMap<String, usize>) -> Self {
        let attached = service.attached.iter().filter_map(|name| config.services.get(name));
        Self {
            name: service.name.as_str().into(),
            blueprint: Blueprint::new(service),
            attached: attached.map(Blueprint::new).collect(),
            roster: Roster::new(service.bounds),
            depends_on: service.depends_on.iter().filter_map(|name| by_name.get(name).copied()).collect(),
            dependents: Vec::new(),
            ready: service.bounds.min == 0,
            failures: 0,
            failed_at: None,
            degraded: None,
            taken: BTreeSet::new(),
            leftovers: Vec::new(),
            told: None,
            stances: BTreeMap::new(),
            last_up: None,
            last_down: None,
            service: service.clone(),
        }
    }

    /// The numbers of the instances that are up.
    pub(super) fn running(&self) -> impl Iterator<Item = u32> + '_ {
        self.roster.iter().filter(|&(_, phase, _)| phase == Phase::Running).map(|(number, ..)| number)
    }

    /// The units of an instance.
    pub(super) fn crew(&self, index: usize, number: u32) -> Crew {
        Crew {
            service: Some(index),
            service_name: self.name.clone(),
            number,
            instance: self.blueprint.unit(number),
            attached: self.attached.iter().map(|blueprint| blueprint.unit(number)).collect(),
        }
    }

    /// The units of an instance that is up: those that it was started with.
    fn crew_up(&self, index: usize, number: u32) -> Crew {
        let record = self.roster.get(number).and_then(|seat| seat.record.as_ref());
        self.crew(index, number).begun_with(record, None)
    }

    /// The lowest number under which nobody has a unit.
    pub(super) fn free_number(&self, inventory: &Inventory) -> Option<u32> {
        let files = || self.attached.iter().chain([&self.blueprint]).map(|blueprint| &blueprint.file);
        if !self.blueprint.file.is_template() {
            let free = self.roster.phase(0).is_none() && files().all(|file| !inventory.has(&file.name));
            return (free && !self.taken.contains(&0)).then_some(0);
        }
        let in_use = |number| files().any(|file| inventory.has(&file.unit_name(number)));
        self.roster.free_number(self.service.ports, |number| self.taken.contains(&number) || in_use(number))
    }

    pub(super) fn start(
        &mut self,
        index: usize,
        number: u32,
        reason: &Reason,
        cooldown: Option<CooldownRecord>,
    ) -> Job {
        let crew = self.crew(index, number);
        match SignedDuration::try_from(self.pause()) {
            Ok(pause) if !pause.is_zero() => {
                self.hold(Reason::BackingOff { attempts: self.failures, pause });
                self.told = None;
            }
            _ => self.tell(Verb::Up, &crew, reason),
        }
        self.roster.set(number, Phase::Starting, Seat::default());
        let intent = crew.intent(Action::Start, reason, None).with_cooldown(cooldown);
        Job::Start { crew, claim: Claim::New, intent, record: None, after: self.pause() }
    }

    pub(super) fn stop(
        &mut self,
        index: usize,
        number: u32,
        reason: &Reason,
        cooldown: Option<CooldownRecord>,
    ) -> Job {
        let crew = self.crew_up(index, number);
        self.tell(Verb::Down, &crew, reason);
        self.roster.enter(number, Phase::Stopping);
        let intent = crew.intent(Action::Stop, reason, None).with_cooldown(cooldown);
        Job::Stop { crew, intent }
    }

    /// An instance that a look found lost: the job to replace it, once that is certain enough.
    pub(super) fn lost(&mut self, index: usize, number: u32, loss: Loss, now: Timestamp) -> Option<Job> {
        let seat = self.roster.get_mut(number)?;
        seat.doubts += 1;
        if seat.doubts < DOUBTS_MAX && !matches!(loss, Loss::Failed(_)) {
            return None;
        }
        seat.doubts = 0;
        let early = seat.since.is_some_and(|since| now.duration_since(since) < STABLE);
        if early {
            self.count_failure(now);
            self.degrade(&format!("{} came up and was lost: {loss}", self.unit_name(number)));
        }
        let crew = self.crew(index, number);
        let reason = Reason::Lost(loss);
        self.tell(Verb::Replace, &crew, &reason);
        self.roster.enter(number, Phase::Starting);
        self.entered(number, now);
        if let Some(seat) = self.roster.get_mut(number) {
            seat.replaced = true;
        }
        let record = self.roster.get(number).and_then(|seat| seat.record.clone());
        let intent = crew.intent(Action::Start, &reason, None);
        Some(Job::Start { crew, claim: Claim::Lost, intent, record, after: self.pause() })
    }

    /// Looks after the attached units of an instance that is well.
    pub(super) fn mend(
        &mut self,
        (index, number): (usize, u32),
        inventory: &Inventory,
        now: Timestamp,
        effects: &mut Effects,
    ) {
        let crew = self.crew_up(index, number);
        let Some(seat) = self.roster.get_mut(number) else { return };
        seat.doubts = 0;
        for unit in crew.attached.iter().filter(|unit| !unit.options.is_empty()) {
            // One whose process ended without a failure may have been meant to: it announces something and exits.
            let Health::Lost(loss) = inventory.health(&unit.name) else { continue };
            if loss == Loss::Ended || !seat.may_mend(&unit.name, now) {
                continue;
            }
            let reason = Reason::Lost(loss);
            let service = self.service.name.clone();
            log(&Decision { service, verb: Verb::Replace, unit: Some(unit.name.clone()), reason });
            effects.jobs.push(Job::Mend { crew: crew.clone(), unit: unit.clone() });
        }
    }

    pub(super) fn came_up(&mut self, crew: &Crew, now: Timestamp) {
        self.roster.enter(crew.number, Phase::Running);
        self.told = None;
        if let Some(seat) = self.roster.get_mut(crew.number) {
            let names: Vec<String> = crew.attached.iter().map(|unit| unit.name.clone()).collect();
            let launched = match seat.record.take() {
                Some(record) => record.relaunched(&crew.instance.name, &names),
                None => InstanceRecord::launched(&crew.instance.name, &names),
            };
            seat.record = Some(launched);
            seat.since = Some(now);
            seat.replaced = false;
        }
        self.entered(crew.number, now);
    }

    /// Notes that an instance got into its phase.
    pub(super) fn entered(&mut self, number: u32, now: Timestamp) {
        if let Some(seat) = self.roster.get_mut(number) {
            seat.entered = now;
        }
    }

    /// What its policies in modules last said.
    pub(super) fn stances(&self) -> impl Iterator<Item = (&str, Stance)> {
        self.stances.iter().map(|(policy, stance)| (policy.as_str(), *stance))
    }

    /// The service as policies in modules see it.
    pub(super) fn seen(&self) -> SeenService {
        let Service { name, service_type, bounds, .. } = &self.service;
        let instances = self.roster.iter().map(|(number, phase, seat)| SeenInstance {
            name: self.unit_name(number),
            number,
            state: match phase {
                Phase::Starting if seat.replaced => InstanceState::Failed,
                Phase::Starting => InstanceState::Starting,
                Phase::Running => InstanceState::Running,
                Phase::Stopping => InstanceState::Stopping,
            },
            since: seat.entered,
        });
        SeenService {
            name: name.clone(),
            service_type: service_type.clone(),
            min: bounds.min,
            max: bounds.max,
            instances: instances.collect(),
        }
    }

    /// The records of the instances that there are or shall be, by key.
    pub(super) fn records(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.roster.iter().filter(|&(_, phase, _)| phase != Phase::Stopping).map(|(number, _, seat)| {
            let crew = self.crew(0, number);
            let names: Vec<String> = crew.attached.iter().map(|unit| unit.name.clone()).collect();
            let record =
                seat.record.clone().unwrap_or_else(|| InstanceRecord::launched(&crew.instance.name, &names));
            (record::instance_key(&self.name, &crew.instance.name), record.text())
        })
    }

    /// Whether a degraded service is well again; it is not degraded then any more.
    pub(super) fn recovered(&mut self, now: Timestamp) -> bool {
        let calm = self.failed_at.is_none_or(|failed| now.duration_since(failed) > STABLE);
        let well = self.degraded.is_some() && calm && self.roster.running() >= self.roster.wanted() as usize;
        if well {
            self.degraded = None;
        }
        well
    }

    /// The name of the unit with this number.
    pub(super) fn unit_name(&self, number: u32) -> String {
        self.blueprint.file.unit_name(number)
    }

    fn count_failure(&mut self, now: Timestamp) {
        if self.failed_at.is_some_and(|failed| now.duration_since(failed) > FAILURES_APART) {
            self.failures = 0;
        }
        self.failures += 1;
        self.failed_at = Some(now);
    }

    /// An attempt to start an instance failed. Whether that made the service degraded.
    pub(super) fn failed(&mut self, error: &str, now: Timestamp) -> bool {
        self.count_failure(now);
        let service = &self.service.name;
        tracing::warn!(service, error, attempt = self.failures, "{service}: an instance did not start");
        if self.failures < ATTEMPTS_MAX {
            return false;
        }
        self.roster.want(self.roster.count());
        self.degrade(error);
        true
    }

    /// Makes the service degraded, if enough attempts failed.
    fn degrade(&mut self, error: &str) {
        if self.failures < ATTEMPTS_MAX {
            return;
        }
        let reason = Reason::GaveUp { attempts: self.failures, error: error.to_owned() };
        if self.degraded.is_none() {
            tracing::error!(service = self.service.name, "{}: degraded: {reason}", self.service.name);
        }
        self.degraded = Some(error.to_owned());
    }

    /// How long to wait before the next attempt.
    fn pause(&self) -> Duration {
        match self.failures {
            0 => Duration::ZERO,
            failures if failures >= ATTEMPTS_MAX => PAUSE_MAX,
            failures => PAUSE_MIN * (1 << (failures - 1)),
        }
    }

    pub(super) fn hold(&mut self, reason: Reason) {
        if self.told.as_ref().is_some_and(|told| told.same_kind(&reason)) {
            return;
        }
        log(&Decision {
            service: self.service.name.clone(),
            verb: Verb::Hold,
            unit: None,
            reason: reason.clone(),
        });
        self.told = Some(reason);
    }

    pub(super) fn tell(&self, verb: Verb, crew: &Crew, reason: &Reason) {
        let unit = Some(crew.instance.name.clone());
        log(&Decision { service: self.service.name.clone(), verb, unit, reason: reason.clone() });
    }
}

/// One line for a decision.
pub(super) fn log(decision: &Decision) {
    tracing::info!(service = decision.service, unit = decision.unit, "{decision}");
}
