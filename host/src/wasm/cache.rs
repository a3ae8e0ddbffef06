//! Compiled modules on disk, so that a restart does not compile again.
//!
//! A compiled module is code that this process will run unchecked. So one is only loaded from a folder that nobody but this
//! user, or root, can write, and only under a name that says from which bytes, by which compiler and with which settings it was made.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

use super::engines::Size;

/// The most compiled modules that are kept; the oldest go first. Large ones have some 50 MB.
const FILES_MAX: usize = 64;

/// The folder for compiled modules of the user that runs this, whether it is there or not; none if the user has none.
#[must_use]
pub fn cache_folder_default() -> Option<PathBuf> {
    let is_root = fs::metadata("/proc/self").is_ok_and(|about| about.uid() == 0);
    let folder = |name| std::env::var_os(name).map(PathBuf::from);
    folder_for(is_root, folder("XDG_CACHE_HOME"), folder("HOME"))
}

fn folder_for(is_root: bool, cache_home: Option<PathBuf>, home: Option<PathBuf>) -> Option<PathBuf> {
    if is_root {
        return Some(PathBuf::from("/var/cache/dynamite"));
    }
    // A relative one is no cache home, says the XDG Base Directory Specification.
    let cache_home = cache_home.filter(|folder| folder.is_absolute());
    let home = home.filter(|folder| folder.is_absolute()).map(|folder| folder.join(".cache"));
    Some(cache_home.or(home)?.join("dynamite"))
}

/// Device, inode and owner of a folder.
///
/// # Errors
/// That others than the owner can write into it.
fn identity(folder: &Path) -> io::Result<(u64, u64, u32)> {
    let about = fs::metadata(folder)?;
    if about.permissions().mode() & 0o022 != 0 {
        return Err(io::Error::other("others can write into it"));
    }
    Ok((about.dev(), about.ino(), about.uid()))
}

/// A folder with compiled modules.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// Device, inode and owner of the folder: another one of that name may be anybody's.
    identity: (u64, u64, u32),
    is_writable: bool,
}

impl Cache {
    /// The cache in this folder, which is made if it is not there. One that was filled before and cannot be written, as in
    /// the image of a container, is read.
    ///
    /// # Errors
    /// That it cannot be made, or that others can write into it.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let probe = match tempfile::Builder::new().prefix(".probe").tempfile_in(folder) {
            Err(error)
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
            {
                return Self::read_only(folder);
            }
            probe => probe?,
        };
        let identity = identity(folder)?;
        if probe.as_file().metadata()?.uid() != identity.2 {
            return Err(io::Error::other("others can write into it"));
        }
        Ok(Self { folder: folder.to_owned(), identity, is_writable: true })
    }

    /// The cache in a folder that is only read. What is in it was put there by its owner.
    fn read_only(folder: &Path) -> io::Result<Self> {
        const ROOT: u32 = 0;
        let identity = identity(folder)?;
        let ours = fs::metadata("/proc/self")?.uid();
        if ![ROOT, ours].contains(&identity.2) {
            return Err(io::Error::other("it belongs to another user"));
        }
        Ok(Self { folder: folder.to_owned(), identity, is_writable: false })
    }

    /// Where the module made from the bytes with this SHA-256 for an engine of this size is, or shall be. Both engines can
    /// run what either compiled, but a module is linked otherwise in each.
    fn path(&self, (size, engine): (Size, &Engine), sha256: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        size.hash(&mut hasher);
        self.folder.join(format!("{sha256}-{:016x}.cwasm", hasher.finish()))
    }

    /// The module made from the bytes with this SHA-256, if it is there and usable.
    pub(super) fn get(&self, engine: (Size, &Engine), sha256: &str) -> Option<Component> {
        let path = self.path(engine, sha256);
        let mut file = fs::File::open(&path).ok()?;
        let about = file.metadata().ok()?;
        if !about.is_file() || about.uid() != self.identity.2 || identity(&self.folder).ok()? != self.identity
        {
            return None;
        }
        // Read and not mapped: whoever changes a file that is mapped ends the process.
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).ok()?;
        #[expect(
            unsafe_code,
            reason = "the folder is its owner's alone, so what is in it was written by `put`"
        )]
        // SAFETY: `open` made sure that only its owner, this user or root, can write into the folder, and `put` writes whole
        // files only.
        let component = unsafe { Component::deserialize(engine.1, &bytes) };
        if let Err(error) = &component {
            tracing::debug!(%error, path = %path.display(), "a compiled module cannot be used");
        }
        component.ok()
    }

    /// Keeps a compiled module, if that can be.
    pub(super) fn put(&self, engine: (Size, &Engine), sha256: &str, component: &Component) -> io::Result<()> {
        if !self.is_writable {
            return Ok(());
        }
        let bytes = component.serialize().map_err(|error| io::Error::other(error.to_string()))?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&bytes)?;
        file.persist(self.path(engine, sha256)).map_err(|error| error.error)?;
        self.tidy()
    }

    /// Removes the oldest files when there are too many.
    fn tidy(&self) -> io::Result<()> {
        let entries = fs::read_dir(&self.folder)?.flatten();
        let dated = entries.filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())));
        let mut files: Vec<_> = dated
            .filter(|(_, path)| path.extension().is_some_and(|extension| extension == "cwasm"))
            .collect();
        files.sort_unstable();
        let old = files.len().saturating_sub(FILES_MAX);
        files.into_iter().take(old).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let component = Component::new(&engine, wat::parse_str("(component)").unwrap()).unwrap();
        let full = Cache::open(folder.path()).unwrap();
        full.put((Size::Small, &engine), "aa", &component).unwrap();
        let cache = Cache::read_only(folder.path()).unwrap();
        assert!(cache.get((Size::Small, &engine), "aa").is_some());
        cache.put((Size::Small, &engine), "bb", &component).unwrap();
        assert!(cache.get((Size::Small, &engine), "bb").is_none(), "nothing is written");
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(Cache::read_only(folder.path()).is_err(), "others can write into it");
        assert!(cache.get((Size::Small, &engine), "aa").is_none(), "nor is it read then");
    }

    #[test]
    fn everybody_has_a_folder_of_their_own() {
        for (is_root, cache_home, home, folder) in [
            (true, Some("/x"), Some("/root"), Some("/var/cache/dynamite")),
            (false, Some("/x"), Some("/home/a"), Some("/x/dynamite")),
            (false, Some("x"), Some("/home/a"), Some("/home/a/.cache/dynamite")),
            (false, None, Some("/home/a"), Some("/home/a/.cache/dynamite")),
            (false, None, Some(""), None),
            (false, None, None, None),
        ] {
            let found = folder_for(is_root, cache_home.map(Into::into), home.map(Into::into));
            assert_eq!(found, folder.map(Into::into));
        }
    }
}
