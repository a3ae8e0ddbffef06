//! Policies in WebAssembly: loads modules of the interface in `wit/`, and runs them within limits.
//!
//! Every call gets a fresh instance, so nothing leaks between services or decisions, and the same input gives the same
//! output: clocks and random numbers follow from it. A call that loops, recurses, grows or traps ends by itself and harms
//! nothing else. Nothing here decides when a policy is asked, or what becomes of its answer.

mod bindings;
mod cache;
mod call;
mod contract;
mod convert;
mod engines;
mod error;
mod footprint;
mod guest;
mod limits;
mod module;
#[cfg(test)]
pub(crate) mod test_modules;
mod ticker;

pub use cache::cache_folder_default;
pub use call::Run;
pub use contract::{Interface, VERSION};
pub use convert::{REASON_BYTES_MAX, STATE_BYTES_MAX};
pub use error::{CallError, Garbled, LoadError};
pub use guest::{Level, Line, Log};
pub use limits::Limits;
pub use module::{Host, MODULE_BYTES_MAX, Module, sha256_of};

/// What a module says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it does.
    pub summary: String,
    /// The JSON Schema of its configuration; empty if it has none.
    pub config_schema: String,
}

/// What the module in these bytes imports and exports, as a component.
///
/// # Errors
/// That it is no WebAssembly, or says nothing of an interface.
pub fn interface_of(bytes: &[u8]) -> Result<Interface, LoadError> {
    contract::interface(&contract::component(bytes)?)
}
