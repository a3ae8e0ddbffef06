//! Forecasts the load, and has the instances up that it will need.
//!
//! `course` gathers the load and continues it in a straight line; `season` knows what it was at this time of earlier days.
//! Whatever the forecast, there are never fewer instances than the load of this moment needs.

mod config;
mod course;
mod season;

use dynamite_policy::prelude::*;

pub use config::{Config, Method};
use season::Season;

/// The policy.
#[derive(Debug)]
pub struct Trend;

/// What is remembered.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct State {
    season: Season,
    wanted: Recent,
}

impl Policy for Trend {
    type Config = Config;
    type State = State;

    fn validate(config: &Config) -> Result<(), String> {
        config.check()
    }

    fn decide(config: &Config, seen: &Observation, state: &mut State) -> Result<Verdict, String> {
        let window = seen.window_or_first(config.metric.as_deref())?;
        // The past of instances that are gone belongs to the course: without it every instance that goes looks like a rise.
        let course = course::course(&window.all(), config.step_seconds.saturating_mul(1_000));
        let is_fresh = !window.all().fresh(seen.ago(Duration::from_secs(config.stale_seconds))).is_empty();
        let Some(Sample { value: load, .. }) = course.samples().latest().filter(|_| is_fresh) else {
            return Ok(hold(format!(
                "{} has no sample of the last {} s",
                window.metric, config.stale_seconds
            )));
        };
        let (ahead, how) = forecast(config, seen.now, course.samples(), load, state);
        let highest = ahead.max(load);
        let count = seen.service.count();
        let needed = round_up(highest * (1.0 + config.headroom) / config.target);
        let span = Duration::from_secs(config.scale_down_stabilization_seconds);
        state.wanted.begin(seen.now, count);
        let kept = state.wanted.highest(seen.now, needed, span);
        let wanted = seen.service.clamp(if kept < count { kept } else { needed.max(kept.min(count)) });
        let mut why = vec![format!(
            "{} is {load:.1}, and {ahead:.1} within {} s ({how}): {needed} instances for {} each",
            window.metric, config.horizon_seconds, config.target
        )];
        if wanted != needed {
            let cause = if wanted == seen.service.clamp(needed) { "the bounds" } else { "stabilization" };
            why.push(format!("{wanted} by {cause}"));
        }
        let why = why.join(", ");
        Ok(if wanted == count { hold(why) } else { scale_to(wanted, why) })
    }
}

/// The load to come, and how it is known.
fn forecast(
    config: &Config,
    now: Timestamp,
    course: Samples<'_>,
    load: f64,
    state: &mut State,
) -> (f64, String) {
    let mut how = String::new();
    if config.method == Method::Seasonal {
        let usual = state.season.forecast(config, now, load);
        state.season.learn(config, now, load);
        if let Some(found) = usual {
            return (found.load, format!("usually {:.1} now, then {:.1}", found.usual_now, found.usual_then));
        }
        "no season known yet, ".clone_into(&mut how);
    }
    match course::linear(course, now, config.horizon_seconds.saturating_mul(1_000)) {
        Some((ahead, line)) => (ahead, format!("{how}{:+.3} a second", line.slope)),
        None => (load, format!("{how}no trend")),
    }
}

export_policy!(Trend);

#[cfg(test)]
mod tests;
