//! What the engine needs of policies in WebAssembly: a narrow trait, and what stands behind it in the daemon.

mod lanes;
mod live;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;

use crate::scaling::{Observation, Verdict};

pub use live::LiveModules;

/// What a policy is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The policy.
    pub policy: String,
    /// What is seen of the service.
    pub seen: Observation,
    /// The state that it answered with the last time; empty at first.
    pub state: Arc<[u8]>,
}

/// Policies that can be asked.
pub trait Modules: Send + Sync {
    /// Asks a policy at once, and waits for its answer when polled. It takes no longer than its limits allow, and a place to
    /// become free. An error is a failure of the policy, in words for the operator.
    fn decide(&self, question: Question) -> impl Future<Output = Result<Verdict, String>> + Send;
    /// Takes over modules that change, for as long as it is polled. Between two decisions a policy may become another.
    fn watch(&self) -> impl Future<Output = Infallible> + Send;
}
