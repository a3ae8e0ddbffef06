//! Keeps what each instance carries at a target: as many instances as the ratio of the two asks for.

use dynamite_policy::prelude::*;

/// What stands under `config:`. The comments are shown by `dynamite policy inspect`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// What each instance should carry, in the unit of the metric.
    target: f64,
    /// How far off the target is near enough, as a share of it.
    #[serde(default = "tolerance")]
    tolerance: f64,
}

fn tolerance() -> f64 {
    0.1
}

struct {{Type}};

impl Policy for {{Type}} {
    type Config = Config;
    type State = (); // What is remembered until the next decision: any type with serde's traits and a default.

    fn validate(config: &Config) -> Result<(), String> {
        if config.target > 0.0 { Ok(()) } else { Err("`target` must be greater than 0".to_owned()) }
    }

    fn decide(config: &Config, seen: &Observation, (): &mut ()) -> Result<Verdict, String> {
        let window = seen.first_window()?;
        // What has had no sample for half a minute is of an instance that is gone.
        let fresh = window.all().fresh(seen.ago(Duration::from_secs(30)));
        let Some(mean) = fresh.mean_of(|samples| samples.mean()) else { return Ok(hold("no samples")) };
        let ratio = mean / config.target;
        let reason = format!("{} is {mean:.1}, {ratio:.2} of the target", window.metric);
        if (ratio - 1.0).abs() <= config.tolerance {
            return Ok(hold(reason));
        }
        Ok(scale_to(seen.service.count_for(ratio), reason))
    }
}

export_policy!({{Type}});

// Not in a module, where nothing could run them.
#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use dynamite_policy::testing::{Run, observation, series, window};

    use super::*;

    fn decide(count: u32, value: f64) -> Decision {
        let seen = observation(count).with_window(window("cpu_user").with_series(series("a", &[value])));
        Run::<{{Type}}>::new(r#"{"target": 60}"#).unwrap().decide(&seen).unwrap().decision
    }

    #[test]
    fn twice_the_target_takes_twice_the_instances() {
        assert_eq!(decide(3, 120.0), Decision::ScaleTo(6));
    }

    #[test]
    fn near_the_target_nothing_changes() {
        assert_eq!(decide(3, 65.0), Decision::Hold);
    }

    #[test]
    fn a_target_of_nothing_is_refused() {
        assert!(Run::<{{Type}}>::new(r#"{"target": 0}"#).is_err());
    }
}
