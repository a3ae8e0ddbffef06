//! The one cryptography provider of the process. It chooses; it neither makes connections nor trusts anybody.
//!
//! The HTTP and gRPC clients are built without a provider of their own, and building one panics when none is there.

/// Makes ring the provider of the process, unless there is one. Twice is the same as once, from any thread.
pub fn install_provider() {
    // An error means that somebody else was first, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
