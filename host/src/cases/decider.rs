//! What answers in a case: a policy in a module, the built-in rule, or a pretended one in tests.

use dynamite_core::{FailureKind, Observation, PolicyError, ThresholdUse, Verdict};

use super::policy::Policy;
use crate::wasm::{CallError, Limits, Log, Module, Run};

/// What came of one decision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// The verdict, or why there is none.
    pub(crate) result: Result<Verdict, PolicyError>,
    /// What it took, if that is measured.
    pub(crate) cost: Option<Cost>,
    /// What it logged.
    pub(crate) log: Log,
    /// What a policy must not do and this one did.
    pub(crate) violations: Vec<String>,
}

impl Answer {
    /// That of nobody who was asked.
    pub(crate) fn silent() -> Self {
        let result = Err(PolicyError::new(FailureKind::Lost, "nobody was asked"));
        Self { result, cost: None, log: Log::default(), violations: Vec::new() }
    }
}

/// What a decision took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// The fuel.
    pub(crate) fuel: u64,
    /// The memory of the module, in bytes.
    pub(crate) memory_bytes: usize,
}

impl Cost {
    /// The greater of each.
    #[must_use]
    pub(crate) fn max_with(self, other: Self) -> Self {
        let memory_bytes = self.memory_bytes.max(other.memory_bytes);
        Self { fuel: self.fuel.max(other.fuel), memory_bytes }
    }
}

/// What is tested.
pub(crate) trait Subject {
    /// What it is called in reports: `target-tracking 1.2.0`.
    fn name(&self) -> String;

    /// Starts anew for one service.
    ///
    /// # Errors
    /// That it does not take what the case says of the policy.
    fn begin<'s>(&'s self, policy: &'s Policy) -> Result<Contestant<'s>, String>;
}

/// What decides in a case.
pub(crate) enum Contestant<'s> {
    /// The built-in rule: the planner does.
    Rule(ThresholdUse),
    /// A policy that is asked.
    Asked(Box<dyn Decider + 's>),
}

/// A policy at work for one service, which is asked.
pub(crate) trait Decider {
    /// Decides, given what is seen and the state that it answered with the last time.
    fn decide(&mut self, seen: &Observation, state: &[u8]) -> Answer;
}

/// The built-in rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Builtin;

impl Subject for Builtin {
    fn name(&self) -> String {
        "the built-in threshold policy".to_owned()
    }

    fn begin<'s>(&'s self, policy: &'s Policy) -> Result<Contestant<'s>, String> {
        let rule = policy.rule.ok_or("`policy` gives no rule: `comparative_operator` and `threshold`")?;
        let direction = policy.direction.ok_or("the rule scales one way: add `direction: up` or `down`")?;
        let [window] = &*policy.windows else {
            return Err(format!("the rule reads one metric, and `policy` has {}", policy.windows.len()));
        };
        let (policy, signal) = ("threshold".into(), window.signal());
        Ok(Contestant::Rule(ThresholdUse { policy, direction, signal, rule }))
    }
}

/// A policy as the interface has it: a pure function.
pub(crate) trait Pure {
    /// Its name and version.
    fn name(&self) -> String;
    /// Whether it takes a configuration.
    fn validate(&self, config: &str, limits: &Limits) -> Run<()>;
    /// What it decides.
    fn decide(&self, config: &str, seen: &Observation, state: &[u8], limits: &Limits) -> Run<Verdict>;
}

impl Pure for Module {
    fn name(&self) -> String {
        let about = self.description();
        format!("{} {}", about.name, about.version)
    }

    fn validate(&self, config: &str, limits: &Limits) -> Run<()> {
        Self::validate(self, config, limits)
    }

    fn decide(&self, config: &str, seen: &Observation, state: &[u8], limits: &Limits) -> Run<Verdict> {
        Self::decide(self, config, seen.clone(), state, limits)
    }
}

impl<P: Pure> Subject for P {
    fn name(&self) -> String {
        Pure::name(self)
    }

    fn begin<'s>(&'s self, policy: &'s Policy) -> Result<Contestant<'s>, String> {
        let config = policy.config.to_string();
        let refused = |error| format!("its `validate` refuses the configuration: {error}");
        self.validate(&config, &policy.limits).result.map_err(refused)?;
        Ok(Contestant::Asked(Box::new(Checked { policy: self, config, limits: policy.limits })))
    }
}

/// Checks at each decision of a pure policy that it is pure.
struct Checked<'s, P> {
    policy: &'s P,
    config: String,
    limits: Limits,
}

/// How much longer a call may take whose only purpose is a check: it must not fail for a busy machine's sake.
const PATIENCE: u32 = 10;

/// How often a decision may run out of time before it is the policy's fault: fuel is the same every time, the clock is not.
const TRIES: usize = 3;

impl<P: Pure> Checked<'_, P> {
    /// The decision under the limits of the daemon.
    fn first(&self, seen: &Observation, state: &[u8]) -> Run<Verdict> {
        let decide = || self.policy.decide(&self.config, seen, state, &self.limits);
        let is_late = |run: &Run<Verdict>| matches!(run.result, Err(CallError::OutOfTime(_)));
        let late_again = |run: Run<Verdict>, _| if is_late(&run) { decide() } else { run };
        (1..TRIES).fold(decide(), late_again)
    }

    /// What is wrong when the same question is asked again, and when the new state is given back.
    fn violations(&self, seen: &Observation, state: &[u8], first: &Run<Verdict>) -> Vec<String> {
        let patient = Limits { time: self.limits.time.saturating_mul(PATIENCE), ..self.limits };
        let again = self.policy.decide(&self.config, seen, state, &patient);
        let mut violations = Vec::new();
        let by_the_clock =
            [first, &again].iter().any(|run| matches!(run.result, Err(CallError::OutOfTime(_))));
        if by_the_clock {
            // It ends at another place each time, and is a failure anyway.
        } else if !same(&first.result, &again.result) {
            violations.push(format!(
                "it is not deterministic: the same input gave {}, and then {}",
                outcome(&first.result),
                outcome(&again.result)
            ));
        } else if again.fuel != first.fuel {
            violations.push(format!(
                "it is not deterministic: the same input took {} of fuel, and then {}",
                first.fuel, again.fuel
            ));
        }
        if let Ok(verdict) = &first.result
            && let Err(error) = self.policy.decide(&self.config, seen, &verdict.state, &patient).result
        {
            violations.push(format!("it does not take back the state that it gave: {error}"));
        }
        violations
    }
}

impl<P: Pure> Decider for Checked<'_, P> {
    fn decide(&mut self, seen: &Observation, state: &[u8]) -> Answer {
        let run = self.first(seen, state);
        let violations = self.violations(seen, state, &run);
        Answer {
            result: run.result.map_err(PolicyError::from),
            cost: Some(Cost { fuel: run.fuel, memory_bytes: run.memory_bytes }),
            log: run.log,
            violations,
        }
    }
}

/// Whether two results are the same: of errors, the kind, as they name the limits that were in force.
fn same(first: &Result<Verdict, CallError>, again: &Result<Verdict, CallError>) -> bool {
    match (first, again) {
        (Err(first), Err(again)) => std::mem::discriminant(first) == std::mem::discriminant(again),
        _ => first == again,
    }
}

fn outcome(result: &Result<Verdict, CallError>) -> String {
    match result {
        Ok(verdict) => format!(
            "{} ({}) with a state of {} bytes",
            super::expect::said(&verdict.proposal),
            verdict.reason,
            verdict.state.len()
        ),
        Err(error) => format!("the error `{error}`"),
    }
}
