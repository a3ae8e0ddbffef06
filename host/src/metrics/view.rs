//! What policies in modules see of a metric.

use jiff::{SignedDuration, Timestamp};

use super::{Metrics, SILENCE, Series, Signal};
use crate::config::MetricWindow;
use crate::scaling::{Sample, SeenSeries, SeenWindow};

/// How much longer than its window a series is shown that is silent: the clocks of those who write may be behind.
const BEHIND_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Until when a policy in a module is shown a series that was heard last then, over so long. What is gone must not count
/// for ever; a window of no length has the newest sample, however old.
#[must_use]
pub fn shown_until(heard: Timestamp, span: SignedDuration) -> Timestamp {
    let patience = if span.is_zero() { Some(SILENCE) } else { span.checked_add(BEHIND_MAX) };
    heard.saturating_add(patience.unwrap_or(SignedDuration::MAX)).unwrap_or(Timestamp::MAX)
}

/// What is known of whoever writes a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writer {
    /// No instance of that id has registered.
    Unknown,
    /// The service's unit of this name.
    Own(String),
    /// Another service of the same type: the policy is not shown the series.
    Foreign,
}

impl Metrics {
    /// The window of a policy on a signal at `now`. `writer` says of each instance id whose it is. Costs as much as it
    /// returns, plus the sorting of its series.
    #[must_use]
    pub fn seen(
        &self,
        signal: Signal,
        window: &MetricWindow,
        now: Timestamp,
        writer: impl Fn(&str) -> Writer,
    ) -> SeenWindow {
        let topic = &self.topics[signal.topic.0 as usize];
        let mut series: Vec<SeenSeries> = topic
            .series
            .values()
            .filter_map(|id| {
                let series =
                    self.series.get(id).filter(|series| now <= shown_until(series.heard, window.span))?;
                let writer = if window.aggregated { Writer::Unknown } else { writer(&series.instance) };
                let instance = match writer {
                    Writer::Unknown => None,
                    Writer::Own(unit) => Some(unit),
                    Writer::Foreign => return None,
                };
                series.seen(signal.field, window, instance)
            })
            .collect();
        series.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        SeenWindow {
            service_type: window.service_type.clone(),
            metric: window.metric.to_string(),
            unit: window.unit.clone().unwrap_or_default(),
            aggregated: window.aggregated,
            length_ms: u64::try_from(window.span.as_millis()).unwrap_or(0),
            series,
        }
    }
}

impl Series {
    fn seen(&self, field: usize, window: &MetricWindow, instance: Option<String>) -> Option<SeenSeries> {
        let samples = &self.windows[field];
        let newest = samples.newest()?;
        let oldest = newest.at.saturating_sub(window.span).unwrap_or(Timestamp::MIN);
        let (at_ms, values) = samples.from(oldest).map(|Sample { at, value }| (to_ms(at), value)).unzip();
        Some(SeenSeries { id: self.instance.to_string(), instance, at_ms, values })
    }
}

/// Milliseconds since the epoch; 0 for what is before it.
fn to_ms(at: Timestamp) -> u64 {
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}
