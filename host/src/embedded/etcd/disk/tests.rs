//! What survives on a real file, and what is refused.

use std::error::Error as _;
use std::io::{Seek as _, SeekFrom, Write as _};

use bytes::Bytes;
use tempfile::TempDir;

use super::super::store::{BYTES_MAX, Store};
use super::super::write::{Content, Write};
use super::*;

fn try_open(folder: &TempDir) -> Result<(Disk, Kept), Error> {
    Disk::open(folder.path(), &mut fastrand::Rng::with_seed(1))
}

fn open(folder: &TempDir) -> (Disk, Store, Identity) {
    let (disk, kept) = try_open(folder).unwrap();
    (disk, Store::restored(kept.nodes, kept.events, BYTES_MAX), kept.identity)
}

fn set(store: &mut Store, path: &str, value: &'static str, expires: Option<i64>) {
    let content =
        Content { dir: false, value: Bytes::from_static(value.as_bytes()), expires, refresh: false };
    store.write(0, &Key::parse(path.as_bytes()), Write::Set(content)).unwrap();
}

fn remove(store: &mut Store, path: &str) {
    store.write(0, &Key::parse(path.as_bytes()), Write::Delete { dir: true, deep: true }).unwrap();
}

fn save(disk: &mut Disk, store: &mut Store) {
    disk.save(&store.take_batch().unwrap()).unwrap();
}

/// Everything that clients can see of a store.
fn seen(store: &mut Store) -> String {
    let found = store.get(0, &Key::root(), true).unwrap();
    let first = store.look_back(&Key::root(), true, 1);
    let past: Vec<_> = (1..=store.index())
        .map(|since| {
            store.look_back(&Key::parse(b"/a"), true, since).map(|event| event.map(|event| event.index))
        })
        .collect();
    format!("{} {found:?} {first:?} {past:?} {:?}", store.index(), store.next_deadline())
}

#[test]
fn a_store_comes_back_as_it_was() {
    let folder = TempDir::new().unwrap();
    let (mut disk, mut store, first) = open(&folder);
    assert!(store.take_batch().is_none(), "nothing has happened");
    set(&mut store, "/a/b", "1", Some(4_000_000_000_000_000_000));
    set(&mut store, "/a/c", "2", None);
    save(&mut disk, &mut store);
    remove(&mut store, "/a/c");
    set(&mut store, "/d/_h", "", None);
    save(&mut disk, &mut store);
    let before = seen(&mut store);
    drop(disk);
    let (mut disk, mut store, second) = open(&folder);
    assert_eq!(seen(&mut store), before);
    assert_eq!((second.cluster, second.member, second.term), (first.cluster, first.member, first.term + 1));
    // The ring has come round.
    for _ in 0..EVENTS_MAX + 10 {
        set(&mut store, "/a/x", "3", None);
        save(&mut disk, &mut store);
    }
    let before = seen(&mut store);
    drop(disk);
    assert_eq!(seen(&mut open(&folder).1), before);
}

#[test]
fn events_that_were_too_large_to_be_kept_stay_forgotten() {
    let folder = TempDir::new().unwrap();
    let (mut disk, mut store, _) = open(&folder);
    for _ in 0..9 {
        let value = vec![b'v'; 10 << 20].into();
        let content = Content { dir: false, value, expires: None, refresh: false };
        store.write(0, &Key::parse(b"/a"), Write::Set(content)).unwrap();
        save(&mut disk, &mut store);
    }
    let cleared = |store: &Store| store.look_back(&Key::parse(b"/a"), false, 5).unwrap_err().cause;
    let before = cleared(&store);
    let transaction = disk.database.as_ref().unwrap().begin_write().unwrap();
    let events = transaction.open_table(EVENTS).unwrap().iter().unwrap().count();
    drop(transaction);
    assert!(events < 5, "{events}");
    drop(disk);
    assert_eq!(cleared(&open(&folder).1), before);
}

