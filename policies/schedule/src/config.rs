//! What the policy decides by.

use dynamite_policy::prelude::*;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp as Instant, ZonedDateTime};

use crate::pattern::Pattern;

/// How many entries there may be: each costs a search of the calendar at every decision.
const ENTRIES_MAX: usize = 50;

/// Keep the number of instances within bounds that change by the clock.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The time zone of the patterns, such as Europe/Berlin.
    #[serde(default = "default_zone")]
    pub time_zone: String,
    /// When there are to be how many instances.
    pub entries: Vec<Entry>,
    /// How many instances there are to be at least while no entry is in force.
    #[serde(default)]
    pub min: Option<u32>,
    /// How many instances there are to be at most while no entry is in force.
    #[serde(default)]
    pub max: Option<u32>,
}

/// Bounds, and when they are in force.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What the reason calls it; none: its pattern.
    #[serde(default)]
    pub name: Option<String>,
    /// When it begins: minute, hour, day of the month, month, day of the week, such as `0 8 * * MON-FRI`.
    pub start: String,
    /// When it ends, in the same form.
    pub end: String,
    /// How many instances there are to be at least.
    #[serde(default)]
    pub min: Option<u32>,
    /// How many instances there are to be at most.
    #[serde(default)]
    pub max: Option<u32>,
    /// Its time zone, if it is another one.
    #[serde(default)]
    pub time_zone: Option<String>,
}

impl Config {
    /// What the types do not say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.entries.is_empty() || self.entries.len() > ENTRIES_MAX {
            return Err(format!(
                "`entries` has {} entries; from 1 to {ENTRIES_MAX} are allowed",
                self.entries.len()
            ));
        }
        ordered("outside of the entries", self.min, self.max)?;
        let zone = zone(&self.time_zone)?;
        // Any time will do: what is not found from there is not found from elsewhere.
        let some_time = Instant::UNIX_EPOCH;
        for entry in &self.entries {
            let title = entry.title();
            ordered(title, entry.min, entry.max)?;
            if entry.min.is_none() && entry.max.is_none() {
                return Err(format!("{title}: give `min`, `max`, or both"));
            }
            let zone = entry.time_zone.as_deref().map_or_else(|| Ok(zone.clone()), self::zone)?;
            let from = some_time.to_zoned_datetime(zone);
            for pattern in [&entry.start, &entry.end] {
                if Pattern::parse(pattern)?.next(&from).is_none() {
                    return Err(format!("{title}: `{pattern}` names no time that there is"));
                }
            }
        }
        Ok(())
    }

    /// The local time of an entry.
    pub(crate) fn local(&self, entry: &Entry, now: Instant) -> Result<ZonedDateTime, String> {
        Ok(now.to_zoned_datetime(zone(entry.time_zone.as_ref().unwrap_or(&self.time_zone))?))
    }
}

impl Entry {
    pub(crate) fn title(&self) -> &str {
        self.name.as_ref().unwrap_or(&self.start)
    }
}

fn ordered(what: &str, min: Option<u32>, max: Option<u32>) -> Result<(), String> {
    match min.zip(max) {
        Some((min, max)) if min > max => Err(format!("{what}: `min` is {min}, above the `max` of {max}")),
        _ => Ok(()),
    }
}

/// Of the time zones that come in the module, so that it is the same everywhere.
fn zone(name: &str) -> Result<TimeZone, String> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| format!("there is no time zone `{name}`"))
}

fn default_zone() -> String {
    "UTC".to_owned()
}
