//! Cooldowns, as those of AWS: what was started lately counts towards a further step up, and no step down is taken
//! meanwhile, nor soon after another one.

use dynamite_policy::prelude::*;

use crate::Config;

/// What is remembered of steps up that follow each other within a cooldown.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub struct Climb {
    /// When the last of them was.
    last: Timestamp,
    /// How many instances there were before the first of them.
    base: u32,
}

impl Climb {
    /// Takes note of a scaling up since the last call, and returns the number of instances from before the steps up that are
    /// still cooling down; none if none is.
    pub(crate) fn note(climb: &mut Option<Self>, config: &Config, seen: &Observation) -> Option<u32> {
        let cooling = |at: Timestamp, since: Timestamp| {
            at.saturating_sub(since) < millis(config.scale_up_cooldown_seconds)
        };
        if let Some(action) = seen.last_scale_up
            && climb.is_none_or(|climb| climb.last < action.at)
        {
            let base = climb.filter(|climb| cooling(action.at, climb.last)).map(|climb| climb.base);
            *climb = Some(Self { last: action.at, base: base.unwrap_or(action.instances_before) });
        }
        *climb = climb.filter(|climb| cooling(seen.now, climb.last));
        climb.map(|climb| climb.base)
    }
}

/// For how many seconds no step down is taken, and what for; none if one may be.
pub(crate) fn blocks_down(config: &Config, seen: &Observation) -> Option<(u64, &'static str)> {
    let left = |action: Option<Action>, seconds: u64| {
        let until = action?.at.saturating_add(millis(seconds));
        Some(until.saturating_sub(seen.now).div_ceil(1_000)).filter(|&left| left > 0)
    };
    let up = left(seen.last_scale_up, config.scale_up_cooldown_seconds).map(|left| (left, "scaling up"));
    let down =
        left(seen.last_scale_down, config.scale_down_cooldown_seconds).map(|left| (left, "scaling down"));
    up.max(down)
}

fn millis(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000)
}
