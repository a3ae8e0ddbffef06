//! How the process is, as its loop says: whether it turns, and whether it could do its work. [`crate::admin`] tells others.
//!
//! Being alive is not noted but asked for: whoever wants to know rings, and the loop answers when it comes round. That costs
//! nothing while nobody asks, and a loop that hangs cannot go on looking alive.

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::engine::Chain;
use crate::record::Status;

/// How long the loop may take to come round. It takes a millisecond; a machine that is this busy does not scale in time either.
const ROUND_TIME_MAX: Duration = Duration::from_secs(3);
/// How much of an error is told, in characters. etcd and fleet answer with what they like.
const TROUBLE_CHARS_MAX: usize = 400;

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// etcd has not answered yet, nor said what it has if there is no configuration file.
    Connecting,
    /// It does not know yet whether another one leads.
    Campaigning,
    /// Another one leads. It has all it needs to lead when that one is gone.
    StandingBy,
    /// It leads, and is looking at what there is.
    TakingOver,
    /// It leads, and this is the status of the application.
    Leading(Status),
}

/// What is in the way.
#[derive(Debug)]
struct Condition {
    stage: Stage,
    /// Why the last call to etcd failed that keeps the lease or tries to get it.
    etcd: Option<String>,
    /// Why the last look at fleet failed.
    fleet: Option<String>,
}

/// How the process is. The loop writes it, and whoever asks may be in another thread.
#[derive(Debug)]
pub struct Health {
    condition: Mutex<Condition>,
    asked: AtomicU64,
    bell: Notify,
    answered: watch::Sender<u64>,
}

impl Default for Health {
    /// That of a process that has just begun.
    fn default() -> Self {
        Self {
            condition: Mutex::new(Condition { stage: Stage::Connecting, etcd: None, fleet: None }),
            asked: AtomicU64::new(0),
            bell: Notify::new(),
            answered: watch::Sender::new(0),
        }
    }
}

impl Health {
    /// What the process is doing from now on. What was known of fleet is forgotten with the lead.
    pub fn enter(&self, stage: Stage) {
        let mut condition = self.condition();
        condition.stage = stage;
        if !matches!(stage, Stage::TakingOver | Stage::Leading(_)) {
            condition.fleet = None;
        }
    }

    /// Whether etcd did what keeps the lease, or tries to get it.
    pub fn note_etcd<T>(&self, result: &Result<T, crate::store::Error>) {
        self.condition().etcd = trouble(result);
    }

    /// Whether fleet could be looked at.
    pub fn note_fleet<T>(&self, result: &Result<T, crate::fleet::Error>) {
        self.condition().fleet = trouble(result);
    }

    /// Answers the next question, when there is one. The loop waits for it beside everything else.
    pub async fn answer(&self) {
        self.bell.notified().await;
        self.answered.send_replace(self.asked.load(Ordering::SeqCst));
    }

    /// Does some work, and answers meanwhile, for what is not the loop and takes its time.
    pub async fn answering<T>(&self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                // The answer first, so that busy work cannot use up the task's turn before it. One answer costs far
                // less than one question, so the work has its turns too.
                biased;
                () = self.answer() => {}
                done = &mut work => return done,
            }
        }
    }

    /// Whether the loop answers.
    pub async fn is_alive(&self) -> bool {
        let question = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.bell.notify_one();
        let mut answers = self.answered.subscribe();
        timeout(ROUND_TIME_MAX, answers.wait_for(|answer| *answer >= question)).await.is_ok()
    }

    /// Whether it could do its work: what it does if so, and otherwise everything that is in the way. Either is one line.
    pub async fn readiness(&self) -> Result<&'static str, String> {
        if !self.is_alive().await {
            return Err("the loop does not answer".to_owned());
        }
        self.condition().readiness()
    }

    fn condition(&self) -> MutexGuard<'_, Condition> {
        self.condition.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Condition {
    fn readiness(&self) -> Result<&'static str, String> {
        let progress = match self.stage {
            Stage::StandingBy => Ok("standing by"),
            Stage::Leading(Status::Running) => Ok("leading"),
            Stage::Connecting => Err("etcd has not answered yet"),
            Stage::Campaigning => Err("not leading yet"),
            Stage::TakingOver => Err("taking over"),
            Stage::Leading(Status::Initializing) => Err("initializing: not every service is up yet"),
            Stage::Leading(Status::Recovering) => Err("recovering: not every service is up yet"),
        };
        let mut wrong: Vec<String> = progress.err().map(str::to_owned).into_iter().collect();
        wrong.extend(self.etcd.as_ref().map(|error| format!("etcd: {error}")));
        wrong.extend(self.fleet.as_ref().map(|error| format!("fleet: {error}")));
        match progress {
            Ok(doing) if wrong.is_empty() => Ok(doing),
            _ => Err(wrong.join("; ")),
        }
    }
}

