//! What the load usually is at each time of a season: of a day, or of a week.

use dynamite_policy::prelude::*;

use crate::Config;

/// The usual load by slots of a season. It is learned from the load at each decision.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Season {
    /// The slot under way, counted from 1970.
    slot: u64,
    /// The sum of what was seen in it.
    sum: f64,
    /// How often something was seen in it.
    count: u32,
    /// The usual load of each slot of a season; none if no such slot has passed.
    usual: Vec<Option<f64>>,
}

impl Season {
    /// Learns what the load is now.
    pub(crate) fn learn(&mut self, config: &Config, now: Timestamp, load: f64) {
        let slots = slots(config);
        if self.usual.len() != slots {
            *self = Self { usual: vec![None; slots], ..Self::default() };
        }
        let slot = now / millis(config.slot_seconds);
        if slot != self.slot {
            self.fold(config.smoothing);
            (self.slot, self.sum, self.count) = (slot, 0.0, 0);
        }
        let sum = self.sum + load;
        if sum.is_finite() {
            (self.sum, self.count) = (sum, self.count.saturating_add(1));
        }
    }

    /// The slot under way is over.
    fn fold(&mut self, smoothing: f64) {
        if self.count == 0 {
            return;
        }
        let seen = self.sum / f64::from(self.count);
        let index = index(self.slot, self.usual.len());
        let usual = &mut self.usual[index];
        *usual = Some(usual.map_or(seen, |usual| usual * (1.0 - smoothing) + seen * smoothing));
    }

    /// The highest load from now to `horizon_seconds` ahead, if it is as usual from `load` on, with the usual load now and
    /// then; none as long as too little is known.
    pub(crate) fn forecast(&self, config: &Config, now: Timestamp, load: f64) -> Option<Forecast> {
        let usual_now = self.usual_at(config, now)?;
        let end = now.saturating_add(millis(config.horizon_seconds));
        let slot = millis(config.slot_seconds);
        // The course is straight between the middles of slots, so its highest point is one of these or an end.
        let middles =
            (now / slot..=end / slot).map(|number| number.saturating_mul(slot).saturating_add(slot / 2));
        let times = middles.filter(|at| (now..=end).contains(at)).chain([end]);
        let highest = times.filter_map(|at| self.usual_at(config, at)).max_by(f64::total_cmp)?;
        let load = load + (highest - usual_now);
        Some(Forecast { load: load.max(0.0), usual_now, usual_then: highest })
    }

    /// On the straight line between the middles of two slots.
    fn usual_at(&self, config: &Config, at: Timestamp) -> Option<f64> {
        if self.usual.len() != slots(config) {
            return None;
        }
        let slot = millis(config.slot_seconds);
        let shifted = at.saturating_sub(slot / 2);
        let known = |number: u64| self.usual[index(number, self.usual.len())];
        let (before, after) = (known(shifted / slot), known((shifted / slot).saturating_add(1)));
        let part =
            Duration::from_millis(shifted % slot).as_secs_f64() / Duration::from_millis(slot).as_secs_f64();
        before.zip(after).map(|(before, after)| before * (1.0 - part) + after * part)
    }
}

/// What a season says of the load to come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forecast {
    /// The highest load until the horizon.
    pub(crate) load: f64,
    /// What is usual now.
    pub(crate) usual_now: f64,
    /// What is usual when the load is highest.
    pub(crate) usual_then: f64,
}

fn slots(config: &Config) -> usize {
    usize::try_from(config.season_seconds / config.slot_seconds).unwrap_or(1)
}

fn index(slot: u64, slots: usize) -> usize {
    usize::try_from(slot % (slots as u64).max(1)).unwrap_or(0)
}

fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000).max(1)
}
