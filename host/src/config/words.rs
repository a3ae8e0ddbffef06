//! The words that stand for something in the file, and what people write in their place.

use dynamite_core::Operator;

use super::Cleanup;

/// Words with what they mean, and other spellings with the word that is right.
pub(crate) struct Words<T: 'static> {
    pub(crate) right: &'static [(&'static str, T)],
    pub(crate) other: &'static [(&'static str, &'static str)],
}

/// `comparative_operator`.
pub(crate) const OPERATORS: Words<Operator> = Words {
    right: &[
        ("lt", Operator::Less),
        ("gt", Operator::Greater),
        ("le", Operator::LessOrEqual),
        ("ge", Operator::GreaterOrEqual),
    ],
    other: &[
        ("<", "lt"),
        ("less", "lt"),
        ("less_than", "lt"),
        ("below", "lt"),
        (">", "gt"),
        ("greater", "gt"),
        ("greater_than", "gt"),
        ("above", "gt"),
        ("<=", "le"),
        ("lte", "le"),
        (">=", "ge"),
        ("gte", "ge"),
    ],
};

/// `period_unit` and `cooldown_period_unit`, in seconds.
pub(crate) const UNITS: Words<u32> = Words {
    right: &[("second", 1), ("minute", 60), ("hour", 3600)],
    other: &[
        ("s", "second"),
        ("sec", "second"),
        ("secs", "second"),
        ("m", "minute"),
        ("min", "minute"),
        ("mins", "minute"),
        ("h", "hour"),
        ("hr", "hour"),
        ("hrs", "hour"),
    ],
};

/// `metrics_cleanup`.
pub(crate) const CLEANUPS: Words<Cleanup> = Words {
    right: &[("never", Cleanup::Never)],
    other: &[("false", "never"), ("no", "never"), ("off", "never")],
};
