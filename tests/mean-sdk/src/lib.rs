//! The policy `mean` again, as an author would write it: what it takes more than that is what the SDK takes.

use dynamite_policy::prelude::*;

/// The configuration.
#[derive(Debug, Deserialize, JsonSchema)]
struct Config {
    /// The mean above which a series is too high.
    threshold: f64,
}

struct Mean;

impl Policy for Mean {
    type Config = Config;
    type State = ();

    fn decide(config: &Config, seen: &Observation, (): &mut ()) -> Result<Verdict, String> {
        let threshold = config.threshold;
        let means = seen.first_window()?.all().of_each(Samples::mean);
        let over = means.iter().filter(|mean| **mean > threshold).count();
        let reason = format!("{over} series are over {threshold}");
        Ok(if over > 0 { scale_up(1, reason) } else { hold(reason) })
    }
}

export_policy!(Mean);
