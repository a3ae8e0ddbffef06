//! The modules of policies: loaded, and asked whether they take their `config`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use indexmap::IndexMap;

use super::check::Checker;
use super::policy_file::{Kind, Policy, Wasm};
use super::read::{At, Reader, shortened};
use super::report::{Diagnostic, Report};
use super::violations::{Violation, violations};
use super::{PolicyKind, ScalingPolicy, WasmPolicy};
use crate::wasm::{CallError, Host, Limits, LoadError, Module};

/// The modules of policies, by the name of the policy, or why one cannot be used. Policies with the same file share one.
pub type Modules = BTreeMap<String, Result<Arc<Module>, String>>;

/// Loads modules. What they run in is made when the first one is asked for, so a configuration without any pays nothing.
#[derive(Debug, Default)]
pub struct ModuleLoader {
    cache_folder: Option<PathBuf>,
    host: Option<Host>,
}

impl ModuleLoader {
    /// A loader that keeps compiled modules in this folder, if one is given.
    #[must_use]
    pub fn new(cache_folder: Option<PathBuf>) -> Self {
        Self { cache_folder, host: None }
    }

    /// What modules run in.
    ///
    /// # Errors
    /// That this machine cannot run WebAssembly.
    pub fn host(&mut self) -> wasmtime::Result<&Host> {
        let host = match self.host.take() {
            Some(host) => host,
            None => Host::new(self.cache_folder.as_deref())?,
        };
        Ok(self.host.insert(host))
    }

    /// What the modules were loaded in; none if there was no module.
    #[must_use]
    pub fn into_host(self) -> Option<Host> {
        self.host
    }
}

/// A policy whose module is loaded.
struct Job<'f> {
    name: &'f At<String>,
    policy: &'f WasmPolicy,
    file: &'f Wasm,
    /// Where `module` is.
    at: &'f At<String>,
}

/// What came of a module and its configuration.
pub(super) enum Outcome {
    /// The module cannot be loaded.
    Unusable(Arc<LoadError>),
    /// The same, for what is wrong with its limits in the file, and said already.
    Unasked(Arc<LoadError>),
    /// Its schema cannot be used.
    BrokenSchema(String),
    /// The configuration does not fit the schema.
    Violations(Vec<Violation>),
    /// The module does not take the configuration, and what it logged last.
    Refused(CallError, Option<String>),
    /// All is well.
    Fits(Arc<Module>),
}

impl Checker<'_, '_> {
    /// Loads the modules of the policies that are used, and checks their configurations.
    pub(super) fn modules(
        &mut self,
        used: &HashSet<&str>,
        policies: &IndexMap<String, ScalingPolicy>,
        files: &[Policy],
    ) -> Modules {
        let job = |file| job(file, policies);
        let jobs: Vec<Job<'_>> =
            files.iter().filter(|file| used.contains(file.name.value.as_str())).filter_map(job).collect();
        let Some(first) = jobs.first() else { return Modules::new() };
        let outcomes = match self.loader.host() {
            // Modules must not be called where asynchronous code runs, and the daemon's start does.
            Ok(host) => thread::scope(|scope| scope.spawn(|| outcomes(host, &jobs)).join())
                .map_err(|_| "loading the modules failed".to_owned()),
            Err(error) => Err(format!("this machine cannot run modules: {error:#}")),
        };
        let named = |job: &Job<'_>| job.name.value.clone();
        match outcomes {
            Ok(outcomes) => {
                let fit = |(job, outcome)| (named(job), self.fit(job, outcome));
                jobs.iter().zip(outcomes).map(fit).collect()
            }
            Err(message) => {
                let mut found = Report::default();
                let place = self.reader.source.place(first.at.span);
                found.add(Diagnostic::error(&message).at(place));
                self.reader.report.add_of_module(found);
                jobs.iter().map(|job| (named(job), Err(message.clone()))).collect()
            }
        }
    }

    /// The module, or everything that is wrong with it, which is reported too.
    fn fit(&mut self, job: &Job<'_>, outcome: Outcome) -> Result<Arc<Module>, String> {
        let mut found = Report::default();
        let mut reader = Reader { source: self.reader.source, report: &mut found };
        let policy = shortened(&job.name.value);
        let module = format!("the module `{}` of scaling policy `{policy}`", job.policy.module.display());
        match outcome {
            Outcome::Fits(module) => return Ok(module),
            Outcome::Unasked(error) => return Err(error.to_string()),
            Outcome::Unusable(error) => {
                let at = match (&*error, &job.file.sha256) {
                    (LoadError::WrongHash { .. }, Some(sha256)) => sha256.span,
                    _ => job.at.span,
                };
                let why = error.source().map(|source| format!(": {source}")).unwrap_or_default();
                let message = format!("{module} cannot be used: {error}{why}");
                reader.error(at, message, help(&error));
            }
            Outcome::BrokenSchema(why) => {
                let message = format!("{module} has a broken JSON Schema for its `config`: {why}");
                let help = "take another version of the module, or tell its author".to_owned();
                reader.error(job.at.span, message, Some(help));
            }
            Outcome::Violations(violations) => {
                for violation in violations {
                    reader.violation(&violation, job.file.config.as_ref(), job.at.span);
                }
            }
            Outcome::Refused(error, logged) => {
                let at = job.file.config.as_ref().map_or(job.at.span, |config| config.key);
                let message = format!("{module} does not take its `config`: {error}");
                let mut diagnostic = Diagnostic::error(message).at(reader.source.place(at));
                if let Some(line) = logged {
                    diagnostic = diagnostic.note(format!("it logged: {line}"));
                }
                let is_bare = job.file.config.is_none() && matches!(error, CallError::Refused(_));
                reader.report.add(diagnostic.maybe_help(is_bare.then(|| "add `config: {…}`".to_owned())));
            }
        }
        let line = found.line();
        self.reader.report.add_of_module(found);
        Err(line)
    }
}

