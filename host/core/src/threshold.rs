//! The built-in threshold policy: it fires when every sample of a series satisfied the comparison for a whole period.
//!
//! Time is the time of the samples, so that a replay decides alike.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Sample;

/// How a value is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

impl Operator {
    /// Whether `value` stands in this relation to `threshold`.
    #[must_use]
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
            Self::Greater => value > threshold,
            Self::GreaterOrEqual => value >= threshold,
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

/// What a threshold policy decides by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ThresholdRule {
    /// The comparison a sample must satisfy.
    pub operator: Operator,
    /// What it is compared with; finite.
    pub threshold: f64,
    /// How long samples must satisfy it without exception; not negative.
    pub period: SignedDuration,
    /// How long after firing the policy neither fires nor starts a period; not negative.
    pub cooldown: SignedDuration,
}

/// What one sample did to a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sample does not satisfy the comparison.
    Calm,
    /// It does, but the policy cools down until then: no period starts.
    CoolingDown(Timestamp),
    /// It does, as all have since then, and the period is not over.
    Waiting(Timestamp),
    /// It does, as all have since then, for the whole period.
    Fired(Timestamp),
}

/// When a policy last fired and until when it cools down, in sample time. Outlives a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cooldown {
    /// The time of the sample that fired.
    pub fired_at: Timestamp,
    /// From this sample time on the policy may fire again.
    pub until: Timestamp,
}

impl Cooldown {
    /// The cooldown that starts when a policy acts and rests for so long. Saturates at the end of time.
    #[must_use]
    pub fn after(rest: SignedDuration, fired_at: Timestamp) -> Self {
        Self { fired_at, until: fired_at.saturating_add(rest).unwrap_or(Timestamp::MAX) }
    }

    fn covers(&self, at: Timestamp) -> bool {
        // The sample that fired is spent, also when the cooldown is zero and it is read again after a restart.
        at < self.until || at <= self.fired_at
    }
}

/// One policy in one direction of one service: a trigger for each series, and a cooldown for all of them.
///
/// `K` tells series apart.
#[derive(Clone, Debug)]
pub struct Threshold<K> {
    rule: ThresholdRule,
    /// Since when each triggered series has satisfied the comparison.
    triggered_since: BTreeMap<K, Timestamp>,
    cooldown: Option<Cooldown>,
}

impl<K: Ord> Threshold<K> {
    /// A policy with no series triggered, and the cooldown it had before a restart.
    #[must_use]
    pub fn new(rule: ThresholdRule, cooldown: Option<Cooldown>) -> Self {
        Self { rule, triggered_since: BTreeMap::new(), cooldown }
    }

    /// The rule.
    #[must_use]
    pub fn rule(&self) -> &ThresholdRule {
        &self.rule
    }

    /// Folds in the next sample of a series. Samples of one series come in the order of their time.
    ///
    /// Firing changes nothing: whether it had an effect is for the caller to say, with [`Threshold::fired`].
    pub fn step(&mut self, series: K, sample: Sample) -> Outcome {
        if !self.rule.operator.holds(sample.value, self.rule.threshold) {
            self.triggered_since.remove(&series);
            return Outcome::Calm;
        }
        if let Some(cooldown) = self.cooldown.filter(|cooldown| cooldown.covers(sample.at)) {
            return Outcome::CoolingDown(cooldown.until);
        }
        let since = *self.triggered_since.entry(series).or_insert(sample.at);
        if sample.at.duration_since(since) < self.rule.period {
            return Outcome::Waiting(since);
        }
        Outcome::Fired(since)
    }

    /// Starts the cooldown: the series fired with a sample of this time, and an action came of it.
    pub fn fired(&mut self, series: &K, at: Timestamp) {
        self.triggered_since.remove(series);
        self.cooldown = Some(Cooldown::after(self.rule.cooldown, at));
    }

    /// The latest cooldown.
    #[must_use]
    pub fn cooldown(&self) -> Option<Cooldown> {
        self.cooldown
    }

