//! The processes of a unit, found in `/proc`.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::process::{Pid, Signal, getpid, kill_process};

/// The variable that every process of a unit has in its environment, with the ID of the start.
pub(super) const MARK: &str = "INVOCATION_ID";

/// Every process that descends from the current one.
pub(super) fn descendants() -> Vec<Pid> {
    below(&BTreeSet::from([getpid().as_raw_nonzero().get()]))
}

/// Every process with the mark of a start, and what descends from them.
pub(super) fn marked(invocation: &str) -> Vec<Pid> {
    let entry = format!("{MARK}={invocation}");
    let is_marked = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == entry.as_bytes())
    };
    let marked: BTreeSet<i32> = all().filter(is_marked).collect();
    let mut found = below(&marked);
    found.extend(marked.into_iter().filter_map(Pid::from_raw));
    found
}

/// The supervisors of a unit's folder: one, or none.
pub(super) fn supervisors(folder: &Path) -> Vec<Pid> {
    let Ok(folder) = folder.canonicalize() else { return Vec::new() };
    let supervises = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = line.split(|byte| *byte == 0).skip(1);
        words.next() == Some(b"supervise".as_slice())
            && words.next().is_some_and(|path| {
                Path::new(OsStr::from_bytes(path)).canonicalize().is_ok_and(|path| path == folder)
            })
    };
    all().filter(supervises).filter_map(Pid::from_raw).collect()
}

/// Sends a signal to each; those that are gone by now are no error.
pub(super) fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        let _ = kill_process(*pid, signal);
    }
}

/// The descendants of some processes, without themselves.
fn below(roots: &BTreeSet<i32>) -> Vec<Pid> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in all() {
        if let Some(parent) = parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut seen = roots.clone();
    let mut open: Vec<i32> = roots.iter().copied().collect();
    while let Some(pid) = open.pop() {
        for child in children.remove(&pid).unwrap_or_default() {
            if seen.insert(child) {
                open.push(child);
                found.extend(Pid::from_raw(child));
            }
        }
    }
    found
}

fn all() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The parent of a living process; zombies are nobody's children any more.
fn parent(pid: i32) -> Option<i32> {
    let fields = fields(pid)?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    if state == "Z" || state == "X" { None } else { fields.next()?.parse().ok() }
}

/// When a process was started, in ticks since the boot.
pub(super) fn start_time(pid: i32) -> Option<u64> {
    fields(pid)?.split(' ').nth(19)?.parse().ok()
}

/// What the kernel says of a process, from its state on.
fn fields(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    stat.rsplit_once(") ").map(|(_, fields)| fields.to_owned())
}
