//! Runs the modules of a configuration, off the thread of the loop, and takes over files that change.

use std::collections::BTreeMap;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::file::{File, Stamp, stamp};
use super::lanes::{Lane, Lanes};
use super::ration::Ration;
use super::{Answered, Modules};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Modules as Loaded, PolicyKind, WasmPolicy, takes};
use crate::journal::{Consequence, EngineEvent, Journal, SaidLevel};
use crate::scaling::{Answer, FailureKind, PolicyError, PolicyId, Question, Usage};
use crate::wasm::{Host, Level, LoadError, Log, Module};

/// A decision that took longer than this is a slow one. A usual one takes some 30 us.
const SLOW: Duration = Duration::from_millis(5);
/// What is said of a decision that ended with the thread that made it.
const CALL_LOST: &str = "its call was lost";
/// How many answers a worker keeps until it hands them over. Waking the loop for each would cost both of them a fifth of what
/// a decision takes; as many as this are made in a tenth of a millisecond.
const ANSWERS_KEPT_MAX: usize = 8;
/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The policies of a configuration.
#[derive(Debug)]
pub struct LiveModules {
    host: Option<Host>,
    policies: BTreeMap<PolicyId, Arc<Live>>,
    queue: Arc<Queue>,
}

/// Decisions that wait for a thread. A thread takes one after the other, without asking the loop: waking another thread for
/// each would cost as much as deciding.
#[derive(Debug)]
struct Queue(Mutex<Lanes<Task>>);

#[derive(Debug)]
struct Task {
    live: Arc<Live>,
    question: Question,
    asker: Asker,
}

/// Whoever asked, and waits for answers.
type Asker = UnboundedSender<Vec<Answered>>;

/// Answers of a worker that are not handed over yet.
#[derive(Debug, Default)]
struct Kept {
    /// To whom they go.
    asker: Option<Asker>,
    answers: Vec<Answered>,
}

