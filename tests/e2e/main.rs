//! End-to-end tests, one module a scenario, in one binary: linking is slow.

#![expect(clippy::unwrap_used, clippy::panic, reason = "in a test that is how to fail")]

mod accidents;
mod conformance;
mod demo;
mod embedded;
mod events;
mod examples;
mod generate;
mod health;
mod modules;
mod pairs;
mod policies;
mod readme;
mod recovery;
mod scaling;
mod single;
mod store;
