//! Runs the modules of a configuration, off the thread of the loop, and takes over files that change.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::lanes::{Lane, Lanes};
use super::{Modules, Question};
use crate::config::{Config, Modules as Loaded, PolicyKind, WasmPolicy, takes};
use crate::scaling::Verdict;
use crate::wasm::{Host, Level, LoadError, Log, Module};

/// A decision that took longer than this is a slow one. A usual one takes some 30 us.
const SLOW: Duration = Duration::from_millis(5);
/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The policies of a configuration.
#[derive(Debug)]
pub struct LiveModules {
    host: Option<Host>,
    policies: BTreeMap<String, Arc<Live>>,
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
    answer: oneshot::Sender<Result<Verdict, String>>,
}

#[derive(Debug)]
struct Live {
    name: String,
    /// Its place in the lanes.
    index: usize,
    policy: WasmPolicy,
    module: RwLock<Arc<Module>>,
    file: Mutex<File>,
}

impl LiveModules {
    /// The policies of a configuration, whose modules were loaded by `host`.
    #[must_use]
    pub fn new(config: &Config, host: Option<Host>, loaded: &Loaded) -> Self {
        let wasm = config.policies.values().filter_map(|policy| match &policy.kind {
            PolicyKind::Wasm(wasm) => Some((&policy.name, wasm)),
            PolicyKind::Threshold(_) => None,
        });
        let policies = wasm.enumerate().filter_map(|(index, (name, policy))| {
            let module = loaded.get(name)?.clone();
            let about = module.description();
            let (version, sha256) = (&*about.version, module.sha256());
            tracing::info!(policy = name, version, sha256, "{name}: decided by the module {}", about.name);
            let module = RwLock::new(module);
            let live = Live {
                name: name.clone(),
                index,
                policy: (**policy).clone(),
                module,
                file: Mutex::new(File::at(stamp(&policy.module))),
            };
            Some((name.clone(), Arc::new(live)))
        });
        let queue = Arc::new(Queue(Mutex::new(Lanes::new(config.policies.len()))));
        Self { host, policies: policies.collect(), queue }
    }
}

impl Queue {
    fn lanes(&self) -> MutexGuard<'_, Lanes<Task>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, task: Task) {
        let start = self.lanes().add(task.live.index, task);
        self.start(start);
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
        loop {
            let next = self.lanes().take(lane);
            let Some((index, Task { live, question, answer })) = next else { return };
            // A thread that died in the middle would keep its place for ever.
            let decided = catch_unwind(AssertUnwindSafe(|| {
                // Nobody waits for it any more.
                (!answer.is_closed()).then(|| live.decide(question))
            }));
            let (verdict, pace) = match decided {
                Ok(Some((verdict, pace))) => (verdict, pace),
                Ok(None) => (Err("nobody asks".to_owned()), lane),
                Err(_) => (Err("its call was lost".to_owned()), Lane::Slow),
            };
            let start = self.lanes().done(index, lane, pace);
            self.start(start);
            let _nobody_waits = answer.send(verdict);
        }
    }
}

impl Modules for LiveModules {
    fn decide(&self, question: Question) -> impl Future<Output = Result<Verdict, String>> + Send {
        let (answer, answered) = oneshot::channel();
        match self.policies.get(&question.policy) {
            Some(live) => self.queue.add(Task { live: live.clone(), question, answer }),
            // Nobody else has the other end yet, so it is there to hear.
            None => drop(answer.send(Err("its module was not loaded".to_owned()))),
        }
        async { answered.await.unwrap_or_else(|_| Err("its call was lost".to_owned())) }
    }

    async fn watch(&self) -> Infallible {
        let Some(host) = &self.host else { return pending().await };
        loop {
            sleep(LOOK_EVERY).await;
            for live in self.policies.values() {
                if live.has_new_file() {
                    let loaded: Vec<_> = self.policies.values().map(|live| live.module()).collect();
                    live.clone().reload(host.clone(), loaded, &self.queue).await;
                }
            }
        }
    }
}

impl Live {
    fn has_new_file(&self) -> bool {
        let stamp = stamp(&self.policy.module);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if stamp.is_none() && file.last.is_some() {
            let (policy, path) = (&*self.name, self.policy.module.display().to_string());
            tracing::warn!(
                policy,
                file = path,
                "{policy}: the file of its module is gone; a restart would fail"
            );
        }
        file.is_new(stamp)
    }

