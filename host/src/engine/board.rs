//! Every service with its instances, and what is to be done about them. No I/O: jobs go out, outcomes come in.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::act::{Job, Outcome};
use super::inventory::{Health, Inventory};
use super::post::Post;
use crate::config::{Config, Role, Service};
use crate::record::{CooldownRecord, Stored};
use crate::scaling::{Direction, Phase, Reason, lowest};

/// What follows from an event.
#[derive(Debug, Default)]
pub struct Effects {
    /// To be carried out, each on its own.
    pub(crate) jobs: Vec<Job>,
    /// Services whose template in etcd is out of date.
    pub(crate) templates: BTreeSet<usize>,
    /// Services that became degraded or recovered.
    pub(crate) statuses: BTreeSet<usize>,
    /// Policies in modules whose state changed.
    pub(crate) policy_states: BTreeSet<usize>,
    /// Policies in modules that failed or work again.
    pub(crate) policy_statuses: BTreeSet<usize>,
}

/// Every service.
#[derive(Debug)]
pub(crate) struct Board {
    pub(super) posts: Vec<Post>,
    pub(super) by_name: HashMap<String, usize>,
    /// The latest look at fleet.
    pub(super) inventory: Arc<Inventory>,
    /// Services that have not had their minimum yet and are not hopeless either.
    unsettled: BTreeSet<usize>,
    /// The time, as the loop last told it.
    pub(super) now: Timestamp,
}

impl Effects {
    /// How many jobs follow.
    #[must_use]
    pub fn job_count(&self) -> usize {
        self.jobs.len()
    }
}

