//! Who a unit is: its name and the machine that it runs on.

use serde::{Deserialize, Serialize};

/// Who a unit is, as far as its unit file can ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The whole name.
    pub(super) name: String,
    /// The name of the machine.
    pub(super) hostname: String,
    /// Its machine ID, 32 hexadecimal digits.
    pub(super) machine: String,
    /// The ID of its boot.
    pub(super) boot: String,
    /// The number of the user that units run as, which is Dynamite's.
    pub(super) user: u32,
}

impl Identity {
    /// The name without its type.
    #[must_use]
    pub(super) fn stem(&self) -> &str {
        self.name.rsplit_once('.').map_or(&self.name, |(stem, _)| stem)
    }

    /// What stands before the first `@`.
    #[must_use]
    pub(super) fn prefix(&self) -> &str {
        self.stem().split_once('@').map_or(self.stem(), |(prefix, _)| prefix)
    }

    /// What stands behind the first `@`; may be empty.
    #[must_use]
    pub(super) fn instance(&self) -> &str {
        self.stem().split_once('@').map_or("", |(_, instance)| instance)
    }
}
