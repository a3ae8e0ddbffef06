//! fleet's registry in files: what fleet keeps in etcd, one file a unit.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use super::fleet::{Kept, Registry};
use super::units::{Keep, entries, file_name, read_json, write_json};

/// The end of the name of each file.
const SUFFIX: &str = ".json";

/// A folder of units.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
}

impl Files {
    /// Opens a folder, and reads what is in it.
    pub(super) fn open(folder: PathBuf) -> io::Result<(Self, Vec<Kept>)> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut kept = Vec::new();
        for path in entries(&folder)? {
            if !path.to_string_lossy().ends_with(SUFFIX) {
                continue;
            }
            if let Some(unit) = read_json(&path) {
                kept.push(unit);
            } else {
                tracing::error!(path = %path.display(), "a unit in fleet's registry cannot be read");
            }
        }
        Ok((Self { folder }, kept))
    }

    fn path(&self, unit: &str) -> PathBuf {
        self.folder.join(file_name(unit) + SUFFIX)
    }
}

impl Registry for Files {
    fn keep(&mut self, unit: &Kept) -> io::Result<()> {
        write_json(&self.path(&unit.name), unit, Keep::OverPowerCut)
    }

    fn forget(&mut self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_kept_until_it_is_forgotten_whatever_its_name_is() {
        let folder = tempfile::tempdir().unwrap();
        let unit = |name: String| Kept { name, options: Vec::new(), target: "odd".into(), machine: None };
        let mut expected: Vec<Kept> =
            ["-x.service", "..service", "a@1.service"].map(|name| unit(name.into())).into();
        expected.push(unit(format!("{}.service", "x".repeat(248))));
        let (mut files, kept) = Files::open(folder.path().join("fleet")).unwrap();
        assert_eq!(kept, []);
        for unit in expected.iter().chain(&expected) {
            files.keep(unit).unwrap();
        }
        let (_, kept) = Files::open(folder.path().join("fleet")).unwrap();
        assert_eq!(kept, expected);
        for unit in expected.iter().chain(&expected) {
            files.forget(&unit.name).unwrap();
        }
        assert_eq!(Files::open(folder.path().join("fleet")).unwrap().1, []);
    }
}
