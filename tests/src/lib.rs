//! What the end-to-end tests and the benches stand on: throw-away servers, and waiting without sleeping.

pub mod etcd;
pub mod wait;
