//! Keeps metrics at their targets by changing the number of instances in proportion, as the HPA of Kubernetes does.
//!
//! `groups` says of which instances a metric is known, `proportion` how many it wants, `stabilize` and `limit` how fast to
//! get there.

mod config;
mod groups;
mod limit;
mod proportion;
mod stabilize;

use dynamite_policy::prelude::*;

pub use config::{Config, Limit, ScaleDown, ScaleUp, Select, Target, TargetType, Unit};
use limit::Changes;
use proportion::Wish;
use stabilize::Wanted;

/// The policy.
#[derive(Debug)]
pub struct TargetTracking;

/// What is remembered.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct State {
    wanted: Wanted,
    changes: Changes,
}

impl Policy for TargetTracking {
    type Config = Config;
    type State = State;

    fn validate(config: &Config) -> Result<(), String> {
        config.check()
    }

    fn decide(config: &Config, seen: &Observation, state: &mut State) -> Result<Verdict, String> {
        state.changes.note(seen);
        let count = seen.service.count();
        let within = seen.service.clamp(count);
        if within != count {
            return Ok(scale_to(within, format!("{count} instances are out of bounds")));
        }
        let (wish, failure) = largest(config, seen)?;
        let Some(Wish { count: wanted, why }) = wish else {
            return Ok(hold(failure.unwrap_or_default()));
        };
        if let Some(failure) = failure.filter(|_| wanted < count) {
            return Ok(hold(format!("{why} wants {wanted} of {count} instances, but {failure}")));
        }
        let mut why = vec![format!("{why}: {wanted} instances instead of {count}")];
        let windows = (config.scale_up.stabilization_seconds, config.scale_down.stabilization_seconds);
        let mut next = state.wanted.stabilize(seen.now, count, wanted, windows);
        if next != wanted {
            why.push(format!("{next} by stabilization"));
        }
        let ScaleUp { select, ref limits, .. } = config.scale_up;
        let most = state.changes.most(seen.now, count, select, limits);
        let ScaleDown { select, ref limits, .. } = config.scale_down;
        let fewest = state.changes.fewest(seen.now, count, select, limits);
        if next > most || next < fewest {
            next = next.clamp(fewest, most);
            why.push(format!("{next} by the limits"));
        }
        if next != seen.service.clamp(next) {
            next = seen.service.clamp(next);
            why.push(format!("{next} by the bounds"));
        }
        let why = why.join(", ");
        Ok(if next == count { hold(why) } else { scale_to(next, why) })
    }
}

/// The wish for most instances, and what is wrong with some metric.
fn largest(config: &Config, seen: &Observation) -> Result<(Option<Wish>, Option<String>), String> {
    let mut targets: Vec<(&Window, f64, TargetType)> = Vec::new();
    if let Some(target) = config.target {
        targets.push((seen.first_window()?, target, config.target_type));
    }
    for Target { metric, target, target_type } in &config.metrics {
        targets.push((seen.window(metric)?, *target, *target_type));
    }
    let mut largest: Option<Wish> = None;
    let mut failure = None;
    for (window, target, kind) in targets {
        match proportion::wish(config, seen, window, target, kind) {
            Ok(wish) if largest.as_ref().is_none_or(|other| wish.count > other.count) => largest = Some(wish),
            Ok(_) => {}
            Err(why) => failure = Some(why),
        }
    }
    Ok((largest, failure))
}

export_policy!(TargetTracking);

#[cfg(test)]
mod tests;
