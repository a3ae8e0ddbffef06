//! What the policy decides by.

use dynamite_policy::prelude::*;

/// How many slots a season may have, so that the state stays small.
const SLOTS_MAX: u64 = 1_000;

/// Have the instances up that the load will need.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How much load one instance carries, in the unit of the metric.
    pub target: f64,
    /// The metric, if it is not the first of the policy. The load is its sum over all instances.
    #[serde(default)]
    pub metric: Option<String>,
    /// How far ahead the load is forecast, in seconds: as long as it takes until a new instance serves.
    #[serde(default = "default_horizon")]
    pub horizon_seconds: u64,
    /// How the load is forecast.
    #[serde(default)]
    pub method: Method,
    /// Into steps of how many seconds the samples are gathered before a line is drawn through them.
    #[serde(default = "default_step")]
    pub step_seconds: u64,
    /// For seasonal: after how many seconds the load repeats itself; 86400 is a day, 604800 a week.
    #[serde(default = "default_season")]
    pub season_seconds: u64,
    /// For seasonal: in how many seconds the load hardly changes. A season has at most 1000 such slots.
    #[serde(default = "default_slot")]
    pub slot_seconds: u64,
    /// For seasonal: how much the newest season counts against all that were before, above 0 and at most 1.
    #[serde(default = "default_smoothing")]
    pub smoothing: f64,
    /// Which part more than the load there is to be room for.
    #[serde(default)]
    pub headroom: f64,
    /// Over how many seconds the largest number that was wanted counts before instances are stopped.
    #[serde(default = "default_stabilization")]
    pub scale_down_stabilization_seconds: u64,
    /// After how many seconds the newest sample of a series counts as none.
    #[serde(default = "default_stale")]
    pub stale_seconds: u64,
}

/// How the load is forecast.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// The straight line through the window goes on.
    #[default]
    Linear,
    /// The load goes the way it went in earlier seasons, from where it is now; linear until a season is known.
    Seasonal,
}

impl Config {
    /// What the types do not say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if !(self.target.is_finite() && self.target > 0.0) {
            return Err(format!("`target` is {}, and must be above 0", self.target));
        }
        if !(0.0..=10.0).contains(&self.headroom) {
            return Err(format!("`headroom` is {}, and must be from 0 to 10", self.headroom));
        }
        if !(self.smoothing > 0.0 && self.smoothing <= 1.0) {
            return Err(format!("`smoothing` is {}, and must be above 0 and at most 1", self.smoothing));
        }
        if self.step_seconds == 0 || self.slot_seconds == 0 {
            return Err("`step_seconds` and `slot_seconds` must be above 0".to_owned());
        }
        let slots = self.season_seconds / self.slot_seconds;
        if !self.season_seconds.is_multiple_of(self.slot_seconds) || !(2..=SLOTS_MAX).contains(&slots) {
            return Err(format!(
                "a season of {} s has no whole number from 2 to {SLOTS_MAX} of slots of {} s",
                self.season_seconds, self.slot_seconds
            ));
        }
        if self.season_seconds > 366 * 86_400 || self.horizon_seconds > self.season_seconds {
            return Err("`horizon_seconds` is above `season_seconds`, or that is above a year".to_owned());
        }
        Ok(())
    }
}

fn default_horizon() -> u64 {
    300
}

fn default_step() -> u64 {
    30
}

fn default_season() -> u64 {
    86_400
}

fn default_slot() -> u64 {
    900
}

fn default_smoothing() -> f64 {
    0.5
}

fn default_stabilization() -> u64 {
    300
}

fn default_stale() -> u64 {
    120
}
