//! What following and deleting samples costs, over both APIs: `cargo bench --package dynamite-tests --bench store`.
//!
//! CPU is that of this process, user and system; those who write are processes of their own.
#![expect(clippy::print_stdout, reason = "a table is what this prints")]

use std::collections::HashSet;
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use dynamite::clock::{Clock as _, SystemClock};
use dynamite::store::connect::{AnyStore, Api, Settings, connect};
use dynamite::store::{Change, Store as _};
use dynamite_tests::etcd::{Etcd, Options};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// Samples in one measurement last this long.
const SPAN: Duration = Duration::from_secs(5);
const SNAPSHOT_KEYS: usize = 100_000;
const WRITERS: usize = 32;

fn main() -> anyhow::Result<()> {
    // A thread that ended would take its time with it.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().thread_keep_alive(Duration::from_hours(1)).build()?.block_on(run())
}

async fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, api, endpoint, rate, count] = arguments.as_slice()
        && word == "write"
    {
        return write(&open(api, endpoint).await?, rate.parse()?, count.parse()?).await;
    }
    println!("{:<52} {:>9} {:>9} {:>9} {:>9}", "", "CPU µs", "p50 ms", "p99 ms", "snapshots");
    for api in ["v2", "v3"] {
        let etcd = Etcd::start(Options { v2: true, ..Options::default() }).await?;
        let endpoint = etcd.endpoint();
        let store = Arc::new(open(api, &endpoint).await?);
        for rate in [100, 1000] {
            follow(api, &endpoint, &store, rate, Delete::Never).await?;
            follow(api, &endpoint, &store, rate, Delete::Each).await?;
        }
        snapshot(api, &endpoint, &store).await?;
        delete(api, &store).await?;
    }
    Ok(())
}

/// Whether samples are deleted as they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Delete {
    Never,
    Each,
}

async fn open(api: &str, endpoint: &str) -> anyhow::Result<AnyStore> {
    let api = if api == "v2" { Api::V2 } else { Api::V3 };
    Ok(connect(Settings { endpoints: vec![endpoint.to_owned()], api, ..Settings::default() }).await?)
}