/// An error as one line of limited length.
fn trouble<T, E: Error + 'static>(result: &Result<T, E>) -> Option<String> {
    let text = Chain(result.as_ref().err()?).to_string();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(line.chars().take(TROUBLE_CHARS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{fleet, store};

    const ETCD: fn() -> Result<(), store::Error> =
        || Err(store::Error::Unavailable { request: "PUT".into(), message: "no\nleader ".repeat(99) });
    const FLEET: fn() -> Result<(), fleet::Error> =
        || Err(fleet::Error::Unavailable { status: 503, message: "no etcd".into() });

    async fn read(health: &Health) -> Result<&'static str, String> {
        health.answering(health.readiness()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_hangs_is_neither_alive_nor_ready() {
        let health = Arc::new(Health::default());
        health.enter(Stage::StandingBy);
        assert!(!health.is_alive().await);
        assert_eq!(health.readiness().await, Err("the loop does not answer".to_owned()));
        let turning = tokio::spawn({
            let health = health.clone();
            async move { health.answering(std::future::pending::<()>()).await }
        });
        assert!(health.is_alive().await);
        assert_eq!(
            tokio::join!(health.readiness(), health.readiness()),
            (Ok("standing by"), Ok("standing by"))
        );
        turning.abort();
        let _aborted = turning.await;
        assert!(!health.is_alive().await, "an answer from before is none");
    }

    #[tokio::test]
    async fn a_standby_is_ready_and_a_leader_once_all_is_up() {
        let health = Health::default();
        for (stage, ready) in [
            (Stage::Connecting, false),
            (Stage::Campaigning, false),
            (Stage::StandingBy, true),
            (Stage::TakingOver, false),
            (Stage::Leading(Status::Initializing), false),
            (Stage::Leading(Status::Recovering), false),
            (Stage::Leading(Status::Running), true),
        ] {
            health.enter(stage);
            assert_eq!(read(&health).await.is_ok(), ready, "{stage:?}");
        }
    }

    #[tokio::test]
    async fn everything_that_is_in_the_way_is_told_in_one_line() {
        let health = Health::default();
        health.enter(Stage::Leading(Status::Recovering));
        health.note_etcd(&ETCD());
        health.note_fleet(&FLEET());
        let told = read(&health).await.unwrap_err();
        assert!(told.starts_with("recovering: not every service is up yet; etcd: etcd could not"), "{told}");
        assert!(told.ends_with("; fleet: fleet is unavailable (status 503): no etcd"), "{told}");
        assert!(told.chars().count() < 600 && !told.contains('\n'), "{told}");
        health.enter(Stage::Leading(Status::Running));
        health.note_etcd(&Ok::<_, store::Error>(()));
        let told = read(&health).await.unwrap_err();
        assert!(told.starts_with("fleet: "), "{told}");
        health.note_fleet(&Ok::<_, fleet::Error>(()));
        assert_eq!(read(&health).await, Ok("leading"));
    }

    #[tokio::test]
    async fn a_standby_does_not_ask_fleet_and_knows_nothing_of_it() {
        let health = Health::default();
        health.enter(Stage::TakingOver);
        health.note_fleet(&FLEET());
        health.enter(Stage::StandingBy);
        assert_eq!(read(&health).await, Ok("standing by"));
        health.note_etcd(&ETCD());
        assert!(read(&health).await.is_err());
    }
}
