//! A window of a metric, and its series.

use std::time::Duration;

use crate::{Samples, Series, Timestamp, View, Window};

impl Series {
    /// Its samples, oldest first.
    #[must_use]
    pub fn samples(&self) -> Samples<'_> {
        Samples::new(&self.at, &self.values)
    }
}

impl Window {
    /// How far a series reaches back from its own newest sample; zero: only the newest sample.
    #[must_use]
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.length_ms)
    }

    /// All samples of all series.
    #[must_use]
    pub fn all(&self) -> View<'_> {
        View::new(self.series.iter().map(|series| (series, series.samples())))
    }

    /// The samples of all series at `at` or later, such as `window.since(seen.ago(Duration::from_secs(60)))`.
    #[must_use]
    pub fn since(&self, at: Timestamp) -> View<'_> {
        self.all().since(at)
    }

    /// The series of the instance with this unit name.
    #[must_use]
    pub fn of_instance(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.instance.as_deref() == Some(name))
    }
}
