//! Cron patterns of five fields.
//!
//! They are read here and not by a crate, because every decision reads them anew: the one that fits best (croner 4, which
//! searches any calendar) takes 40 us for each, as much as two whole decisions. `field` reads one field of five.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::AmbiguousOffset;
use jiff::{Timestamp, ToSpan, ZonedDateTime};

use crate::field::Field;

/// How many days are searched: from one 29 February to the next it can be eight years.
const DAYS_MAX: u32 = 8 * 366;

/// How many minutes a clock that is set back or forward can be off at most.
const SHIFT_MINUTES_MAX: i32 = 180;

/// A cron pattern: minute, hour, day of the month, month, day of the week.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pattern {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

/// Where a search goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Toward {
    Past,
    Future,
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("`{text}` has {} fields, and a cron pattern has five", fields.len()));
        };
        let within = |why: String| format!("`{text}`: {why}");
        Ok(Self {
            minute: Field::minute(minute).map_err(within)?,
            hour: Field::hour(hour).map_err(within)?,
            day: Field::day(day).map_err(within)?,
            month: Field::month(month).map_err(within)?,
            weekday: Field::weekday(weekday).map_err(within)?,
        })
    }

    /// The last time that it named, `now` included.
    pub(crate) fn last(&self, now: &ZonedDateTime) -> Option<ZonedDateTime> {
        self.search(now, Toward::Past)
    }

    /// The next time that it names, `now` left out.
    pub(crate) fn next(&self, now: &ZonedDateTime) -> Option<ZonedDateTime> {
        self.search(now, Toward::Future)
    }

    fn search(&self, now: &ZonedDateTime, toward: Toward) -> Option<ZonedDateTime> {
        // The clock may have been set back over midnight, so the search begins a day behind.
        let mut date = match toward {
            Toward::Past => now.date().tomorrow().unwrap_or(now.date()),
            Toward::Future => now.date().yesterday().unwrap_or(now.date()),
        };
        for _ in 0..DAYS_MAX {
            if self.names_day(date) {
                let found = self.search_day(date, now, toward);
                if found.is_some() {
                    return found;
                }
            }
            date = match toward {
                Toward::Past if self.month.has(date.month()) => date.yesterday(),
                Toward::Past => date.first_of_month().yesterday(),
                Toward::Future if self.month.has(date.month()) => date.tomorrow(),
                Toward::Future => date.last_of_month().tomorrow(),
            }
            .ok()?;
        }
        None
    }

    /// As cron does: if both the day of the month and the day of the week are restricted, one of them is enough.
    fn names_day(&self, date: Date) -> bool {
        let day = self.day.has(date.day());
        let weekday = self.weekday.has(date.weekday().to_sunday_zero_offset());
        let either = !self.day.is_any() && !self.weekday.is_any();
        self.month.has(date.month()) && if either { day || weekday } else { day && weekday }
    }

    fn search_day(&self, date: Date, now: &ZonedDateTime, toward: Toward) -> Option<ZonedDateTime> {
        let minute_of_day = |time: Time| i32::from(time.hour()) * 60 + i32::from(time.minute());
        let today = (date == now.date()).then(|| minute_of_day(now.time()));
        // Only what is near enough to be on the right side is worth looking up in the time zone.
        let near = |time: &Time| match (today, toward) {
            (None, _) => true,
            (Some(now), Toward::Past) => minute_of_day(*time) <= now + SHIFT_MINUTES_MAX,
            (Some(now), Toward::Future) => minute_of_day(*time) >= now - SHIFT_MINUTES_MAX,
        };
        let hours = (0..24).filter(|&hour| self.hour.has(hour));
        let minutes = || (0..60).filter(|&minute| self.minute.has(minute));
        let times =
            hours.flat_map(|hour| minutes().filter_map(move |minute| Time::new(hour, minute, 0, 0).ok()));
        let mut found = times.filter(near).map(|time| instant(date.to_datetime(time), now));
        match toward {
            Toward::Past => found.take_while(|at| at.is_some_and(|at| at <= now.timestamp())).last(),
            Toward::Future => found.find(|at| at.is_none_or(|at| at > now.timestamp())),
        }?
        .map(|at| at.to_zoned_datetime(now.time_zone().clone()))
    }
}

/// When it is that local time. A time that comes twice is the first of both; one that is skipped is when the clock has gone
/// forward.
fn instant(local: DateTime, zone_of: &ZonedDateTime) -> Option<Timestamp> {
    let zone = zone_of.time_zone();
    let ambiguous = zone.to_ambiguous_timestamp(local);
    if !matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. }) {
        return ambiguous.earlier().ok();
    }
    let beyond = ambiguous.later().ok()?.checked_add(1.second()).ok()?;
    zone.preceding(beyond).next().map(|transition| transition.timestamp())
}

#[cfg(test)]
mod tests;
