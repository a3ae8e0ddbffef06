//! Writes per second of the embedded etcd and of a real one, on the same disk, in turns:
//! `cargo bench --package dynamite-tests --bench etcd`. `-- memory` compares them without a disk.
#![expect(clippy::print_stdout, reason = "a table is what this prints")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use dynamite_tests::embedded::Embedded;
use dynamite_tests::etcd::{Etcd, Options};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// How long one server is written to in a turn.
const TURN: Duration = Duration::from_secs(2);

/// Turns of each server; what the machine does beside hits both.
const TURNS: usize = 5;

/// Different keys, so that most writes overwrite.
const KEYS: u64 = 1_000;

#[tokio::main]
async fn main() -> Result<()> {
    let memory = std::env::args().any(|argument| argument == "memory");
    let root = if memory { Path::new("/dev/shm") } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    let (ours, theirs) = (TempDir::new_in(root)?, TempDir::new_in(root)?);
    let arguments = vec!["--data-dir".to_owned(), theirs.path().join("data").display().to_string()];
    let etcd = Etcd::start(Options { v2: true, arguments, ..Options::default() }).await?;
    let embedded = Embedded::start(env!("CARGO_BIN_EXE_embedded_etcd"), ours.path())?;
    println!("| connections | etcd PUT/s | embedded PUT/s | ratio |");
    println!("|---|---|---|---|");
    for connections in [1, 32] {
        let (mut real, mut own) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            real.push(writes(&etcd.endpoint(), connections).await?);
            own.push(writes(embedded.endpoint(), connections).await?);
        }
        let (real, own) = (median(real), median(own));
        println!("| {connections} | {real:.0} | {own:.0} | {:.2} |", own / real);
    }
    let size = std::fs::metadata(ours.path().join("etcd.redb"))?.len();
    println!("\nthe embedded store's file has {} KiB", size / 1024);
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

/// Writes per second over so many connections.
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
async fn writes(address: &str, connections: usize) -> Result<f64> {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let tasks =
        (0..connections).map(|_| tokio::spawn(write(address.to_owned(), Arc::clone(&next), start + TURN)));
    let mut count = 0;
    for task in tasks.collect::<Vec<_>>() {
        count += task.await??;
    }
    Ok(count as f64 / start.elapsed().as_secs_f64())
}

async fn write(address: String, next: Arc<AtomicU64>, end: Instant) -> Result<u64> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut count, mut line, mut body) = (0, String::new(), Vec::new());
    while Instant::now() < end {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let form = format!("value={number:032}");
        let request = format!(
            "PUT /v2/keys/metrics/web/{} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{form}",
            number % KEYS,
            form.len()
        );
        stream.get_mut().write_all(request.as_bytes()).await?;
        let mut length = 0;
        loop {
            line.clear();
            timeout_at(end + TURN * 10, stream.read_line(&mut line)).await.context("an answer")??;
            let lower = line.to_ascii_lowercase();
            ensure!(!line.is_empty() && !lower.starts_with("http/1.1 5"), "{line}");
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        stream.read_exact(&mut body).await?;
        count += 1;
    }
    Ok(count)
}
