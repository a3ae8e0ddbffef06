//! One series of samples: its window, how far it was shown, and what there is to see of it.

use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp};

use super::later;
use crate::{Sample, SeenSeries, SeriesId, Window, WindowSpec};

/// How long after its window a silent series is kept, by the clock.
const SILENCE: SignedDuration = SignedDuration::from_hours(24);
/// How much longer than its window a series is shown that is silent: the clocks of those who write may be behind.
const BEHIND_MAX: SignedDuration = SignedDuration::from_mins(1);

/// Which signal, in here and for who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SignalIndex(pub(super) usize);

/// One series.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) id: SeriesId,
    pub(super) signal: SignalIndex,
    /// The instance id; empty when the signal is aggregated.
    pub(super) instance: Arc<str>,
    pub(super) window: Window,
    /// Its samples as they were last shown.
    pub(super) columns: OnceLock<Columns>,
    /// Up to which time its samples were shown.
    pub(super) shown: Option<Timestamp>,
    /// When it was last heard of, by the clock.
    pub(super) heard: Timestamp,
    /// It has samples that were not shown yet.
    pub(super) is_held_back: bool,
    /// Its window has let samples go, which is not told yet.
    pub(super) has_let_go: bool,
}

/// The samples of a series over a span, as they are shown.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    span: SignedDuration,
    at_ms: Arc<[u64]>,
    values: Arc<[f64]>,
}

impl Series {
    /// One without samples.
    pub(super) fn new(
        id: SeriesId,
        signal: SignalIndex,
        instance: Arc<str>,
        span: SignedDuration,
        heard: Timestamp,
    ) -> Self {
        Self {
            id,
            signal,
            instance,
            window: Window::new(span),
            columns: OnceLock::new(),
            shown: None,
            heard,
            is_held_back: false,
            has_let_go: false,
        }
    }

    /// When it has been silent for long enough to be dropped.
    pub(super) fn silent_at(&self, span: SignedDuration) -> Timestamp {
        later(self.heard, span.checked_add(SILENCE).unwrap_or(SignedDuration::MAX))
    }

    /// What there is to see of it; `None` before its first sample.
    pub(super) fn seen(&self, window: &WindowSpec, instance: Option<Arc<str>>) -> Option<SeenSeries> {
        let newest = self.window.newest()?;
        // Whoever comes first has theirs kept: those who read a signal mostly read it over the same span.
        let kept = self.columns.get_or_init(|| self.columns_over(window.span, newest));
        let Columns { at_ms, values, .. } = match kept {
            kept if kept.span == window.span => kept.clone(),
            _ => self.columns_over(window.span, newest),
        };
        Some(SeenSeries { id: self.instance.clone(), instance, at_ms, values })
    }

    fn columns_over(&self, span: SignedDuration, newest: Sample) -> Columns {
        let oldest = newest.at.saturating_sub(span).unwrap_or(Timestamp::MIN);
        let (at_ms, values) = self.window.columns_from(oldest);
        Columns { span, at_ms, values }
    }

    /// Until when a policy that is asked is shown it, over so long. What is gone must not count
    /// for ever; a window of no length has the newest sample, however old.
    pub(super) fn shown_until(&self, span: SignedDuration) -> Timestamp {
        let patience = if span.is_zero() { Some(SILENCE) } else { span.checked_add(BEHIND_MAX) };
        later(self.heard, patience.unwrap_or(SignedDuration::MAX))
    }
}
