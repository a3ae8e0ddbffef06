//! The built-in threshold rule as a policy under test. It sees samples one by one, as in the daemon, and its decisions are
//! put to the same bounds.

use super::decider::{Answer, Decider, Fresh, Subject};
use super::policy::Policy;
use crate::scaling::{
    Bounds, Direction, Firing, InstanceState, Observation, Outcome, Phase, Proposal, Reason, Roster,
    SeenService, Threshold, Verdict,
};
use crate::wasm::Log;

/// The built-in rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Builtin;

impl Subject for Builtin {
    fn name(&self) -> String {
        "the built-in threshold policy".to_owned()
    }

    fn begin<'s>(&'s self, policy: &'s Policy) -> Result<Box<dyn Decider + 's>, String> {
        let rule = policy.rule.ok_or("`policy` gives no rule: `comparative_operator` and `threshold`")?;
        let direction = policy.direction.ok_or("the rule scales one way: add `direction: up` or `down`")?;
        let [window] = &*policy.windows else {
            return Err(format!("the rule reads one metric, and `policy` has {}", policy.windows.len()));
        };
        let metric = window.metric.to_string();
        Ok(Box::new(Scaler { threshold: Threshold::new(rule, None), direction, metric, is_new: true }))
    }
}

struct Scaler {
    threshold: Threshold<String>,
    direction: Direction,
    metric: String,
    /// Whether it has not decided yet: what comes before the newest samples was there before the start.
    is_new: bool,
}

/// What firings come to in one decision.
struct Change {
    roster: Roster<String>,
    by: u32,
    /// The units that go, as their own series fired.
    named: Vec<String>,
    /// Whether some go only because there are too many.
    unnamed: bool,
}

impl Decider for Scaler {
    fn decide(&mut self, seen: &Observation, fresh: &[Fresh]) -> Answer {
        let roster = roster(&seen.service);
        let mut change = Change { roster, by: 0, named: Vec::new(), unnamed: false };
        let mut reason = format!("no new sample of {}", self.metric);
        let is_new = std::mem::replace(&mut self.is_new, false);
        let newest = |of: &Fresh| {
            let later = |other: &&Fresh| other.id == of.id && other.sample.at > of.sample.at;
            fresh.iter().find(later).is_none()
        };
        for fresh in fresh {
            let outcome = self.threshold.step(fresh.id.clone(), fresh.sample);
            let said = match outcome {
                Outcome::Calm => self.said(fresh, "does not satisfy"),
                Outcome::CoolingDown(until) => self.said(fresh, &format!("cools down until {until} for")),
                Outcome::Waiting(since) => self.said(fresh, &format!("since {since} satisfies")),
                // As in the daemon, such samples bring the triggers up to date and cause nothing.
                Outcome::Fired(_) if is_new && !newest(fresh) => continue,
                Outcome::Fired(since) => {
                    let firing = self.firing(fresh, fresh.sample.at.duration_since(since));
                    match change.add(self.direction, fresh.instance.as_deref(), seen) {
                        Ok(()) => {
                            self.threshold.fired(&fresh.id, fresh.sample.at);
                            reason = firing;
                            continue;
                        }
                        Err(obstacle) => format!("{firing}, but {obstacle}"),
                    }
                }
            };
            if change.by == 0 {
                reason = said;
            }
        }
        let verdict =
            Verdict { proposal: change.proposal(self.direction), reason, state: Vec::new(), wake_at: None };
        Answer { result: Ok(verdict), cost: None, log: Log::default(), violations: Vec::new() }
    }
}

impl Scaler {
    fn said(&self, fresh: &Fresh, does: &str) -> String {
        let rule = self.threshold.rule();
        let of = if fresh.id.is_empty() { String::new() } else { format!(" of {}", fresh.id) };
        format!("{}{of} is {}, {does} {} {}", self.metric, fresh.sample.value, rule.operator, rule.threshold)
    }

    fn firing(&self, fresh: &Fresh, lasted: jiff::SignedDuration) -> String {
        let firing = Firing {
            policy: "threshold".to_owned(),
            metric: self.metric.clone(),
            instance: Some(fresh.id.clone()).filter(|id| !id.is_empty()),
            value: fresh.sample.value,
            operator: self.threshold.rule().operator,
            threshold: self.threshold.rule().threshold,
            lasted,
            at: fresh.sample.at,
        };
        firing.to_string()
    }
}

impl Change {
    fn add(
        &mut self,
        direction: Direction,
        instance: Option<&str>,
        seen: &Observation,
    ) -> Result<(), Reason> {
        match direction {
            Direction::Up => {
                self.roster.may_grow()?;
                self.roster.want(self.roster.wanted() + 1);
            }
            Direction::Down => {
                let instances = &seen.service.instances;
                let named = |name| instances.iter().find(|instance| Some(&*instance.name) == name);
                let own = named(instance).map(|instance| instance.number);
                let unit = |number: u32| {
                    let found = instances.iter().find(|instance| instance.number == number);
                    found.map_or_else(|| number.to_string(), |instance| instance.name.clone())
                };
                let number = self.roster.may_shrink(own, unit)?;
                self.roster.want(self.roster.wanted().saturating_sub(1));
                self.roster.enter(number, Phase::Stopping);
                self.named.push(unit(number));
                self.unnamed |= own.is_none();
            }
        }
        self.by += 1;
        Ok(())
    }

    fn proposal(self, direction: Direction) -> Proposal {
        match (direction, self.by) {
            (_, 0) => Proposal::Hold,
            (Direction::Up, by) => Proposal::Up(by),
            (Direction::Down, 1) if self.unnamed => Proposal::Down(1),
            (Direction::Down, _) => Proposal::Stop(self.named),
        }
    }
}

/// The instances with their phases, as many wanted as there are.
fn roster(service: &SeenService) -> Roster<String> {
    let mut roster = Roster::new(Bounds { min: service.min, max: service.max });
    for instance in &service.instances {
        let phase = match instance.state {
            InstanceState::Running => Phase::Running,
            InstanceState::Stopping => Phase::Stopping,
            InstanceState::Starting | InstanceState::Failed => Phase::Starting,
        };
        roster.set(instance.number, phase, instance.name.clone());
    }
    roster.want(roster.count());
    roster
}
