//! The pure core: values and time in, decisions out. No I/O, async, clock, chance or logging.
//!
//! [`Planner`] folds everything that happens; [`decide()`] makes every decision in it. What it is told ([`Input`]) and what
//! follows ([`Effects`]) are values, so that a run that was written down can be played again.

mod attempts;
mod cause;
mod decide;
mod decision;
mod effects;
mod event;
mod failure;
mod id;
mod planner;
mod policy;
mod population;
mod reason;
mod spec;
mod stored;
mod threshold;
mod vote;
mod window;

pub use attempts::Attempts;
pub use cause::{ActionId, Cause, Command, DecisionId, Found};
pub use decide::{Rests, ServiceView, decide};
pub use decision::{Action, BackingOff, Decision, Deed, Direction, Line, Rule, Spent, Stage};
pub use effects::{Claim, Effects, InstancePlan, Order, Outcome, PlannedUnit, Question, Records, Task};
pub use event::{Counts, Event, Skipped};
pub use failure::{FailureKind, PolicyError, Usage};
pub use id::{PolicyId, SeriesId, ServiceId, Slot, Use};
pub use planner::{
    AHEAD_MAX, Answer, Health, Input, Look, Opened, Past, Planner, Reading, RegistrationChange, SAMPLES_MAX,
    SERIES_MAX, SampleBatch, ServiceState, Situation, SkippedSample, Stretch, Trouble,
};
pub use policy::{
    InstanceState, Observation, PastAction, Proposal, SeenInstance, SeenSeries, SeenService, SeenWindow,
    Verdict,
};
pub use population::{Bounds, Instance, Mended, NUMBER_MAX, Phase, Population, Ports};
pub use reason::{Firing, Loss, Reason};
pub use spec::{
    Blueprint, Difference, Directions, KeptSignal, ModuleUse, PolicyUse, ServiceSpec, SignalSpec, Spec,
    ThresholdUse, UnitTemplate, WindowSpec, is_template, slot_of, stem, unit_name,
};
pub use stored::{CooldownRecord, Intent, IntentAction, Stored};
pub use threshold::{Cooldown, Operator, Threshold, ThresholdRule};
pub use vote::{Abstention, Grounds, Objection, Victims, Vote, Wish};
pub use window::{Sample, Window};
