//! The life of a service, step by step as systemd has it, from its first command to the end of its last process.

use std::io;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::super::definition::{AfterExit, Command, Definition, Failure, KillMode};
use super::super::message::{Level, Stage, Start};
use super::super::outcome::{Exit, Outcome, Role};
use super::super::processes;
use super::super::signals;
use super::children::{Child, Children};
use super::desk::Desk;
use super::spawn::{NotRun, Spawner};

/// How often processes are looked for that were forked while all were killed.
const KILL_AGAIN: Duration = Duration::from_millis(50);

/// How long killed processes may take where the unit sets no limit. Only a process within the kernel takes any time.
const KILLED_LIMIT: Duration = Duration::from_secs(90);

/// How long the last output may take to be read.
const OUTPUT_LIMIT: Duration = Duration::from_secs(1);

/// A service and its processes.
pub(super) struct Life {
    definition: Definition,
    children: Children,
    spawner: Spawner,
    desk: Desk,
    /// Becomes true when the unit is to stop.
    stop: watch::Receiver<bool>,
    main: Option<Child>,
    main_exit: Option<Exit>,
    outcome: Outcome,
}

/// What came of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Done,
    Failed(Outcome),
    /// The unit is to stop.
    Stopped,
}

/// Whether an order to stop ends the wait for a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stoppable {
    Yes,
    No,
}

/// Which of systemd's two rounds of signals.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Before `ExecStopPost`, until the main process has ended.
    Stop,
    /// After it, until all have.
    Final,
}

impl Life {
    pub(super) fn new(
        start: &Start,
        definition: Definition,
        children: Children,
        desk: Desk,
        stop: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let spawner = Spawner::new(&start.invocation, children.clone(), desk.clone())?;
        let (main, main_exit, outcome) = (None, None, Outcome::Success);
        Ok(Self { definition, children, spawner, desk, stop, main, main_exit, outcome })
    }

    /// Runs the service, again and again where it is to be restarted, and returns how it is in the end.
    pub(super) async fn live(mut self) -> Stage {
        let stage = self.starts().await;
        // The pipe is closed with its last writer.
        let _ = timeout(OUTPUT_LIMIT, self.spawner.close()).await;
        stage
    }

    async fn starts(&mut self) -> Stage {
        loop {
            if !self.definition.start_limit.allows(Instant::now()) {
                self.outcome = Outcome::StartLimitHit;
                self.note(Level::Error, "it was started too often in too short a time, and stays failed");
                return Stage::Failed;
            }
            (self.outcome, self.main_exit) = (Outcome::Success, None);
            self.once().await;
            let stage = if self.outcome == Outcome::Success { Stage::Dead } else { Stage::Failed };
            if self.is_stopped() || !self.restarts() {
                return stage;
            }
            self.set(Stage::AutoRestart);
            let pause = self.definition.restart_pause;
            self.note(Level::Info, &format!("it is started again ({})", self.outcome.word()));
            let mut stop = self.stop.clone();
            tokio::select! {
                // An order that comes as the pause ends must not find another start.
                biased;
                () = stopped(&mut stop) => return Stage::Dead,
                () = sleep(pause.unwrap_or(Duration::MAX)) => {}
            }
        }
    }

    fn restarts(&self) -> bool {
        let exit_in =
            |set: &super::super::outcome::ExitSet| self.main_exit.is_some_and(|exit| set.contains(exit));
        if exit_in(&self.definition.restart_prevented_by) {
            return false;
        }
        exit_in(&self.definition.restart_forced_by) || self.definition.restart.applies(self.outcome)
    }

    /// One start, up to the end of every process.
    async fn once(&mut self) {
        match self.start().await {
            Step::Done => self.up().await,
            Step::Failed(outcome) => self.outcome = outcome,
            Step::Stopped => {}
        }
        self.terminate(Round::Stop).await;
        let after = self.definition.stop_post.clone();
        self.commands(&after, "ExecStopPost", Stage::StopPost).await;
        self.terminate(Round::Final).await;
    }

