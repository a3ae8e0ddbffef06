//! Turns the file as it is written into a [`Config`], and reports what does not make sense.
//!
//! Every check says its piece once and lets the others go on: a service without a unit file still counts as a service
//! that another may depend on.

use std::path::{Path, PathBuf};

use dynamite_core::{Bounds, Ports, is_template};
use dynamite_units::is_global;
use indexmap::IndexMap;

use super::file::{self, File, Kind};
use super::modules::{ModuleLoader, Modules};
use super::policies::used;
use super::read::{At, Reader, shortened};
use super::report::{Diagnostic, Source};
use super::tree::Span;
use super::units::{Missing, UnitFileProblem, UnitSource};
use super::{Config, Role, Service, UnitFile, endpoint};
use crate::config::FleetEndpoint;

/// The `type` of services that live and die with the instances of another.
pub(super) const ATTACHED_TYPE: &str = "attached_service";

/// What a unit may be. fleet knows no others.
const UNIT_SUFFIXES: &[&str] = &[".service", ".socket", ".device", ".mount", ".automount", ".timer", ".path"];

/// systemd's limit for the name of a unit, in bytes; the number of an instance takes up to five.
const UNIT_NAME_BYTES_MAX: usize = 250;

/// The name of a unit file without `.service`: it may be left out, and makes all names alike.
fn stem(file_name: &str) -> &str {
    file_name.strip_suffix(".service").unwrap_or(file_name)
}

/// Checks one file.
pub(super) struct Checker<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) units: &'r dyn UnitSource,
    /// Where a relative path to a module starts.
    pub(super) base: &'r Path,
    pub(super) loader: &'r mut ModuleLoader,
}

/// A service with what is known of it beyond the file.
pub(super) struct Entry<'f> {
    pub(super) file: &'f file::Service,
    /// The file name of its unit, if that is a usable one.
    pub(super) unit_name: Option<String>,
    /// `None` when its type is unreadable.
    pub(super) role: Option<Role>,
}

impl Entry<'_> {
    pub(super) fn name(&self) -> &str {
        &self.file.name.value
    }

    pub(super) fn span(&self) -> Span {
        self.file.name.span
    }

    pub(super) fn is_template(&self) -> Option<bool> {
        self.unit_name.as_deref().map(is_template)
    }
}

/// The services by name.
pub(super) type Entries<'f> = IndexMap<&'f str, Entry<'f>>;

impl Checker<'_, '_> {
    /// Everything in the file, and the modules of its policies; of no use when the report has errors by then that are not of modules.
    pub(super) fn config(mut self, file: File) -> (Config, Modules) {
        let fleet_endpoint = file.fleet.as_ref().and_then(|fleet| self.fleet(fleet));
        let (etcd, etcd_endpoint) = self.etcd(&file.etcd);
        let entries: Entries<'_> =
            file.services.iter().map(|service| (service.name.value.as_str(), self.entry(service))).collect();
        self.unit_names(&entries);
        self.references(&entries, &file.policies);
        self.numbers(&entries);
        let policies = self.policies(&entries, &file.policies);
        let modules = self.modules(&used(&entries), &policies, &file.policies);
        let services = entries.values().filter_map(|entry| self.service(entry)).collect();
        let document = file.document;
        (Config { fleet_endpoint, etcd_endpoint, etcd, services, policies, document }, modules)
    }

    fn fleet(&mut self, fleet: &file::Fleet) -> Option<FleetEndpoint> {
        let port = fleet.port.as_ref().and_then(|port| self.port(port, "port"));
        let host = fleet.ip.as_ref()?;
        if host.value.starts_with("unix:") {
            let help =
                "leave `FleetAPIEndpoint` out; the socket is the default, or goes into --fleet-endpoint";
            self.reader.error(host.span, "`ip` takes an address, no socket", Some(help.to_owned()));
            return None;
        }
        self.host(host, "ip")?;
        Some(FleetEndpoint::Tcp { host: host.value.clone(), port: port? })
    }

