//! What shall be written: a description that was read and is right.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::cases::amount::written;
use crate::cases::samples::Shape;

/// What a number is written into.
const PLACEHOLDER: &str = "{value}";

/// A whole description.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Description {
    /// Where instances register, normalised.
    pub(super) application_base: String,
    /// Where metrics are written, normalised.
    pub(super) metrics_base: String,
    /// Other noise for each number.
    pub(super) seed: u64,
    pub(super) registrations: Vec<Registration>,
    pub(super) metrics: Vec<Metric>,
}

/// An instance that is registered at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registration {
    pub(super) service_type: String,
    pub(super) id: String,
    /// The name of its unit.
    pub(super) unit: String,
}

/// A metric of a type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Metric {
    pub(super) service_type: String,
    /// The key.
    pub(super) name: String,
    pub(super) whose: Whose,
    pub(super) template: Template,
    /// At least one.
    pub(super) phases: Vec<Phase>,
}

/// Which series a metric has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// One for the whole type.
    Type,
    /// One for each of these instances.
    Instances(Vec<String>),
}

/// A stretch of time in which values go one way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phase {
    pub(super) shape: Shape,
    /// Each value is off by so much at most, up or down.
    pub(super) noise: f64,
    /// From sample to sample, at least a millisecond.
    pub(super) every: SignedDuration,
    /// How many samples, at least one.
    pub(super) count: usize,
    /// From its first sample to that of the next phase.
    pub(super) length: SignedDuration,
}

impl Description {
    /// From the first sample to the last one.
    pub(super) fn length(&self) -> SignedDuration {
        self.metrics.iter().map(Metric::length).max().unwrap_or_default()
    }

    /// How many samples there are in all.
    pub(super) fn samples(&self) -> usize {
        self.metrics.iter().map(|metric| metric.series() * metric.samples()).sum()
    }
}

impl Registration {
    /// Its key.
    pub(super) fn key(&self, base: &str) -> String {
        format!("{base}/{}/{}/service_instance_name", self.service_type, self.id)
    }
}

impl Metric {
    /// How many series it has.
    pub(super) fn series(&self) -> usize {
        match &self.whose {
            Whose::Type => 1,
            Whose::Instances(ids) => ids.len(),
        }
    }

    /// How many samples a series has.
    pub(super) fn samples(&self) -> usize {
        self.phases.iter().map(|phase| phase.count).sum()
    }

    fn length(&self) -> SignedDuration {
        let Some((last, before)) = self.phases.split_last() else { return SignedDuration::ZERO };
        let start = before.iter().fold(SignedDuration::ZERO, |sum, phase| sum.saturating_add(phase.length));
        start.saturating_add(last.after(last.count.saturating_sub(1)))
    }

    /// What the keys of its series begin with, up to the time.
    pub(super) fn folders(&self, base: &str) -> Vec<String> {
        let folder = format!("{base}/{}", self.service_type);
        match &self.whose {
            Whose::Type => vec![format!("{folder}/{}", self.name)],
            Whose::Instances(ids) => ids.iter().map(|id| format!("{folder}/{id}/{}", self.name)).collect(),
        }
    }
}

impl Phase {
    /// When sample `index` is due, after the phase began.
    pub(super) fn after(&self, index: usize) -> SignedDuration {
        i32::try_from(index)
            .ok()
            .and_then(|index| self.every.checked_mul(index))
            .unwrap_or(SignedDuration::MAX)
    }

    /// The value of sample `index`.
    pub(super) fn value(&self, index: usize, random: &mut fastrand::Rng) -> f64 {
        // A wave is lowest at the epoch, so that with this it is lowest where the phase begins.
        let time = Timestamp::UNIX_EPOCH.saturating_add(self.after(index)).unwrap_or(Timestamp::MAX);
        let off = if self.noise > 0.0 { (random.f64() * 2.0 - 1.0) * self.noise } else { 0.0 };
        self.shape.at(index, self.count, time) + off
    }
}

impl fmt::Display for Phase {
    /// For people: `20 to 95 for 30s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Values(values) => match &**values {
                [value] => write!(f, "{value}")?,
                _ => write!(f, "{} values", values.len())?,
            },
            Shape::Ramp(from, to) => write!(f, "{from} to {to}")?,
            Shape::Wave { low, high, period } => {
                write!(f, "between {low} and {high} every {}", written(*period))?;
            }
        }
        if self.noise > 0.0 {
            write!(f, ", give or take {}", self.noise)?;
        }
        write!(f, ", for {}", written(self.length))
    }
}

/// What a value looks like in etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(String);

impl Default for Template {
    /// The number alone.
    fn default() -> Self {
        Self(PLACEHOLDER.to_owned())
    }
}

impl Template {
    /// Takes a text with at least one placeholder that is JSON with a number in its place.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if !text.contains(PLACEHOLDER) {
            return Err(format!("has no `{PLACEHOLDER}`"));
        }
        let template = Self(text.to_owned());
        // A digit in front of a number is part of it, unless that is negative.
        for value in [1.5, -1.5] {
            serde_json::from_str::<serde::de::IgnoredAny>(&template.fill(value))
                .map_err(|error| format!("is no JSON with {value} in it: {error}"))?;
        }
        Ok(template)
    }

    /// The text with a number in it.
    pub(super) fn fill(&self, value: f64) -> String {
        self.0.replace(PLACEHOLDER, &value.to_string())
    }
}
