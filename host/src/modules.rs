//! What the engine needs of policies in WebAssembly: a narrow trait, and what stands behind it in the daemon.

mod file;
mod lanes;
mod live;
mod ration;

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
    /// The policies whose modules cannot be used: each question to one of them fails, and says why.
    fn unusable(&self) -> Vec<String>;
    /// Takes over modules that change, for as long as it is polled: between two decisions a policy may become another.
    /// Returns the policies that have become another.
    fn renewed(&self) -> impl Future<Output = Vec<String>> + Send;
}
