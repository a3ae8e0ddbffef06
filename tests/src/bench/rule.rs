//! The rule that policies are measured with: the mean of each series over a threshold, for 10 series of 60 samples.

use dynamite_core::{
    InstanceState, Observation, Proposal, SeenInstance, SeenSeries, SeenService, SeenWindow, Verdict,
};
use jiff::Timestamp;

/// Series in what is seen.
pub const SERIES: u32 = 10;
/// Samples in each.
pub const SAMPLES: u32 = 60;
/// Above all values in what is seen.
pub const THRESHOLD: f64 = 80.0;
/// The configuration of the modules.
pub const CONFIG: &str = r#"{"threshold": 80}"#;

/// What the policy sees: ten instances, each with five minutes of samples that are five seconds apart.
#[must_use]
pub fn seen() -> Observation {
    let now = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(1_700_000_000);
    let now_ms = 1_700_000_000_000;
    let unit = |number: u32| format!("apache@{}.service", 8080 + number);
    let series = (0..SERIES).map(|number| SeenSeries {
        id: format!("i-{number:08}").into(),
        instance: Some(unit(number).into()),
        at_ms: (0..SAMPLES).map(|sample| now_ms - u64::from(SAMPLES - 1 - sample) * 5_000).collect(),
        values: (0..SAMPLES).map(|sample| 40.0 + f64::from((number * 7 + sample * 13) % 37)).collect(),
    });
    let window = SeenWindow {
        service_type: "webserver".into(),
        metric: "cpu_user".into(),
        unit: "percent".into(),
        aggregated: false,
        length_ms: 300_000,
        series: series.collect(),
    };
    let instances = (0..SERIES).map(|number| SeenInstance {
        name: unit(number),
        number: 8080 + number,
        state: InstanceState::Running,
        since: now,
    });
    let service = SeenService {
        name: "apache".into(),
        service_type: "webserver".into(),
        min: 1,
        max: Some(20),
        instances: instances.collect(),
    };
    Observation { now, service, windows: vec![window], last_up: None, last_down: None }
}

/// The rule in Rust.
#[must_use]
pub fn native(seen: &Observation, threshold: f64) -> Verdict {
    let mut over = 0;
    for series in seen.windows.iter().flat_map(|window| &window.series) {
        #[expect(clippy::cast_precision_loss, reason = "they are few")]
        let count = series.values.len() as f64;
        if series.values.iter().sum::<f64>() > threshold * count {
            over += 1;
        }
    }
    let proposal = if over > 0 { Proposal::Up(1) } else { Proposal::Hold };
    Verdict {
        proposal,
        reason: format!("{over} series are over {threshold}"),
        state: Vec::new(),
        wake_at: None,
    }
}