impl Kept {
    fn put(&mut self, asker: Asker, answered: Answered) {
        if self.asker.as_ref().is_some_and(|before| !before.same_channel(&asker)) {
            self.hand_over();
        }
        self.asker = Some(asker);
        self.answers.push(answered);
        if self.answers.len() == ANSWERS_KEPT_MAX {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        if let Some(asker) = self.asker.take() {
            let _nobody_waits = asker.send(std::mem::take(&mut self.answers));
        }
    }
}

#[derive(Debug)]
struct Live {
    name: PolicyId,
    journal: Arc<dyn Journal>,
    /// Its place in the lanes.
    index: usize,
    policy: WasmPolicy,
    /// What decides, or why nothing does.
    module: RwLock<Result<Arc<Module>, String>>,
    file: Mutex<File>,
    /// The lines that it may still log, whichever service it decides about.
    ration: Mutex<Ration>,
}

impl LiveModules {
    /// The policies of a configuration, whose modules were loaded by `host`, as far as they can be used.
    #[must_use]
    pub fn new(config: &Config, host: Option<Host>, loaded: &Loaded, journal: &Arc<dyn Journal>) -> Self {
        let wasm = config.policies.values().filter_map(|policy| match &policy.kind {
            PolicyKind::Wasm(wasm) => Some((&policy.name, wasm)),
            PolicyKind::Threshold(_) => None,
        });
        let policies = wasm.enumerate().filter_map(|(index, (name, policy))| {
            let live = Live::new((index, name), policy, loaded.get(name)?.clone(), journal.clone());
            Some((live.name.clone(), Arc::new(live)))
        });
        let queue = Arc::new(Queue(Mutex::new(Lanes::new(config.policies.len()))));
        Self { host, policies: policies.collect(), queue }
    }
}

impl Queue {
    fn lanes(&self) -> MutexGuard<'_, Lanes<Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, tasks: Vec<Task>) {
        let starts: Vec<Option<Lane>> = {
            let mut lanes = self.lanes();
            tasks.into_iter().map(|task| lanes.add(task.live.index, task)).collect()
        };
        for start in starts {
            self.start(start);
        }
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
        while let Some((index, Task { live, question, asker })) = next {
            // A thread that died in the middle would keep its place for ever.
            let decided = catch_unwind(AssertUnwindSafe(|| {
                // Nobody waits for it any more.
                (!asker.is_closed()).then(|| live.decide(&question))
            }));
            let (answer, pace) = match decided {
                Ok(Some(decided)) => decided,
                Ok(None) => (failed(FailureKind::Lost, "nobody asks"), lane),
                Err(_) => (failed(FailureKind::Lost, CALL_LOST), Lane::Slow),
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

impl Modules for LiveModules {
    fn ask(&self, questions: Vec<Question>) -> impl Stream<Item = Vec<Answered>> + Send {
        let (asker, mut answered) = unbounded_channel();
        let (mut tasks, mut unknown) = (Vec::with_capacity(questions.len()), Kept::default());
        for question in questions {
            let asker = asker.clone();
            match self.policies.get(&question.of.policy) {
                Some(live) => tasks.push(Task { live: live.clone(), question, asker }),
                None => {
                    let answer = failed(FailureKind::Unusable, "its module was not loaded");
                    unknown.put(asker, Answered { question, answer });
                }
            }
        }
        unknown.hand_over();
        self.queue.add(tasks);
        poll_fn(move |context| answered.poll_recv(context))
    }

    fn unusable(&self) -> Vec<PolicyId> {
        let unusable = self.policies.values().filter(|live| live.module().is_err());
        unusable.map(|live| live.name.clone()).collect()
    }

    async fn renewed(&self) -> Vec<PolicyId> {
        let Some(host) = &self.host else { return pending().await };
        loop {
            sleep(LOOK_EVERY).await;
            let mut renewed = Vec::new();
            for live in self.policies.values() {
                let Some(stamp) = live.new_file() else { continue };
                let loaded = self.policies.values().filter_map(|live| live.module().ok()).collect();
                if live.clone().reload(host.clone(), loaded, &self.queue).await {
                    renewed.push(live.name.clone());
                }
                live.file().read = Some(stamp);
            }
            if !renewed.is_empty() {
                return renewed;
            }
        }
    }
}

impl Live {
    fn new(
        (index, name): (usize, &str),
        policy: &WasmPolicy,
        module: Result<Arc<Module>, String>,
        journal: Arc<dyn Journal>,
    ) -> Self {
        let mut file = File { last: stamp(&policy.module), read: None };
        if module.is_ok() {
            file.read = file.last;
        }
        let (name, policy) = (PolicyId::from(name), policy.clone());
        let ration = Mutex::new(Ration::new(Instant::now()));
        let told = module.clone();
        let (module, file) = (RwLock::new(module), Mutex::new(file));
        let live = Self { name, journal, index, policy, module, file, ration };
        match told {
            Ok(module) => live.tell_loaded(&module, None),
            // Its file is read again in any case: it may have been half written.
            Err(error) => live.tell_refused(error, Consequence::NoneFromTheStart),
        }
        live
    }

    fn tell(&self, event: EngineEvent) {
        self.journal.tell(SystemClock.now(), event);
    }

    fn path(&self) -> String {
        self.policy.module.display().to_string()
    }

    fn tell_loaded(&self, module: &Module, file: Option<String>) {
        let about = module.description();
        let (name, version) = (about.name.clone(), about.version.clone());
        let (policy, sha256) = (self.name.clone(), module.sha256().to_owned());
        self.tell(EngineEvent::ModuleLoaded { policy, name, version, sha256, file });
    }

    fn tell_refused(&self, error: String, consequence: Consequence) {
        let (policy, file) = (self.name.clone(), self.path());
        self.tell(EngineEvent::ModuleRefused { policy, file, error, consequence });
    }

    /// The state of its file, if that is to be read.
    fn new_file(&self) -> Option<Stamp> {
        let stamp = stamp(&self.policy.module);
        let mut file = self.file();
        if stamp.is_none() && file.last.is_some() {
            self.tell(EngineEvent::ModuleGone { policy: self.name.clone(), file: self.path() });
        }
        file.due(stamp)
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn module(&self) -> Result<Arc<Module>, String> {
        self.module.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn decide_by(&self, module: Result<Arc<Module>, String>) {
        *self.module.write().unwrap_or_else(PoisonError::into_inner) = module;
    }

    /// Decides, and says what lane the next decision is for.
    fn decide(&self, question: &Question) -> (Answer, Lane) {
        let module = match self.module() {
            Ok(module) => module,
            Err(error) => return (failed(FailureKind::Unusable, error), Lane::Slow),
        };
        let Question { of, seen, state } = question;
        let began = Instant::now();
        let run = module.decide(&self.policy.config, seen, state, &self.policy.limits);
        let took = began.elapsed();
        let pace = if took > SLOW || run.result.is_err() { Lane::Slow } else { Lane::Quick };
        self.pass_on(of.service.as_str(), &run.log);
        let usage = Usage { fuel: run.fuel, memory_bytes: run.memory_bytes, took };
        (Answer { result: run.result.map_err(PolicyError::from), usage }, pace)
    }

    /// The lines of a module, as far as they are shown and are no flood.
    fn pass_on(&self, service: &str, log: &Log) {
        let policy = &self.name;
        let now = Instant::now();
        let mut ration = self.ration.lock().unwrap_or_else(PoisonError::into_inner);
        for line in &log.lines {
            let is_shown = line.level != Level::Debug || tracing::enabled!(tracing::Level::DEBUG);
            if !is_shown || !ration.take(now) {
                continue;
            }
            let level = match line.level {
                Level::Debug => SaidLevel::Debug,
                Level::Info => SaidLevel::Info,
                Level::Warn => SaidLevel::Warn,
            };
            let (service, policy, text) = (service.to_owned(), policy.clone(), line.text.clone());
            self.tell(EngineEvent::PolicySaid { service, policy, level, text });
        }
        ration.leave_out(log.left_out);
        if let Some(lines) = ration.untold(now) {
            self.tell(EngineEvent::PolicySaidTooMuch { policy: policy.clone(), lines });
        }
    }

    /// Takes over a file that changed, if it is good. Returns whether the policy has become another.
    ///
    /// `loaded` are the modules of all policies: one that another policy has taken over already is shared with it.
    async fn reload(self: Arc<Self>, host: Host, loaded: Vec<Arc<Module>>, queue: &Queue) -> bool {
        let live = self.clone();
        let checked = spawn_blocking(move || live.check(&host, &loaded)).await;
        let error = match checked {
            Ok(Ok(module)) => {
                if self.module().is_ok_and(|old| old.sha256() == module.sha256()) {
                    return false;
                }
                self.tell_loaded(&module, Some(self.path()));
                self.decide_by(Ok(module));
                queue.lanes().distrust(self.index);
                return true;
            }
            Ok(Err(error)) => error,
            Err(error) => error.to_string(),
        };
        let is_there = self.module().is_ok();
        self.tell_refused(error, if is_there { Consequence::OldOneStays } else { Consequence::StillNone });
        false
    }

    fn check(&self, host: &Host, loaded: &[Arc<Module>]) -> Result<Arc<Module>, String> {
        let WasmPolicy { module, sha256, config, limits, .. } = &self.policy;
        let module =
            host.reload_file(module, limits, sha256.as_deref(), loaded).map_err(|error| chain(&error))?;
        takes(&module, config, limits).map_err(|why| format!("it does not take the configuration: {why}"))?;
        Ok(module)
    }
}

/// An answer without a run.
fn failed(kind: FailureKind, words: impl Into<String>) -> Answer {
    Answer { result: Err(PolicyError::new(kind, words)), usage: Usage::default() }
}

fn chain(error: &LoadError) -> String {
    crate::engine::Chain(error).to_string()
}
