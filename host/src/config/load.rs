//! From a text to a [`Config`], or to everything that is wrong with it.

use std::path::{Path, PathBuf};

use dynamite_units::UnitOption;
use indexmap::IndexMap;

use super::check::Checker;
use super::modules::{ModuleLoader, Modules};
use super::read::Reader;
use super::report::{Diagnostic, Report, Source};
use super::tree::{self, Node, Span, Value};
use super::units::{Folders, ParseUnit, Stored, UnitSource, read_limited};
use super::{Config, file};

/// Where unit files are when `ServiceFiles` does not say.
pub const SERVICE_FOLDER_DEFAULT: &str = "/etc/dynamite/service-files";

/// The key under which the configuration is kept in etcd.
const STORED_NAME: &str = "/_dynamite/init/application_configuration";

/// The largest configuration file, in bytes: some thousand services, and what etcd takes in one value.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What came of reading a configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration, unless there are errors in it. Modules that cannot be used are none of these: their policies
    /// can do nothing until they can, and everything else can go on.
    pub config: Option<Config>,
    /// The modules of the policies that services name, by the name of the policy, or why they cannot be used.
    pub modules: Modules,
    /// Every error and warning.
    pub report: Report,
}

impl Loaded {
    /// One line: `3 services, 2 policies, no errors`, or `4 errors, 1 warning`.
    #[must_use]
    pub fn summary(&self) -> String {
        let counted = |count: usize, one: &str, many: &str| match count {
            0 => format!("no {many}"),
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        let mut parts = Vec::new();
        if let (Some(config), 0) = (&self.config, self.report.errors()) {
            parts.push(counted(config.services.len(), "service", "services"));
            parts.push(counted(config.policies.len(), "policy", "policies"));
        }
        parts.push(counted(self.report.errors(), "error", "errors"));
        if self.report.warnings() > 0 {
            parts.push(counted(self.report.warnings(), "warning", "warnings"));
        }
        parts.join(", ")
    }

    /// The configuration with what is doubtful about it, or what is wrong.
    ///
    /// # Errors
    ///
    /// The whole report, if the configuration cannot be used.
    pub fn into_result(self) -> Result<(Config, Report), Report> {
        match self.config {
            Some(config) => Ok((config, self.report)),
            None => Err(self.report),
        }
    }
}

/// Reads the configuration file at `path`, with the unit files of its services.
///
/// They are looked for in `ServiceFiles.PathList` (a relative folder there starts at the folder of the configuration
/// file; default [`SERVICE_FOLDER_DEFAULT`]) and in `extra_folders` (relative to the working directory). The modules of
/// policies that services name are loaded too; a relative path starts at the folder of the configuration file.
#[must_use]
pub fn load(path: &Path, extra_folders: &[PathBuf], parse: ParseUnit, loader: &mut ModuleLoader) -> Loaded {
    let name = path.display().to_string();
    let failed = |message: String, help: &str| {
        let mut report = Report::default();
        report.add(Diagnostic::error(message).help(help));
        Loaded { config: None, modules: Modules::new(), report }
    };
    let bytes = match read_limited(path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("the configuration file `{name}` cannot be read: {error}");
            return failed(message, "name it with --config-file, or put it there");
        }
    };
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line =
                error.as_bytes()[..error.utf8_error().valid_up_to()].split(|byte| *byte == b'\n').count();
            return failed(format!("{name}:{line}: this is not UTF-8"), "save the file as UTF-8");
        }
    };
    let base = path.parent().unwrap_or(Path::new(""));
    read_document(&Source::new(name, &text), (base, loader), |file, reader| {
        let listed = file.folders.iter().map(|folder| (folder.span, base.join(&folder.value)));
        for (span, folder) in listed.clone() {
            if !folder.is_dir() {
                let message = format!("there is no folder `{}`", folder.display());
                reader.warning(span, message, None);
            }
        }
        for folder in extra_folders.iter().filter(|folder| !folder.is_dir()) {
            let warning = Diagnostic::warning(format!("there is no folder `{}`", folder.display()));
            reader.report.add(warning.help("--service-folder or DYNAMITE_SERVICE_FOLDER names it"));
        }
        let mut folders: Vec<PathBuf> = listed.map(|(_, folder)| folder).collect();
        if folders.is_empty() {
            folders.push(SERVICE_FOLDER_DEFAULT.into());
        }
        folders.extend_from_slice(extra_folders);
        Folders::new(folders, parse)
    })
}

/// Reads the configuration that an earlier run, or the original Dynamite, left in etcd, with the same checks.
///
/// `units` are the unit files from the `fleet_service_template` keys, by the name of the service, attached ones too.
/// Modules are not in etcd: a relative path to one starts at `base`, the folder where the configuration file would be.
#[must_use]
pub fn from_stored(
    text: &str,
    units: &IndexMap<String, Vec<UnitOption>>,
    base: &Path,
    loader: &mut ModuleLoader,
) -> Loaded {
    // JSON is YAML except for surrogate pairs, which Python writes; so is this, and its lines are short.
    let json =
        serde_json::from_str::<serde_json::Value>(text).and_then(|json| serde_json::to_string_pretty(&json));
    let text = json.as_deref().unwrap_or(text);
    read_document(&Source::new(STORED_NAME.to_owned(), text), (base, loader), |_, _| Stored(units))
}

fn read_document<U: UnitSource>(
    source: &Source<'_>,
    (base, loader): (&Path, &mut ModuleLoader),
    units: impl FnOnce(&file::File, &mut Reader<'_>) -> U,
) -> Loaded {
    let mut report = Report::default();
    let mut reader = Reader { source, report: &mut report };
    let read = document(source, &mut reader).map(|node| {
        let file = reader.file(&node);
        let units = units(&file, &mut reader);
        Checker { reader: &mut reader, units: &units, base, loader }.config(file)
    });
    report.sort(&source.name);
    let (config, modules) = read.filter(|_| report.is_usable()).unzip();
    Loaded { config, modules: modules.unwrap_or_default(), report }
}

/// The tree of a document that is at least a map.
fn document(source: &Source<'_>, reader: &mut Reader<'_>) -> Option<Node> {
    let node = match tree::parse(source.text) {
        Ok(node) => node,
        Err(error) => {
            let help = (error.message.contains("tab")).then(|| "indent with spaces".to_owned());
            reader.error(error.span, format!("this is not YAML: {}", error.message), help);
            return None;
        }
    };
    if node.value == Value::Null {
        let help = "start with the sections `ServiceFiles`, `ETCD`, `Service` and `ScalingPolicy`".to_owned();
        reader.error(Span::default(), "the configuration is empty", Some(help));
        return None;
    }
    Some(node)
}
