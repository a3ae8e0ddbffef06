//! The file that keeps the store: an embedded database, whose every commit is synced to the disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Builder, Database, DatabaseError, ReadableTable as _, StorageError, TableDefinition};

use super::Error;
use super::event::{Event, Node};
use super::history::EVENTS_MAX;
use super::key::Key;
use super::record;
use super::tree::weight;

/// The file in the folder.
const FILE: &str = "etcd.redb";

/// Under this name it is made, so that a crash meanwhile leaves nothing half made under the other.
const NEW_FILE: &str = "etcd.redb.new";

/// The version of what is in the tables.
const FORMAT: u64 = 1;

/// What the database may keep in memory, in bytes. Only writes need it: what is read is in memory anyway.
const CACHE_BYTES: usize = 8 << 20;

/// A file smaller than this is not worth to be made smaller, in bytes.
const COMPACT_BYTES_MIN: u64 = 16 << 20;

/// The file is made smaller at the start when it is this many times as large as what it holds.
const COMPACT_RATIO: u64 = 4;

const FACTS: TableDefinition<'_, &str, u64> = TableDefinition::new("facts");
const NODES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("nodes");
/// In a ring: the place of an event is its index modulo the number that is kept.
const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");

/// Who the store is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Identity {
    /// The id of the cluster.
    pub(super) cluster: u64,
    /// The id of the member.
    pub(super) member: u64,
    /// How many times it was started, from 2 on.
    pub(super) term: u64,
}

impl Identity {
    /// A new one.
    pub(super) fn random(rng: &mut fastrand::Rng) -> Self {
        Self { cluster: rng.u64(1..), member: rng.u64(1..), term: 1 }
    }
}

/// What was in the file.
pub(super) struct Kept {
    /// Who the store is, in this start.
    pub(super) identity: Identity,
    /// All nodes.
    pub(super) nodes: Vec<(Key, Node)>,
    /// The latest events, in order.
    pub(super) events: Vec<Event>,
}

/// What one commit stores.
#[derive(Debug)]
pub(super) struct Batch {
    /// Nodes as they are, or that they are gone.
    pub(super) nodes: Vec<(Key, Option<Node>)>,
    /// Events in order.
    pub(super) events: Vec<Arc<Event>>,
    /// Indexes of events that are no longer kept.
    pub(super) forgotten: Vec<u64>,
    /// The index of the store.
    pub(super) index: u64,
}

/// The open file.
pub(super) struct Disk {
    path: PathBuf,
    database: Option<Database>,
}

impl Disk {
    /// Opens the store in a folder, and makes both if they are not there, with IDs from `rng`.
    pub(super) fn open(folder: &Path, rng: &mut fastrand::Rng) -> Result<(Self, Kept), Error> {
        let path = folder.join(FILE);
        let in_folder = |source| Error::Folder { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(in_folder)?;
        if !fs::exists(&path).map_err(in_folder)? {
            create(folder, Identity::random(rng))?;
        }
        let failed = |error: redb::Error| failure(&path, error);
        let mut database = open(&path).map_err(|error| failed(error.into()))?;
        let kept =
            load(&database).map_err(failed)?.ok_or_else(|| damaged(&path, "its records are garbled"))?;
        compact(&mut database, &path, &kept).map_err(failed)?;
        Ok((Self { path, database: Some(database) }, kept))
    }

    /// Stores a batch; when it returns, it is on the disk. After an error the same batch may be tried again.
    pub(super) fn save(&mut self, batch: &Batch) -> Result<(), redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            // After an error a database is of no more use.
            None => open(&self.path)?,
        };
        save(&database, batch)?;
        self.database = Some(database);
        Ok(())
    }
}

fn open(path: &Path) -> Result<Database, DatabaseError> {
    // Without the check a file that was altered could make the library panic.
    Builder::new().set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true).open(path)
}

