//! The signals that tell the process to end.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Resolves to the name of the signal, once one comes. From the call on, signals do not end the process by themselves.
///
/// # Errors
/// That signals cannot be waited for.
pub fn told_to_end() -> io::Result<impl Future<Output = &'static str>> {
    let [mut terminate, mut interrupt, mut hangup] = [
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        // A terminal that is closed.
        signal(SignalKind::hangup())?,
    ];
    Ok(async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
            _ = hangup.recv() => "SIGHUP",
        }
    })
}
