//! The thread that stores what happens. All that happened while it stored goes into its next commit.

use std::error::Error as StdError;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use tracing::{error, info};

use super::disk::Disk;
use super::engine::Engine;

/// How long to wait before a disk that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The first failure and every so many later it is said that the disk fails: about once a minute.
const SAID_EVERY: u64 = 60;

/// Starts the thread. It ends when the engine does; what happened before is stored then.
pub(super) fn start(
    engine: Arc<Engine>,
    mut disk: Disk,
    work: Receiver<()>,
) -> std::io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("etcd-store".into()).spawn(move || {
        while work.recv().is_ok() {
            let Some(batch) = engine.take_batch() else {
                if engine.is_ending() {
                    return;
                }
                continue;
            };
            let mut failures = 0_u64;
            while let Err(error) = disk.save(&batch) {
                failures += 1;
                if failures % SAID_EVERY == 1 {
                    error!(
                        error = &error as &dyn StdError,
                        failures, "the store cannot be written, and answers nothing"
                    );
                }
                if engine.is_ending() {
                    return;
                }
                thread::sleep(RETRY_PAUSE);
            }
            if failures > 0 {
                info!(failures, "the store can be written again");
            }
            engine.saved(batch.index);
            if engine.is_ending() {
                return;
            }
        }
    })
}
