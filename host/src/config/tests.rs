//! What a good configuration becomes, what each mistake looks like, and that nothing makes the reader stumble.

use std::path::Path;

use dynamite_units::UnitOption;
use indexmap::IndexMap;

use super::{Loaded, ModuleLoader, UnitFileProblem, from_stored, load};

mod hostile;
mod messages;
mod modules;
mod schema;
mod stored;
mod valid;

/// The example of the user's document.
const EXAMPLE: &str = include_str!("../../../examples/apache/dynamite.yaml");

/// The unit files that are there in every test.
const UNITS: &[&str] = &[
    "apache@.service",
    "apache_discovery@.service",
    "apache_logging@.service",
    "web@.service",
    "worker@.service",
    "log@.service",
    "proxy.service",
    "proxy_log.service",
    "web@8080.service",
];

/// Reads one option a line, `Section.Name=value`; a line without `=` is a problem.
fn parse(bytes: &[u8]) -> Result<Vec<UnitOption>, Vec<UnitFileProblem>> {
    let text = String::from_utf8_lossy(bytes);
    let (mut options, mut problems) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        match line.split_once('=').and_then(|(key, value)| Some((key.split_once('.')?, value))) {
            Some(((section, name), value)) => options.push(UnitOption {
                section: section.to_owned(),
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            None => {
                problems.push(UnitFileProblem { line: index + 1, column: 3, message: "no `=`".to_owned() });
            }
        }
    }
    if problems.is_empty() { Ok(options) } else { Err(problems) }
}

/// A folder with `config.yaml` and `units/`.
struct Files(tempfile::TempDir);

impl Files {
    fn new(config: impl AsRef<[u8]>) -> Self {
        let files = Self(tempfile::tempdir().expect("a folder"));
        files.write("config.yaml", config);
        for unit in UNITS {
            files.write(&format!("units/{unit}"), "Service.ExecStart=/bin/true\n");
        }
        files
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Loaded {
        self.load_with(&mut ModuleLoader::default())
    }

    fn load_with(&self, loader: &mut ModuleLoader) -> Loaded {
        load(&self.path().join("config.yaml"), &[self.path().join("units")], parse, loader)
    }

    /// The report, with names that do not change from run to run.
    fn report(&self) -> String {
        let loaded = self.load();
        assert_eq!(loaded.config.is_some(), loaded.report.is_usable());
        let folder = format!("{}/", self.path().display());
        loaded.report.to_string().replace(&folder, "")
    }
}

/// The configuration that these lines must be.
fn good(text: &str) -> super::Config {
    let files = Files::new(text);
    let loaded = files.load();
    let report = loaded.report.to_string();
    loaded.config.unwrap_or_else(|| panic!("{report}"))
}

/// What becomes of a configuration in etcd, with unit files for services of these names.
fn restored(text: &str, names: &[&str]) -> Loaded {
    from_stored(text, &units_of(names), Path::new("/etc/dynamite"), &mut ModuleLoader::default())
}

/// Stored unit files for services of these names.
fn units_of(names: &[&str]) -> IndexMap<String, Vec<UnitOption>> {
    let option = UnitOption {
        section: "Service".to_owned(),
        name: "ExecStart".to_owned(),
        value: "/bin/true".to_owned(),
    };
    names.iter().map(|name| ((*name).to_owned(), vec![option.clone()])).collect()
}
