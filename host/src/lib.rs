//! Dynamite keeps the services of an application on fleet at the right number of instances.

pub mod cli;
pub mod clock;
pub mod config;
pub mod embedded;
pub mod engine;
#[cfg(test)]
mod fakes;
pub mod fleet;
pub mod lead;
pub mod metrics;
pub mod record;
pub mod scaling;
pub mod store;
pub mod tls;
