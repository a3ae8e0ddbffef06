//! Whether a file has changed, told by what the file system says of it.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// What tells one state of a file from another: when it and what is said of it were changed, its size and its place on
/// the disk.
pub(super) type Stamp = (SystemTime, (i64, i64), u64, u64);

/// The state of a file; none if there is none.
pub(super) fn stamp(path: &Path) -> Option<Stamp> {
    let about = path.metadata().ok()?;
    Some((about.modified().ok()?, (about.ctime(), about.ctime_nsec()), about.len(), about.ino()))
}

/// What was seen of a file.
#[derive(Debug)]
pub(super) struct File {
    /// When it was last looked at.
    pub(super) last: Option<Stamp>,
    /// When it was last read.
    pub(super) read: Option<Stamp>,
}

impl File {
    /// The state in which its reading is due, if it is: it has changed, and then not again, so nobody is writing it any more.
    pub(super) fn due(&mut self, now: Option<Stamp>) -> Option<Stamp> {
        let is_settled = now == self.last && now != self.read;
        self.last = now;
        now.filter(|_| is_settled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_it_has_changed_and_settled() {
        let stamp = |size| Some((SystemTime::UNIX_EPOCH, (0, 0), size, 1));
        let mut file = File { last: stamp(1), read: stamp(1) };
        let seen = [stamp(1), stamp(2), stamp(3), stamp(3), stamp(3), None, stamp(3), stamp(4), stamp(4)];
        let read = seen.into_iter().map(|now| {
            let due = file.due(now);
            file.read = due.or(file.read);
            due.is_some()
        });
        let expected = [false, false, false, true, false, false, false, false, true];
        assert_eq!(read.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_file_whose_reading_was_given_up_is_read_again() {
        let stamp = Some((SystemTime::UNIX_EPOCH, (0, 0), 1, 1));
        let mut file = File { last: None, read: None };
        let read: Vec<bool> = [stamp; 3].into_iter().map(|now| file.due(now).is_some()).collect();
        assert_eq!(read, [false, true, true]);
    }
}
