//! What can be done about firings, within the bounds of the service.

use dynamite_policy::prelude::*;

use crate::Direction;

/// What the firings of one call come to.
#[derive(Debug)]
pub(crate) struct Change<'s> {
    direction: Direction,
    service: &'s Service,
    /// How many instances come or go.
    by: u32,
    /// Those that go, as their own series fired.
    named: Vec<&'s str>,
    /// Whether some go only because there are too many.
    unnamed: bool,
}

impl<'s> Change<'s> {
    pub(crate) fn new(direction: Direction, service: &'s Service) -> Self {
        Self { direction, service, by: 0, named: Vec::new(), unnamed: false }
    }

    pub(crate) fn is_any(&self) -> bool {
        self.by > 0
    }

    /// One instance more or less, as a series of `instance` fired; or why not.
    pub(crate) fn add(&mut self, instance: Option<&str>) -> Result<(), String> {
        match self.direction {
            Direction::Up => self.grow(),
            Direction::Down => self.shrink(instance),
        }
    }

    fn grow(&mut self) -> Result<(), String> {
        let count = self.service.count().saturating_add(self.by);
        if let Some(max) = self.service.max_instances.filter(|&max| count >= max) {
            return Err(format!("{count} instances are the most there may be ({max})"));
        }
        self.by += 1;
        Ok(())
    }

    fn shrink(&mut self, instance: Option<&str>) -> Result<(), String> {
        // Those that are still starting serve nobody yet: the minimum is of those that are up.
        let running = u32::try_from(self.service.running().count()).unwrap_or(u32::MAX);
        let running = running.saturating_sub(self.by);
        let min = self.service.min_instances;
        if running <= min {
            return Err(format!("{running} running instances are the least there may be ({min})"));
        }
        let own = instance.and_then(|name| self.service.instance(name));
        let highest = || self.service.counted().rev().find(|instance| !self.goes(instance));
        let going = own.or_else(highest);
        let Some(going) = going else { return Err("no instance is left".to_owned()) };
        if self.goes(going) || going.state == InstanceState::Stopping {
            return Err(format!("{} is already stopping", going.name));
        }
        if going.state != InstanceState::Running {
            return Err(format!("{} is still starting", going.name));
        }
        self.named.push(&going.name);
        self.unnamed |= own.is_none();
        self.by += 1;
        Ok(())
    }

    fn goes(&self, instance: &Instance) -> bool {
        self.named.contains(&instance.name.as_str())
    }

    /// What is answered.
    pub(crate) fn verdict(self, reason: String) -> Verdict {
        match self.direction {
            _ if self.by == 0 => hold(reason),
            Direction::Up => scale_up(self.by, reason),
            Direction::Down if self.unnamed && self.by == 1 => scale_down(1, reason),
            Direction::Down => stop(self.named, reason),
        }
    }
}
