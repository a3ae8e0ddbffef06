//! Where the unit files of services come from: folders, or what an earlier run stored in etcd.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use dynamite_units::UnitOption;
use indexmap::IndexMap;

use crate::config::UnitFile;

/// The largest unit file, in bytes. fleet keeps units in etcd, whose values must be far smaller than a megabyte.
const UNIT_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Among how many files one of a similar name is looked for: somebody may name `/tmp`.
const NAMES_MAX: usize = 1_000;

/// A mistake in a unit file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFileProblem {
    /// The line, from 1; 0: the file as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
}

/// Reads the bytes of a unit file as [`dynamite_units::parse_bytes`] does, and checks what fleet would refuse.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn parse_unit(bytes: &[u8]) -> Result<Vec<UnitOption>, Vec<UnitFileProblem>> {
    let options = dynamite_units::parse_bytes(bytes).map_err(|errors| {
        let problem = |error: dynamite_units::Error| UnitFileProblem {
            line: error.line,
            column: error.column,
            message: error.problem.to_string(),
        };
        errors.into_iter().map(problem).collect::<Vec<_>>()
    })?;
    dynamite_units::check_options(&options).map_err(|errors| {
        let problem = |error: dynamite_units::OptionError| UnitFileProblem {
            line: 0,
            column: 0,
            message: error.to_string(),
        };
        errors.into_iter().map(problem).collect::<Vec<_>>()
    })?;
    Ok(options)
}

/// Reads the bytes of a unit file, or says everything that is wrong with it.
pub type ParseUnit = fn(&[u8]) -> Result<Vec<UnitOption>, Vec<UnitFileProblem>>;

/// Why there is no unit file.
#[derive(Debug)]
pub(super) enum Missing {
    /// It is in none of these folders, which hold files of these names.
    Nowhere(Vec<PathBuf>, Vec<String>),
    /// It is in several.
    Ambiguous(Vec<PathBuf>),
    /// It cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It is no unit file.
    Invalid(PathBuf, String, Vec<UnitFileProblem>),
    /// etcd has none for this service.
    NotStored,
}

/// Where unit files come from.
pub(super) trait UnitSource {
    /// The unit file called `file_name` of `service`.
    fn find(&self, service: &str, file_name: &str) -> Result<UnitFile, Missing>;
}

/// Folders on disk.
#[derive(Debug)]
pub(super) struct Folders {
    folders: Vec<PathBuf>,
    parse: ParseUnit,
}

impl Folders {
    /// Takes each folder once, however it is spelled.
    pub(super) fn new(folders: impl IntoIterator<Item = PathBuf>, parse: ParseUnit) -> Self {
        let mut known: IndexMap<PathBuf, PathBuf> = IndexMap::new();
        for folder in folders {
            let real = folder.canonicalize().unwrap_or_else(|_| folder.clone());
            known.entry(real).or_insert(folder);
        }
        Self { folders: known.into_values().collect(), parse }
    }

    /// The names of what is in the folders, for a suggestion.
    fn names(&self) -> Vec<String> {
        let entries =
            self.folders.iter().flat_map(|folder| folder.read_dir().into_iter().flatten().flatten());
        let names = entries.take(NAMES_MAX).filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.collect();
        // Of two that are as near, the first is suggested; a file system has an order of its own.
        names.sort_unstable();
        names
    }
}

impl UnitSource for Folders {
    fn find(&self, _service: &str, file_name: &str) -> Result<UnitFile, Missing> {
        let mut found: Vec<PathBuf> = self.folders.iter().map(|folder| folder.join(file_name)).collect();
        // A broken link or a folder without permission is there, too: reading it tells what is wrong.
        found.retain(|path| {
            !matches!(path.symlink_metadata(), Err(error) if error.kind() == io::ErrorKind::NotFound || error.kind() == io::ErrorKind::NotADirectory)
        });
        let path = match found.len() {
            0 => return Err(Missing::Nowhere(self.folders.clone(), self.names())),
            1 => found.swap_remove(0),
            _ => return Err(Missing::Ambiguous(found)),
        };
        let bytes = match read_limited(&path, UNIT_FILE_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) => return Err(Missing::Unreadable(path, error)),
        };
        match (self.parse)(&bytes) {
            Ok(options) => Ok(UnitFile { name: file_name.to_owned(), path, options }),
            Err(problems) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                Err(Missing::Invalid(path, text, problems))
            }
        }
    }
}

/// What an earlier run stored in etcd, by the name of the service.
#[derive(Debug)]
pub(super) struct Stored<'a>(pub(super) &'a IndexMap<String, Vec<UnitOption>>);

impl UnitSource for Stored<'_> {
    fn find(&self, service: &str, file_name: &str) -> Result<UnitFile, Missing> {
        let options = self.0.get(service).ok_or(Missing::NotStored)?;
        Ok(UnitFile { name: file_name.to_owned(), path: PathBuf::new(), options: options.clone() })
    }
}

/// Reads a file, and fails rather than read more than `bytes_max`: it may be `/dev/zero`.
pub(super) fn read_limited(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        return Err(io::Error::other(format!("it is larger than {} KiB", bytes_max / 1024)));
    }
    Ok(bytes)
}
