//! What a policy sees besides samples: the time, the service, and its instances.

use std::time::Duration;

use crate::{Instance, InstanceState, Observation, Service, Timestamp, Window};

impl Observation {
    /// The window of a metric, as it is written in the configuration.
    pub fn window(&self, metric: &str) -> Result<&Window, String> {
        self.windows.iter().find(|window| window.metric == metric).ok_or_else(|| {
            let named: Vec<&str> = self.windows.iter().map(|window| window.metric.as_str()).collect();
            format!("there is no metric `{metric}`; the policy has: {}", named.join(", "))
        })
    }

    /// The window of the first metric that is configured.
    pub fn first_window(&self) -> Result<&Window, String> {
        self.windows.first().ok_or_else(|| "the policy has no metric configured".to_owned())
    }

    /// The window of that metric if one is named, else the first.
    pub fn window_or_first(&self, metric: Option<&str>) -> Result<&Window, String> {
        metric.map_or_else(|| self.first_window(), |metric| self.window(metric))
    }

    /// The time that long before now.
    #[must_use]
    pub fn ago(&self, span: Duration) -> Timestamp {
        self.now.saturating_sub(millis(span))
    }

    /// The time that long after now.
    #[must_use]
    pub fn later(&self, span: Duration) -> Timestamp {
        self.now.saturating_add(millis(span))
    }
}

impl Service {
    /// How many instances a decision counts from: all that are not stopping.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.counted().count()).unwrap_or(u32::MAX)
    }

    /// The instances that are not stopping, by number.
    #[must_use]
    pub fn counted(&self) -> impl DoubleEndedIterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.state != InstanceState::Stopping)
    }

    /// The instances that are up, by number.
    #[must_use]
    pub fn running(&self) -> impl DoubleEndedIterator<Item = &Instance> {
        self.instances.iter().filter(|instance| instance.state == InstanceState::Running)
    }

    /// The instance with this unit name.
    #[must_use]
    pub fn instance(&self, name: &str) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.name == name)
    }

    /// The number of instances within the bounds that is nearest to `count`.
    #[must_use]
    pub fn clamp(&self, count: u32) -> u32 {
        count.min(self.max_instances.unwrap_or(u32::MAX)).max(self.min_instances)
    }

    /// The number of instances within the bounds for the load of `ratio` times what all that count now should carry: they
    /// times the ratio, rounded up. As many as there are if the ratio is no number.
    #[must_use]
    pub fn count_for(&self, ratio: f64) -> u32 {
        if ratio.is_nan() {
            return self.clamp(self.count());
        }
        self.clamp(round_up(f64::from(self.count()) * ratio))
    }
}

/// The number of instances that is enough for `value` of them: the next whole one. What is too small or too large becomes
/// the smallest or the largest, and what is no number becomes 0.
///
/// What is above a whole number by less than the error of floating-point arithmetic is that number: 3 x 0.1 / 0.1 is 3.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, which is wanted"
)]
pub fn round_up(value: f64) -> u32 {
    (value - value.abs() * 1e-12).ceil() as u32
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
