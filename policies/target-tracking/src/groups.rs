//! Which instances a metric speaks of, as the HPA groups its pods.

use dynamite_policy::prelude::*;

use crate::Config;

/// The instances of the service, by what is known of a metric of theirs. Those that stop or have failed are in none of
/// them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Groups {
    /// What those have that are up and have one.
    pub(crate) values: Vec<f64>,
    /// How many are up and have no sample, or only an old one.
    pub(crate) missing: u32,
    /// How many are not up yet, or have no sample from after they came up.
    pub(crate) unready: u32,
}

impl Groups {
    pub(crate) fn of(config: &Config, seen: &Observation, window: &Window) -> Self {
        let mut groups = Self::default();
        for instance in seen.service.counted() {
            let latest = window.of_instance(&instance.name).and_then(|series| current(config, seen, series));
            match (instance.state, latest) {
                (InstanceState::Starting, _) => groups.unready += 1,
                (InstanceState::Running, None) => groups.missing += 1,
                (InstanceState::Running, Some(sample)) => {
                    if initializes(config, seen, instance, sample) {
                        groups.unready += 1;
                    } else {
                        groups.values.push(sample.value);
                    }
                }
                (InstanceState::Failed | InstanceState::Stopping, _) => {}
            }
        }
        // Series of instances that have not registered: they are of some that seem to be without. If there are more of
        // them than of those, some are of instances that are gone, whose newest samples are the oldest.
        let strangers = window.series.iter().filter(|series| series.instance.is_none());
        let mut strangers: Vec<Sample> =
            strangers.filter_map(|series| current(config, seen, series)).collect();
        strangers.sort_by_key(|sample| std::cmp::Reverse(sample.at));
        for sample in strangers.into_iter().take(groups.missing as usize) {
            groups.values.push(sample.value);
            groups.missing -= 1;
        }
        groups
    }
}

/// What a series says now: its newest sample or an average, at the time of the newest; none if that is old.
pub(crate) fn current(config: &Config, seen: &Observation, series: &Series) -> Option<Sample> {
    let samples = series.samples();
    let newest = samples.latest()?;
    if newest.at < seen.ago(Duration::from_secs(config.stale_seconds)) {
        return None;
    }
    if config.average_seconds == 0 {
        return Some(newest);
    }
    let from = newest.at.saturating_sub(config.average_seconds.saturating_mul(1_000));
    samples.since(from).mean().map(|value| Sample { at: newest.at, value })
}

/// Whether an instance came up lately and its sample, or what is averaged into it, is from before.
fn initializes(config: &Config, seen: &Observation, instance: &Instance, sample: Sample) -> bool {
    let young = instance.since > seen.ago(Duration::from_secs(config.initialization_seconds));
    let measured_before =
        sample.at < instance.since.saturating_add(config.average_seconds.saturating_mul(1_000));
    young && measured_before
}
