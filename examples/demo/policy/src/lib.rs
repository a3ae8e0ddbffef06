//! As many instances as bring each one's share of the load to a target, in whole numbers: `{"target": 60}`.
//!
//! The module is part of `dynamite`, for its demo, and so is kept small: it uses the bare bindings and prints whole numbers only.
//! [`examples/rust-policy`](../../../rust-policy) is the same idea as one would write it, with the SDK.

#![cfg(target_family = "wasm")]

use dynamite_policy::bindings::dynamite::policy::types::{InstanceState, Verdict};
use dynamite_policy::bindings::{Guest, export_component};
use dynamite_policy::{Decision, Description, Observation};

struct KeepShare;

impl Guest for KeepShare {
    fn describe() -> Description {
        Description {
            name: "keep-share".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "As many instances as bring each one's share of the load to a target".to_owned(),
            config_schema: concat!(
                r#"{"type": "object", "required": ["target"], "additionalProperties": false, "#,
                r#""properties": {"target": {"type": "integer", "minimum": 1, "maximum": 1000000}}}"#
            )
            .to_owned(),
        }
    }

    fn validate(config: String) -> Result<(), String> {
        target(&config).map(|_| ())
    }

    fn decide(config: String, seen: Observation, state: Vec<u8>) -> Result<Verdict, String> {
        let (decision, reason) = decide(target(&config)?, &seen);
        Ok(Verdict { decision, reason, state, wake_at: None })
    }
}

fn decide(target: u32, seen: &Observation) -> (Decision, String) {
    let instances = seen.service.instances.iter();
    let there = instances.filter(|instance| instance.state != InstanceState::Stopping);
    let (mut count, mut changed) = (0_u32, 0);
    for instance in there {
        if instance.state != InstanceState::Running {
            return (Decision::Hold, "an instance is on its way".to_owned());
        }
        count += 1;
        changed = changed.max(instance.since);
    }
    let last =
        [&seen.last_scale_up, &seen.last_scale_down].into_iter().flatten().map(|action| action.at).max();
    let series = seen.windows.iter().flat_map(|window| &window.series);
    let newest = series.filter_map(|series| Some((*series.at.last()?, *series.values.last()?)));
    // What was measured with other instances would be counted twice.
    let fresh = newest.filter(|(at, _)| *at > changed.max(last.unwrap_or(0)));
    let (sum, samples) = fresh.fold((0.0, 0_u32), |(sum, samples), (_, value)| (sum + value, samples + 1));
    if samples == 0 {
        return (Decision::Hold, "nothing was measured since the last change".to_owned());
    }
    let share = sum / f64::from(samples);
    let load = share * f64::from(count);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    let (shown, wanted) = (share as u32, (load / f64::from(target)).ceil() as u32);
    // A tenth off is near enough, so that noise scales nothing.
    let off = share - f64::from(target);
    if wanted == count || off.abs() * 10.0 <= f64::from(target) {
        return (Decision::Hold, format!("each has {shown}, the target is {target}"));
    }
    (Decision::ScaleTo(wanted), format!("each of {count} has {shown}, the target is {target}"))
}

/// The one number of the configuration, which its schema has checked.
fn target(config: &str) -> Result<u32, String> {
    let digits: String = config.chars().filter(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|target| *target > 0).ok_or_else(|| "`target` is no number".to_owned())
}

export_component!(KeepShare with_types_in dynamite_policy::bindings);
