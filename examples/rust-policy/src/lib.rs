//! As many instances as keep the load of each at a target: the twin of the policies in Python, JavaScript and C.

use dynamite_policy::prelude::*;

/// The configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The load that one instance should have.
    #[schemars(extend("exclusiveMinimum" = 0))]
    target: f64,
}

/// A series that has had no sample for so long is of an instance that is gone.
const STALE: Duration = Duration::from_mins(1);

/// The policy.
#[derive(Debug)]
pub struct KeepLoad;

impl Policy for KeepLoad {
    type Config = Config;
    type State = ();

    fn validate(config: &Config) -> Result<(), String> {
        if config.target > 0.0 { Ok(()) } else { Err("`target` must be above 0".to_owned()) }
    }

    fn decide(config: &Config, seen: &Observation, (): &mut ()) -> Result<Verdict, String> {
        let window = seen.first_window()?;
        let fresh = window.all().fresh(seen.ago(STALE));
        let Some(load) = fresh.newest().mean() else {
            return Ok(hold(format!("{} has no samples", window.metric)));
        };
        let ratio = load / config.target;
        let reason = format!("{} is {load:.1}, {ratio:.2} of the target {:.1}", window.metric, config.target);
        Ok(scale_to(seen.service.count_for(ratio), reason))
    }
}

export_policy!(KeepLoad);

#[test]
fn twice_the_load_takes_twice_the_instances() {
    use dynamite_policy::testing::{Run, observation, series, window};

    let seen = observation(3).with_window(window("cpu_user").with_series(series("a", &[60.0, 120.0])));
    let verdict = Run::<KeepLoad>::new(r#"{"target": 60}"#).unwrap().decide(&seen).unwrap();
    assert_eq!(verdict.decision, Decision::ScaleTo(6));
    assert_eq!(verdict.reason, "cpu_user is 120.0, 2.00 of the target 60.0");
}
