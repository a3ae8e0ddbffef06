//! Waiting for something to become true, with a deadline and the last thing that was seen.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until `look` says `Ok`, and returns what it says.
///
/// # Errors
///
/// After `limit`, with what `look` said last.
pub async fn until<T, E: Debug>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, E>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        match look().await {
            Ok(seen) => return Ok(seen),
            Err(seen) if Instant::now() > deadline => {
                anyhow::bail!("waited {limit:?} for {what}; last seen: {seen:?}")
            }
            Err(_) => sleep(LOOK_EVERY).await,
        }
    }
}