#[test]
fn the_file_stays_small() {
    let folder = TempDir::new().unwrap();
    let (mut disk, mut store, _) = open(&folder);
    for commit in 0..500_u64 {
        for write in 0..70 {
            let path = format!("/metrics/{}", (commit * 7 + write) % 200);
            set(&mut store, &path, "a value of a few bytes", None);
            if write % 2 == 0 {
                remove(&mut store, &path);
            }
        }
        save(&mut disk, &mut store);
    }
    assert!(size(&folder) < 4 << 20, "{} bytes after {} events", size(&folder), store.index());
}

#[test]
fn a_file_that_was_large_is_made_small() {
    let folder = TempDir::new().unwrap();
    let (mut disk, mut store, _) = open(&folder);
    for number in 0..20 {
        let content =
            Content { dir: false, value: vec![b'v'; 1 << 20].into(), expires: None, refresh: false };
        store.write(0, &Key::parse(format!("/a/{number}").as_bytes()), Write::Set(content)).unwrap();
        set(&mut store, &format!("/between/{number}"), "x", None);
        save(&mut disk, &mut store);
    }
    assert!(size(&folder) > 20 << 20);
    remove(&mut store, "/a");
    for _ in 0..EVENTS_MAX {
        set(&mut store, "/b", "1", None);
        if store.index().is_multiple_of(100) {
            save(&mut disk, &mut store);
        }
    }
    save(&mut disk, &mut store);
    // As a crash leaves it.
    let crashed = TempDir::new().unwrap();
    fs::copy(folder.path().join(FILE), crashed.path().join(FILE)).unwrap();
    assert!(size(&crashed) > COMPACT_BYTES_MIN);
    let (_disk, mut after, _) = open(&crashed);
    assert!(size(&crashed) < COMPACT_BYTES_MIN, "{} bytes", size(&crashed));
    assert_eq!(seen(&mut after), seen(&mut store));
}

#[test]
fn a_folder_is_for_one_at_a_time() {
    let folder = TempDir::new().unwrap();
    let (disk, _, _) = open(&folder);
    let error = try_open(&folder).err().unwrap();
    assert!(matches!(error, Error::InUse { .. }), "{error:?}");
    drop(disk);
    open(&folder);
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(FILE);
    fs::write(&path, "this is no database, and long enough to look like one".repeat(1000)).unwrap();
    check_refused(&folder);
    fs::remove_file(&path).unwrap();
    let database = Database::create(&path).unwrap();
    drop(database);
    check_refused(&folder);
}

#[test]
fn damage_is_found() {
    let folder = TempDir::new().unwrap();
    let (mut disk, mut store, _) = open(&folder);
    for number in 0..2_000 {
        set(&mut store, &format!("/a/{number}"), "some value", None);
    }
    save(&mut disk, &mut store);
    drop(disk);
    let path = folder.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let write = |damaged: &[u8]| fs::write(&path, damaged).unwrap();
    write(&whole[..whole.len() / 2]);
    check_refused(&folder);
    // Where the values are, there is something to damage.
    let at = whole.windows(10).rposition(|window| window == b"some value").unwrap();
    write(&whole);
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::Start(at as u64)).unwrap();
    file.write_all(b"soma").unwrap();
    drop(file);
    check_refused(&folder);
    write(&whole);
    open(&folder);
}

fn size(folder: &TempDir) -> u64 {
    fs::metadata(folder.path().join(FILE)).unwrap().len()
}

fn check_refused(folder: &TempDir) {
    let error = try_open(folder).err().unwrap();
    let text = format!("{error}: {}", error.source().unwrap());
    assert!(matches!(error, Error::Damaged { .. }) && text.contains(FILE), "{text}");
}

#[test]
fn a_start_that_was_cut_off_is_made_up_for() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(NEW_FILE), "half made").unwrap();
    open(&folder);
    assert!(!folder.path().join(NEW_FILE).exists());
}
