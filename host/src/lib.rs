//! Dynamite keeps the services of an application on fleet at the right number of instances.
//!
//! It reads metrics and registrations from etcd, lets policies decide, starts and stops units through fleet, and keeps what
//! it must not forget in etcd.
//!
//! Decisions are made in dynamite-core, which does no I/O. This crate is what is around it: [`daemon`] wires, [`engine`] is the
//! loop, [`store`], [`fleet`] and [`wasm`] are the borders, [`config`] reads the YAML, and [`embedded`] does without etcd and fleet.
//!
//! The map of the code, the invariants, and how to add something are in `host/docs/architecture.md`.

pub mod admin;
mod cases;
pub mod cli;
pub mod clock;
pub mod config;
mod crowd;
pub mod daemon;
pub mod demo;
pub mod embedded;
pub mod engine;
#[cfg(test)]
mod fakes;
pub mod fleet;
pub mod generate;
pub mod health;
pub mod journal;
pub mod lead;
pub mod metrics;
pub mod modules;
pub mod policy_cli;
pub mod record;
pub mod registrations;
pub mod signals;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod wasm;
