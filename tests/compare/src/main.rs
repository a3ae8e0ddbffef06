//! The same rule over the same data, through the interface of policies and through what one would embed instead.

mod kept;
mod lua;
mod quickjs;
mod rhai;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dynamite::wasm::{Host, Limits};
use dynamite_core::{InstanceState, Observation, Proposal, Verdict};
use dynamite_tests::bench::rule;
use dynamite_tests::modules::{Target, module};

/// Turns, in each of which each of them decides some times: what disturbs the machine disturbs all alike.
const TURNS: usize = 60;
/// Decisions of one in a turn, and those before them that do not count: the one before has filled the processor's caches.
const DECISIONS: usize = 50;
const WARM_UP: usize = 10;

/// The memory of a script that has limits, in bytes: a module's default.
const MEMORY_BYTES: usize = Limits::MEMORY_BYTES_DEFAULT;

/// Something that decides.
type Decide = Box<dyn FnMut(Observation) -> Result<Verdict>>;

/// A row of the table.
struct Contender {
    name: &'static str,
    decide: Decide,
    times: Vec<Duration>,
}

fn main() -> Result<()> {
    let mut contenders = contenders()?;
    let expected = rule::native(&rule::seen(), rule::THRESHOLD);
    for _ in 0..TURNS {
        for contender in &mut contenders {
            for decision in 0..WARM_UP + DECISIONS {
                let seen = black_box(rule::seen());
                let began = Instant::now();
                let verdict = (contender.decide)(seen).with_context(|| contender.name)?;
                let took = began.elapsed();
                ensure!(verdict == expected, "{}: {verdict:?} is not {expected:?}", contender.name);
                if decision >= WARM_UP {
                    contender.times.push(took);
                }
            }
        }
    }
    print(contenders);
    Ok(())
}

fn contenders() -> Result<Vec<Contender>> {
    let host = Host::new(None).map_err(|error| anyhow::anyhow!("{error:#}"))?;
    let limits = Limits::default();
    let by_hand = host.load_file(&module("mean", Target::Bare)?, &limits, None)?;
    let with_sdk = host.load_file(&module("mean-sdk", Target::Bare)?, &limits, None)?;
    let fresh = |module: dynamite::wasm::Module| -> Decide {
        Box::new(move |seen| Ok(module.decide(rule::CONFIG, seen, &[], &limits).result?))
    };
    let contender = |name, decide| Contender { name, decide, times: Vec::with_capacity(TURNS * DECISIONS) };
    Ok(vec![
        contender("this interface: fresh instance", fresh(by_hand)),
        contender("the same, written with the SDK", fresh(with_sdk)),
        contender("the same module, kept instance", kept::start()?),
        contender("native", Box::new(|seen| Ok(rule::native(&seen, rule::THRESHOLD)))),
        contender("Lua 5.4, fresh state and limits", lua::start_fresh()),
        contender(
            "QuickJS, fresh state and limits, typed arrays",
            quickjs::start_fresh(quickjs::Columns::Typed),
        ),
        contender("Rhai, fresh scope and limits", rhai::start_fresh()?),
        contender("Lua 5.4, state kept", lua::start()?),
        contender("QuickJS, state kept, typed arrays", quickjs::start(quickjs::Columns::Typed)?),
        contender("QuickJS, state kept, plain arrays", quickjs::start(quickjs::Columns::Plain)?),
        contender("Rhai, no limits", rhai::start()?),
    ])
}

fn print(contenders: Vec<Contender>) {
    println!("| what | p50 | p99 | p50 / this interface |");
    println!("|---|---|---|---|");
    let mut first = None;
    for Contender { name, mut times, .. } in contenders {
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1e6;
        let (p50, p99) = (at(50), at(99));
        let ratio = p50 / *first.get_or_insert(p50);
        println!("| {name} | {p50:.1} us | {p99:.1} us | {ratio:.2} |");
    }
}

/// A verdict from what the scripts answer: how many series are over.
fn verdict(over: u32, reason: String) -> Verdict {
    let proposal = if over > 0 { Proposal::Up(1) } else { Proposal::Hold };
    Verdict { proposal, reason, state: Vec::new(), wake_at: None }
}

/// What scripts call the state of an instance.
fn word(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Starting => "starting",
        InstanceState::Running => "running",
        InstanceState::Stopping => "stopping",
        InstanceState::Failed => "failed",
    }
}
