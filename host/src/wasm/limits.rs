//! What one call of a policy may use.

use std::time::Duration;

/// What one call of a policy may use. Beyond it the call ends, and nothing else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The linear memory of the module, in bytes.
    pub memory_bytes: usize,
    /// Work, in wasmtime's units of fuel: about one for each instruction. The same input always uses the same.
    pub fuel: u64,
    /// The time on the clock. It is there for what fuel does not see; with more fuel it can be the first to end a call.
    pub time: Duration,
}

impl Limits {
    /// The memory of small modules, and of what a compiler of ours makes by default, many times over.
    pub const MEMORY_BYTES_DEFAULT: usize = 16 << 20;
    /// The most memory that can be asked for: what Python or JavaScript in a module takes, many times over.
    pub const MEMORY_BYTES_MAX: usize = 512 << 20;
    /// A thousand times what a decision over 10 series of 60 samples takes, and some 10 ms of work.
    pub const FUEL_DEFAULT: u64 = 25_000_000;
    /// The longest time that can be asked for: a policy that thinks longer than its interval is of no use.
    pub const TIME_MAX: Duration = Duration::from_secs(10);
    /// Many times what any policy of ours takes, when the machine is busy.
    pub const TIME_DEFAULT: Duration = Duration::from_millis(100);
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: Self::MEMORY_BYTES_DEFAULT, fuel: Self::FUEL_DEFAULT, time: Self::TIME_DEFAULT }
    }
}
