//! A policy of the simulation: a function instead of a module.

use std::fmt;
use std::sync::Arc;

use dynamite_core::{Observation, Proposal, Verdict};

/// What decides.
type Decides = dyn Fn(&Observation, &[u8]) -> Verdict + Send + Sync;

/// A function from what is seen and the last state to a verdict.
#[derive(Clone)]
pub(crate) struct FakePolicy(pub(crate) Arc<Decides>);

impl fmt::Debug for FakePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a policy")
    }
}

impl Default for FakePolicy {
    fn default() -> Self {
        Self(Arc::new(thirty_each))
    }
}

/// Wants an instance for each 30 of the newest sample of the first window, and counts its decisions.
fn thirty_each(seen: &Observation, state: &[u8]) -> Verdict {
    let newest = seen.windows.iter().flat_map(|window| &window.series).find_map(|s| s.values.last());
    let proposal = match newest {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
        Some(load) => Proposal::To((load / 30.0).ceil() as u32),
        None => Proposal::Hold,
    };
    let calls = state.first().copied().unwrap_or(0).saturating_add(1);
    Verdict { proposal, reason: "30 each".to_owned(), state: vec![calls], wake_at: None }
}