fn job<'f>(file: &'f Policy, policies: &'f IndexMap<String, ScalingPolicy>) -> Option<Job<'f>> {
    let Kind::Wasm(wasm) = &file.kind else { return None };
    let PolicyKind::Wasm(policy) = &policies.get(&file.name.value)?.kind else { return None };
    Some(Job { name: &file.name, policy, file: wasm, at: wasm.module.as_ref()? })
}

/// Loads each file once, with the highest limits that any of its policies has, and checks every configuration.
fn outcomes(host: &Host, jobs: &[Job<'_>]) -> Vec<Outcome> {
    let mut highest: HashMap<PathBuf, Limits> = HashMap::new();
    for job in jobs {
        let limits = job.policy.limits;
        let entry = highest.entry(real(&job.policy.module)).or_insert(limits);
        entry.memory_bytes = entry.memory_bytes.max(limits.memory_bytes);
        entry.fuel = entry.fuel.max(limits.fuel);
        entry.time = entry.time.max(limits.time);
    }
    let mut known: HashMap<PathBuf, Result<Arc<Module>, Arc<LoadError>>> = HashMap::new();
    let outcome = |job: &Job<'_>| {
        let WasmPolicy { module: path, sha256, config, limits, .. } = job.policy;
        let real = real(path);
        let loaded = match known.get(&real) {
            Some(loaded) => loaded.clone(),
            None => host
                .load_file(path, highest.get(&real).unwrap_or(limits), sha256.as_deref())
                .map(Arc::new)
                .map_err(Arc::new),
        };
        // A file that one policy does not want may be what another does.
        if !matches!(&loaded, Err(error) if matches!(**error, LoadError::WrongHash { .. })) {
            known.insert(real, loaded.clone());
        }
        match loaded {
            // With the right limits it may do better.
            Err(error) if job.file.has_bad_limits && matches!(*error, LoadError::Describe(_)) => {
                Outcome::Unasked(error)
            }
            Err(error) => Outcome::Unusable(error),
            Ok(module) => match sha256 {
                Some(wanted) if wanted != module.sha256() => {
                    Outcome::Unusable(Arc::new(LoadError::WrongHash {
                        found: module.sha256().to_owned(),
                        wanted: wanted.clone(),
                    }))
                }
                _ if job.file.has_bad_config => Outcome::Fits(module),
                _ => asked(module, config, (!job.file.has_bad_limits).then_some(limits)),
            },
        }
    };
    jobs.iter().map(outcome).collect()
}

/// Whether a module takes a configuration: its schema, and then the module itself.
///
/// # Errors
/// The first thing that is wrong.
pub fn takes(module: &Arc<Module>, config: &str, limits: &Limits) -> Result<(), String> {
    match asked(module.clone(), config, Some(limits)) {
        Outcome::Fits(_) => Ok(()),
        Outcome::Unusable(error) | Outcome::Unasked(error) => Err(error.to_string()),
        Outcome::BrokenSchema(why) => Err(format!("its JSON Schema is broken: {why}")),
        Outcome::Violations(found) => {
            let path = found.first().map(|violation| violation.path.join(".")).unwrap_or_default();
            let dot = if path.is_empty() { "" } else { "." };
            Err(format!("`config{dot}{path}` does not fit its JSON Schema"))
        }
        Outcome::Refused(error, _) => Err(error.to_string()),
    }
}

/// Asks a module's schema, and then the module, if it is known under what limits.
fn asked(module: Arc<Module>, config: &str, limits: Option<&Limits>) -> Outcome {
    match violations(&module.description().config_schema, config) {
        Err(why) => return Outcome::BrokenSchema(why),
        Ok(found) if !found.is_empty() => return Outcome::Violations(found),
        Ok(_) => {}
    }
    let Some(limits) = limits else { return Outcome::Fits(module) };
    let run = module.validate(config, limits);
    match run.result {
        Ok(()) => Outcome::Fits(module),
        Err(error) => Outcome::Refused(error, run.log.lines.last().map(|line| line.text.clone())),
    }
}

/// A path that is the same however it is spelled.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// What to do about a module that cannot be loaded; nothing where the error says it.
fn help(error: &LoadError) -> Option<String> {
    let help = match error {
        LoadError::Unreadable(source) if source.kind() == ErrorKind::NotFound => {
            "put it there, or correct `module`: a relative path starts at the folder of the configuration file"
        }
        LoadError::Unreadable(_) => "it must be a file that Dynamite may read",
        LoadError::TooLarge => "build it for release, and without debug information",
        LoadError::NotWasm => "name the file that was built, which ends in `.wasm`",
        LoadError::WrongHash { found, .. } => {
            return Some(format!("if this file is the right one, write `sha256: {found}`"));
        }
        LoadError::NoInterface => return None,
        LoadError::OldWasi(_) => "make it a component with an adapter, or build it for a target without WASI",
        LoadError::Damaged(_) => "copy it again, or build it again",
        LoadError::NotOffered(_) => {
            "build it without, such as JavaScript with `componentize-qjs --sync`: asynchronous functions are not offered"
        }
        LoadError::OtherVersion { .. } => "build it again, with the crate `dynamite-policy` of this Dynamite",
        LoadError::OtherWorld(_) => {
            "build it with the crate `dynamite-policy`, or for the world `scaling-policy` of `dynamite:policy@0.1.0`"
        }
        LoadError::Describe(_) => "raise its `limits` if they end it, or tell its author",
        LoadError::Description(_) => "tell its author",
    };
    Some(help.to_owned())
}
