//! The configuration, typed and already valid. Reading and checking it is [`load`]'s work.
//!
//! A text becomes a tree that knows its places (`tree`), the tree the file as it is written (`file`, by means of
//! `read`), and the file a [`Config`] (`check`). The modules of policies are loaded on the way (`modules`), as they say what
//! their `config` may be. Whatever is wrong goes into a [`Report`].

use std::path::PathBuf;

use dynamite_core::{Bounds, Direction, Ports, Slot, ThresholdRule, is_template, slot_of, unit_name};
use dynamite_units::UnitOption;
use indexmap::IndexMap;
use jiff::SignedDuration;

use crate::metrics::MetricName;
use crate::wasm::Limits;

mod check;
mod difference;
mod endpoint;
pub(crate) mod etcd_paths;
mod file;
mod load;
mod module_config;
mod modules;
mod numbers;
mod policies;
mod policy_file;
mod policy_schema;
mod quantities;
pub(crate) mod read;
mod references;
pub(crate) mod report;
mod schema;
mod specification;
pub(crate) mod suggest;
#[cfg(test)]
mod tests;
pub(crate) mod tree;
mod units;
pub(crate) mod violations;
pub(crate) mod words;

pub use difference::difference;
pub use endpoint::{ETCD_ENDPOINT_DEFAULT, EndpointError, FLEET_SOCKET_DEFAULT, etcd_url};
pub use load::{Loaded, SERVICE_FOLDER_DEFAULT, from_stored, load};
pub use modules::{ModuleLoader, Modules, takes};
pub(crate) use policy_file::Config as ModuleConfig;
pub use report::Report;
pub use schema::schema;
pub(crate) use specification::longest;
pub use units::{ParseUnit, UnitFileProblem, parse_unit};

/// A configuration that passed every check.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where fleet is, if the file says so.
    pub fleet_endpoint: Option<FleetEndpoint>,
    /// Where etcd is, if the file says so, as a URL: `http://127.0.0.1:4001`.
    pub etcd_endpoint: Option<String>,
    /// Where registrations and metrics are found in etcd.
    pub etcd: EtcdPaths,
    /// Every service in the order of the file, attached ones too.
    pub services: IndexMap<String, Service>,
    /// Every scaling policy in the order of the file, whether a service names it or not.
    pub policies: IndexMap<String, ScalingPolicy>,
    /// The document as it was read, with its `Dynamite` key, for `/_dynamite/init/application_configuration`.
    pub document: serde_json::Value,
}

/// Where fleet's API is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetEndpoint {
    /// `http://host:port`.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// A unix socket.
    Unix(PathBuf),
}

/// The paths in etcd that belong to the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdPaths {
    /// Where instances register, normalised: `/services`.
    pub application_base: String,
    /// Where metrics are written, normalised: `/metrics`.
    pub metrics_base: String,
    /// Whether samples are deleted when no window needs them any more.
    pub cleanup: Cleanup,
}

/// Whether samples are deleted when no window needs them any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    /// They are; the default.
    WhenUnneeded,
    /// They never are (`metrics_cleanup: never`).
    Never,
}

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its key under `Service:`.
    pub name: String,
    /// Its `type`, under which its instances register and write metrics. Empty if none was given.
    pub service_type: String,
    /// Whether it is scaled by itself or lives and dies with instances of another.
    pub role: Role,
    /// Its unit file.
    pub unit: UnitFile,
    /// How few and how many instances may run. Of an attached service: as many as its parents have, so 0 and no limit.
    pub bounds: Bounds,
    /// The numbers of its instances. Of an attached service: 1 and 1, and without meaning.
    pub ports: Ports,
    /// The services attached to it, by name, in the order of the file.
    pub attached: Vec<String>,
    /// The services that are started first, by name.
    pub depends_on: Vec<String>,
    /// The policy that scales it up, by name.
    pub scale_up: Option<String>,
    /// The policy that scales it down, by name.
    pub scale_down: Option<String>,
    /// The policies that scale it both ways, by name; WebAssembly ones.
    pub scale_both: Vec<String>,
}

impl Service {
    /// Each policy that it names, with the directions in which it may scale.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &'static [Direction])> {
        let up = self.scale_up.as_deref().map(|name| (name, &[Direction::Up][..]));
        let down = self.scale_down.as_deref().map(|name| (name, &[Direction::Down][..]));
        let both = self.scale_both.iter().map(|name| (name.as_str(), &[Direction::Up, Direction::Down][..]));
        up.into_iter().chain(down).chain(both)
    }
}

/// Whether a service is scaled by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is.
    Scaled,
    /// `type: attached_service`: it lives and dies with the instances of its parent, under their numbers.
    Attached,
}

/// A fleet unit file, read and ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFile {
    /// The file name, such as `apache@.service` (a template) or `haproxy.service`.
    pub name: String,
    /// The folder entry it was read from; empty when it was restored from etcd.
    pub path: PathBuf,
    /// Its lines, trimmed as fleet does.
    pub options: Vec<UnitOption>,
}

impl UnitFile {
    /// Whether the file is a template, of which any number of instances can run.
    #[must_use]
    pub fn is_template(&self) -> bool {
        is_template(&self.name)
    }

    /// The name of the unit with this number; the file's own name when it is no template.
    #[must_use]
    pub fn unit_name(&self, number: u32) -> String {
        unit_name(&self.name, Slot(number))
    }

    /// The number of a unit of this template: 8080 for `apache@8080.service` and `apache@.service`; `None` if it is none.
    #[must_use]
    pub fn number_of(&self, unit_name: &str) -> Option<u32> {
        slot_of(&self.name, unit_name).filter(|_| self.is_template()).map(|slot| slot.0)
    }
}

/// A scaling policy.
#[derive(Clone, Debug)]
pub struct ScalingPolicy {
    /// Its key under `ScalingPolicy:`.
    pub name: String,
    /// The metrics it reads: one, if it is a threshold policy.
    pub windows: Vec<MetricWindow>,
    /// How it decides.
    pub kind: PolicyKind,
}

/// A metric that a policy reads, over some time.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricWindow {
    /// The type whose metrics these are.
    pub service_type: String,
    /// The metric.
    pub metric: MetricName,
    /// Whether the metric is one series for the whole type instead of one an instance.
    pub aggregated: bool,
    /// `threshold_unit`, as written.
    pub unit: Option<String>,
    /// `period`: how far back it reaches; not negative.
    pub span: SignedDuration,
}

/// How a policy decides.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyKind {
    /// By the built-in rule.
    Threshold(ThresholdRule),
    /// By a WebAssembly module.
    Wasm(Box<WasmPolicy>),
}

/// A policy in a WebAssembly module.
#[derive(Clone, Debug, PartialEq)]
pub struct WasmPolicy {
    /// The file of the module.
    pub module: PathBuf,
    /// The SHA-256 that the file must have, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The value of `config:` as JSON text; `{}` if there is none.
    pub config: String,
    /// How long it may not be asked, at most; positive.
    pub interval: SignedDuration,
    /// How long after it scaled in a direction it does not scale in it again; not negative.
    pub cooldown: SignedDuration,
    /// What one call of it may use.
    pub limits: Limits,
}