impl Board {
    /// Every scaled service of the configuration, with no instances.
    pub(crate) fn new(config: &Config) -> Self {
        let scaled: Vec<&Service> =
            config.services.values().filter(|service| service.role == Role::Scaled).collect();
        let by_name: HashMap<String, usize> =
            scaled.iter().enumerate().map(|(index, service)| (service.name.clone(), index)).collect();
        let mut posts: Vec<Post> =
            scaled.iter().map(|service| Post::new(config, service, &by_name)).collect();
        for index in 0..posts.len() {
            for dependency in posts[index].depends_on.clone() {
                posts[dependency].dependents.push(index);
            }
        }
        let unsettled = (0..posts.len()).filter(|&index| !posts[index].ready).collect();
        Self {
            posts,
            by_name,
            inventory: Arc::new(Inventory::empty()),
            unsettled,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    /// Takes in a look at fleet.
    pub(crate) fn see(&mut self, inventory: Arc<Inventory>) {
        self.inventory = inventory;
    }

    /// Takes in when services were scaled before.
    pub(super) fn remember(&mut self, stored: &Stored) {
        for post in &mut self.posts {
            post.last_up = stored.last_action(&post.service.name, Direction::Up);
            post.last_down = stored.last_action(&post.service.name, Direction::Down);
        }
    }

    /// Whether every service has had its minimum, or cannot have it for now.
    pub(crate) fn settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Starts what is missing and stops what is too much.
    pub(crate) fn plan(&mut self, index: usize, effects: &mut Effects) {
        if let Some(&missing) =
            self.posts[index].depends_on.iter().find(|&&dependency| !self.posts[dependency].ready)
        {
            let service = self.posts[missing].service.name.clone();
            self.posts[index].hold(Reason::WaitingFor { service });
            return;
        }
        let post = &mut self.posts[index];
        for number in post.roster.surplus() {
            let max = post.roster.wanted();
            let reason = Reason::AboveMaximum { count: post.roster.count(), max };
            effects.jobs.push(post.stop(index, number, &reason, None));
            post.entered(number, self.now);
        }
        while post.roster.count() < post.roster.wanted() {
            let Some(number) = post.free_number(&self.inventory) else {
                post.hold(Reason::NoFreeNumber);
                break;
            };
            let reason = Reason::BelowWanted { count: post.roster.count(), wanted: post.roster.wanted() };
            effects.jobs.push(post.start(index, number, &reason, None));
            post.entered(number, self.now);
        }
        self.check_ready(index, effects);
    }

    /// Plans every service.
    pub(crate) fn plan_all(&mut self, effects: &mut Effects) {
        for index in 0..self.posts.len() {
            self.plan(index, effects);
        }
    }

    /// One instance more or less, as a policy decided, if nothing speaks against it.
    ///
    /// # Errors
    /// The reason to hold.
    pub(crate) fn scale(
        &self,
        index: usize,
        direction: Direction,
        number: Option<u32>,
    ) -> Result<u32, Reason> {
        if let Some(&missing) =
            self.posts[index].depends_on.iter().find(|&&dependency| !self.posts[dependency].ready)
        {
            return Err(Reason::WaitingFor { service: self.posts[missing].service.name.clone() });
        }
        let post = &self.posts[index];
        match direction {
            Direction::Down if post.roster.count() > post.roster.bounds().min => {
                let count = post.roster.count();
                lowest(count, count - 1, post.stances())?;
                post.roster.may_shrink(number, |number| post.unit_name(number))
            }
            Direction::Up => {
                post.roster.may_grow()?;
                post.free_number(&self.inventory).ok_or(Reason::NoFreeNumber)
            }
            Direction::Down => post.roster.may_shrink(number, |number| post.unit_name(number)),
        }
    }

    /// How far the service can be brought to `wanted` instances, which is within its bounds, by a policy in a module.
    ///
    /// # Errors
    /// The reason to hold.
    pub(crate) fn reach(&self, index: usize, policy: &str, wanted: u32) -> Result<u32, Reason> {
        let post = &self.posts[index];
        let count = post.roster.count();
        if wanted >= count {
            return Ok(wanted);
        }
        lowest(count, wanted, post.stances().filter(|(other, _)| *other != policy))
    }

    /// The numbers of the instances that go when there shall be `made` of them: of those that a policy named, else of those
    /// with the highest numbers, those that can go now. One that is still starting keeps no other from going.
    ///
    /// # Errors
    /// The reason to hold, if none can go.
    pub(crate) fn leaving(&self, index: usize, made: u32, named: &[u32]) -> Result<Vec<u32>, Reason> {
        let roster = &self.posts[index].roster;
        let less = roster.count().saturating_sub(made) as usize;
        let active = roster.iter().rev().filter(|&(_, phase, _)| phase != Phase::Stopping);
        let highest = active.map(|(number, ..)| number).take(less);
        let candidates = if named.is_empty() { highest.collect() } else { named.to_vec() };
        let most = less.min(roster.spare() as usize);
        let (mut leaving, mut obstacle) = (Vec::new(), None);
        for number in candidates {
            match self.scale(index, Direction::Down, Some(number)) {
                Ok(number) => leaving.push(number),
                Err(reason) => obstacle = obstacle.or(Some(reason)),
            }
        }
        leaving.truncate(most);
        match obstacle {
            Some(reason) if leaving.is_empty() => Err(reason),
            _ => Ok(leaving),
        }
    }

    /// Brings the service to `made` instances, as far as that goes: the instances of these numbers are stopped.
    ///
    /// # Errors
    /// The reason to hold, if nothing can be done at all.
    pub(crate) fn move_to(
        &mut self,
        index: usize,
        made: u32,
        leaving: &[u32],
        reason: &Reason,
        record: &CooldownRecord,
    ) -> Result<Vec<Job>, Reason> {
        let count = self.posts[index].roster.count();
        let direction = if made > count { Direction::Up } else { Direction::Down };
        let mut jobs = Vec::new();
        for step in 0..count.abs_diff(made) as usize {
            match self.scale(index, direction, leaving.get(step).copied()) {
                Ok(number) => jobs.push(self.decide(index, direction, number, reason, record.clone())),
                Err(reason) if jobs.is_empty() => return Err(reason),
                Err(_) => break,
            }
        }
        Ok(jobs)
    }

    /// Makes the decision that [`Board::scale`] allowed.
    pub(crate) fn decide(
        &mut self,
        index: usize,
        direction: Direction,
        number: u32,
        reason: &Reason,
        cooldown: CooldownRecord,
    ) -> Job {
        let post = &mut self.posts[index];
        post.failures = 0; // A new decision is a new chance.
        let action = Some(cooldown.action());
        let job = match direction {
            Direction::Up => {
                post.last_up = action;
                post.roster.want(post.roster.wanted() + 1);
                post.start(index, number, reason, Some(cooldown))
            }
            Direction::Down => {
                post.last_down = action;
                post.roster.want(post.roster.wanted().saturating_sub(1));
                post.stop(index, number, reason, Some(cooldown))
            }
        };
        post.entered(number, self.now);
        job
    }

    /// Takes in what came of a job.
    pub(crate) fn finished(&mut self, job: &Job, outcome: Outcome, now: Timestamp, effects: &mut Effects) {
        let crew = job.crew();
        let unit = &crew.instance.name;
        let Some(index) = crew.service else {
            let service = &*crew.service_name;
            tracing::info!(service, unit, "{service}: {unit} is gone, as it is not configured any more");
            return;
        };
        let post = &mut self.posts[index];
        let service = &*post.name.clone();
        match outcome {
            Outcome::Started => {
                post.came_up(crew, now);
                tracing::info!(service, unit, instances = post.roster.running(), "{service}: {unit} is up");
                effects.templates.insert(index);
            }
            Outcome::Stopped => {
                tracing::info!(service, unit, "{service}: {unit} is gone");
                post.roster.remove(crew.number);
                effects.templates.insert(index);
            }
            Outcome::Taken => {
                tracing::warn!(
                    service,
                    unit,
                    "{service}: {unit} is a unit of somebody else; its number is skipped"
                );
                post.roster.remove(crew.number);
                post.taken.insert(crew.number);
            }
            Outcome::Failed(error) => {
                post.roster.remove(crew.number);
                if post.failed(&error, now) {
                    effects.statuses.insert(index);
                    self.give_up_waiting_for(index);
                }
                effects.templates.insert(index);
            }
            Outcome::Mended(unit) => {
                if let Some(seat) = post.roster.get_mut(crew.number) {
                    seat.mending.remove(&unit);
                }
            }
        }
        self.plan(index, effects);
    }

    /// Compares what fleet knows with what there should be: what was lost is replaced.
    pub(crate) fn observe(&mut self, now: Timestamp, effects: &mut Effects) {
        let inventory = &*self.inventory;
        for (index, post) in self.posts.iter_mut().enumerate() {
            post.taken.clear();
            let numbers: Vec<u32> = post.running().collect();
            for number in numbers {
                match inventory.health(&post.unit_name(number)) {
                    Health::Lost(loss) => {
                        if let Some(job) = post.lost(index, number, loss, now) {
                            effects.jobs.push(job);
                            effects.statuses.extend(post.degraded.is_some().then_some(index));
                        }
                    }
                    Health::Up | Health::Pending => {
                        post.mend((index, number), inventory, now, effects);
                    }
                }
            }
            if post.recovered(now) {
                tracing::info!(service = post.service.name, "{}: recovered", post.service.name);
                effects.statuses.insert(index);
            }
        }
    }

    /// Notes that a service has its minimum, and lets those start that waited for it.
    fn check_ready(&mut self, index: usize, effects: &mut Effects) {
        let post = &mut self.posts[index];
        if post.ready || post.roster.running() < post.roster.bounds().min as usize {
            return;
        }
        post.ready = true;
        effects.jobs.append(&mut post.leftovers);
        self.unsettled.remove(&index);
        for dependent in self.posts[index].dependents.clone() {
            self.plan(dependent, effects);
        }
    }

    /// A service that cannot come up for now, and those that wait for it, do not keep Dynamite from running.
    fn give_up_waiting_for(&mut self, index: usize) {
        let mut hopeless = vec![index];
        while let Some(index) = hopeless.pop() {
            if self.unsettled.remove(&index) {
                hopeless.extend(&self.posts[index].dependents);
            }
        }
    }
}
