//! Compose files, as far as ours go: read strictly, so that a key which no test knows is noticed, and turned into flags.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A compose file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    /// What the containers' names begin with.
    pub name: String,
    /// The containers, by name.
    pub services: BTreeMap<String, Service>,
    /// The volumes that are kept, by name.
    #[serde(default)]
    pub volumes: BTreeMap<String, Option<IgnoredAny>>,
}

/// A container.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// What it is made from.
    pub image: String,
    /// Where that is built, if it is.
    pub build: Option<String>,
    /// What it is told to run.
    pub command: Vec<String>,
    /// What starts before it.
    pub depends_on: Vec<String>,
    /// Its variables, with `${NAME:-default}` in them.
    pub environment: BTreeMap<String, String>,
    /// Names that it can look up, each `name:address`.
    pub extra_hosts: Vec<String>,
    /// Ports that are reachable from outside.
    pub ports: Vec<String>,
    /// What is mounted, each `source:target` with or without `:ro`.
    pub volumes: Vec<String>,
    /// Whether nothing but the volumes can be written.
    pub read_only: bool,
    /// Capabilities that it does not have.
    pub cap_drop: Vec<String>,
    /// Further restrictions.
    pub security_opt: Vec<String>,
    /// How much memory it may have.
    pub mem_limit: Option<String>,
    /// When it is started again.
    pub restart: String,
}

impl Compose {
    /// Reads a file.
    ///
    /// # Errors
    /// That it cannot be read, or says something that no test knows.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_yaml::from_str(&text).with_context(|| path.display().to_string())
    }
}

impl Service {
    /// The flags that start the same with `docker run`, apart from its network. `folder` is where the file is.
    #[must_use]
    pub fn flags(&self, folder: &Path) -> Vec<String> {
        let mut flags = Vec::new();
        let mut add = |flag: &str, values: Vec<String>| {
            flags.extend(values.into_iter().flat_map(|value| [flag.to_owned(), value]));
        };
        add("--env", self.environment.iter().map(|(name, value)| format!("{name}={value}")).collect());
        let volumes = self.volumes.iter().map(|volume| {
            let path = volume.starts_with('.').then(|| folder.join(volume));
            path.map_or_else(|| volume.clone(), |path| path.display().to_string())
        });
        add("--volume", volumes.collect());
        add("--cap-drop", self.cap_drop.clone());
        add("--security-opt", self.security_opt.clone());
        add("--memory", self.mem_limit.iter().cloned().collect());
        flags.extend(self.read_only.then(|| "--read-only".to_owned()));
        flags
    }
}
