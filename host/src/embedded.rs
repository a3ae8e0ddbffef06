//! Servers that run inside the process, for a machine that has no cluster, and for tests and benchmarks.

pub mod etcd;
pub mod fleet;
mod go;
mod http;