    fn module(&self) -> Arc<Module> {
        self.module.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Decides, and says what lane the next decision is for.
    fn decide(&self, question: Question) -> (Result<Verdict, String>, Lane) {
        let Question { seen, state, .. } = question;
        let service = seen.service.name.clone();
        let began = Instant::now();
        let run = self.module().decide(&self.policy.config, seen, &state, &self.policy.limits);
        let took = began.elapsed();
        let pace = if took > SLOW || run.result.is_err() { Lane::Slow } else { Lane::Quick };
        self.tell(&service, &run.log);
        tracing::debug!(
            service,
            policy = self.name,
            fuel = run.fuel,
            ?took,
            memory = run.memory_bytes,
            "asked"
        );
        (run.result.map_err(|error| error.to_string()), pace)
    }

    /// The lines of a module, in the daemon's log.
    fn tell(&self, service: &str, log: &Log) {
        let policy = &*self.name;
        for line in &log.lines {
            let text = &*line.text;
            match line.level {
                Level::Debug => tracing::debug!(service, policy, "{service}: {policy} says: {text}"),
                Level::Info => tracing::info!(service, policy, "{service}: {policy} says: {text}"),
                Level::Warn => tracing::warn!(service, policy, "{service}: {policy} says: {text}"),
            }
        }
        if log.left_out > 0 {
            let lines = log.left_out;
            tracing::warn!(service, policy, lines, "{service}: {policy} says more than is logged");
        }
    }

    /// Takes over a file that changed, if it is good.
    ///
    /// `loaded` are the modules of all policies: one that another policy has taken over already is shared with it.
    async fn reload(self: Arc<Self>, host: Host, loaded: Vec<Arc<Module>>, queue: &Queue) {
        let live = self.clone();
        let checked = spawn_blocking(move || live.check(&host, &loaded)).await;
        let (policy, file) = (&*self.name, self.policy.module.display().to_string());
        match checked {
            Ok(Ok(module)) if module.sha256() == self.module().sha256() => {}
            Ok(Ok(module)) => {
                let about = module.description();
                let (version, sha256) = (&*about.version, module.sha256());
                tracing::info!(policy, file, version, sha256, "{policy}: took over a new module");
                *self.module.write().unwrap_or_else(PoisonError::into_inner) = module;
                queue.lanes().distrust(self.index);
            }
            Ok(Err(error)) => {
                tracing::error!(
                    policy,
                    file,
                    error,
                    "{policy}: the changed module is refused; the old one stays, and a restart would fail"
                );
            }
            Err(error) => {
                tracing::error!(policy, file, %error, "{policy}: the changed module was not loaded");
            }
        }
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

/// What tells one state of a file from another: when it and what is said of it were changed, its size and its place on
/// the disk.
type Stamp = (SystemTime, (i64, i64), u64, u64);

fn stamp(path: &Path) -> Option<Stamp> {
    let about = path.metadata().ok()?;
    Some((about.modified().ok()?, (about.ctime(), about.ctime_nsec()), about.len(), about.ino()))
}

/// What was seen of a file.
#[derive(Debug)]
struct File {
    /// When it was last looked at.
    last: Option<Stamp>,
    /// When it was last read.
    read: Option<Stamp>,
}

impl File {
    fn at(stamp: Option<Stamp>) -> Self {
        Self { last: stamp, read: stamp }
    }

    /// Whether the file is to be read: it has changed, and then not again, so nobody is writing it any more.
    fn is_new(&mut self, now: Option<Stamp>) -> bool {
        let is_settled = now.is_some() && now == self.last && now != self.read;
        self.last = now;
        if is_settled {
            self.read = now;
        }
        is_settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_it_has_changed_and_settled() {
        let stamp = |size| Some((SystemTime::UNIX_EPOCH, (0, 0), size, 1));
        let mut file = File::at(stamp(1));
        let seen = [stamp(1), stamp(2), stamp(3), stamp(3), stamp(3), None, stamp(3), stamp(4), stamp(4)];
        let read: Vec<bool> = seen.into_iter().map(|now| file.is_new(now)).collect();
        assert_eq!(read, [false, false, false, true, false, false, false, false, true]);
    }
}
