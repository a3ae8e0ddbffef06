//! A module that was loaded: checked, compiled and ready to be instantiated for each call.

use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};

use super::bindings::{self, waiting};
use super::cache::Cache;
use super::contract;
use super::engines::{Engines, POOLED_BYTES_MAX, Size};
use super::error::LoadError;
use super::footprint::fits_the_pool;
use super::guest::Guest;
use super::{Description, Limits};

/// The largest file of a module, in bytes: twice that of Python's, the largest there is.
pub const MODULE_BYTES_MAX: u64 = 64 << 20;
/// The longest text in a description, in bytes; a schema may be as long as [`SCHEMA_BYTES_MAX`].
const TEXT_BYTES_MAX: usize = 256;
/// The longest schema of a configuration.
const SCHEMA_BYTES_MAX: usize = 256 << 10;

/// What modules run in. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    pub(super) engines: Arc<Engines>,
    linkers: Arc<Linkers>,
    cache: Option<Arc<Cache>>,
}

struct Linkers {
    small: Linker<Guest>,
    large: Linker<Guest>,
}

/// A module ready to run.
pub struct Module {
    pub(super) host: Host,
    pub(super) entry: Entry,
    sha256: String,
    description: Description,
}

/// How calls get in.
pub(super) enum Entry {
    /// Directly.
    Small(bindings::ScalingPolicyPre<Guest>),
    /// By way of a runtime, as WASI may wait for something.
    Large(waiting::ScalingPolicyPre<Guest>),
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module").field("sha256", &self.sha256).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("cache", &self.cache).finish_non_exhaustive()
    }
}

impl Host {
    /// A host that keeps compiled modules in this folder, if that can be done safely.
    ///
    /// # Errors
    /// That this machine cannot run WebAssembly.
    pub fn new(cache_folder: Option<&Path>) -> wasmtime::Result<Self> {
        let engines = Engines::new()?;
        let linkers = Linkers { small: small_linker(&engines.small)?, large: large_linker(&engines.large)? };
        let cache = cache_folder.and_then(|folder| match Cache::open(folder) {
            Ok(cache) => Some(Arc::new(cache)),
            Err(error) => {
                let folder = folder.display().to_string();
                tracing::warn!(%error, folder, "compiled modules are not kept: the folder cannot be used");
                None
            }
        });
        Ok(Self { engines: Arc::new(engines), linkers: Arc::new(linkers), cache })
    }

    /// Reads a file and loads the module in it. `sha256` is what the configuration wants it to be.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn load_file(&self, path: &Path, limits: &Limits, sha256: Option<&str>) -> Result<Module, LoadError> {
        self.load(&read(path, sha256)?.0, limits)
    }

    /// The same, unless the module of that file is among those that are loaded and can be used under these limits.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn reload_file(
        &self,
        path: &Path,
        limits: &Limits,
        sha256: Option<&str>,
        loaded: &[Arc<Module>],
    ) -> Result<Arc<Module>, LoadError> {
        let (bytes, sha256) = read(path, sha256)?;
        let is_usable =
            |entry: &Entry| matches!(entry, Entry::Large(_)) || limits.memory_bytes <= POOLED_BYTES_MAX;
        match loaded.iter().find(|module| module.sha256 == sha256 && is_usable(&module.entry)) {
            Some(module) => Ok(module.clone()),
            None => self.load(&bytes, limits).map(Arc::new),
        }
    }

    /// Loads a module: a component, or a core module that holds what makes it one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn load(&self, bytes: &[u8], limits: &Limits) -> Result<Module, LoadError> {
        let sha256 = sha256_of(bytes);
        let sizes: &[Size] =
            if limits.memory_bytes > POOLED_BYTES_MAX { &[Size::Large] } else { &[Size::Small, Size::Large] };
        for &size in sizes {
            let cached =
                self.cache.as_ref().and_then(|cache| cache.get((size, self.engines.of(size)), &sha256));
            if let Some(component) = cached {
                return self.prepare(&component, size, sha256, limits);
            }
        }
        let component = contract::component(bytes)?;
        let needs = contract::check(&component)?;
        let fits = fits_the_pool(&component).map_err(|error| LoadError::Damaged(error.to_string()))?;
        let size = if needs.wasi || !fits { Size::Large } else { sizes[0] };
        let engine = self.engines.of(size);
        let compiled = Component::new(engine, &component).map_err(|error| LoadError::damaged(&error))?;
        let module = self.prepare(&compiled, size, sha256, limits)?;
        if let Some(cache) = &self.cache
            && let Err(error) = cache.put((size, engine), &module.sha256, &compiled)
        {
            tracing::warn!(%error, "a compiled module cannot be kept");
        }
        Ok(module)
    }

    fn prepare(
        &self,
        component: &Component,
        size: Size,
        sha256: String,
        limits: &Limits,
    ) -> Result<Module, LoadError> {
        let other = |error: wasmtime::Error| LoadError::OtherWorld(format!("{error:#}"));
        let entry = match size {
            Size::Small => {
                let pre = self.linkers.small.instantiate_pre(component).map_err(other)?;
                Entry::Small(bindings::ScalingPolicyPre::new(pre).map_err(other)?)
            }
            Size::Large => {
                let pre = self.linkers.large.instantiate_pre(component).map_err(other)?;
                Entry::Large(waiting::ScalingPolicyPre::new(pre).map_err(other)?)
            }
        };
        let mut module = Module { host: self.clone(), entry, sha256, description: Description::default() };
        let described = module.describe(limits).result.map_err(LoadError::Describe)?;
        check_description(&described)?;
        module.description = described;
        Ok(module)
    }
}