    async fn start(&mut self) -> Step {
        for command in self.definition.start_pre.clone() {
            self.set(Stage::StartPre);
            let limit = self.definition.start_timeout;
            match self.control(&command, "ExecStartPre", limit, Stoppable::Yes).await {
                Step::Done => {}
                ended => return ended,
            }
        }
        if self.children.any() {
            // What the commands before left running is none of the service.
            self.kill().await;
        }
        let main = self.definition.start.clone();
        match self.spawn(&main, "ExecStart") {
            Ok(child) => self.main = Some(child),
            Err(_) if main.failure == Failure::Ignored => return Step::Done,
            Err(outcome) => return Step::Failed(outcome),
        }
        for command in self.definition.start_post.clone() {
            self.set(Stage::StartPost);
            let limit = self.definition.start_timeout;
            match self.control(&command, "ExecStartPost", limit, Stoppable::Yes).await {
                Step::Done => {}
                ended => return ended,
            }
        }
        Step::Done
    }

    /// From the start being done to the commands of the stop.
    async fn up(&mut self) {
        if self.main.is_some() {
            self.set(Stage::Running);
        }
        let mut stop = self.stop.clone();
        tokio::select! {
            // As in systemd, an end comes before an order: no `ExecStop` is given a main process that is gone.
            biased;
            () = self.main_ends() => {
                if self.outcome != Outcome::Success {
                    return;
                }
                if self.definition.after_exit == AfterExit::Remains {
                    self.set(Stage::Exited);
                    stopped(&mut stop).await;
                }
            }
            () = stopped(&mut stop) => {}
        }
        let commands = self.definition.stop.clone();
        self.commands(&commands, "ExecStop", Stage::Stop).await;
    }

    /// Waits for the end of the main process, and judges it.
    async fn main_ends(&mut self) {
        let Some(main) = &mut self.main else { return };
        let exit = (&mut main.exit).await;
        self.main = None;
        if let Ok(exit) = exit {
            self.judge(exit);
        }
    }

    fn judge(&mut self, exit: Exit) {
        self.main_exit = Some(exit);
        let outcome = match self.definition.start.failure {
            Failure::Ignored => Outcome::Success,
            Failure::Counts => exit.outcome(Role::Main, &self.definition.also_clean),
        };
        let level = match outcome {
            Outcome::Success if self.is_stopped() => Level::Debug,
            // Nobody told it to end, so somebody may want to know why it is down.
            Outcome::Success => Level::Info,
            _ => Level::Warn,
        };
        self.note(level, &format!("its main process {}", exit.words()));
        self.outcome = self.outcome.or(outcome);
    }

    /// Runs commands of the stop one after another; the first that fails is the last.
    async fn commands(&mut self, commands: &[Command], key: &str, stage: Stage) {
        for command in commands {
            self.set(stage);
            let limit = self.definition.stop_timeout;
            if let Step::Failed(outcome) = self.control(command, key, limit, Stoppable::No).await {
                self.outcome = self.outcome.or(outcome);
                return;
            }
        }
    }

    /// Runs a command to its end.
    async fn control(
        &mut self,
        command: &Command,
        key: &str,
        limit: Option<Duration>,
        stoppable: Stoppable,
    ) -> Step {
        let child = match self.spawn(command, key) {
            Ok(child) => child,
            Err(_) if command.failure == Failure::Ignored => return Step::Done,
            Err(outcome) => return Step::Failed(outcome),
        };
        let mut stop = self.stop.clone();
        let exit = tokio::select! {
            biased;
            () = stopped(&mut stop), if stoppable == Stoppable::Yes => return Step::Stopped,
            exit = timeout(limit.unwrap_or(Duration::MAX), child.exit) => exit,
        };
        let Ok(exit) = exit else {
            let limit = limit.unwrap_or_default();
            self.note(Level::Warn, &format!("{key}={} takes longer than {limit:?}", command.program));
            return Step::Failed(Outcome::Timeout);
        };
        let Ok(exit) = exit else { return Step::Failed(Outcome::Resources) };
        match exit.outcome(Role::Control, &self.definition.also_clean) {
            Outcome::Success => Step::Done,
            _ if command.failure == Failure::Ignored => {
                self.note(Level::Debug, &format!("{key}=-{} {}, ignored", command.program, exit.words()));
                Step::Done
            }
            outcome => {
                self.note(Level::Warn, &format!("{key}={} {}", command.program, exit.words()));
                Step::Failed(outcome)
            }
        }
    }