/// Makes an empty store, all of it or nothing.
fn create(folder: &Path, identity: Identity) -> Result<(), Error> {
    let new = folder.join(NEW_FILE);
    let in_folder = |source| Error::Folder { path: folder.to_owned(), source };
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(in_folder(error)),
        _ => {}
    }
    let make = || -> Result<(), redb::Error> {
        let database = Builder::new().set_cache_size(CACHE_BYTES).create(&new)?;
        let transaction = database.begin_write()?;
        {
            let mut facts = transaction.open_table(FACTS)?;
            facts.insert("format", FORMAT)?;
            facts.insert("cluster", identity.cluster)?;
            facts.insert("member", identity.member)?;
            facts.insert("term", identity.term)?;
            transaction.open_table(NODES)?;
            transaction.open_table(EVENTS)?;
        }
        transaction.commit()?;
        Ok(())
    };
    make().map_err(|error| failure(&new, error))?;
    fs::rename(&new, folder.join(FILE)).map_err(in_folder)?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(in_folder)
}

/// Everything in the file, and one more start recorded; `None` if it is not as this program writes it.
fn load(database: &Database) -> Result<Option<Kept>, redb::Error> {
    let transaction = database.begin_write()?;
    let kept = {
        let mut facts = transaction.open_table(FACTS)?;
        let fact =
            |name| -> Result<Option<u64>, redb::Error> { Ok(facts.get(name)?.map(|fact| fact.value())) };
        let (Some(FORMAT), Some(cluster), Some(member), Some(term)) =
            (fact("format")?, fact("cluster")?, fact("member")?, fact("term")?)
        else {
            return Ok(None);
        };
        let identity = Identity { cluster, member, term: term + 1 };
        facts.insert("term", identity.term)?;
        let mut nodes = Vec::new();
        for entry in transaction.open_table(NODES)?.iter()? {
            let (key, node) = entry?;
            let (Some(key), Some(node)) = (Key::from_stored(key.value()), record::to_node(node.value()))
            else {
                return Ok(None);
            };
            nodes.push((key, node));
        }
        let mut events = Vec::new();
        for entry in transaction.open_table(EVENTS)?.iter()? {
            let Some(event) = record::to_event(entry?.1.value()) else { return Ok(None) };
            events.push(event);
        }
        events.sort_by_key(|event| event.index);
        Kept { identity, nodes, events }
    };
    transaction.commit()?;
    Ok(Some(kept))
}

/// Makes the file smaller if much of it is of no more use. The database does so when it is closed, but not after a crash.
fn compact(database: &mut Database, path: &Path, kept: &Kept) -> Result<(), redb::Error> {
    let nodes = kept.nodes.iter().map(|(key, node)| weight(key, node)).sum::<usize>();
    let held = nodes + kept.events.iter().map(Event::weight).sum::<usize>();
    let size = fs::metadata(path)?.len();
    if size >= COMPACT_BYTES_MIN && size / COMPACT_RATIO > held as u64 {
        database.compact()?;
    }
    Ok(())
}

fn save(database: &Database, batch: &Batch) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut nodes = transaction.open_table(NODES)?;
        for (key, node) in &batch.nodes {
            match node {
                Some(node) => nodes.insert(key.as_bytes(), record::from_node(node).as_slice())?,
                None => nodes.remove(key.as_bytes())?,
            };
        }
        let mut events = transaction.open_table(EVENTS)?;
        for index in &batch.forgotten {
            events.remove(place(*index))?;
        }
        for event in &batch.events {
            events.insert(place(event.index), record::from_event(event).as_slice())?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Where an event is stored.
fn place(index: u64) -> u64 {
    index % EVENTS_MAX as u64
}

/// What an error of the database means to whoever starts the server.
fn failure(path: &Path, error: redb::Error) -> Error {
    match error {
        redb::Error::DatabaseAlreadyOpen => Error::InUse { path: path.to_owned() },
        redb::Error::Io(source) if source.kind() != std::io::ErrorKind::InvalidData => {
            Error::File { path: path.to_owned(), source }
        }
        other => Error::Damaged { path: path.to_owned(), source: Box::new(other) },
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    let source = Box::new(StorageError::Corrupted(why.to_owned()));
    Error::Damaged { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;
