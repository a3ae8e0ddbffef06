//! The process that runs one unit: Dynamite's own program under another command, small and with a single thread.
//!
//! It is in a session of its own and adopts whatever descends from the unit, so neither the end of Dynamite nor a double
//! fork takes a process away from it. Dynamite hands it a listening socket as standard input: the kernel closes that with
//! the process, so whoever can connect knows that the unit has a supervisor, and whoever is refused that it has none.

mod children;
mod desk;
mod life;
mod lines;
mod serve;
mod spawn;

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::process::{getpid, set_child_subreaper, setsid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::definition;
use super::folder::Folder;
use children::Children;
use desk::Desk;
use life::Life;

/// Why a unit cannot be supervised.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It was not started by Dynamite.
    #[error("`supervise` is how `dynamite run --embedded` runs a unit; it is of no use by itself")]
    ByHand,
    /// The unit that was accepted is not accepted any more.
    #[error("the unit cannot be run: {}", .0.join("; "))]
    Unit(Vec<String>),
    /// The system refuses something.
    #[error("the system refuses to supervise")]
    System(#[from] io::Error),
}

/// Runs the unit in this folder until it has ended for good.
///
/// # Errors
/// What keeps it from being run.
pub fn supervise(folder: &Path) -> Result<(), Error> {
    let folder = Folder::at(folder.to_owned());
    let start = folder.start().ok_or(Error::ByHand)?;
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let listener = UnixListener::from(socket);
    if listener.local_addr().is_err() {
        return Err(Error::ByHand);
    }
    // It fails where this is a session already.
    let _ = setsid();
    set_child_subreaper(Some(getpid())).map_err(io::Error::from)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let definition = definition::read(&start.identity, &start.options).definition.map_err(Error::Unit)?;
        let (stop, stopped) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate())?;
        let desk = Desk::new(folder, &start.invocation);
        let children = Children::new()?;
        let server = serve::Server::new(listener, desk.clone(), stop.clone())?;
        let serving = tokio::spawn(server.run());
        tokio::spawn(async move {
            // Whoever ends the supervisor ends the unit.
            if terminate.recv().await.is_some() {
                stop.send_replace(true);
            }
        });
        let ended = Life::new(&start, definition, children, desk.clone(), stopped)?.live().await;
        desk.end(ended);
        desk.drain().await;
        serving.abort();
        Ok(())
    })
}
