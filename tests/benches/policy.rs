//! What a decision of a module costs: `cargo bench -p dynamite-tests --bench policy`.
//!
//! The rule is the mean of each series over a threshold, over 10 series of 60 samples. Every sample is one call, so that the
//! median is that of calls, and begins with what the daemon has: an observation of its own, which is converted too.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on shall stop")]
#![expect(clippy::print_stdout, reason = "what divan does not count is printed here")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use divan::Bencher;
use dynamite::wasm::{Host, Limits, Module};
use dynamite_tests::bench::{process, rule};
use dynamite_tests::modules::{Target, module};
use tempfile::TempDir;

/// Modules that are loaded to see how much memory one takes.
const MODULES: usize = 200;
/// Decisions before memory is looked at: all that they need once is there after the first few.
const DECISIONS: usize = 1_000;

/// The policy, by how it is written.
#[derive(Clone, Copy, Debug)]
enum By {
    /// With the bare bindings.
    Bindings,
    /// With the SDK.
    Sdk,
}

static FILES: LazyLock<[PathBuf; 2]> =
    LazyLock::new(|| ["mean", "mean-sdk"].map(|name| module(name, Target::Bare).unwrap()));

impl By {
    fn file(self) -> &'static Path {
        &FILES[self as usize]
    }
}

fn main() {
    LazyLock::force(&FILES);
    // Only for measurements: not when they are listed.
    if std::env::args().any(|arg| arg == "--bench") {
        memory();
    }
    divan::main();
}

fn load(host: &Host, by: By) -> Module {
    host.load_file(by.file(), &Limits::default(), None).unwrap()
}

fn decide(module: &Module, seen: dynamite_core::Observation) -> dynamite_core::Verdict {
    module.decide(rule::CONFIG, seen, &[], &Limits::default()).result.unwrap()
}

/// A decision in a fresh instance: conversion of the input, instance, call, conversion of the answer.
#[divan::bench(args = [By::Bindings, By::Sdk], sample_count = 20_000, sample_size = 1)]
fn fresh(bencher: Bencher<'_, '_>, by: By) {
    let module = load(&Host::new(None).unwrap(), by);
    bencher.with_inputs(rule::seen).bench_local_values(|seen| decide(&module, black_box(seen)));
}

/// The same rule in Rust, in this process.
#[divan::bench(sample_count = 20_000, sample_size = 1)]
fn native(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(rule::seen)
        .bench_local_values(|seen| rule::native(black_box(&seen), rule::THRESHOLD));
}

/// Reading a file, and taking what was compiled of it from the cache, up to `describe`.
#[divan::bench(args = [By::Bindings, By::Sdk], sample_count = 500, sample_size = 1)]
fn load_from_cache(bencher: Bencher<'_, '_>, by: By) {
    let folder = TempDir::new().unwrap();
    let host = Host::new(Some(&folder.path().join("cache"))).unwrap();
    load(&host, by);
    bencher.bench_local(|| load(&host, by));
}

/// The same without a cache.
#[divan::bench(args = [By::Bindings, By::Sdk], sample_count = 20, sample_size = 1)]
fn compile(bencher: Bencher<'_, '_>, by: By) {
    let host = Host::new(None).unwrap();
    bencher.bench_local(|| load(&host, by));
}

/// Says what modules and decisions take of this process's resident memory.
fn memory() {
    let resident = || process::resident_mb(std::process::id()).unwrap() * 1024.0;
    let folder = TempDir::new().unwrap();
    let host = Host::new(Some(&folder.path().join("cache"))).unwrap();
    println!("memory resident, in KiB:");
    for by in [By::Bindings, By::Sdk] {
        // The first one brings what there is once.
        let first = load(&host, by);
        let before = resident();
        let loaded: Vec<Module> = (0..MODULES).map(|_| load(&host, by)).collect();
        #[expect(clippy::cast_precision_loss, reason = "they are few")]
        let each = (resident() - before) / MODULES as f64;
        drop(loaded);
        let before = resident();
        for _ in 0..DECISIONS {
            decide(&first, rule::seen());
        }
        let call = first.decide(rule::CONFIG, rule::seen(), &[], &Limits::default());
        println!(
            "  {by:?}: {each:.0} for a loaded module; {:.0} kept by decisions one at a time; its own memory {}, fuel {}",
            resident() - before,
            call.memory_bytes / 1024,
            call.fuel
        );
    }
}
