//! The end-to-end tests: one binary, one module a scenario.

mod store;