impl Module {
    /// The SHA-256 of the file, in lower-case hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What it says about itself.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }
}

impl LoadError {
    /// What the compiler refuses: parts that are switched off, or nonsense.
    pub(super) fn damaged(error: &wasmtime::Error) -> Self {
        let text = format!("{error:#}");
        // The compiler has no other way of telling them apart.
        let is_off = ["feature", "not enabled", "not supported"].iter().any(|word| text.contains(word));
        if is_off { Self::NotOffered(text) } else { Self::Damaged(text) }
    }
}

/// The bytes of a file, and their SHA-256, which is what the configuration wants it to be.
fn read(path: &Path, sha256: Option<&str>) -> Result<(Vec<u8>, String), LoadError> {
    let about = path.metadata().map_err(LoadError::Unreadable)?;
    if !about.is_file() {
        // A device or a pipe may have no end.
        return Err(LoadError::Unreadable(std::io::Error::other("it is no file")));
    }
    if about.len() > MODULE_BYTES_MAX {
        return Err(LoadError::TooLarge);
    }
    let bytes = std::fs::read(path).map_err(LoadError::Unreadable)?;
    let found = sha256_of(&bytes);
    match sha256 {
        Some(wanted) if !wanted.eq_ignore_ascii_case(&found) => {
            Err(LoadError::WrongHash { found, wanted: wanted.to_owned() })
        }
        _ => Ok((bytes, found)),
    }
}

/// The SHA-256 of some bytes, in lower-case hexadecimal.
#[must_use]
pub fn sha256_of(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn small_linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    bindings::dynamite::policy::log::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    bindings::dynamite::policy::types::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    Ok(linker)
}

fn large_linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = small_linker(engine)?;
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}

fn check_description(description: &Description) -> Result<(), LoadError> {
    let Description { name, version, summary, config_schema } = description;
    for (what, text) in [("name", name), ("version", version), ("summary", summary)] {
        if text.len() > TEXT_BYTES_MAX || text.chars().any(char::is_control) {
            return Err(LoadError::Description(format!("a {what} that is no line of text")));
        }
    }
    if name.is_empty() {
        return Err(LoadError::Description("no name".to_owned()));
    }
    if config_schema.len() > SCHEMA_BYTES_MAX {
        return Err(LoadError::Description(format!("a schema of more than {SCHEMA_BYTES_MAX} bytes")));
    }
    if !config_schema.is_empty() && serde_json::from_str::<serde_json::Value>(config_schema).is_err() {
        return Err(LoadError::Description("a schema that is no JSON".to_owned()));
    }
    Ok(())
}
