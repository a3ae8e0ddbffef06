//! Samples that are described and not listed: a ramp, a wave, noise; and those of a recorded file.
//!
//! The same description gives the same samples on every run.

use dynamite_core::Sample;
use jiff::{SignedDuration, Timestamp};

use crate::metrics::parse_timestamp;

/// The most samples of one series: a day and more at ten seconds.
pub(super) const COUNT_MAX: usize = 10_000;

/// How a value goes over time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    /// These values; the last one stays.
    Values(Vec<f64>),
    /// From the first to the second, in a straight line.
    Ramp(f64, f64),
    /// Up and down between the two, and lowest when a whole number of periods has passed since 1970 (UTC).
    Wave {
        /// The lowest value.
        low: f64,
        /// The highest one.
        high: f64,
        /// From one lowest value to the next; positive.
        period: SignedDuration,
    },
}

impl Shape {
    /// The lowest value that there is.
    pub(super) fn lowest(&self) -> f64 {
        match self {
            Self::Values(values) => values.iter().copied().fold(f64::INFINITY, f64::min),
            Self::Ramp(one, other) | Self::Wave { low: one, high: other, .. } => one.min(*other),
        }
    }

    /// Whether all values are finite, also when each is off by up to `noise`.
    pub(crate) fn is_finite(&self, noise: f64) -> bool {
        let fits = |value: &f64| (value.abs() + noise).is_finite();
        match self {
            Self::Values(values) => values.iter().all(fits),
            Self::Ramp(from, to) => fits(from) && fits(to),
            Self::Wave { low, high, .. } => fits(low) && fits(high) && (high - low).is_finite(),
        }
    }

