//! What an adjustment comes to.

use crate::{AdjustmentType, Config};

/// How many instances there are to be, if there are `count` and a step says `adjustment`.
///
/// As with AWS, a percentage above 1 instance is rounded down, and one below it up to 1, in either direction; the minimum
/// magnitude raises what is left.
pub(crate) fn adjusted(config: &Config, count: u32, adjustment: i32) -> u32 {
    let change = match config.adjustment_type {
        AdjustmentType::ExactCapacity => return u32::try_from(adjustment).unwrap_or(0),
        AdjustmentType::ChangeInCapacity => i64::from(adjustment),
        AdjustmentType::PercentChangeInCapacity => percent(config, count, adjustment),
    };
    let wanted = (i64::from(count) + change).clamp(0, i64::from(u32::MAX));
    u32::try_from(wanted).unwrap_or(u32::MAX)
}

fn percent(config: &Config, count: u32, adjustment: i32) -> i64 {
    let exact = i64::from(count) * i64::from(adjustment);
    let rounded = match exact {
        0 => 0,
        1..100 => 1,
        -99..0 => -1,
        _ => exact / 100,
    };
    let least = i64::from(config.min_adjustment_magnitude);
    match adjustment.signum() {
        1 => rounded.max(least),
        -1 => rounded.min(-least),
        _ => 0,
    }
}
