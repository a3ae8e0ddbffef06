//! The application of the demo: the files of `examples/demo`, made fit for this process and written into a folder.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const CONFIG: &str = include_str!("../../../examples/demo/dynamite.yaml");
const UNITS: [(&str, &str); 4] = [
    ("web@.service", include_str!("../../../examples/demo/units/web@.service")),
    ("web_discovery@.service", include_str!("../../../examples/demo/units/web_discovery@.service")),
    ("web_logging@.service", include_str!("../../../examples/demo/units/web_logging@.service")),
    ("worker@.service", include_str!("../../../examples/demo/units/worker@.service")),
];
/// `examples/demo/policy`, built; a test builds it again and compares.
const MODULE: &[u8] = include_bytes!("../../../examples/demo/keep_share.wasm");
const MODULE_NAME: &str = "keep_share.wasm";
/// What the configuration says of the module.
const MODULE_LINE: &str = "module: keep_share.wasm";
const MODULE_CONFIG: &str = "config: {target: 60}";

/// What differs from one demo to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Here<'h> {
    /// The program that units run to register.
    pub(super) program: &'h Path,
    /// The process without which units end.
    pub(super) pid: u32,
    /// etcd, as a URL.
    pub(super) etcd: &'h str,
    /// The module of somebody else, and its configuration.
    pub(super) policy: Option<(&'h Path, &'h serde_json::Value)>,
}

/// Writes everything into a folder that is there, and returns the configuration file.
///
/// # Errors
/// What the file system says.
pub(super) fn write(folder: &Path, here: &Here<'_>) -> io::Result<PathBuf> {
    let units = folder.join("units");
    fs::create_dir(&units)?;
    for (name, text) in UNITS {
        fs::write(units.join(name), unit(text, here))?;
    }
    fs::write(folder.join(MODULE_NAME), MODULE)?;
    let path = folder.join("dynamite.yaml");
    fs::write(&path, config(here.policy)?)?;
    Ok(path)
}

fn config(policy: Option<(&Path, &serde_json::Value)>) -> io::Result<String> {
    let Some((module, config)) = policy else { return Ok(CONFIG.to_owned()) };
    // Seen from here, not from where the configuration will be. JSON is YAML, whatever is in the path.
    let module = serde_json::Value::from(module.canonicalize()?.to_string_lossy());
    let with_module = CONFIG.replace(MODULE_LINE, &format!("module: {module}"));
    Ok(with_module.replace(MODULE_CONFIG, &format!("config: {config}")))
}

fn unit(text: &str, here: &Here<'_>) -> String {
    text.replace("{dynamite}", &word(&here.program.to_string_lossy()))
        .replace("{etcd}", &word(here.etcd))
        .replace("{pid}", &here.pid.to_string())
}

/// One word of a command line, as systemd reads it.
fn word(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ModuleLoader, load, parse_unit};
    use crate::demo::story::SERVICES;
    use dynamite_core::Direction;

    fn here<'h>() -> Here<'h> {
        Here { program: Path::new("/opt/a b/50%/$x"), pid: 4711, etcd: "http://127.0.0.1:1", policy: None }
    }

    #[test]
    fn what_is_written_is_a_configuration_without_mistakes() {
        let folder = tempfile::tempdir().unwrap();
        let path = write(folder.path(), &here()).unwrap();
        let loaded = load(&path, &[], parse_unit, &mut ModuleLoader::new(None));
        assert_eq!(loaded.report.to_string(), "");
        let config = loaded.config.unwrap();
        for watched in SERVICES {
            let service = &config.services[watched.name];
            assert_eq!((&*service.service_type, service.bounds.max), (watched.name, Some(watched.max)));
            let directions: Vec<_> = service.policies().flat_map(|(_, directions)| directions).collect();
            assert_eq!(directions, [&Direction::Up, &Direction::Down], "{}", watched.name);
        }
        let unit = fs::read_to_string(folder.path().join("units/web_discovery@.service")).unwrap();
        let line = "ExecStart=\"/opt/a b/50%%/$$x\" register web web-%i web@%i.service --etcd-endpoint \"http://127.0.0.1:1\"";
        assert!(unit.contains(line), "{unit}");
        let unit = fs::read_to_string(folder.path().join("units/web@.service")).unwrap();
        assert!(unit.contains("kill -0 4711;"), "{unit}");
    }

    #[test]
    fn the_thresholds_that_are_shown_are_those_of_the_configuration() {
        let web = &SERVICES[crate::demo::story::WEB];
        for mark in web.marks {
            assert!(CONFIG.contains(&format!("threshold: {mark}\n")), "{mark}");
        }
        let worker = &SERVICES[crate::demo::story::WORKER];
        assert_eq!(MODULE_CONFIG, format!("config: {{target: {}}}", worker.marks[0]));
    }

    #[test]
    fn another_module_takes_the_place_of_the_own_one() {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("it's: mine.wasm");
        fs::write(&module, MODULE).unwrap();
        let config = serde_json::json!({"target": 7});
        let here = Here { policy: Some((&module, &config)), ..here() };
        let path = write(folder.path(), &here).unwrap();
        let loaded = load(&path, &[], parse_unit, &mut ModuleLoader::new(None));
        assert_eq!(loaded.report.to_string(), "");
        assert!(loaded.config.unwrap().document.to_string().contains("it's: mine.wasm"));
        let none = Here { policy: Some((Path::new("/nowhere.wasm"), &config)), ..here };
        assert!(write(&folder.path().join("units"), &none).is_err());
    }
}
