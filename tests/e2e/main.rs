//! End-to-end tests, one module a scenario, in one binary: linking is slow.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test that is how to fail")]

mod accidents;
mod conformance;
mod embedded;
mod modules;
mod policies;
mod recovery;
mod scaling;
mod single;
mod store;