    /// The value number `index` of `count`, from 0, at this time.
    pub(crate) fn at(&self, index: usize, count: usize, time: Timestamp) -> f64 {
        match self {
            Self::Values(values) => values.get(index).or(values.last()).copied().unwrap_or(0.0),
            Self::Ramp(from, to) => {
                let share = if count < 2 { 1.0 } else { as_f64(index) / as_f64(count - 1) };
                // Exact at both ends.
                from * (1.0 - share) + to * share
            }
            Self::Wave { low, high, period } => {
                let elapsed = time.duration_since(Timestamp::UNIX_EPOCH).as_millis();
                let phase = elapsed.rem_euclid(period.as_millis().max(1));
                #[expect(clippy::cast_precision_loss, reason = "milliseconds of a period fit")]
                let turn = phase as f64 / period.as_millis().max(1) as f64;
                let height = (1.0 - (turn * std::f64::consts::TAU).cos()) / 2.0;
                (low + (high - low) * height).clamp(low.min(*high), low.max(*high))
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most COUNT_MAX")]
fn as_f64(index: usize) -> f64 {
    index as f64
}

/// Samples at equal distances.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Generator {
    /// How the values go.
    pub(super) shape: Shape,
    /// The distance; positive.
    pub(super) every: SignedDuration,
    /// How many.
    pub(super) count: usize,
    /// Each value is off by so much at most, up or down.
    pub(super) noise: f64,
    /// Other noise for each number.
    pub(super) seed: u64,
}

impl Generator {
    /// The samples, oldest first, of which the newest has this time.
    pub(super) fn samples(&self, newest: Timestamp) -> Vec<Sample> {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let sample = |index: usize| {
            let back = i32::try_from(self.count - 1 - index).unwrap_or(i32::MAX);
            let at = self.every.checked_mul(back).and_then(|back| newest.checked_sub(back).ok())?;
            let off = if self.noise > 0.0 { (random.f64() * 2.0 - 1.0) * self.noise } else { 0.0 };
            Some(Sample { at, value: self.shape.at(index, self.count, at) + off })
        };
        (0..self.count).filter_map(sample).collect()
    }
}

/// Samples written as lines `time,value`, in the order of the file. The time is RFC 3339, or unix seconds or milliseconds.
/// Empty lines and those that start with `#` are skipped, and so is the first line if it names the columns.
///
/// # Errors
/// The number of the line that is none of these, and what is wrong with it.
pub(super) fn recorded(text: &str) -> Result<Vec<Sample>, (usize, String)> {
    let mut samples = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| (index + 1, what.to_owned());
        let Some((time, value)) = line.split_once(',') else {
            return Err(wrong("it is not `time,value`"));
        };
        let (time, value) = (time.trim().trim_matches('"'), value.trim().trim_matches('"'));
        let Some(at) = parse_timestamp(time) else {
            let is_header = samples.is_empty() && value.parse::<f64>().is_err();
            if is_header {
                continue;
            }
            return Err(wrong("the first column is no time"));
        };
        let number = value.parse().ok().filter(|value: &f64| value.is_finite());
        samples.push(Sample { at, value: number.ok_or_else(|| wrong("the second column is no number"))? });
        if samples.len() > COUNT_MAX {
            return Err(wrong(&format!("there are more than {COUNT_MAX} samples")));
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_268_800 + second).unwrap()
    }

    fn generator(shape: Shape, count: usize) -> Generator {
        Generator { shape, every: SignedDuration::from_secs(10), count, noise: 0.0, seed: 0 }
    }

    #[test]
    fn values_end_at_the_given_time() {
        let samples = generator(Shape::Values(vec![1.0, 2.0]), 2).samples(at(0));
        assert_eq!(samples, [Sample { at: at(-10), value: 1.0 }, Sample { at: at(0), value: 2.0 }]);
    }

    #[test]
    fn a_wave_is_lowest_at_the_start_of_its_period() {
        let wave = Shape::Wave { low: 10.0, high: 30.0, period: SignedDuration::from_hours(24) };
        let hour = |hour: i64| wave.at(0, 1, at(hour * 3600 - 43_200));
        assert!((hour(0) - 10.0).abs() < 1e-9, "midnight");
        assert!((hour(6) - 20.0).abs() < 1e-9);
        assert!((hour(12) - 30.0).abs() < 1e-9);
    }

    #[test]
    fn a_recorded_file_has_a_header_or_none() {
        let text = "time,value\n# a comment\n2026-01-01T12:00:00Z,1.5\n\n1767268810,2\n";
        let samples = recorded(text).unwrap();
        assert_eq!(samples, [Sample { at: at(0), value: 1.5 }, Sample { at: at(10), value: 2.0 }]);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (text, line) in
            [("1767268810", 1), ("1767268810,1\nyesterday,2", 2), ("t,v\n\n1767268810,NaN", 3)]
        {
            assert_eq!(recorded(text).unwrap_err().0, line, "{text}");
        }
    }

    fn shape() -> impl Strategy<Value = Shape> {
        let number = || -1e6..1e6_f64;
        prop_oneof![
            prop::collection::vec(number(), 1..50).prop_map(Shape::Values),
            (number(), number()).prop_map(|(from, to)| Shape::Ramp(from, to)),
            (number(), number(), 1..100_000_i64).prop_map(|(low, high, seconds)| Shape::Wave {
                low,
                high,
                period: SignedDuration::from_secs(seconds)
            }),
        ]
    }

    proptest! {
        #[test]
        fn samples_are_ordered_end_in_time_and_stay_within_their_range(
            shape in shape(), count in 1..200_usize, every_ms in 1..100_000_i64, noise in 0.0..10.0_f64, seed: u64,
        ) {
            let every = SignedDuration::from_millis(every_ms);
            let generator = Generator { shape: shape.clone(), every, count, noise, seed };
            let samples = generator.samples(at(0));
            prop_assert_eq!(samples.len(), count);
            prop_assert_eq!(samples[count - 1].at, at(0));
            prop_assert!(samples.windows(2).all(|pair| pair[1].at.duration_since(pair[0].at) == every));
            let (low, high) = match &shape {
                Shape::Values(values) => (
                    values.iter().copied().fold(f64::INFINITY, f64::min),
                    values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                ),
                Shape::Ramp(a, b) | Shape::Wave { low: a, high: b, .. } => (a.min(*b), a.max(*b)),
            };
            let slack = noise + 1e-6;
            prop_assert!(samples.iter().all(|sample| (low - slack..=high + slack).contains(&sample.value)));
            prop_assert_eq!(generator.samples(at(0)), samples, "the same again");
        }

        #[test]
        fn a_ramp_is_exact_at_both_ends(from in -1e6..1e6_f64, to in -1e6..1e6_f64, count in 2..100_usize) {
            let samples = generator(Shape::Ramp(from, to), count).samples(at(0));
            prop_assert_eq!((samples[0].value, samples[count - 1].value), (from, to));
        }
    }
}
