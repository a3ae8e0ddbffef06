//! What is remembered: the cooldown, and of each series which samples have been seen and since when it is triggered.

use std::collections::BTreeMap;

use dynamite_policy::prelude::*;

use crate::Config;
use crate::trigger::{self, Cooldown, Outcome};

/// How many bytes of JSON the series may take, of the 64 KiB that a state may have.
const SERIES_BYTES_MAX: usize = 60_000;

/// More than the JSON of a series takes besides its id.
const SERIES_BYTES: usize = 64;

/// After how many milliseconds without a call it has been away: calls follow each sample at once.
const AWAY_MS: u64 = 60_000;

/// What is remembered.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct State {
    /// When it was asked last.
    asked_at: Option<Timestamp>,
    cooldown: Option<Cooldown>,
    series: BTreeMap<String, Trigger>,
}

/// What is remembered of a series.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Trigger {
    /// The time of the newest sample that was seen.
    seen: Option<Timestamp>,
    /// Since when it has satisfied the comparison; none if it does not.
    since: Option<Timestamp>,
}

impl State {
    /// Takes note of a call, and says whether it is the first one, or the first one after a while, so that there are samples
    /// that nobody acted upon in time.
    pub(crate) fn asked(&mut self, now: Timestamp) -> bool {
        let before = self.asked_at.replace(now);
        before.is_none_or(|before| now.saturating_sub(before) > AWAY_MS)
    }

    /// The triggers of the series of a window, in its order.
    pub(crate) fn triggers(&self, window: &Window) -> Vec<Trigger> {
        let of_series = |series: &Series| self.series.get(&series.id).copied().unwrap_or_default();
        window.series.iter().map(of_series).collect()
    }

    /// Folds in the next sample of a series.
    pub(crate) fn step(&self, config: &Config, trigger: &mut Trigger, sample: Sample) -> Outcome {
        let (outcome, since) = trigger::step(config, self.cooldown, trigger.since, sample);
        *trigger = Trigger { seen: Some(sample.at), since };
        outcome
    }

    /// Starts the cooldown: a series fired with a sample of that time, and an action comes of it.
    pub(crate) fn fired(&mut self, config: &Config, trigger: &mut Trigger, at: Timestamp) {
        self.cooldown = Some(Cooldown::after(config, at));
        trigger.since = None;
    }

    /// Keeps the triggers of the series of a window, and forgets series that are gone; and, should there be more than there is
    /// room for, those that are not triggered first. A series that is forgotten for want of room is read again from the start
    /// of its window.
    pub(crate) fn keep(&mut self, window: &Window, triggers: Vec<Trigger>) {
        self.series = window.series.iter().map(|series| series.id.clone()).zip(triggers).collect();
        let mut bytes = 0;
        for triggered in [true, false] {
            self.series.retain(|id, trigger| {
                if trigger.since.is_some() != triggered {
                    return true;
                }
                bytes += json_bytes(id) + SERIES_BYTES;
                bytes <= SERIES_BYTES_MAX
            });
        }
    }
}

/// The samples that have not been seen, with the index of their series, in the order of their time.
pub(crate) fn unseen(window: &Window, triggers: &[Trigger]) -> Vec<(usize, Sample)> {
    let mut unseen = Vec::new();
    for (index, (series, trigger)) in window.series.iter().zip(triggers).enumerate() {
        let samples = series.samples();
        let samples = trigger.seen.map_or(samples, |seen| samples.after(seen));
        unseen.extend(samples.iter().map(|sample| (index, sample)));
    }
    unseen.sort_by_key(|(_, sample)| sample.at);
    unseen
}

/// At most that many: a control character takes six, as `\u0000`.
fn json_bytes(id: &str) -> usize {
    id.chars().map(|char| if char.is_control() { 6 } else { char.len_utf8() * 2 }).sum()
}
