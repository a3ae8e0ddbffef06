//! Runs the modules of a configuration, off the thread of the loop, and takes over files that change.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use dynamite_core::{Answer, FailureKind, PolicyError, PolicyId, Question, Usage};
use futures_util::Stream;
use futures_util::stream::poll_fn;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::file::{File, Stamp, stamp};
use super::lanes::Lane;
use super::queue::{Decide, Kept, Queue, Task, failed};
use super::ration::Ration;
use super::{Answered, Modules};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Modules as Loaded, PolicyKind, WasmPolicy, takes};
use crate::journal::{Consequence, EngineEvent, Journal, SaidLevel};
use crate::wasm::{Host, Level, LoadError, Log, Module};

/// A decision that took longer than this is a slow one. A usual one takes some 30 us.
const SLOW: Duration = Duration::from_millis(5);
/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The policies of a configuration.
#[derive(Debug)]
pub struct LiveModules {
    host: Option<Host>,
    policies: BTreeMap<PolicyId, Arc<Live>>,
    queue: Arc<Queue<Live>>,
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
        let queue = Arc::new(Queue::new(config.policies.len()));
        Self { host, policies: policies.collect(), queue }
    }
}

impl Modules for LiveModules {
    fn ask(&self, questions: Vec<Question>) -> impl Stream<Item = Vec<Answered>> + Send {
        let (asker, mut answered) = unbounded_channel();
        let (mut tasks, mut unknown) = (Vec::with_capacity(questions.len()), Kept::default());
        for question in questions {
            let asker = asker.clone();
            if let Some(live) = self.policies.get(&question.of.policy) {
                tasks.push(Task { decider: live.clone(), question, asker });
            } else {
                let answer = failed(FailureKind::Unusable, "its module was not loaded");
                unknown.put(asker, Answered { question, answer });
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

impl Decide for Live {
    fn index(&self) -> usize {
        self.index
    }

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
    async fn reload(self: Arc<Self>, host: Host, loaded: Vec<Arc<Module>>, queue: &Queue<Self>) -> bool {
        let live = self.clone();
        let checked = spawn_blocking(move || live.check(&host, &loaded)).await;
        let error = match checked {
            Ok(Ok(module)) => {
                if self.module().is_ok_and(|old| old.sha256() == module.sha256()) {
                    return false;
                }
                self.tell_loaded(&module, Some(self.path()));
                self.decide_by(Ok(module));
                queue.distrust(self.index);
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

fn chain(error: &LoadError) -> String {
    crate::engine::Chain(error).to_string()
}
