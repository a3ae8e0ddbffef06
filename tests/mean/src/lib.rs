//! Scales up when the mean of any series is over a threshold: the policy that is measured, `{"threshold": 80}`.
//!
//! It uses the bare bindings and reads its one number by hand, so what it takes is what the interface takes.

#![cfg(target_family = "wasm")]

use dynamite_policy::bindings::dynamite::policy::types::Verdict;
use dynamite_policy::bindings::{Guest, export_component};
use dynamite_policy::{Decision, Description, Observation};

struct Mean;

impl Guest for Mean {
    fn describe() -> Description {
        Description {
            name: "mean".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Scales up when the mean of any series is over a threshold".to_owned(),
            config_schema: String::new(),
        }
    }

    fn validate(config: String) -> Result<(), String> {
        threshold(&config).map(|_| ())
    }

    #[expect(clippy::cast_precision_loss, reason = "no window has so many samples")]
    fn decide(config: String, seen: Observation, state: Vec<u8>) -> Result<Verdict, String> {
        let threshold = threshold(&config)?;
        let series = seen.windows.iter().flat_map(|window| &window.series);
        let over = series
            .filter(|series| series.values.iter().sum::<f64>() > threshold * series.values.len() as f64)
            .count();
        let decision = if over > 0 { Decision::ScaleUp(1) } else { Decision::Hold };
        Ok(Verdict { decision, reason: format!("{over} series are over {threshold}"), state, wake_at: None })
    }
}

fn threshold(config: &str) -> Result<f64, String> {
    let number = config.split_once(':').and_then(|(_, rest)| rest.trim_end_matches('}').trim().parse().ok());
    number.ok_or_else(|| "`threshold` must be a number, and is all there is".to_owned())
}

export_component!(Mean with_types_in dynamite_policy::bindings);
