//! What the engine needs of policies in WebAssembly: a narrow trait, and what stands behind it in the daemon.

mod file;
mod lanes;
mod live;
mod ration;

use std::future::Future;

pub use live::LiveModules;

use crate::scaling::{Answer, PolicyId, Question};

/// Policies that can be asked.
pub trait Modules: Send + Sync {
    /// Asks a policy at once, and waits for its answer when polled. It takes no longer than its limits allow, and a place to
    /// become free.
    fn decide(&self, question: Question) -> impl Future<Output = Answer> + Send;
    /// The policies whose modules cannot be used: each question to one of them fails, and says why.
    fn unusable(&self) -> Vec<PolicyId>;
    /// Takes over modules that change, for as long as it is polled: between two decisions a policy may become another.
    /// Returns the policies that have become another.
    fn renewed(&self) -> impl Future<Output = Vec<PolicyId>> + Send;
}
