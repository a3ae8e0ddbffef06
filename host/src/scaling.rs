//! The pure core: values and time in, decisions out. No I/O, async, clock, serde or logging.

mod decision;
mod metric;
mod policy;
mod roster;
mod stance;
mod threshold;
mod window;

pub use decision::{Decision, Direction, Firing, Loss, Reason, Verb};
pub use metric::MetricName;
pub use policy::{
    InstanceState, Observation, PastAction, Proposal, SeenInstance, SeenSeries, SeenService, SeenWindow,
    Verdict,
};
pub use roster::{Bounds, NUMBER_MAX, Phase, Ports, Roster};
pub use stance::{Objection, Stance, lowest};
pub use threshold::{Cooldown, Operator, Outcome, Rule, Threshold};
pub use window::{Sample, Window};
