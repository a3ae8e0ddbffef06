//! Counts of what was asked, as `/v2/stats/store` shows them.

use std::fmt::Write as _;

use super::write::Write;

/// Kinds of writes, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Set,
    Delete,
    Update,
    Create,
    CompareAndSwap,
    CompareAndDelete,
}

/// Successes and failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Those that succeeded.
    pub(super) success: u64,
    /// Those that failed.
    pub(super) fail: u64,
}

impl Tally {
    fn add(&mut self, success: bool) {
        if success {
            self.success += 1;
        } else {
            self.fail += 1;
        }
    }
}

/// All counts, since the start of the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Stats {
    gets: Tally,
    writes: [Tally; 6],
    expired: u64,
}

impl Stats {
    pub(super) fn kind(write: &Write) -> Kind {
        match write {
            Write::Set(_) => Kind::Set,
            Write::Create(_) | Write::CreateInOrder(_) => Kind::Create,
            Write::Update(_) => Kind::Update,
            Write::CompareAndSwap(..) => Kind::CompareAndSwap,
            Write::Delete { .. } => Kind::Delete,
            Write::CompareAndDelete(_) => Kind::CompareAndDelete,
        }
    }

    pub(super) fn got(&mut self, success: bool) {
        self.gets.add(success);
    }

    pub(super) fn wrote(&mut self, kind: Kind, success: bool) {
        self.writes[kind as usize].add(success);
    }

    pub(super) fn expired(&mut self) {
        self.expired += 1;
    }

    /// The JSON of `/v2/stats/store`.
    pub(super) fn to_json(&self, watchers: usize) -> String {
        let names = ["sets", "delete", "update", "create", "compareAndSwap", "compareAndDelete"];
        let mut json = String::from("{");
        let all = std::iter::once(("gets", &self.gets)).chain(names.into_iter().zip(&self.writes));
        for (name, Tally { success, fail }) in all {
            // Writing to a string cannot fail.
            let _ = write!(json, "\"{name}Success\":{success},\"{name}Fail\":{fail},");
        }
        json + &format!("\"expireCount\":{},\"watchers\":{watchers}}}", self.expired)
    }
}
