//! The rule for one sample of one series.

use dynamite_policy::prelude::*;

use crate::Config;

/// What one sample did to a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The sample does not satisfy the comparison.
    Calm,
    /// It does, but the policy cools down until then: no period starts.
    CoolingDown(Timestamp),
    /// It does, as all have since then, and the period is not over.
    Waiting(Timestamp),
    /// It does, as all have since then, for the whole period.
    Fired(Timestamp),
}

/// When the policy last fired and until when it cools down, in sample time.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Cooldown {
    /// The time of the sample that fired.
    pub(crate) fired_at: Timestamp,
    /// From this sample time on the policy may fire again.
    pub(crate) until: Timestamp,
}

impl Cooldown {
    /// The one that starts when a sample of that time fires.
    pub(crate) fn after(config: &Config, fired_at: Timestamp) -> Self {
        Self { fired_at, until: fired_at.saturating_add(millis(config.cooldown_seconds)) }
    }

    fn covers(self, at: Timestamp) -> bool {
        // The sample that fired is spent, also when the cooldown is zero.
        at < self.until || at <= self.fired_at
    }
}

/// Folds in the next sample of a series that has been triggered since `since`: what comes of it, and since when it is
/// triggered now. Firing changes nothing: whether it has an effect is for the caller to say.
pub(crate) fn step(
    config: &Config,
    cooldown: Option<Cooldown>,
    since: Option<Timestamp>,
    sample: Sample,
) -> (Outcome, Option<Timestamp>) {
    if !config.comparative_operator.holds(sample.value, config.threshold) {
        return (Outcome::Calm, None);
    }
    if let Some(cooldown) = cooldown.filter(|cooldown| cooldown.covers(sample.at)) {
        return (Outcome::CoolingDown(cooldown.until), since);
    }
    let start = since.unwrap_or(sample.at);
    if sample.at.saturating_sub(start) < millis(config.period_seconds) {
        return (Outcome::Waiting(start), Some(start));
    }
    (Outcome::Fired(start), Some(start))
}

fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000)
}
