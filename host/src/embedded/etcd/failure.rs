//! Errors of the keys API, with etcd's numbers, texts and statuses.

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    KeyNotFound,
    CompareFailed,
    NotAFile,
    NotADirectory,
    NodeExists,
    RootReadOnly,
    DirectoryNotEmpty,
    PrevValueRequired,
    TtlNotANumber,
    IndexNotANumber,
    InvalidField,
    InvalidForm,
    RefreshValue,
    RefreshTtlRequired,
    /// What etcd says when it cannot commit.
    RaftInternal,
    EventIndexCleared,
}

impl Code {
    /// `errorCode`.
    pub(super) fn number(self) -> u16 {
        self.facts().0
    }

    /// `message`.
    pub(super) fn message(self) -> &'static str {
        self.facts().1
    }

    /// The HTTP status.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::KeyNotFound => 404,
            Self::CompareFailed | Self::NodeExists => 412,
            Self::NotAFile | Self::DirectoryNotEmpty => 403,
            Self::RaftInternal => 500,
            _ => 400,
        }
    }

    fn facts(self) -> (u16, &'static str) {
        match self {
            Self::KeyNotFound => (100, "Key not found"),
            Self::CompareFailed => (101, "Compare failed"),
            Self::NotAFile => (102, "Not a file"),
            Self::NotADirectory => (104, "Not a directory"),
            Self::NodeExists => (105, "Key already exists"),
            Self::RootReadOnly => (107, "Root is read only"),
            Self::DirectoryNotEmpty => (108, "Directory not empty"),
            Self::PrevValueRequired => (201, "PrevValue is Required in POST form"),
            Self::TtlNotANumber => (202, "The given TTL in POST form is not a number"),
            Self::IndexNotANumber => (203, "The given index in POST form is not a number"),
            Self::InvalidField => (209, "Invalid field"),
            Self::InvalidForm => (210, "Invalid POST form"),
            Self::RefreshValue => (211, "Value provided on refresh"),
            Self::RefreshTtlRequired => (212, "A TTL must be provided on refresh"),
            Self::RaftInternal => (300, "Raft Internal Error"),
            Self::EventIndexCleared => (401, "The event in requested index is outdated and cleared"),
        }
    }
}

/// An error as it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// What went wrong.
    pub(super) code: Code,
    /// `cause`; left out of the answer when empty.
    pub(super) cause: Vec<u8>,
    /// The index of the store; 0 when the request was refused before it reached the store.
    pub(super) index: u64,
}

impl Failure {
    /// A request that cannot be understood.
    pub(super) fn request(code: Code, cause: impl Into<Vec<u8>>) -> Self {
        Self { code, cause: cause.into(), index: 0 }
    }
}
