//! What the policy decides by.

use dynamite_policy::prelude::*;

/// The rule.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How a sample is compared with the threshold: lt (<), le (<=), gt (>), or ge (>=).
    pub comparative_operator: Operator,
    /// What it is compared with, in the unit of the metric.
    pub threshold: f64,
    /// How long samples must satisfy the comparison without exception, in seconds; 0: one is enough.
    #[serde(default)]
    pub period_seconds: u64,
    /// How long after firing the policy neither fires nor starts a period, in seconds of sample time.
    #[serde(default)]
    pub cooldown_seconds: u64,
    /// Whether it starts an instance (up) or stops one (down).
    pub direction: Direction,
}

impl Config {
    /// What the types do not say.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.threshold.is_finite() { Ok(()) } else { Err("`threshold` is not a number".to_owned()) }
    }
}

/// How a value is compared with the threshold.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Operator {
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
}

impl Operator {
    /// Whether `value` stands in this relation to `threshold`.
    #[must_use]
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Lt => value < threshold,
            Self::Le => value <= threshold,
            Self::Gt => value > threshold,
            Self::Ge => value >= threshold,
        }
    }

    /// As it is written in formulas.
    #[must_use]
    pub fn sign(self) -> &'static str {
        match self {
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// Which way the policy scales.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// One instance more.
    Up,
    /// One instance less.
    Down,
}
