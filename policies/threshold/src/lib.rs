//! The built-in threshold policy again, as a module: it answers as the built-in one does.
//!
//! Time is the time of the samples, so that a replay decides alike. `trigger` is the rule for one sample, `state` what is
//! remembered, `bounds` what can be done about a firing.

mod bounds;
mod config;
mod state;
mod trigger;

use dynamite_policy::prelude::*;

use bounds::Change;
pub use config::{Config, Direction, Operator};
use state::State;
use trigger::Outcome;

/// The policy.
#[derive(Debug)]
pub struct Threshold;

impl Policy for Threshold {
    type Config = Config;
    type State = State;

    fn validate(config: &Config) -> Result<(), String> {
        config.check()
    }

    fn decide(config: &Config, seen: &Observation, state: &mut State) -> Result<Verdict, String> {
        let window = seen.first_window()?;
        let mut change = Change::new(config.direction, &seen.service);
        let mut told: Option<Told<'_>> = None;
        let catches_up = state.asked(seen.now);
        let mut triggers = state.triggers(window);
        for (index, sample) in state::unseen(window, &triggers) {
            let (series, trigger) = (&window.series[index], &mut triggers[index]);
            let outcome = state.step(config, trigger, sample);
            let mut obstacle = None;
            if let Outcome::Fired(_) = outcome {
                // As in the built-in policy, samples from before the start bring the triggers up to date and no more.
                if catches_up && series.samples().latest() != Some(sample) {
                    continue;
                }
                match change.add(series.instance.as_deref()) {
                    Ok(()) => state.fired(config, trigger, sample.at),
                    Err(why) => obstacle = Some(why),
                }
            }
            let has_effect = matches!(outcome, Outcome::Fired(_)) && obstacle.is_none();
            if has_effect || !change.is_any() {
                told = Some(Told { series, sample, outcome, obstacle });
            }
        }
        state.keep(window, triggers);
        let reason = told.map(|told| told.reason(config, &window.metric));
        Ok(change.verdict(reason.unwrap_or_else(|| format!("no new sample of {}", window.metric))))
    }
}

/// The sample that the reason is about: the last one that had an effect, else the last one.
#[derive(Debug)]
struct Told<'w> {
    series: &'w Series,
    sample: Sample,
    outcome: Outcome,
    /// Why firing had no effect.
    obstacle: Option<String>,
}

impl Told<'_> {
    fn reason(&self, config: &Config, metric: &str) -> String {
        let Self { series, sample: Sample { at, value }, outcome, obstacle } = self;
        let of = if series.id.is_empty() { String::new() } else { format!(" of {}", series.id) };
        let so = if *outcome == Outcome::Calm { "not" } else { "and so" };
        let sign = config.comparative_operator.sign();
        let rest = match outcome {
            Outcome::Calm => String::new(),
            Outcome::CoolingDown(until) => format!(", cooling down for another {} s", seconds(*at, *until)),
            Outcome::Waiting(since) => {
                format!(" for {} s of {}", seconds(*since, *at), config.period_seconds)
            }
            Outcome::Fired(since) => format!(" for {} s", seconds(*since, *at)),
        };
        let but = obstacle.as_ref().map_or_else(String::new, |obstacle| format!(", but {obstacle}"));
        format!("{metric}{of} is {value}, {so} {sign} {}{rest}{but}", config.threshold)
    }
}

/// Rounded down.
fn seconds(from: Timestamp, to: Timestamp) -> u64 {
    to.saturating_sub(from) / 1_000
}

export_policy!(Threshold);

#[cfg(test)]
mod tests;
