//! Scales in steps that grow with the distance of a metric from a threshold, as step scaling of AWS does.
//!
//! `config` says which step covers what, `adjust` what a step comes to, `cooldown` what was done lately.

mod adjust;
mod config;
mod cooldown;

use std::cmp::Ordering;

use dynamite_policy::prelude::*;

pub use config::{AdjustmentType, Config, Statistic, Step};
use cooldown::Climb;

/// The policy.
#[derive(Debug)]
pub struct StepScaling;

impl Policy for StepScaling {
    type Config = Config;
    type State = Option<Climb>;

    fn validate(config: &Config) -> Result<(), String> {
        config.check()
    }

    fn decide(config: &Config, seen: &Observation, climb: &mut Option<Climb>) -> Result<Verdict, String> {
        let base = Climb::note(climb, config, seen);
        let window = seen.window_or_first(config.metric.as_deref())?;
        let Some(value) = value(config, seen, window) else {
            return Ok(hold(format!("{} has no fresh sample", window.metric)));
        };
        let distance = value - config.threshold;
        let found = format!("{} is {value:.1}, {distance:+.1} from {}", window.metric, config.threshold);
        let Some(step) = config.steps.iter().find(|step| step.covers(distance)) else {
            return Ok(hold(format!("{found}, where no step is")));
        };
        let count = seen.service.count();
        let wanted = seen.service.clamp(adjust::adjusted(config, count, step.adjustment));
        Ok(match wanted.cmp(&count) {
            Ordering::Equal => hold(format!("{found}: {count} instances are right")),
            Ordering::Less => match cooldown::blocks_down(config, seen) {
                Some((left, what)) => {
                    hold(format!("{found}: {wanted} instances, but {what} cools down for {left} s"))
                }
                None => scale_to(wanted, format!("{found}: {wanted} instances instead of {count}")),
            },
            Ordering::Greater => up(config, seen, *step, base, &found),
        })
    }
}

/// A step up. While others cool down, it counts from before them, so that only the difference comes on top.
fn up(config: &Config, seen: &Observation, step: Step, base: Option<u32>, found: &str) -> Verdict {
    let count = seen.service.count();
    let from = base.unwrap_or(count);
    let wanted = seen.service.clamp(adjust::adjusted(config, from, step.adjustment));
    if wanted <= count {
        return hold(format!("{found}: {wanted} instances instead of {from}, and {count} there are already"));
    }
    let lately = if from == count { String::new() } else { format!(", and {count} there are since lately") };
    scale_to(wanted, format!("{found}: {wanted} instances instead of {from}{lately}"))
}

/// What is compared with the threshold.
fn value(config: &Config, seen: &Observation, window: &Window) -> Option<f64> {
    let fresh = window.all().fresh(seen.ago(Duration::from_secs(config.stale_seconds)));
    let view = match config.span_seconds {
        0 => fresh.newest(),
        seconds => fresh.since(seen.ago(Duration::from_secs(seconds))),
    };
    match config.statistic {
        Statistic::Average => view.mean(),
        Statistic::Minimum => view.min(),
        Statistic::Maximum => view.max(),
        Statistic::Sum => view.sum_of(Samples::mean),
    }
}

export_policy!(StepScaling);

#[cfg(test)]
mod tests;
