//! Keeps the number of instances within bounds that change by the clock, in the time zones of the world.
//!
//! It reads no metric. `pattern` finds the times that a cron pattern names.

mod config;
mod field;
mod pattern;

use dynamite_policy::prelude::*;
use jiff::{Timestamp as Instant, ZonedDateTime};

pub use config::{Config, Entry};
use pattern::Pattern;

/// The policy.
#[derive(Debug)]
pub struct Schedule;

/// What is in force at some time.
#[derive(Debug, Default)]
struct Force {
    /// The names of the entries.
    titles: Vec<String>,
    /// The largest `min` of them.
    min: Option<u32>,
    /// The smallest `max` of them.
    max: Option<u32>,
    /// When an entry begins or ends next.
    until: Option<ZonedDateTime>,
}

impl Policy for Schedule {
    type Config = Config;
    type State = ();

    fn validate(config: &Config) -> Result<(), String> {
        config.check()
    }

    fn decide(config: &Config, seen: &Observation, (): &mut ()) -> Result<Verdict, String> {
        let force = Force::at(config, instant(seen.now)?)?;
        let count = seen.service.count();
        let wanted = count.min(force.max.unwrap_or(u32::MAX)).max(force.min.unwrap_or(0));
        let why = format!("{count} instances, and {}", force.describe());
        let verdict = if wanted == count { hold(why) } else { scale_to(wanted, why) };
        Ok(match force.until.and_then(|until| u64::try_from(until.timestamp().as_millisecond()).ok()) {
            Some(until) => verdict.wake_at(until),
            None => verdict,
        })
    }
}

impl Force {
    fn at(config: &Config, now: Instant) -> Result<Self, String> {
        let mut force = Self::default();
        for entry in &config.entries {
            let local = config.local(entry, now)?;
            let (start, end) = (Pattern::parse(&entry.start)?, Pattern::parse(&entry.end)?);
            let next = [start.next(&local), end.next(&local)];
            force.until = next.into_iter().flatten().chain(force.until.take()).min();
            if is_in_force(&start, &end, &local) {
                force.titles.push(entry.title().to_owned());
                force.min = force.min.max(entry.min);
                force.max = force.max.into_iter().chain(entry.max).min();
            }
        }
        if force.titles.is_empty() {
            (force.min, force.max) = (config.min, config.max);
        }
        // Of bounds that contradict each other, the lower one holds: too many instances are better than too few.
        force.max = force.max.map(|max| max.max(force.min.unwrap_or(0)));
        Ok(force)
    }

    /// Such as `office hours wants 4 to 10 until Fri 2026-01-02 18:00 CET`.
    fn describe(&self) -> String {
        let who = match self.titles.as_slice() {
            [] => "no entry in force".to_owned(),
            titles => titles.join(" and "),
        };
        let wants = match (self.min, self.max) {
            (None, None) => "any number".to_owned(),
            (Some(min), None) => format!("at least {min}"),
            (None, Some(max)) => format!("at most {max}"),
            (Some(min), Some(max)) => format!("{min} to {max}"),
        };
        let until = self
            .until
            .as_ref()
            .map_or_else(String::new, |until| format!(" until {}", until.strftime("%a %Y-%m-%d %H:%M %Z")));
        format!("{who} wants {wants}{until}")
    }
}

/// Whether it began after it ended. What begins and ends at once is over.
fn is_in_force(start: &Pattern, end: &Pattern, now: &ZonedDateTime) -> bool {
    match (start.last(now), end.last(now)) {
        (Some(began), Some(ended)) => began > ended,
        (began, None) => began.is_some(),
        (None, Some(_)) => false,
    }
}

fn instant(at: Timestamp) -> Result<Instant, String> {
    let milliseconds = i64::try_from(at).ok();
    let instant = milliseconds.and_then(|at| Instant::from_millisecond(at).ok());
    instant.ok_or_else(|| format!("there is no calendar for {at} ms after 1970"))
}

export_policy!(Schedule);

#[cfg(test)]
mod tests;
