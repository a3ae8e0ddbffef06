//! The parts of the end-to-end benchmark: each measures one thing and says it in a line.

pub mod cost;
pub mod policies;
pub mod process;
pub mod reaction;
pub mod rest;
pub mod rule;
pub mod start;

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What the benchmark runs against.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// A running etcd, instead of one of its own.
    pub etcd: Option<String>,
    /// A running fleet, instead of the server in this process.
    pub fleet: Option<String>,
    /// The only part to measure, and the only API: `cost`, or `cost/v2`.
    pub only: Option<String>,
}

impl Target {
    /// Whether this part is wanted.
    #[must_use]
    pub fn wants(&self, part: &str, api: &str) -> bool {
        self.only.as_ref().is_none_or(|only| format!("{part}/{api}").starts_with(only))
    }

    /// Reads `--etcd URL`, `--fleet ENDPOINT` and `--only PART`.
    ///
    /// # Errors
    /// An argument that is neither.
    pub fn from_args(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut target = Self::default();
        while let Some(arg) = args.next() {
            let value = args.next().with_context(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--etcd" => target.etcd = Some(value?),
                "--fleet" => target.fleet = Some(value?),
                "--only" => target.only = Some(value?),
                _ => {
                    bail!("`{arg}` is not known; there are --etcd URL, --fleet ENDPOINT and --only PART[/v2]")
                }
            }
        }
        Ok(target)
    }
}

/// The middle and the end of a set of times.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    /// The median.
    pub p50: Duration,
    /// The 99th percentile.
    pub p99: Duration,
}

impl Spread {
    /// Of these times.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            times
                .get((times.len() * percent / 100).min(times.len().saturating_sub(1)))
                .copied()
                .unwrap_or_default()
        };
        Self { p50: at(50), p99: at(99) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms", ms(self.p50), ms(self.p99))
    }
}
