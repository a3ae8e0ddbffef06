//! The built-in threshold policy.

use jiff::SignedDuration;

/// How a value is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Less than (`lt`).
    Less,
    /// Less than or equal (`le`).
    LessOrEqual,
    /// Greater than (`gt`).
    Greater,
    /// Greater than or equal (`ge`).
    GreaterOrEqual,
}

/// What a threshold policy decides by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// The comparison a sample must satisfy.
    pub operator: Operator,
    /// What it is compared with; finite.
    pub threshold: f64,
    /// How long samples must satisfy it without exception; not negative.
    pub period: SignedDuration,
    /// How long after firing the policy neither fires nor starts a period; not negative.
    pub cooldown: SignedDuration,
}
