//! How many instances a metric wants: as many as there are, times what it is, over what it should be.

use std::cmp::Ordering;

use dynamite_policy::prelude::*;

use crate::groups::{Groups, current};
use crate::{Config, TargetType};

/// What one metric wants.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wish {
    /// How many instances.
    pub(crate) count: u32,
    /// Why.
    pub(crate) why: String,
}

/// What a metric wants; none if too little is known of it, with the reason.
pub(crate) fn wish(
    config: &Config,
    seen: &Observation,
    window: &Window,
    target: f64,
    kind: TargetType,
) -> Result<Wish, String> {
    let metric = &window.metric;
    let count = seen.service.count();
    if window.aggregated {
        let sample = window.series.first().and_then(|series| current(config, seen, series));
        let value = sample
            .ok_or_else(|| format!("{metric} has no sample of the last {} s", config.stale_seconds))?
            .value;
        let running = u32::try_from(seen.service.running().count()).unwrap_or(u32::MAX);
        let wanted = of_all(count, running, value, target, kind, config.tolerance);
        return Ok(Wish { count: wanted, why: format!("{metric} is {value:.1}, the target {target}") });
    }
    let groups = Groups::of(config, seen, window);
    let Some(average) = mean(&groups.values) else {
        return Err(format!("{metric} has no sample of the last {} s", config.stale_seconds));
    };
    let mut why = vec![format!("{metric} is {average:.1}, {:.2} of the target {target}", average / target)];
    for (number, what) in [(groups.missing, "without sample"), (groups.unready, "not yet ready")] {
        if number > 0 {
            why.push(format!("{number} {what}"));
        }
    }
    Ok(Wish { count: of_each(count, &groups, average, target, config.tolerance), why: why.join(", ") })
}

/// For a metric of each instance.
///
/// As the HPA does, those without sample are taken to be at the target when fewer are wanted, and idle when more are;
/// those not yet ready are taken to be idle when more are wanted, and left out otherwise. What that turns around is held.
pub(crate) fn of_each(count: u32, groups: &Groups, average: f64, target: f64, tolerance: f64) -> u32 {
    let ratio = average / target;
    let idle = groups.unready > 0 && ratio > 1.0;
    if groups.missing == 0 && !idle {
        return if near_one(ratio, tolerance) { count } else { times(ratio, groups.values.len()) };
    }
    let absent = match ratio.total_cmp(&1.0) {
        Ordering::Less => target,
        Ordering::Equal => return count,
        Ordering::Greater => 0.0,
    };
    let mut values = groups.values.clone();
    values.extend((0..groups.missing).map(|_| absent));
    if idle {
        values.extend((0..groups.unready).map(|_| 0.0));
    }
    let filled = mean(&values).unwrap_or(average) / target;
    let turned = (ratio < 1.0 && filled > 1.0) || (ratio > 1.0 && filled < 1.0);
    if near_one(filled, tolerance) || turned {
        return count;
    }
    let wanted = times(filled, values.len());
    let against = (filled < 1.0 && wanted > count) || (filled > 1.0 && wanted < count);
    if against { count } else { wanted }
}

/// For a metric of all instances together.
pub(crate) fn of_all(
    count: u32,
    running: u32,
    value: f64,
    target: f64,
    kind: TargetType,
    tolerance: f64,
) -> u32 {
    match kind {
        TargetType::Value if count == 0 => round_up(value / target),
        TargetType::Value if near_one(value / target, tolerance) => count,
        TargetType::Value => times(value / target, running as usize),
        TargetType::AverageValue if near_one(value / (target * f64::from(count)), tolerance) => count,
        TargetType::AverageValue => round_up(value / target),
    }
}

fn near_one(ratio: f64, tolerance: f64) -> bool {
    // 1.1 is 0.1 off, although floating-point arithmetic finds it a little more.
    (ratio - 1.0).abs() <= tolerance + 1e-9
}

fn times(ratio: f64, count: usize) -> u32 {
    round_up(ratio * f64::from(u32::try_from(count).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests;
