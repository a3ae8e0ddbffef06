//! What a policy answers.

use crate::{Decision, Timestamp};

/// What a policy wants, why, and when it wants to be asked again.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// What it wants.
    pub decision: Decision,
    /// Why, with the numbers that led to it. Cut at 1,024 bytes.
    pub reason: String,
    /// When to be asked again even if no sample arrives; none: after the configured `interval`.
    pub wake_at: Option<Timestamp>,
}

impl Verdict {
    fn new(decision: Decision, reason: impl Into<String>) -> Self {
        Self { decision, reason: reason.into(), wake_at: None }
    }

    /// Asks to be called again at `at`, if not sooner.
    #[must_use]
    pub fn wake_at(mut self, at: Timestamp) -> Self {
        self.wake_at = Some(at);
        self
    }
}

/// As many instances as there are.
#[must_use]
pub fn hold(reason: impl Into<String>) -> Verdict {
    Verdict::new(Decision::Hold, reason)
}

/// That many instances.
#[must_use]
pub fn scale_to(count: u32, reason: impl Into<String>) -> Verdict {
    Verdict::new(Decision::ScaleTo(count), reason)
}

/// That many instances more.
#[must_use]
pub fn scale_up(by: u32, reason: impl Into<String>) -> Verdict {
    Verdict::new(Decision::ScaleUp(by), reason)
}

/// That many instances less; those with the highest numbers go.
#[must_use]
pub fn scale_down(by: u32, reason: impl Into<String>) -> Verdict {
    Verdict::new(Decision::ScaleDown(by), reason)
}

/// The instances with these unit names go. A name that is none of the service's makes the decision a failure.
#[must_use]
pub fn stop(names: impl IntoIterator<Item = impl Into<String>>, reason: impl Into<String>) -> Verdict {
    Verdict::new(Decision::Stop(names.into_iter().map(Into::into).collect()), reason)
}
