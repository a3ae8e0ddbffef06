//! What the policy decides by.

use dynamite_policy::prelude::*;

/// How many steps there may be, as with AWS.
const STEPS_MAX: usize = 20;

/// Scale in steps that grow with the distance of a metric from a threshold.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the bounds of the steps are relative to, in the unit of the metric.
    pub threshold: f64,
    /// The steps. They must not overlap, nor leave a gap; the outermost of each side is open.
    pub steps: Vec<Step>,
    /// What the adjustment of a step means.
    #[serde(default)]
    pub adjustment_type: AdjustmentType,
    /// For `percent_change_in_capacity`: how many instances a step changes at least.
    #[serde(default)]
    pub min_adjustment_magnitude: u32,
    /// The metric, if it is not the first of the policy.
    #[serde(default)]
    pub metric: Option<String>,
    /// What is compared with the threshold.
    #[serde(default)]
    pub statistic: Statistic,
    /// Over how many seconds; 0: of the newest sample of each series.
    #[serde(default)]
    pub span_seconds: u64,
    /// After how many seconds the newest sample of a series counts as none.
    #[serde(default = "default_stale")]
    pub stale_seconds: u64,
    /// For how many seconds what was started counts towards a further step up, and no step down is taken.
    #[serde(default = "default_cooldown")]
    pub scale_up_cooldown_seconds: u64,
    /// For how many seconds after a step down no further one is taken.
    #[serde(default = "default_cooldown")]
    pub scale_down_cooldown_seconds: u64,
}

/// A step: what to do when the metric lies between two bounds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// From where on, relative to the threshold; none: everything below `upper`.
    #[serde(default)]
    pub lower: Option<f64>,
    /// Up to where, relative to the threshold; none: everything above `lower`.
    #[serde(default)]
    pub upper: Option<f64>,
    /// How many instances, or percent of them, come (or go, if it is negative); for `exact_capacity`: how many there are to be.
    pub adjustment: i32,
}

/// What the adjustment of a step means.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentType {
    /// So many instances more.
    #[default]
    ChangeInCapacity,
    /// So many percent of the instances more.
    PercentChangeInCapacity,
    /// So many instances.
    ExactCapacity,
}

/// What is made of the samples.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistic {
    /// The mean of all samples.
    #[default]
    Average,
    /// The smallest value.
    Minimum,
    /// The largest value.
    Maximum,
    /// The sum of all series, each with its mean.
    Sum,
}

impl Config {
    /// What the types do not say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.steps.is_empty() || self.steps.len() > STEPS_MAX {
            return Err(format!("`steps` has {} steps; from 1 to {STEPS_MAX} are allowed", self.steps.len()));
        }
        if self.adjustment_type == AdjustmentType::ExactCapacity
            && self.steps.iter().any(|step| step.adjustment < 0)
        {
            return Err(
                "`adjustment` is negative; with exact_capacity it is a number of instances".to_owned()
            );
        }
        let percent = self.adjustment_type == AdjustmentType::PercentChangeInCapacity;
        if self.min_adjustment_magnitude > 0 && !percent {
            return Err("`min_adjustment_magnitude` goes with percent_change_in_capacity only".to_owned());
        }
        check_bounds(&self.steps)
    }
}

/// As with AWS: steps lie on one side of the threshold each, follow each other without a gap, and the outermost of a side
/// is open.
fn check_bounds(steps: &[Step]) -> Result<(), String> {
    let mut sorted: Vec<Step> = steps.to_vec();
    sorted.sort_by(|a, b| low(a).total_cmp(&low(b)));
    for step in &sorted {
        let (lower, upper) = (low(step), high(step));
        if lower >= upper {
            return Err(format!("the step from {lower} to {upper} is empty"));
        }
        if lower < 0.0 && upper > 0.0 {
            return Err(format!("the step from {lower} to {upper} lies on both sides of the threshold"));
        }
    }
    for two in sorted.windows(2) {
        let (end, start) = (high(&two[0]), low(&two[1]));
        if end > start {
            return Err(format!("two steps overlap from {start} to {end}"));
        }
        // Between a side below and a side above the threshold there may be a stretch in which nothing is done.
        let around_the_threshold = end <= 0.0 && start >= 0.0;
        if end < start && !around_the_threshold {
            return Err(format!("no step covers what lies from {end} to {start}"));
        }
    }
    let (first, last) = (sorted.first(), sorted.last());
    if let Some(first) = first.filter(|step| low(step) < 0.0 && step.lower.is_some()) {
        return Err(format!("no step covers what lies below {}: leave out its `lower`", low(first)));
    }
    if let Some(last) = last.filter(|step| high(step) > 0.0 && step.upper.is_some()) {
        return Err(format!("no step covers what lies above {}: leave out its `upper`", high(last)));
    }
    Ok(())
}

fn low(step: &Step) -> f64 {
    step.lower.unwrap_or(f64::NEG_INFINITY)
}

fn high(step: &Step) -> f64 {
    step.upper.unwrap_or(f64::INFINITY)
}

impl Step {
    /// Whether a value that is `distance` above the threshold is of this step: above the threshold a step begins with its
    /// lower bound and ends before its upper one, below it the other way round.
    pub(crate) fn covers(&self, distance: f64) -> bool {
        let (lower, upper) = (low(self), high(self));
        if lower >= 0.0 {
            distance >= lower && distance < upper
        } else {
            distance > lower && distance <= upper
        }
    }
}

fn default_stale() -> u64 {
    60
}

fn default_cooldown() -> u64 {
    300
}
