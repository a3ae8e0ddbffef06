//! For the unit tests of a policy, which run natively: builders of what a policy sees, and a [`Run`] that calls it as
//! Dynamite does.
//!
//! ```
//! use dynamite_policy::testing::{observation, series, window};
//!
//! let seen = observation(3).with_window(window("cpu_user").with_series(series("a", &[80.0, 90.0])));
//! assert_eq!(seen.window("cpu_user").unwrap().all().mean(), Some(85.0));
//! ```

mod stress;

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::log::Level;
use crate::{
    Action, Instance, InstanceState, Observation, Policy, Series, Service, Timestamp, Verdict, Window, glue,
};

pub use stress::stress;

/// When [`observation`] is: 2026-01-01T00:00:00Z, a Thursday.
pub const NOW: Timestamp = 1_767_225_600_000;

/// How far apart the samples of [`series`] are, in milliseconds.
pub const STEP_MS: u64 = 10_000;

thread_local! {
    static LOGGED: RefCell<Vec<(Level, String)>> = const { RefCell::new(Vec::new()) };
}

/// The lines that policies of this thread have logged since this was last asked.
#[must_use]
pub fn logged() -> Vec<(Level, String)> {
    LOGGED.take()
}

pub(crate) fn record(level: Level, message: &str) {
    LOGGED.with_borrow_mut(|lines| lines.push((level, message.to_owned())));
}

/// A service `web` of type `webserver`, with that many instances that have been up for an hour, one at least and ten
/// at most. It has no windows yet.
#[must_use]
pub fn observation(instances: u32) -> Observation {
    let service = Service {
        name: "web".to_owned(),
        service_type: "webserver".to_owned(),
        min_instances: 1,
        max_instances: Some(10),
        instances: (0..instances).map(|index| instance(8000 + index)).collect(),
    };
    Observation { now: NOW, service, windows: Vec::new(), last_scale_up: None, last_scale_down: None }
}

/// The instance `web@<number>.service`, up since an hour before [`NOW`]. Those of [`observation`] are 8000, 8001, and so
/// on.
#[must_use]
pub fn instance(number: u32) -> Instance {
    Instance {
        name: format!("web@{number}.service"),
        number,
        state: InstanceState::Running,
        since: NOW - 3_600_000,
    }
}

/// An empty window of five minutes of a metric of the type `webserver`, with a series for each instance.
#[must_use]
pub fn window(metric: &str) -> Window {
    Window {
        service_type: "webserver".to_owned(),
        metric: metric.to_owned(),
        unit: String::new(),
        aggregated: false,
        length_ms: 300_000,
        series: Vec::new(),
    }
}

/// A series of no known instance, with a value each [`STEP_MS`], the newest at [`NOW`].
#[must_use]
pub fn series(id: &str, values: &[f64]) -> Series {
    let ages = (0..values.len() as u64).rev();
    let at = ages.map(|age| NOW - age * STEP_MS).collect();
    Series { id: id.to_owned(), instance: None, at, values: values.to_vec() }
}

/// The series of the instance `web@<number>.service`.
#[must_use]
pub fn series_of(number: u32, values: &[f64]) -> Series {
    Series { instance: Some(instance(number).name), ..series(&number.to_string(), values) }
}

impl Observation {
    /// With one window more.
    #[must_use]
    pub fn with_window(mut self, window: Window) -> Self {
        self.windows.push(window);
        self
    }

    /// With other bounds.
    #[must_use]
    pub fn with_bounds(mut self, min: u32, max: Option<u32>) -> Self {
        self.service.min_instances = min;
        self.service.max_instances = max;
        self
    }

    /// With the instance at `index` in that state since `since`.
    #[must_use]
    pub fn with_instance(mut self, index: usize, state: InstanceState, since: Timestamp) -> Self {
        let instance = &mut self.service.instances[index];
        instance.state = state;
        instance.since = since;
        self
    }

    /// At another time. The samples stay where they are.
    #[must_use]
    pub fn with_now(mut self, now: Timestamp) -> Self {
        self.now = now;
        self
    }

    /// Scaled last at `at`, from `before` instances to `after`.
    #[must_use]
    pub fn with_scaling(mut self, at: Timestamp, before: u32, after: u32) -> Self {
        let action = Some(Action { at, instances_before: before, instances_after: after });
        if after > before {
            self.last_scale_up = action;
        } else {
            self.last_scale_down = action;
        }
        self
    }
}

impl Window {
    /// With one series more, at the place of its id.
    #[must_use]
    pub fn with_series(mut self, series: Series) -> Self {
        let place = self.series.partition_point(|other| other.id < series.id);
        self.series.insert(place, series);
        self
    }

    /// Aggregated, with these values as its only series.
    #[must_use]
    pub fn aggregated(mut self, values: &[f64]) -> Self {
        self.aggregated = true;
        self.series = vec![series("", values)];
        self
    }
}

impl Series {
    /// With these samples, `(time, value)`, oldest first.
    #[must_use]
    pub fn with_samples(mut self, samples: &[(Timestamp, f64)]) -> Self {
        (self.at, self.values) = samples.iter().copied().unzip();
        self
    }
}

/// A policy with a configuration, called again and again with the state that it left: through the same bytes as in a
/// component.
#[derive(Clone, Debug)]
pub struct Run<P> {
    config: String,
    state: Vec<u8>,
    policy: PhantomData<P>,
}

impl<P: Policy> Run<P> {
    /// A policy at its first call, with a configuration in JSON. The error is what an operator would see.
    pub fn new(config: &str) -> Result<Self, String> {
        glue::validate::<P>(config)?;
        Ok(Self { config: config.to_owned(), state: Vec::new(), policy: PhantomData })
    }

    /// Calls it once.
    pub fn decide(&mut self, seen: &Observation) -> Result<Verdict, String> {
        let answer = glue::decide::<P>(&self.config, seen, &self.state)?;
        self.state = answer.state;
        Ok(Verdict { decision: answer.decision, reason: answer.reason, wake_at: answer.wake_at })
    }

    /// The state that it has left.
    #[must_use]
    pub fn state(&self) -> &[u8] {
        &self.state
    }

    /// Gives it another state, as another version of the policy might have left it.
    pub fn set_state(&mut self, state: &[u8]) {
        self.state = state.to_vec();
    }
}

/// The JSON Schema of a policy's configuration.
#[must_use]
pub fn schema<P: Policy>() -> String {
    glue::schema::<P>()
}
