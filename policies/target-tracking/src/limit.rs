//! Limits of how much may change within a period, as the HPA's scaling policies.

use dynamite_policy::prelude::*;

use crate::config::{Limit, Select, Unit};

/// How many changes are kept: more than there can be within the longest period, as an instance takes seconds to come.
const CHANGES_MAX: usize = 400;

/// The longest period, in milliseconds.
const PERIOD_MS_MAX: u64 = 1_800_000;

/// How many instances came and went lately, whoever decided it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Changes {
    /// `(time, how many came)`, oldest first.
    added: Vec<(Timestamp, u32)>,
    /// `(time, how many went)`, oldest first.
    removed: Vec<(Timestamp, u32)>,
}

impl Changes {
    /// Takes note of what has happened since the last call.
    pub(crate) fn note(&mut self, seen: &Observation) {
        note(&mut self.added, seen.now, seen.last_scale_up);
        note(&mut self.removed, seen.now, seen.last_scale_down);
    }

    /// How many instances there were at the start of a period that ends now with `count`.
    fn at_start(&self, now: Timestamp, count: u32, period_seconds: u64) -> u32 {
        let within = |changes: &[(Timestamp, u32)]| {
            let young = changes
                .iter()
                .filter(|(at, _)| now.saturating_sub(*at) < period_seconds.saturating_mul(1_000));
            young.fold(0_u32, |sum, &(_, number)| sum.saturating_add(number))
        };
        count.saturating_add(within(&self.removed)).saturating_sub(within(&self.added))
    }

    /// The most instances that there may be now. Never fewer than there are.
    pub(crate) fn most(&self, now: Timestamp, count: u32, select: Select, limits: &[Limit]) -> u32 {
        let allowed = limits.iter().map(|limit| {
            let start = self.at_start(now, count, limit.period_seconds);
            match limit.unit {
                Unit::Instances => start.saturating_add(limit.value),
                Unit::Percent => share(start, 100 + u64::from(limit.value), u64::div_ceil),
            }
        });
        let most = match select {
            Select::Max => allowed.max(),
            Select::Min => allowed.min(),
            Select::Disabled => Some(count),
        };
        most.unwrap_or(u32::MAX).max(count)
    }

    /// The fewest instances that there may be now. Never more than there are.
    pub(crate) fn fewest(&self, now: Timestamp, count: u32, select: Select, limits: &[Limit]) -> u32 {
        let allowed = limits.iter().map(|limit| {
            let start = self.at_start(now, count, limit.period_seconds);
            match limit.unit {
                Unit::Instances => start.saturating_sub(limit.value),
                Unit::Percent => {
                    share(start, 100_u64.saturating_sub(u64::from(limit.value)), |part, of| part / of)
                }
            }
        });
        let fewest = match select {
            Select::Max => allowed.min(),
            Select::Min => allowed.max(),
            Select::Disabled => Some(count),
        };
        fewest.unwrap_or(0).min(count)
    }
}

/// So many percent of `count`, rounded by `divide`.
fn share(count: u32, percent: u64, divide: impl Fn(u64, u64) -> u64) -> u32 {
    u32::try_from(divide(u64::from(count) * percent, 100)).unwrap_or(u32::MAX)
}

fn note(changes: &mut Vec<(Timestamp, u32)>, now: Timestamp, last: Option<Action>) {
    changes.retain(|&(at, _)| now.saturating_sub(at) < PERIOD_MS_MAX);
    let Some(last) = last else { return };
    if changes.last().is_none_or(|&(at, _)| at < last.at) && now.saturating_sub(last.at) < PERIOD_MS_MAX {
        changes.push((last.at, last.instances_before.abs_diff(last.instances_after)));
    }
    if changes.len() > CHANGES_MAX {
        changes.remove(0);
    }
}

#[cfg(test)]
mod tests;