    /// Forgets a series that is gone.
    pub fn forget(&mut self, series: &K) {
        self.triggered_since.remove(series);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CALM: &str = "calm";

    fn rule(period: i64, cooldown: i64) -> ThresholdRule {
        ThresholdRule {
            operator: Operator::Greater,
            threshold: 90.0,
            period: SignedDuration::from_secs(period),
            cooldown: SignedDuration::from_secs(cooldown),
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::new(1_438_089_350 + seconds, 0).unwrap()
    }

    /// Steps through `(series, second, value)`, every firing has its effect, and names the outcomes with seconds.
    fn run(rule: ThresholdRule, samples: &[(char, i64, f64)]) -> Vec<String> {
        let mut policy = Threshold::new(rule, None);
        let second = |time: Timestamp| time.duration_since(at(0)).as_secs();
        samples
            .iter()
            .map(|&(series, second_of, value)| {
                match policy.step(series, Sample { at: at(second_of), value }) {
                    Outcome::Calm => CALM.to_owned(),
                    Outcome::CoolingDown(until) => format!("cooling until {}", second(until)),
                    Outcome::Waiting(since) => format!("waiting since {}", second(since)),
                    Outcome::Fired(since) => {
                        policy.fired(&series, at(second_of));
                        format!("fired since {}", second(since))
                    }
                }
            })
            .collect()
    }

    fn check(rule: ThresholdRule, table: &[(char, i64, f64, &str)]) {
        let samples: Vec<_> =
            table.iter().map(|&(series, second, value, _)| (series, second, value)).collect();
        let expected: Vec<_> = table.iter().map(|&(.., outcome)| outcome.to_owned()).collect();
        assert_eq!(run(rule, &samples), expected);
    }

    #[test]
    fn it_fires_on_the_first_sample_at_the_end_of_the_period() {
        check(
            rule(15, 0),
            &[
                ('a', 0, 95.0, "waiting since 0"),
                ('a', 14, 95.0, "waiting since 0"),
                ('a', 15, 95.0, "fired since 0"),
                ('a', 16, 95.0, "waiting since 16"),
            ],
        );
    }

    #[test]
    fn one_calm_sample_starts_the_period_over() {
        check(
            rule(15, 0),
            &[('a', 0, 95.0, "waiting since 0"), ('a', 14, 90.0, CALM), ('a', 15, 95.0, "waiting since 15")],
        );
    }

    #[test]
    fn period_zero_fires_at_once() {
        check(rule(0, 0), &[('a', 0, 95.0, "fired since 0"), ('a', 1, 95.0, "fired since 1")]);
    }

    #[test]
    fn a_cooldown_is_in_sample_time_and_for_all_series() {
        check(
            rule(0, 60),
            &[
                ('a', 0, 95.0, "fired since 0"),
                ('b', 59, 95.0, "cooling until 60"),
                ('a', 59, 95.0, "cooling until 60"),
                ('b', 60, 95.0, "fired since 60"),
            ],
        );
    }

    #[test]
    fn no_period_starts_in_a_cooldown() {
        check(
            rule(10, 20),
            &[
                ('a', 0, 95.0, "waiting since 0"),
                ('a', 10, 95.0, "fired since 0"),
                ('a', 25, 95.0, "cooling until 30"),
                ('a', 30, 95.0, "waiting since 30"),
                ('a', 40, 95.0, "fired since 30"),
            ],
        );
    }

    #[test]
    fn a_period_of_another_series_outlasts_the_cooldown_unless_a_sample_ends_it() {
        check(
            rule(10, 20),
            &[
                ('a', 0, 95.0, "waiting since 0"),
                ('b', 1, 95.0, "waiting since 1"),
                ('c', 1, 95.0, "waiting since 1"),
                ('a', 10, 95.0, "fired since 0"),
                ('c', 20, 10.0, CALM),
                ('b', 30, 95.0, "fired since 1"),
                ('c', 50, 95.0, "waiting since 50"),
            ],
        );
    }

    #[test]
    fn a_firing_without_effect_leaves_the_trigger() {
        let mut policy = Threshold::new(rule(10, 60), None);
        let mut step = |second| policy.step('a', Sample { at: at(second), value: 95.0 });
        assert_eq!(step(0), Outcome::Waiting(at(0)));
        assert_eq!(step(10), Outcome::Fired(at(0)));
        assert_eq!(step(11), Outcome::Fired(at(0)));
    }

    #[test]
    fn a_cooldown_from_before_a_restart_is_in_force_and_its_sample_is_spent() {
        let kept = Cooldown { fired_at: at(0), until: at(0) };
        let mut policy = Threshold::new(rule(0, 0), Some(kept));
        assert_eq!(policy.step('a', Sample { at: at(0), value: 95.0 }), Outcome::CoolingDown(at(0)));
        assert_eq!(policy.step('a', Sample { at: at(1), value: 95.0 }), Outcome::Fired(at(1)));
    }

    #[test]
    fn operators_compare_as_their_names_say() {
        let table = [
            (Operator::Less, [true, false, false]),
            (Operator::LessOrEqual, [true, true, false]),
            (Operator::Greater, [false, false, true]),
            (Operator::GreaterOrEqual, [false, true, true]),
        ];
        for (operator, expected) in table {
            assert_eq!([1.0, 2.0, 3.0].map(|value| operator.holds(value, 2.0)), expected, "{operator}");
        }
    }

    proptest! {
        /// What the rule says, said again over the whole history: it fires at a sample exactly when every sample of its
        /// series since some satisfying sample at least a period ago satisfied, none of them in a cooldown at its start.
        #[test]
        fn it_agrees_with_the_rule_said_over_the_whole_history(
            steps in prop::collection::vec((prop::char::range('a', 'c'), 1..8_i64, 85.0..99.0_f64), 1..120),
            period in 0..20_i64,
            cooldown in 0..30_i64,
        ) {
            let mut now = 0;
            let samples: Vec<_> =
                steps.into_iter().map(|(series, gap, value)| { now += gap; (series, now, value) }).collect();
            let outcomes = run(rule(period, cooldown), &samples);
            let mut fired: Vec<(char, i64)> = Vec::new();
            for (index, &(series, second, value)) in samples.iter().enumerate() {
                let cooling = |when: i64| fired.iter().any(|&(_, at)| at < when && when < at + cooldown);
                let spent = fired.iter().rev().find(|(of, _)| *of == series).map_or(-1, |&(_, at)| at);
                let start = samples[..=index].iter().rev()
                    .filter(|(of, ..)| *of == series)
                    .take_while(|&&(_, at, value)| value > 90.0 && at > spent)
                    .filter(|&&(_, at, _)| !cooling(at))
                    .last()
                    .map(|&(_, at, _)| at);
                let fires = value > 90.0 && !cooling(second) && start.is_some_and(|start| second >= start + period);
                prop_assert_eq!(outcomes[index].starts_with("fired"), fires, "sample {} of {:?}", index, samples);
                if fires { fired.push((series, second)); }
            }
        }
    }
}
