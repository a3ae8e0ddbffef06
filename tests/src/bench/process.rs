//! What a process costs, as the kernel counts it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// The kernel counts processor time in hundredths of a second on every Linux there is (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// The processor time that a process has used, in user and kernel mode.
fn cpu_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program is in brackets and may contain blanks; numbers follow it.
    let (_, numbers) = stat.rsplit_once(')').context("a stat line")?;
    let mut numbers = numbers.split_whitespace().skip(11);
    let mut ticks = || numbers.next().context("a number")?.parse::<u32>().context("a number");
    Ok(TICK * (ticks()? + ticks()?))
}

/// The processor time that a process uses while something else goes on.
///
/// # Errors
/// That there is no such process.
pub async fn cpu_time_during(pid: u32, other: impl Future<Output = ()>) -> Result<Duration> {
    let before = cpu_time(pid)?;
    other.await;
    Ok(cpu_time(pid)?.saturating_sub(before))
}

/// The memory that a process has resident, in megabytes.
///
/// # Errors
/// That there is no such process.
pub fn resident_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? / 1024.0)
}
