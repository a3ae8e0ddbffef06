//! `dynamite register`: an instance is registered in etcd for as long as this runs. A unit of the demo does it, as a machine with
//! nothing but a shell has no other client of etcd.

use std::time::Duration;

use tokio::time::sleep;

use crate::cli::RegisterArgs;
use crate::daemon::settings;
use crate::signals::told_to_end;
use crate::store::connect::connect;
use crate::store::{Error, Store};

/// How often the key is written again: somebody may have emptied etcd.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How soon after a failure, so that this ends soon after a demo that was killed.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// After so many failures in a row, etcd is gone for good and so is who started this.
const FAILURES_MAX: u32 = 3;

/// Registers until a signal comes.
///
/// # Errors
/// That etcd does not take the key, now or for some time.
pub async fn register(args: &RegisterArgs, mut rng: fastrand::Rng) -> anyhow::Result<()> {
    let told = told_to_end()?;
    let store = connect(settings(&args.etcd, None, rng.u64(..))).await?;
    let key = format!("/services/{}/{}/service_instance_name", args.service_type, args.id);
    let ended = tokio::select! {
        biased;
        _ = told => Ok(()),
        error = keep(&store, &key, &args.unit) => Err(error.into()),
    };
    store.delete(&[key]).await?;
    ended
}

/// Writes the key now and then, until that fails for good.
async fn keep(store: &impl Store, key: &str, unit: &str) -> Error {
    let mut failures = 0;
    loop {
        match store.put(key, unit).await {
            Ok(()) => failures = 0,
            Err(error) if failures + 1 >= FAILURES_MAX || !error.is_transient() => return error,
            Err(_) => failures += 1,
        }
        sleep(if failures == 0 { AGAIN_AFTER } else { RETRY_AFTER }).await;
    }
}
