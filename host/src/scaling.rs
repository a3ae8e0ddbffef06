//! The pure core: values and time in, decisions out. No I/O, async, clock, serde or logging.

pub mod metric;
pub mod service;
pub mod threshold;

pub use metric::MetricName;
pub use service::{Bounds, Ports};
pub use threshold::{Operator, Rule};