    pub(super) fn host(&mut self, host: &At<String>, key: &str) -> Option<()> {
        let Err(error) = endpoint::check_host(&host.value) else { return Some(()) };
        let help = "write the address alone, such as `127.0.0.1`; the port has a key of its own";
        self.reader.error(host.span, format!("`{key}`: {error}"), Some(help.to_owned()));
        None
    }

    pub(super) fn port(&mut self, port: &At<u32>, key: &str) -> Option<u16> {
        if let Ok(number @ 1..) = u16::try_from(port.value) {
            return Some(number);
        }
        let message = format!("`{key}` must be from 1 to 65535, found `{}`", port.value);
        self.reader.error(port.span, message, None);
        None
    }

    fn entry<'f>(&mut self, service: &'f file::Service) -> Entry<'f> {
        self.reader.path_word(&service.name, "the name of a service");
        let role = match &service.kind {
            Kind::Unreadable => None,
            Kind::Given(kind) if kind.value == ATTACHED_TYPE => Some(Role::Attached),
            Kind::Given(kind) => {
                self.reader.path_word(kind, "`type`");
                if let Some(help) = self.reader.did_you_mean(&kind.value, [ATTACHED_TYPE]) {
                    let message = format!("`{}` is a type like any other", shortened(&kind.value));
                    self.reader.warning(kind.span, message, Some(help));
                }
                Some(Role::Scaled)
            }
            Kind::Missing => Some(Role::Scaled),
        };
        let unit_name = service.unit.as_ref().and_then(|unit| self.unit_name(unit));
        Entry { file: service, unit_name, role }
    }

    /// The file name of a unit, with its suffix.
    fn unit_name(&mut self, unit: &At<String>) -> Option<String> {
        let text = unit.value.as_str();
        let has_suffix = UNIT_SUFFIXES.iter().any(|suffix| text.ends_with(suffix));
        let name = if has_suffix { text.to_owned() } else { format!("{text}.service") };
        let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || ":_.\\@-".contains(c);
        let (message, help) = if text.contains('/') {
            (
                "`name_of_unit_file` must be a file name without folders",
                Some("folders go into `ServiceFiles.PathList`"),
            )
        } else if matches!(stem, "" | "@") {
            ("`name_of_unit_file` has nothing in front of its suffix", None)
        } else if !name.chars().all(is_allowed) || stem.matches('@').count() > 1 {
            let help = "letters, digits, `:`, `_`, `.`, `\\` and `-` are allowed, and one `@`";
            ("`name_of_unit_file` is no name of a unit", Some(help))
        } else if name.len() > UNIT_NAME_BYTES_MAX {
            ("`name_of_unit_file` is too long for systemd", None)
        } else {
            return Some(name);
        };
        self.reader.error(unit.span, message, help.map(str::to_owned));
        None
    }

    /// Two services must not share a unit file, nor may one be an instance of another's template.
    fn unit_names(&mut self, entries: &Entries<'_>) {
        let mut owners: IndexMap<String, &Entry<'_>> = IndexMap::new();
        for entry in entries.values() {
            let (Some(name), Some(unit)) = (&entry.unit_name, &entry.file.unit) else { continue };
            if let Some(owner) = owners.get(name) {
                let message =
                    format!("`{}` and `{}` have the same unit file `{name}`", owner.name(), entry.name());
                let note = format!("`{}` is at {}", owner.name(), self.reader.source.short(owner.span()));
                let place = self.reader.source.place(unit.span);
                let help = "give each service a unit file of its own";
                self.reader.report.add(Diagnostic::error(message).at(place).note(note).help(help));
                continue;
            }
            owners.insert(name.clone(), entry);
        }
        for entry in entries.values() {
            let (Some(name), Some(unit)) = (&entry.unit_name, &entry.file.unit) else { continue };
            let (Some((stem, _)), Some((_, suffix))) = (name.split_once('@'), name.rsplit_once('.')) else {
                continue;
            };
            let template = format!("{stem}@.{suffix}");
            if let Some(owner) = owners.get(&template).filter(|_| *name != template) {
                let message =
                    format!("`{name}` is an instance of `{template}`, the unit file of `{}`", owner.name());
                self.reader.error(unit.span, message, None);
            }
        }
    }

    /// The service, with its unit file.
    fn service(&mut self, entry: &Entry<'_>) -> Option<(String, Service)> {
        let service = entry.file;
        let unit = self.unit_file(entry)?;
        let names = |list: &[At<String>]| list.iter().map(|at| at.value.clone()).collect();
        let name = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
        let number = |at: &Option<At<u32>>| at.as_ref().map(|at| at.value);
        let role = entry.role?;
        let (bounds, ports) = match role {
            Role::Attached => (Bounds { min: 0, max: None }, Ports { base: 1, per_instance: 1 }),
            Role::Scaled => {
                let max = number(&service.max).or((!unit.is_template()).then_some(1));
                let (base, per_instance) = (number(&service.base), number(&service.per_instance));
                (
                    Bounds { min: number(&service.min).unwrap_or(1), max },
                    Ports { base: base.unwrap_or(1), per_instance: per_instance.unwrap_or(1) },
                )
            }
        };
        let service_type = match &service.kind {
            Kind::Given(kind) => kind.value.clone(),
            _ => String::new(),
        };
        let service = Service {
            name: service.name.value.clone(),
            service_type,
            role,
            unit,
            bounds,
            ports,
            attached: names(&service.attached),
            depends_on: names(&service.depends_on),
            scale_up: name(&service.scale_up),
            scale_down: name(&service.scale_down),
            scale_both: names(&service.scale_both),
        };
        Some((service.name.clone(), service))
    }

    fn unit_file(&mut self, entry: &Entry<'_>) -> Option<UnitFile> {
        let file_name = entry.unit_name.as_ref()?;
        let span = entry.file.unit.as_ref()?.span;
        let list = |paths: &[PathBuf]| {
            paths.iter().map(|path| format!("`{}`", path.display())).collect::<Vec<_>>().join(", ")
        };
        let (message, help) = match self.units.find(entry.name(), file_name) {
            Ok(unit) if is_global(&unit.options) => (
                format!(
                    "`{file_name}` has `Global=true`: fleet runs it on every machine and never says that it is launched"
                ),
                "take `Global` out of its section `[X-Fleet]`, or this service out of the configuration"
                    .to_owned(),
            ),
            Ok(unit) => return Some(unit),
            Err(Missing::Nowhere(folders, names)) => (
                format!("there is no unit file `{file_name}`"),
                match self.reader.did_you_mean(stem(file_name), names.iter().map(|name| stem(name))) {
                    Some(help) => format!("{help} These folders were searched: {}", list(&folders)),
                    None => format!("put it into one of the folders that were searched: {}", list(&folders)),
                },
            ),
            Err(Missing::Ambiguous(paths)) => (
                format!("the unit file `{file_name}` is there more than once: {}", list(&paths)),
                "remove or rename all but one".to_owned(),
            ),
            Err(Missing::Unreadable(path, error)) => (
                format!("the unit file `{}` cannot be read: {error}", path.display()),
                "it must be a readable file".to_owned(),
            ),
            Err(Missing::NotStored) => (
                format!("etcd holds no unit file for the service `{}`", entry.name()),
                "start once with a configuration file".to_owned(),
            ),
            Err(Missing::Invalid(path, text, problems)) => {
                self.unit_problems(entry, &path, &text, &problems);
                return None;
            }
        };
        self.reader.error(span, message, Some(help));
        None
    }

    fn unit_problems(&mut self, entry: &Entry<'_>, path: &Path, text: &str, problems: &[UnitFileProblem]) {
        let source = Source::new(path.display().to_string(), text);
        let note = format!("this is the unit file of the service `{}`", shortened(entry.name()));
        if problems.is_empty() {
            let place = source.place(Span::default());
            self.reader.report.add(Diagnostic::error("this is no unit file").at(place).note(&note));
        }
        for problem in problems {
            let span = Span { line: problem.line, column: problem.column.max(1), len: 1 };
            self.reader.report.add(Diagnostic::error(&problem.message).at(source.place(span)).note(&note));
        }
    }
}