/// Writes `count` samples at `rate` a second, 0 for as fast as it goes. The value is the time of writing.
async fn write(store: &AnyStore, rate: u64, count: usize) -> anyhow::Result<()> {
    let mut ticks = interval(Duration::from_micros(1_000_000_u64.checked_div(rate).unwrap_or(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let next = std::sync::atomic::AtomicUsize::new(0);
    let ticks = tokio::sync::Mutex::new(ticks);
    let one = async || {
        loop {
            let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if at >= count {
                return anyhow::Ok(());
            }
            if rate > 0 {
                ticks.lock().await.tick().await;
            }
            let now = SystemClock.now().as_nanosecond();
            store.put(&format!("/m/web/{}/load/{at:08}", at % 100), &now.to_string()).await?;
        }
    };
    futures_util::future::try_join_all((0..WRITERS).map(|_| one())).await?;
    Ok(())
}

fn writer(api: &str, endpoint: &str, rate: u64, count: usize) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["write", api, endpoint, &rate.to_string(), &count.to_string()]);
    command.spawn().context("a writer")
}

async fn follow(
    api: &str,
    endpoint: &str,
    store: &Arc<AnyStore>,
    rate: u64,
    delete: Delete,
) -> anyhow::Result<()> {
    let count = usize::try_from(rate * SPAN.as_secs())?;
    let (sender, mut changes) = mpsc::channel(16);
    let follower = Arc::clone(store);
    let task = tokio::spawn(async move { follower.follow("/m", sender).await });
    let (doomed, mut deletes) = mpsc::unbounded_channel::<String>();
    let own = Arc::clone(store);
    let deleting = tokio::spawn(async move {
        let (mut every, mut keys) = (interval(Duration::from_millis(100)), Vec::new());
        while deletes.recv_many(&mut keys, usize::MAX).await > 0 {
            every.tick().await;
            while let Ok(key) = deletes.try_recv() {
                keys.push(key);
            }
            own.delete(&keys).await?;
            keys.clear();
        }
        anyhow::Ok(())
    });
    changes.recv().await.context("no snapshot")?;
    let mut child = writer(api, endpoint, rate, count)?;
    let before = cpu_micros()?;
    let (mut seen, mut late_ms, mut snapshots) = (HashSet::new(), Vec::new(), 0);
    while seen.len() < count {
        let batch = timeout(Duration::from_secs(30), changes.recv()).await?.context("the follower ended")?;
        let now = SystemClock.now().as_nanosecond();
        for change in batch {
            match change {
                Change::SnapshotStart => snapshots += 1,
                Change::Put { key, value } if !seen.contains(&key) => {
                    #[expect(clippy::cast_precision_loss, reason = "milliseconds are enough")]
                    late_ms.push((now - value.parse::<i128>()?) as f64 / 1e6);
                    if delete == Delete::Each {
                        doomed.send(key.clone())?;
                    }
                    seen.insert(key);
                }
                _ => {}
            }
        }
    }
    drop(doomed);
    deleting.await??;
    let cpu = cpu_micros()? - before;
    child.wait()?;
    drop(changes);
    task.await?;
    late_ms.sort_by(f64::total_cmp);
    let label =
        format!("{api} follow {rate}/s{}", if delete == Delete::Each { " and delete each" } else { "" });
    row(&label, cpu / as_f64(count), Some([late_ms[count / 2], late_ms[count * 99 / 100]]), Some(snapshots));
    let keys: Vec<String> = store.list("/m").await?.into_iter().map(|entry| entry.key).collect();
    store.delete(&keys).await?;
    Ok(())
}

async fn snapshot(api: &str, endpoint: &str, store: &Arc<AnyStore>) -> anyhow::Result<()> {
    writer(api, endpoint, 0, SNAPSHOT_KEYS)?.wait()?;
    std::fs::write("/proc/self/clear_refs", "5")?;
    let (resident, before, began) = (memory_kib("VmRSS:")?, cpu_micros()?, Instant::now());
    let (sender, mut changes) = mpsc::channel(16);
    let follower = Arc::clone(store);
    let task = tokio::spawn(async move { follower.follow("/m", sender).await });
    let mut count = 0;
    while count < SNAPSHOT_KEYS {
        let batch = changes.recv().await.context("the follower ended")?;
        count += batch.iter().filter(|change| matches!(change, Change::Put { .. })).count();
    }
    let (took, cpu) = (began.elapsed(), cpu_micros()? - before);
    drop(changes);
    task.await?;
    let grown = memory_kib("VmHWM:")?.saturating_sub(resident);
    row(
        &format!("{api} snapshot of {count}: {took:.2?}, {grown} KiB at most"),
        cpu / as_f64(count),
        None,
        None,
    );
    Ok(())
}

async fn delete(api: &str, store: &AnyStore) -> anyhow::Result<()> {
    let keys: Vec<String> = store.list("/m").await?.into_iter().map(|entry| entry.key).collect();
    let (before, began) = (cpu_micros()?, Instant::now());
    store.delete(&keys[..20_000]).await?;
    let rate = 20_000.0 / began.elapsed().as_secs_f64();
    row(&format!("{api} delete of 20000: {rate:.0}/s"), (cpu_micros()? - before) / 20_000.0, None, None);
    Ok(())
}

fn row(label: &str, cpu: f64, late: Option<[f64; 2]>, snapshots: Option<usize>) {
    let [p50, p99] = late.map_or([String::new(), String::new()], |late| late.map(|ms| format!("{ms:.2}")));
    let snapshots = snapshots.map_or(String::new(), |count| count.to_string());
    println!("{label:<52} {cpu:>9.1} {p50:>9} {p99:>9} {snapshots:>9}");
}

#[expect(clippy::cast_precision_loss, reason = "counts are small")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

/// The time that the threads of this process ran. `/proc/self/stat` counts ticks of 10 ms, and whoever wakes on a tick
/// pays for all of it.
fn cpu_micros() -> anyhow::Result<f64> {
    let mut nanos = 0.0;
    for thread in std::fs::read_dir("/proc/self/task")? {
        // A thread that has just ended has no file any more.
        let stat = std::fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        nanos += stat.split_whitespace().next().map_or(Ok(0.0), str::parse::<f64>)?;
    }
    Ok(nanos / 1000.0)
}

fn memory_kib(name: &str) -> anyhow::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(name)).context("status")?;
    Ok(line.split_whitespace().nth(1).context("status")?.parse()?)
}
