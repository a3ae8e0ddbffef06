//! `dynamite generate`: writes metrics and registrations into etcd as a file describes them, for trying configurations.
//!
//! A file becomes a `description` (`read`), the description a `timetable`, and that is brought into etcd (`writing`), by the
//! same clients that the daemon has. Nothing under `/_dynamite` can be described.

mod description;
mod read;
#[cfg(test)]
mod tests;
mod timetable;
mod writing;

use std::io::{self, Write};

use jiff::Timestamp;
use tokio::time::Instant;

use self::description::Description;
use self::writing::{Pace, Tally, Target};
use crate::cli::{EXIT_FAILURE, EXIT_OK, GenerateArgs};
use crate::clock::{Clock, SystemClock};
use crate::daemon;
use crate::engine::Chain;
use crate::signals::told_to_end;
use crate::store::connect::connect;

/// The format of descriptions, for people.
pub(crate) const FORMAT: &str = include_str!("generate/format.txt");

/// Writes what a file describes, until its end or a signal. Returns what the process exits with.
///
/// # Errors
/// That nothing can be said, or signals cannot be waited for.
pub async fn run(args: &GenerateArgs, mut rng: fastrand::Rng, out: &mut dyn Write) -> anyhow::Result<u8> {
    let description = match read::read(args) {
        Ok(description) => description,
        Err(report) => {
            write!(io::stderr(), "{report}")?;
            return Ok(EXIT_FAILURE);
        }
    };
    let told = told_to_end()?;
    let began = Instant::now();
    let mut tally = Tally::default();
    let ended = tokio::select! {
        // Writing as fast as it goes leaves no turn to what comes after it.
        biased;
        name = told => {
            writeln!(io::stderr(), "{name}: ending")?;
            Ok(())
        }
        ended = write(args, rng.u64(..), &description, &mut tally, out) => ended,
    };
    match ended {
        Err(writing::Error::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Ok(EXIT_OK);
        }
        Err(error) => {
            writeln!(io::stderr(), "error: {}", Chain(&error))?;
            return Ok(EXIT_FAILURE);
        }
        Ok(()) if args.dry_run => {}
        Ok(()) => writeln!(out, "{}", summary(&description, tally, began.elapsed().as_secs_f64()))?,
    }
    Ok(EXIT_OK)
}

async fn write(
    args: &GenerateArgs,
    seed: u64,
    description: &Description,
    tally: &mut Tally,
    out: &mut dyn Write,
) -> Result<(), writing::Error> {
    let target = if args.dry_run {
        Target::Output
    } else {
        let settings = daemon::settings(&args.etcd, None, seed);
        Target::Etcd(Box::new(connect(settings).await?))
    };
    let pace = if args.is_fast() { Pace::Fast } else { Pace::RealTime };
    writing::write(description, &target, (start(args, description), pace), tally, out).await
}

/// The time of the first sample, in whole milliseconds.
fn start(args: &GenerateArgs, description: &Description) -> Timestamp {
    if let Some(start) = args.start {
        return start;
    }
    let now = SystemClock.now();
    let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
    let length = if args.is_fast() { description.length() } else { jiff::SignedDuration::ZERO };
    now.saturating_sub(length).unwrap_or(now)
}

fn summary(description: &Description, tally: Tally, seconds: f64) -> String {
    let Tally { registrations, samples } = tally;
    let counted = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let left = match description.samples() - samples {
        0 => String::new(),
        left => format!("; {} left out", counted(left, "sample")),
    };
    let (registrations, samples) = (counted(registrations, "registration"), counted(samples, "sample"));
    format!("wrote {registrations} and {samples} in {seconds:.1} s{left}")
}
