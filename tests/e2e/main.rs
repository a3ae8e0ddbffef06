//! End-to-end tests, one module a scenario, in one binary: linking is slow.

mod accidents;
mod recovery;
mod scaling;
