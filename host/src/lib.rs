//! Dynamite keeps the services of an application on fleet at the right number of instances.
//!
//! It reads metrics and registrations from etcd, lets policies decide, starts and stops units through fleet, and keeps what
//! it must not forget in etcd.
//!
//! # Code map
//!
//! Dependencies point one way: `main` → [`daemon`] → {[`lead`], [`engine`], [`fleet::http`], [`store::connect`],
//! [`wasm`]} → the traits [`fleet::Fleet`], [`store::Store`], [`clock::Clock`], [`modules::Modules`], [`journal::Journal`] →
//! [`dynamite_core`].
//!
//! - [`dynamite_core`] is the pure core. Its [`dynamite_core::Planner`] folds every input there is (samples, registrations, looks at fleet,
//!   answers of policies, ended actions, commands, specifications, what is stored) into effects: questions, orders, records,
//!   events. In it [`dynamite_core::decide`] makes every decision, through one function for each rule. The same inputs give the same
//!   effects; it does no I/O and reads no clock.
//! - [`engine`] is one loop around it. `engine::main_loop` waits and hands over, `engine::executor` carries orders out,
//!   `engine::writeback` writes what is out of date, [`lead`] decides who may.
//! - [`journal`] is told everything that happens, once, as values; the log, `--events`, the demo and tests read it.
//! - [`metrics`] turns keys in etcd into samples, once, whoever reads them, and knows which keys nobody needs any more;
//!   [`registrations`] does the same for who is who.
//! - [`record`] is what is kept in etcd, in the original Dynamite's layout where it had one.
//! - [`store`] and [`fleet`] are the two borders: narrow traits, with the clients below them.
//! - [`wasm`] loads and runs policies in WebAssembly modules, each decision in a fresh instance within limits; [`modules`] is
//!   the narrow trait through which the engine asks them, and what takes over files that change.
//! - [`config`] reads and checks the YAML; beyond it a configuration is valid.
//! - `cases` puts policies to cases in YAML files, in a world around the same planner; [`policy_cli`] is the command `dynamite policy` around it.
//! - [`health`] is what the loop says of itself; [`admin`] tells others, from a thread that the loop cannot hold up.
//! - `crowd` bounds the connections of the servers that are here.
//! - [`generate`] is the command `dynamite generate`: it writes metrics as a file describes them, in the words of `cases`.
//! - [`demo`] is the command `dynamite demo`: the daemon on [`embedded`], an application and a load for it, and what it decides.
//! - [`embedded`] serves etcd's and fleet's APIs within the process and runs units without systemd: `run --embedded`. The
//!   engine talks to it over HTTP as to real ones; each of the two servers by itself is for tests and benchmarks.
//!   [`embedded::units`] has the rules of processes, and says who outlives whom.
//!
//! # Invariants
//!
//! - Only units that are recorded, or named by an intent with the hash of their file, are ever changed or removed.
//! - An intent is in etcd before fleet is asked, and stays until the result is recorded: the process may die anywhere.
//! - Nothing is written without the lease, which one process holds.
//! - A policy votes; bounds, rests, objections, dependencies and slots are applied to every vote in one place,
//!   [`dynamite_core::decide`]. Nothing else decides, neither in the daemon nor in `dynamite policy test`.
//! - One action at a time on an instance and what is attached to it; what comes meanwhile waits.
//! - What happens follows from the list of inputs alone: no order of a hash map, no unbiased `select!`, no chance but jitter.
//! - Thresholds take the time of samples, policies in modules are told the time: no decision reads the clock.
//! - Everything has a limit, named in a constant that says why.
//! - The cost of a sample does not grow with the number of services, policies or series.

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
