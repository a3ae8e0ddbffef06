//! The test harness: a real etcd, fleet's API in this process, and the built `dynamite` between them.

pub mod bench;
pub mod compose;
pub mod container;
pub mod daemon;
pub mod embedded;
pub mod etcd;
pub mod events;
pub mod modules;
pub mod scene;
pub mod wait;
