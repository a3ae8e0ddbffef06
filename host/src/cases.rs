//! Cases for policies: a YAML file says what is seen of a service and what a policy shall decide, and a policy in a module,
//! or the built-in rule, is put to them.
//!
//! A file becomes a [`file::Suite`] (`file` and `steps`, with `policy`, `service`, `series`, `expect`), and each case of it is played
//! (`play`) in a small world (`world`) around the daemon's own planner, before a policy (`decider`) whose schema the configurations
//! fit (`fit`). Nothing here decides, reads a clock or talks to etcd or fleet, and nothing prints: [`crate::policy_cli`] does.

pub(crate) mod amount;
pub(crate) mod decider;
pub(crate) mod expect;
pub(crate) mod file;
pub(crate) mod fit;
mod given;
pub(crate) mod play;
mod policy;
pub(crate) mod samples;
mod series;
mod service;
mod steps;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod world;

/// The format of case files, for people.
pub(crate) const FORMAT: &str = include_str!("cases/format.txt");
