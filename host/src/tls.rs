//! The one choice of cryptography: rustls with ring, for every client in this process.

/// Makes ring the process-wide provider. Any number of calls is the same as one.
pub fn install_provider() {
    // An error means that a provider is installed already, which is what was wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