    /// Starts a command; the error is noted, and what it means for the unit.
    fn spawn(&self, command: &Command, key: &str) -> Result<Child, Outcome> {
        let mut more = Vec::new();
        if let Some(main) = &self.main {
            more.push(("MAINPID", main.pid.as_raw_nonzero().to_string()));
        }
        if key.starts_with("ExecStop") {
            more.push(("SERVICE_RESULT", self.outcome.word().to_owned()));
            let (code, status) = match self.main_exit {
                Some(Exit::Code(code)) => ("exited", code.to_string()),
                Some(Exit::Signal(number)) => ("killed", signals::name(number)),
                None => ("", String::new()),
            };
            if !code.is_empty() {
                more.extend([("EXIT_CODE", code.to_owned()), ("EXIT_STATUS", status)]);
            }
        }
        self.spawner.spawn(&self.definition, command, &more).map_err(|NotRun { outcome, message }| {
            let level = if command.failure == Failure::Ignored { Level::Debug } else { Level::Warn };
            self.note(level, &format!("{key}: {message}"));
            outcome
        })
    }

    /// Ends what is left: with the signal of the unit, and what does not heed it by force.
    async fn terminate(&mut self, round: Round) {
        if !self.children.any() {
            return self.collect_main();
        }
        let (gentle, hard) = match round {
            Round::Stop => (Stage::StopSigterm, Stage::StopSigkill),
            Round::Final => (Stage::FinalSigterm, Stage::FinalSigkill),
        };
        self.set(gentle);
        self.signal(self.definition.kill_signal);
        let limit = self.definition.stop_timeout;
        let (children, main_only) = (self.children.clone(), self.definition.kill_mode == KillMode::Mixed);
        let ended = async {
            let had_main = self.main.is_some();
            tokio::select! {
                biased;
                () = children.all_gone() => {}
                () = self.main_ends(), if had_main && round == Round::Stop => {}
                // There is nobody who was told to end.
                () = std::future::ready(()), if main_only && !had_main => {}
            }
        };
        if timeout(limit.unwrap_or(Duration::MAX), ended).await.is_err() {
            self.outcome = self.outcome.or(Outcome::Timeout);
            let signal = signals::name(self.definition.kill_signal.as_raw());
            let limit = limit.unwrap_or_default();
            self.note(
                Level::Warn,
                &format!("it does not end within {limit:?} of SIG{signal}, and is killed"),
            );
            self.set(hard);
            self.kill().await;
        } else if round == Round::Final && self.children.any() {
            self.kill().await;
        }
        self.collect_main();
    }

    fn signal(&self, signal: Signal) {
        let told = match (&self.main, self.definition.kill_mode) {
            (Some(main), KillMode::Mixed) => vec![main.pid],
            (None, KillMode::Mixed) => Vec::new(),
            (_, KillMode::All) => processes::descendants(),
        };
        processes::signal(&told, signal);
        // One that is halted could not end.
        processes::signal(&told, Signal::CONT);
    }

    /// Kills every process, also those that are forked meanwhile.
    async fn kill(&self) {
        let killing = async {
            loop {
                processes::signal(&processes::descendants(), Signal::KILL);
                if timeout(KILL_AGAIN, self.children.all_gone()).await.is_ok() {
                    return;
                }
            }
        };
        let limit = self.definition.stop_timeout.unwrap_or(KILLED_LIMIT);
        if timeout(limit.max(KILL_AGAIN), killing).await.is_err() {
            self.note(Level::Error, "a process of it cannot be killed");
        }
    }

    /// Judges the main process if it has ended meanwhile.
    fn collect_main(&mut self) {
        if let Some(Ok(exit)) = self.main.as_mut().map(|main| main.exit.try_recv()) {
            self.main = None;
            self.judge(exit);
        }
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    fn set(&self, stage: Stage) {
        let main_pid = self.main.as_ref().map(|main| main.pid.as_raw_nonzero().get());
        self.desk.set(stage, self.outcome, main_pid);
    }

    fn note(&self, level: Level, text: &str) {
        self.desk.note(level, text.to_owned());
    }
}

/// Resolves when the unit is to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Without anybody who could say so, it never is.
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
