//! Why a module cannot be used, and why a call of it came to nothing.

use dynamite_core::{FailureKind, PolicyError};

use super::Limits;

/// Why a module cannot be used. The text says what its author should do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("it cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// The file is larger than [`super::MODULE_BYTES_MAX`].
    #[error("it has more than {} MiB", super::MODULE_BYTES_MAX >> 20)]
    TooLarge,
    /// The bytes are not WebAssembly.
    #[error("it is no WebAssembly: it does not begin as a module or a component does")]
    NotWasm,
    /// The SHA-256 is not the one that the configuration asks for.
    #[error("its SHA-256 is {found}, but the configuration wants {wanted}")]
    WrongHash {
        /// What it is.
        found: String,
        /// What it should be.
        wanted: String,
    },
    /// A core module without a word about its interface.
    #[error(
        "it is a core module that says nothing of an interface: build it with the crate `dynamite-policy`, or \
         make it a component of the world `scaling-policy` of `dynamite:policy@0.1.0`"
    )]
    NoInterface,
    /// A core module that imports the first version of WASI, which has no components.
    #[error("it is a core module that imports `{0}` of WASI 0.1, and only WASI 0.2 is offered")]
    OldWasi(String),
    /// It was cut short, or damaged.
    #[error("it is damaged or incomplete: {0}")]
    Damaged(String),
    /// It uses a part of WebAssembly that is not offered.
    #[error("it uses something of WebAssembly that is not offered here: {0}")]
    NotOffered(String),
    /// It was made for a version of the interface that is not served.
    #[error("it is made for {found}, and this Dynamite serves dynamite:policy@0.1.0")]
    OtherVersion {
        /// The interface and version that it asks for.
        found: String,
    },
    /// It is a component for something else.
    #[error("it is no scaling policy: {0}")]
    OtherWorld(String),
    /// Its `describe` failed.
    #[error("its `describe` failed: {0}")]
    Describe(CallError),
    /// Its `describe` said something unusable.
    #[error("its `describe` gives {0}")]
    Description(String),
}

/// What a policy answered that it must not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Garbled {
    /// A state of so many bytes.
    #[error("it answered with a state of {0} bytes, and {max} are the most", max = super::STATE_BYTES_MAX)]
    StateTooLarge(usize),
    /// So many names of instances.
    #[error("it named {0} instances to stop")]
    TooManyNames(usize),
}

/// Why a call came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It did not end within its fuel.
    #[error("it used up its fuel of {} (`limits: {{fuel: …}}`)", .0.fuel)]
    OutOfFuel(Limits),
    /// It did not end within its time.
    #[error("it did not end within {:?} (`limits: {{time: …}}`)", .0.time)]
    OutOfTime(Limits),
    /// It asked for more memory than it may have.
    #[error("it asked for more than {} KiB of memory (`limits: {{memory: …}}`)", .0.memory_bytes >> 10)]
    OutOfMemory(Limits),
    /// It recursed too deeply.
    #[error("it recursed too deeply")]
    StackOverflow,
    /// It ended itself, with this exit code if there was one.
    #[error("it called `exit`")]
    Exited,
    /// It panicked, and said so: `at src/lib.rs:5:3: no instances`.
    #[error("it panicked {0}")]
    Panicked(String),
    /// It did something else that ends a module, or panicked without a word.
    #[error("it trapped: {0}")]
    Trapped(String),
    /// What it answered cannot be taken.
    #[error(transparent)]
    Garbled(#[from] Garbled),
    /// It answered with an error of its own.
    #[error("it says: {0}")]
    Refused(String),
}

impl From<CallError> for PolicyError {
    fn from(error: CallError) -> Self {
        let kind = match &error {
            CallError::OutOfFuel(_) => FailureKind::Fuel,
            CallError::OutOfTime(_) => FailureKind::Time,
            CallError::OutOfMemory(_) | CallError::StackOverflow => FailureKind::Memory,
            CallError::Exited | CallError::Panicked(_) | CallError::Trapped(_) => FailureKind::Trap,
            CallError::Garbled(_) => FailureKind::Answer,
            CallError::Refused(_) => FailureKind::Refusal,
        };
        Self::new(kind, error.to_string())
    }
}
