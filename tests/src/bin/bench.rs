//! The end-to-end benchmark: `cargo run --release -p dynamite-tests --bin bench` prints a table.
//!
//! It starts etcd and a fleet server of its own. `--only reaction`, or `--only cost/v2`, measures a part (reaction, cost,
//! backlog, cold, idle; of policies in modules: round, loop, load). With `--etcd URL` and `--fleet ENDPOINT` it uses running ones, whose
//! `/_dynamite`, `/metrics`, `/services` and `apache@` units must be of no value.

use anyhow::Result;
use dynamite::store::connect::Api;
use dynamite_tests::bench::{Target, cost, policies, reaction, rest, start};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a table is what it is for")]
async fn main() -> Result<()> {
    let target = Target::from_args(std::env::args().skip(1))?;
    println!("| what | etcd API | measured | bound |");
    println!("|---|---|---|---|");
    for (api, name) in [(Api::V2, "v2"), (Api::V3, "v3")] {
        let row = |what: &str, measured: String, bound: &str| {
            println!("| {what} | {name} | {measured} | {bound} |");
        };
        if target.wants("reaction", name) {
            let reaction = reaction::measure(&target, api).await?;
            row("floor: watch + write + PUT", reaction.floor.to_string(), "");
            row("reaction: sample to first PUT", reaction.dynamite.to_string(), "");
            row("reaction / floor", reaction.ratio(), "p50 2.5, p99 3");
        }
        if target.wants("cost", name) {
            row("CPU per sample at 1,000/s", cost::measure(&target, api).await?, "60 us");
        }
        if target.wants("backlog", name) {
            row("20,000 samples of backlog", start::backlog(&target, api).await?, "2 s");
        }
        if target.wants("cold", name) {
            row("cold start to first PUT", start::cold(&target, api).await?, "150 ms");
        }
        if target.wants("idle", name) {
            row("idle", rest::measure(&target, api).await?, "0.3 %, 30 MB");
        }
        if target.wants("round", name) {
            let delays = policies::round(&target, api).await?;
            row("1,000 decisions of modules due at once: delay", delays.to_string(), "p95 50 ms");
        }
        if target.wants("loop", name) {
            let (alone, beside) = policies::beside_a_loop(&target, api).await?;
            row("50 decisions of modules due at once: delay", alone.to_string(), "");
            row("the same beside 10 endless loops: delay", beside.to_string(), "max 20 ms more");
        }
    }
    if target.wants("load", "") {
        let (cached, compiled) = policies::load()?;
        println!("| loading a module from the cache |  | {cached} | 2 ms |");
        println!("| compiling it |  | {compiled} |  |");
    }
    Ok(())
}
