//! What the engine needs of policies in WebAssembly: a narrow trait, and what stands behind it in the daemon.

mod file;
mod lanes;
mod live;
mod queue;
mod ration;

use std::future::Future;

use dynamite_core::{Answer, PolicyId, Question};
use futures_util::Stream;
pub use live::LiveModules;

/// A question with its answer. Whoever asked gets it back, to drop it where it was made: memory that one thread takes and
/// another gives back keeps both waiting for each other, at each piece of it.
#[derive(Debug)]
pub struct Answered {
    /// What was asked.
    pub question: Question,
    /// What came of it.
    pub answer: Answer,
}

/// Policies that can be asked.
pub trait Modules: Send + Sync {
    /// Asks policies at once, also before it is polled. Each is answered once, together with those that were answered at that
    /// time, and in any order. It takes no longer than their limits allow, and places to become free; what is not answered
    /// yet when the stream is dropped is not asked any more.
    fn ask(&self, questions: Vec<Question>) -> impl Stream<Item = Vec<Answered>> + Send;
    /// The policies whose modules cannot be used: each question to one of them fails, and says why.
    fn unusable(&self) -> Vec<PolicyId>;
    /// Takes over modules that change, for as long as it is polled: between two decisions a policy may become another.
    /// Returns the policies that have become another.
    fn renewed(&self) -> impl Future<Output = Vec<PolicyId>> + Send;
}
