//! Lines for Dynamite's log, marked with the policy's name. At most 20 a call, of 1,024 bytes each.
//!
//! In a native build they go to a list that [`testing::logged`](crate::testing::logged) takes.

pub use crate::bindings::dynamite::policy::log::Level;

/// A line that is shown with `--log-level debug`.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// A line that is always shown.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// A line about something that an operator should look into.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

#[cfg(target_family = "wasm")]
use crate::bindings::dynamite::policy::log::write;

#[cfg(not(target_family = "wasm"))]
fn write(level: Level, message: &str) {
    crate::testing::record(level, message);
}
