//! What is remembered: the cooldown, and of each series which samples have been seen and since when it is triggered.

use std::collections::{BTreeMap, BTreeSet};

use dynamite_policy::prelude::*;

use crate::Config;
use crate::trigger::{self, Cooldown, Outcome};

/// How many bytes of JSON the series may take, of the 64 KiB that a state may have.
const SERIES_BYTES_MAX: usize = 60_000;

/// More than the JSON of a series takes besides its id.
const SERIES_BYTES: usize = 64;

/// What is remembered.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct State {
    cooldown: Option<Cooldown>,
    series: BTreeMap<String, Trigger>,
}

/// What is remembered of a series.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
struct Trigger {
    /// The time of the newest sample that was seen.
    seen: Option<Timestamp>,
    /// Since when it has satisfied the comparison; none if it does not.
    since: Option<Timestamp>,
}

impl State {
    /// The samples that have not been seen, in the order of their time.
    pub(crate) fn unseen<'w>(&self, window: &'w Window) -> Vec<(&'w Series, Sample)> {
        let of_series = |series: &'w Series| {
            let seen = self.series.get(&series.id).and_then(|trigger| trigger.seen);
            let samples = seen.map_or_else(|| series.samples(), |seen| series.samples().after(seen));
            samples.iter().map(move |sample| (series, sample))
        };
        let mut unseen: Vec<_> = window.series.iter().flat_map(of_series).collect();
        unseen.sort_by_key(|(_, sample)| sample.at);
        unseen
    }

    /// Folds in the next sample of a series.
    pub(crate) fn step(&mut self, config: &Config, id: &str, sample: Sample) -> Outcome {
        let trigger = self.series.entry(id.to_owned()).or_default();
        let (outcome, since) = trigger::step(config, self.cooldown, trigger.since, sample);
        *trigger = Trigger { seen: Some(sample.at), since };
        outcome
    }

    /// Starts the cooldown: the series fired with a sample of that time, and an action comes of it.
    pub(crate) fn fired(&mut self, config: &Config, id: &str, at: Timestamp) {
        self.cooldown = Some(Cooldown::after(config, at));
        if let Some(trigger) = self.series.get_mut(id) {
            trigger.since = None;
        }
    }

    /// Forgets the series that are gone; and, should there be more than there is room for, those that are not triggered
    /// first. A series that is forgotten for want of room is read again from the start of its window.
    pub(crate) fn forget_all_but(&mut self, window: &Window) {
        let present: BTreeSet<&str> = window.series.iter().map(|series| series.id.as_str()).collect();
        self.series.retain(|id, _| present.contains(id.as_str()));
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

/// At most that many: a control character takes six, as `\u0000`.
fn json_bytes(id: &str) -> usize {
    id.chars().map(|char| if char.is_control() { 6 } else { char.len_utf8() * 2 }).sum()
}
