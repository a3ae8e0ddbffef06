//! What the policy decides by.

use dynamite_policy::prelude::*;

/// The longest period of a limit, in seconds, as with the HPA.
const PERIOD_SECONDS_MAX: u64 = 1_800;

/// The longest stabilization window, in seconds, as with the HPA.
const STABILIZATION_SECONDS_MAX: u64 = 3_600;

/// Keep a metric at its target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the first metric is to be, in its unit: of each instance on average, or of all together if it is aggregated.
    pub target: Option<f64>,
    /// For an aggregated metric: whether the target is for the value, or for the share of each instance.
    #[serde(default)]
    pub target_type: TargetType,
    /// Instead of `target`: several metrics, each with a target. The one that wants most instances wins.
    #[serde(default)]
    pub metrics: Vec<Target>,
    /// By which part of the target a metric may be off without consequence.
    #[serde(default = "default_tolerance")]
    pub tolerance: f64,
    /// Over how many seconds the values of a series are averaged; 0: its newest one counts.
    #[serde(default)]
    pub average_seconds: u64,
    /// After how many seconds the newest sample of a series counts as none.
    #[serde(default = "default_stale")]
    pub stale_seconds: u64,
    /// For how many seconds after it came up an instance counts as not yet ready as long as its samples are from before
    /// then; 300 is usual for CPU.
    #[serde(default)]
    pub initialization_seconds: u64,
    /// How fast instances are started.
    #[serde(default)]
    pub scale_up: ScaleUp,
    /// How fast instances are stopped.
    #[serde(default)]
    pub scale_down: ScaleDown,
}

/// A metric with its target.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The metric, as in the `metrics` of the policy.
    pub metric: String,
    /// What it is to be, in its unit.
    pub target: f64,
    /// For an aggregated metric: whether the target is for the value, or for the share of each instance.
    #[serde(default)]
    pub target_type: TargetType,
}

/// What the target of an aggregated metric is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetType {
    /// The value itself, such as a response time: as many instances as there are, times value / target.
    #[default]
    Value,
    /// The share of each instance, such as a queue's length for each: value / target instances.
    AverageValue,
}

/// How fast instances are started.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScaleUp {
    /// Over how many seconds the smallest number that was wanted counts.
    pub stabilization_seconds: u64,
    /// Which of the limits counts: the one that allows most (max), least (min), or none at all (disabled).
    pub select: Select,
    /// The limits; an empty list limits nothing.
    pub limits: Vec<Limit>,
}

/// How fast instances are stopped.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScaleDown {
    /// Over how many seconds the largest number that was wanted counts.
    pub stabilization_seconds: u64,
    /// Which of the limits counts: the one that allows most (max), least (min), or none at all (disabled).
    pub select: Select,
    /// The limits; an empty list limits nothing.
    pub limits: Vec<Limit>,
}

/// Which limit counts.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Select {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest change.
    Min,
    /// No change is allowed in this direction.
    Disabled,
}

/// How much may change within a period.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Whether `value` is a number of instances, or percent of those at the start of the period.
    #[serde(rename = "type")]
    pub unit: Unit,
    /// How much.
    pub value: u32,
    /// Within how many seconds; at most 1800.
    pub period_seconds: u64,
}

/// What a limit is measured in.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Instances.
    Instances,
    /// Percent of the instances that there were at the start of the period.
    Percent,
}

/// As the HPA's defaults: twice as many or four more in 15 s, whichever is more.
impl Default for ScaleUp {
    fn default() -> Self {
        let limits = vec![
            Limit { unit: Unit::Percent, value: 100, period_seconds: 15 },
            Limit { unit: Unit::Instances, value: 4, period_seconds: 15 },
        ];
        Self { stabilization_seconds: 0, select: Select::Max, limits }
    }
}

/// As the HPA's defaults: all in 15 s, but not below what was wanted in the last five minutes.
impl Default for ScaleDown {
    fn default() -> Self {
        let limits = vec![Limit { unit: Unit::Percent, value: 100, period_seconds: 15 }];
        Self { stabilization_seconds: 300, select: Select::Max, limits }
    }
}

impl Config {
    /// What the types do not say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.target.is_some() != self.metrics.is_empty() {
            return Err("give either `target` or `metrics`".to_owned());
        }
        for target in self.target.iter().chain(self.metrics.iter().map(|metric| &metric.target)) {
            if !(target.is_finite() && *target > 0.0) {
                return Err(format!("`target` is {target}, and must be above 0"));
            }
        }
        if !(0.0..1.0).contains(&self.tolerance) {
            return Err(format!("`tolerance` is {}, and must be at least 0 and below 1", self.tolerance));
        }
        let sides = [
            ("scale_up", self.scale_up.stabilization_seconds, &self.scale_up.limits),
            ("scale_down", self.scale_down.stabilization_seconds, &self.scale_down.limits),
        ];
        for (side, stabilization, limits) in sides {
            if stabilization > STABILIZATION_SECONDS_MAX {
                return Err(format!("`{side}.stabilization_seconds` is above {STABILIZATION_SECONDS_MAX}"));
            }
            let wrong = |limit: &Limit| !(1..=PERIOD_SECONDS_MAX).contains(&limit.period_seconds);
            if limits.iter().any(wrong) {
                return Err(format!(
                    "`{side}.limits`: `period_seconds` must be from 1 to {PERIOD_SECONDS_MAX}"
                ));
            }
        }
        Ok(())
    }
}

fn default_tolerance() -> f64 {
    0.1
}

fn default_stale() -> u64 {
    60
}
