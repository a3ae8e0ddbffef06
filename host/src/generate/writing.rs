//! Brings what is due into etcd: in time, or at once.

use std::io::Write;
use std::time::Duration;

use futures_util::stream::{StreamExt, TryStreamExt, iter};
use jiff::Timestamp;
use tokio::time::{Instant, sleep, sleep_until};

use super::description::Description;
use super::timetable::Timetable;
use crate::engine::Chain;
use crate::store::connect::AnyStore;
use crate::store::{self, Store};

/// How many samples of one time are written side by side: about as many as etcd brings to disk at once.
const WRITES_AT_ONCE: usize = 16;
/// How often a write is tried again while etcd does not answer.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Where keys are written.
#[derive(Debug)]
pub(super) enum Target {
    /// Into etcd.
    Etcd(Box<AnyStore>),
    /// Nowhere: they are printed.
    Output,
}

/// Whether samples are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Each is written when it is due.
    RealTime,
    /// All are written one after the other.
    Fast,
}

/// What was written so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) registrations: usize,
    pub(super) samples: usize,
}

/// Why it ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// etcd does not take what is written.
    #[error("etcd cannot be written to")]
    Store(#[from] store::Error),
    /// What is said cannot be written.
    #[error(transparent)]
    Output(#[from] std::io::Error),
}

/// Writes a whole description; time stamps count from `start`. What begins goes to `out`.
///
/// # Errors
/// That etcd refuses a write or is full, or is not there at the first one. Later it is waited for.
pub(super) async fn write(
    description: &Description,
    target: &Target,
    (start, pace): (Timestamp, Pace),
    tally: &mut Tally,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let began = Instant::now();
    for registration in &description.registrations {
        let key = registration.key(&description.application_base);
        write_all(target, vec![(key, registration.unit.clone())], *tally != Tally::default(), out).await?;
        tally.registrations += 1;
    }
    for due in Timetable::new(description) {
        if pace == Pace::RealTime {
            sleep_until(began + due.after.try_into().unwrap_or(Duration::MAX)).await;
        }
        if matches!(target, Target::Etcd(_)) {
            for begins in &due.begins {
                writeln!(out, "{:>7.1} s  {begins}", due.after.as_secs_f64())?;
            }
            out.flush()?;
        }
        // Where the calendar ends, so do time stamps.
        let Ok(at) = start.checked_add(due.after) else { return Ok(()) };
        let count = due.samples.len();
        let pairs =
            due.samples.into_iter().map(|(folder, value)| (format!("{folder}/{at}"), value)).collect();
        write_all(target, pairs, *tally != Tally::default(), out).await?;
        tally.samples += count;
    }
    Ok(())
}

/// Writes keys that belong to one time.
async fn write_all(
    target: &Target,
    pairs: Vec<(String, String)>,
    patient: bool,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let Target::Etcd(store) = target else {
        for (key, value) in pairs {
            writeln!(out, "{key} {value}")?;
        }
        return Ok(());
    };
    let writes = pairs.into_iter().map(|(key, value)| async move { put(store, &key, &value, patient).await });
    iter(writes).buffer_unordered(WRITES_AT_ONCE).try_collect::<()>().await?;
    Ok(())
}

/// Whether it is worth trying again. An etcd that is full is most likely so by what was written here, and stays so.
fn is_waited_for(error: &store::Error) -> bool {
    error.is_transient() && !error.is_full()
}

/// Writes a key; if told to be patient, for as long as it takes.
async fn put(store: &AnyStore, key: &str, value: &str, patient: bool) -> Result<(), store::Error> {
    loop {
        match store.put(key, value).await {
            Err(error) if patient && is_waited_for(&error) => {
                tracing::warn!(error = %Chain(&error), "a write failed; trying again");
                sleep(RETRY_PAUSE).await;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_waited_for_and_room_is_not() {
        let failed =
            |message: &str| store::Error::Unavailable { request: "put".into(), message: message.into() };
        assert!(is_waited_for(&failed("etcdserver: no leader")));
        let full = failed("etcdserver: mvcc: database space exceeded");
        assert!(full.is_transient() && !is_waited_for(&full));
    }
}
