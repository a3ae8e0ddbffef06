//! The end-to-end tests: one binary, one module a scenario.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test that is how to fail")]

mod store;
