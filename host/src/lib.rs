//! Dynamite keeps the services of an application on fleet at the right number of instances.

pub mod clock;
pub mod config;
pub mod fleet;
pub mod scaling;
pub mod store;
pub mod tls;
