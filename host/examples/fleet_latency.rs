//! Measures how long one PUT takes from the client of fleet to the embedded fleet and back, over loopback TCP and a
//! unix socket: the last step of the way from a sample to a started unit. Run it with `--release`.

#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::time::Duration;

use dynamite::embedded::fleet::{FleetServer, Options};
use dynamite::fleet::http::HttpFleet;
use dynamite::fleet::{DesiredState, Fleet as _, unit_file};
use tokio::time::{Instant, sleep};

const ROUNDS: usize = 2000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let path = std::env::temp_dir().join(format!("fleet-latency-{}.sock", std::process::id()));
    let server = FleetServer::start(Options { unix: Some(path), ..Options::default() }).await?;
    let unit = unit_file::parse("[Service]\nExecStart=/bin/sleep 3000\n")
        .map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    for endpoint in [Some(server.endpoint()), server.unix_endpoint()].into_iter().flatten() {
        let fleet = HttpFleet::new(&endpoint)?;
        let started = Instant::now();
        fleet.submit("a@0.service", &unit).await?;
        println!("{endpoint:?}\n  first PUT, with its connection: {:?}", started.elapsed());
        for (what, pause) in
            [("one after another", Duration::ZERO), ("after 5 ms of rest", Duration::from_millis(5))]
        {
            let mut taken = Vec::with_capacity(ROUNDS);
            let mut arrival = Vec::with_capacity(ROUNDS);
            let mut arrivals = server.arrivals();
            for round in 0..ROUNDS / if pause.is_zero() { 1 } else { 10 } {
                if !pause.is_zero() {
                    sleep(pause).await;
                }
                let desired = if round % 2 == 0 { DesiredState::Launched } else { DesiredState::Inactive };
                let started = Instant::now();
                fleet.set_desired("a@0.service", desired).await?;
                taken.push(started.elapsed());
                arrival.push(arrivals.recv().await?.at - started);
            }
            println!("  {what}: {}; until it arrives: {}", summary(taken), summary(arrival));
        }
    }
    server.stop().await;
    Ok(())
}

fn summary(mut taken: Vec<Duration>) -> String {
    taken.sort_unstable();
    let at = |percent: usize| taken.get((taken.len() - 1) * percent / 100).copied().unwrap_or_default();
    format!("median {:?}, p99 {:?}", at(50), at(99))
}
