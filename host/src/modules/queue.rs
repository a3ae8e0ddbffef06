//! Decisions that wait for a thread, and their way back to whoever asked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynamite_core::{Answer, FailureKind, PolicyError, Question, Usage};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;

use super::Answered;
use super::lanes::{Lane, Lanes};

/// How many answers a worker keeps until it hands them over. Waking the loop for each would cost both of them a fifth of what
/// a decision takes; as many as this are made in a tenth of a millisecond.
const ANSWERS_KEPT_MAX: usize = 8;

/// What decides for a policy.
pub(super) trait Decide: Send + Sync + 'static {
    /// Its place in the lanes.
    fn index(&self) -> usize;
    /// Decides, and says what lane the next decision is for.
    fn decide(&self, question: &Question) -> (Answer, Lane);
}

/// Decisions that wait for a thread. A thread takes one after the other, without asking the loop: waking another thread for
/// each would cost as much as deciding.
#[derive(Debug)]
pub(super) struct Queue<D>(Mutex<Lanes<Task<D>>>);

/// A decision that waits.
#[derive(Debug)]
pub(super) struct Task<D> {
    pub(super) decider: Arc<D>,
    pub(super) question: Question,
    pub(super) asker: Asker,
}

/// Whoever asked, and waits for answers.
pub(super) type Asker = UnboundedSender<Vec<Answered>>;

/// Answers of a worker that are not handed over yet.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// To whom they go.
    asker: Option<Asker>,
    answers: Vec<Answered>,
}

impl Kept {
    pub(super) fn put(&mut self, asker: Asker, answered: Answered) {
        if self.asker.as_ref().is_some_and(|before| !before.same_channel(&asker)) {
            self.hand_over();
        }
        self.asker = Some(asker);
        self.answers.push(answered);
        if self.answers.len() == ANSWERS_KEPT_MAX {
            self.hand_over();
        }
    }

    pub(super) fn hand_over(&mut self) {
        if let Some(asker) = self.asker.take() {
            let _nobody_waits = asker.send(std::mem::take(&mut self.answers));
        }
    }
}

impl<D: Decide> Queue<D> {
    /// For so many policies.
    pub(super) fn new(policies: usize) -> Self {
        Self(Mutex::new(Lanes::new(policies)))
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes<Task<D>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds decisions, and starts threads for them if need be.
    pub(super) fn add(self: &Arc<Self>, tasks: Vec<Task<D>>) {
        let starts: Vec<Option<Lane>> = {
            let mut lanes = self.lanes();
            tasks.into_iter().map(|task| lanes.add(task.decider.index(), task)).collect()
        };
        for start in starts {
            self.start(start);
        }
    }

    /// The policy has another module, of which nothing is known.
    pub(super) fn distrust(&self, policy: usize) {
        self.lanes().distrust(policy);
    }

    fn start(self: &Arc<Self>, lane: Option<Lane>) {
        if let Some(lane) = lane {
            let queue = self.clone();
            // Nothing waits for the thread: what it does is answered one by one.
            drop(spawn_blocking(move || queue.work(lane)));
        }
    }

    /// Decides for as long as anything waits in a lane.
    fn work(self: Arc<Self>, lane: Lane) {
        let mut kept = Kept::default();
        let mut next = self.lanes().take(lane);
        while let Some((index, Task { decider, question, asker })) = next {
            // A thread that died in the middle would keep its place for ever.
            let decided = catch_unwind(AssertUnwindSafe(|| {
                // Nobody waits for it any more.
                (!asker.is_closed()).then(|| decider.decide(&question))
            }));
            let (answer, pace) = match decided {
                Ok(Some(decided)) => decided,
                Ok(None) => (failed(FailureKind::Lost, "nobody asks"), lane),
                Err(_) => (failed(FailureKind::Lost, "its call was lost"), Lane::Slow),
            };
            let start;
            {
                // One lock for both, as the loop and the other workers want it too.
                let mut lanes = self.lanes();
                start = lanes.done(index, lane, pace);
                next = lanes.take(lane);
            }
            self.start(start);
            kept.put(asker, Answered { question, answer });
            // Where decisions are slow, none waits for the next. One that turns slow holds up the few before it, once.
            if next.is_none() || lane == Lane::Slow || pace == Lane::Slow {
                kept.hand_over();
            }
        }
    }
}

/// An answer without a run.
pub(super) fn failed(kind: FailureKind, words: impl Into<String>) -> Answer {
    Answer { result: Err(PolicyError::new(kind, words)), usage: Usage::default() }
}
