//! A policy that does what no policy should. Its configuration says what: `{"do": "loop"}`.
//!
//! It uses the bare bindings, as the SDK would keep it from some of it.

#![cfg(target_family = "wasm")]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::{Duration, SystemTime};

use dynamite_policy::bindings::dynamite::policy::log;
use dynamite_policy::bindings::dynamite::policy::types;
use dynamite_policy::bindings::{Guest, export_component};
use dynamite_policy::{Decision, Description, Observation};

struct Hostile;

impl Guest for Hostile {
    fn describe() -> Description {
        Description {
            name: "hostile".to_owned(),
            version: "1.0.0".to_owned(),
            summary: "Does what no policy should".to_owned(),
            config_schema: String::new(),
        }
    }

    fn validate(config: String) -> Result<(), String> {
        if config.contains("refuse") { Err("`do` must not be `refuse`".to_owned()) } else { Ok(()) }
    }

    fn decide(config: String, seen: Observation, state: Vec<u8>) -> Result<types::Verdict, String> {
        let config: serde_json::Value = serde_json::from_str(&config).map_err(|error| error.to_string())?;
        let deed = config["do"].as_str().unwrap_or_default();
        let mut verdict =
            types::Verdict { decision: Decision::Hold, reason: String::new(), state, wake_at: None };
        match deed {
            "loop" => endless(),
            "recurse" => verdict.reason = recurse(1).to_string(),
            "grow" => grow(),
            "panic" => assert!(seen.now == 1, "the sky\nfalls"),
            "exit" => std::process::exit(3),
            "sleep" => std::thread::sleep(Duration::from_hours(1)),
            "fail" => return Err("it will not".to_owned()),
            "reason" => verdict.reason = "ö".repeat(300_000),
            "names" => verdict.decision = Decision::Stop(vec!["x".repeat(1_000); 4_000]),
            "state" => verdict.state = vec![1; 65_537],
            "unknown" => verdict.decision = Decision::Stop(vec!["nobody@1.service".to_owned()]),
            "flood" => (0..10_000).for_each(|line| log::write(log::Level::Info, &format!("line {line}"))),
            "print" => (0..10_000).for_each(print),
            "nan" => verdict.reason = not_a_number(&seen),
            "chance" => verdict.reason = chance(),
            "leak" => verdict.reason = leak(),
            "up" => verdict.decision = Decision::ScaleUp(1),
            _ => verdict.reason.push_str("did nothing"),
        }
        Ok(verdict)
    }
}

fn endless() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn recurse(depth: u64) -> u64 {
    let room = black_box([depth; 16]);
    if room[0] == 0 { 0 } else { recurse(depth + 1) + room[3] }
}

fn grow() {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1_u8; 1 << 20]));
    }
}

#[expect(clippy::print_stderr, reason = "that is the point")]
fn print(line: u32) {
    eprintln!("printed {line}");
}

/// The bits of a NaN that depends on what was seen.
fn not_a_number(seen: &Observation) -> String {
    let endless = black_box(f64::INFINITY) * if seen.windows.is_empty() { 2.0 } else { 1.0 };
    format!("{:016x}", black_box(endless - black_box(endless)).to_bits())
}

/// Something that differs from run to run wherever chance and clocks are real.
#[expect(clippy::disallowed_methods, reason = "that is the point")]
fn chance() -> String {
    use std::hash::{BuildHasher, RandomState};
    let map: HashMap<u32, u32> = (0..20).map(|key| (key, key)).collect();
    let order: Vec<String> = map.keys().map(u32::to_string).collect();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{:x} {} {now:?}", RandomState::new().hash_one(7), order.join(","))
}

/// How often this instance was called.
fn leak() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CALLS: AtomicU32 = AtomicU32::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed).to_string()
}

export_component!(Hostile with_types_in dynamite_policy::bindings);
