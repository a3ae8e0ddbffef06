//! What is kept of a unit on disk, and the socket over which its supervisor is reached.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha1::{Digest as _, Sha1};

use super::message::{Order, Start, Status};

/// The longest name of a unit that names its folder too; file systems take 255 bytes.
const NAME_BYTES_MAX: usize = 200;

const ORDER: &str = "order.json";
const START: &str = "start.json";
const STATUS: &str = "status.json";
const OUTPUT: &str = "output";
const SOCKET: &str = "socket";

/// The folder of a unit.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// The folder of a unit in the folder of all.
    pub(super) fn of(root: &Path, unit: &str) -> Self {
        Self(root.join(file_name(unit)))
    }

    /// The folder with this path.
    pub(super) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Writes what is wanted of the unit. After a power cut fleet's registry is enough to start it again.
    pub(super) fn write_order(&self, order: &Order) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        write(&self.0.join(ORDER), order, Keep::OverCrash)
    }

    /// What is wanted of the unit.
    pub(super) fn order(&self) -> Option<Order> {
        read(&self.0.join(ORDER))
    }

    /// Writes what the next supervisor is to run.
    pub(super) fn write_start(&self, start: &Start) -> io::Result<()> {
        write(&self.0.join(START), start, Keep::OverCrash)
    }

    /// What the last supervisor was to run.
    pub(super) fn start(&self) -> Option<Start> {
        read(&self.0.join(START))
    }

    /// Writes how the unit is. Processes do not outlive a power cut, so neither need this.
    pub(super) fn write_status(&self, status: &Status) -> io::Result<()> {
        write(&self.0.join(STATUS), status, Keep::OverCrash)
    }

    /// How the unit was when its supervisor last wrote.
    pub(super) fn status(&self) -> Option<Status> {
        read(&self.0.join(STATUS))
    }

    /// Keeps output that nobody was there to take.
    pub(super) fn save_output(&self, lines: &[u8]) -> io::Result<()> {
        fs::write(self.0.join(OUTPUT), lines)
    }

    /// Takes what [`save_output`](Self::save_output) kept; empty if there is nothing.
    pub(super) fn take_output(&self) -> String {
        let path = self.0.join(OUTPUT);
        let output = fs::read(&path).unwrap_or_default();
        // Where it cannot be removed it is told twice.
        let _ = fs::remove_file(&path);
        String::from_utf8_lossy(&output).into_owned()
    }

    /// A new socket in place of the old one.
    pub(super) fn listen(&self) -> io::Result<UnixListener> {
        let _ = fs::remove_file(self.0.join(SOCKET));
        self.through_short_path(UnixListener::bind)
    }

    /// Connects to the supervisor. `None` means that there certainly is none, as the kernel closes a socket with its last
    /// process; an error leaves it open.
    pub(super) fn connect(&self) -> io::Result<Option<UnixStream>> {
        match self.through_short_path(UnixStream::connect) {
            Ok(stream) => Ok(Some(stream)),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The path of a socket has at most 107 bytes, and this folder may be anywhere.
    fn through_short_path<T>(&self, call: impl FnOnce(PathBuf) -> io::Result<T>) -> io::Result<T> {
        let folder = File::open(&self.0)?;
        call(Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(SOCKET))
    }

    /// Removes everything.
    pub(super) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.0)
    }
}

/// The name of the file or folder of a unit.
pub(in crate::embedded) fn file_name(unit: &str) -> String {
    if unit.len() <= NAME_BYTES_MAX {
        return unit.to_owned();
    }
    // No unit has a tilde in its name.
    let digest = Sha1::digest(unit.as_bytes());
    digest.iter().fold("~".to_owned(), |name, byte| name + &format!("{byte:02x}"))
}

/// What is in a folder, by name: a file system has an order of its own.
pub(in crate::embedded) fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

/// How long a file must be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::embedded) enum Keep {
    /// Beyond the death of every process.
    OverCrash,
    /// Beyond that of the machine.
    OverPowerCut,
}

/// Writes a file as JSON, so that there is the old one or the new one at any time.
pub(in crate::embedded) fn write(path: &Path, value: &impl Serialize, keep: Keep) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // No name of a unit has a tilde.
    name.push("~");
    let temporary = path.with_file_name(name);
    let mut file = File::create(&temporary)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    if keep == Keep::OverPowerCut {
        file.sync_data()?;
    }
    fs::rename(&temporary, path)
}

/// Reads a file that [`write`] wrote; `None` when there is none, or none that is understood.
pub(in crate::embedded) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}
