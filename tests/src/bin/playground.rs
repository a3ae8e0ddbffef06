//! Dynamite on a bare machine: `cargo run -p dynamite-tests --bin playground`.
//!
//! Starts an etcd and a fleet server (which only pretends to run units) and the example in `examples/apache` on them, then
//! pretends that an instance is under load for a while, and then idle. Ends by itself, or with Ctrl-C.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use dynamite::embedded::fleet::{FleetServer, Options, Timings};
use dynamite::store::Store;
use dynamite::store::connect::{Api, connect};
use dynamite_tests::daemon::binary;
use dynamite_tests::etcd::{self, Etcd};
use dynamite_tests::scene::{machines, now};
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// What the instance's processor does, in percent, and for how many seconds.
const LOAD: [(u32, f64); 3] = [(12, 50.0), (22, 95.5), (45, 3.0)];

#[tokio::main]
async fn main() -> Result<()> {
    let etcd = Etcd::start(etcd::Options { v2: true, ..etcd::Options::default() }).await?;
    // As slow as a real fleet, with a machine for each instance: the unit file says that no two go together.
    let fleet = FleetServer::start(Options { timings: Timings::real(), ..machines(5) }).await?;
    say(&format!("etcd at {}, fleet at {}", etcd.endpoint(), fleet.endpoint()));
    let mut dynamite = start(&etcd, &fleet)?;
    tokio::select! {
        played = play(&etcd, &fleet) => played?,
        ended = dynamite.wait() => bail!("dynamite ended: {}", ended?),
        pressed = tokio::signal::ctrl_c() => pressed?,
    }
    let pid = dynamite.id().context("dynamite runs")?;
    Command::new("kill").arg(pid.to_string()).status().await?;
    dynamite.wait().await?;
    say(&format!("dynamite has ended, the units run on: {}", running(&fleet).join(", ")));
    Ok(())
}

fn start(etcd: &Etcd, fleet: &FleetServer) -> Result<Child> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/apache/dynamite.yaml");
    let (etcd, fleet) = (etcd.endpoint(), fleet.endpoint().to_string());
    let mut command = Command::new(binary()?);
    command.arg("run").arg("-c").arg(config).args(["-e", &etcd, "-f", &fleet]);
    Ok(command.stdin(Stdio::null()).kill_on_drop(true).spawn()?)
}

/// Writes the load, and says which units run whenever that changes.
async fn play(etcd: &Etcd, fleet: &FleetServer) -> Result<()> {
    let store = connect(etcd.settings(Api::V2)).await?;
    store.put("/services/webserver/4f2a/service_instance_name", "apache@8080.service").await?;
    let mut before = Vec::new();
    for (seconds, load) in LOAD {
        say(&format!("cpu_user of apache@8080 is {load} percent for the next {seconds} s"));
        for _ in 0..seconds {
            store.put(&format!("/metrics/webserver/4f2a/cpu_user/{}", now()), &load.to_string()).await?;
            sleep(Duration::from_secs(1)).await;
            let units = running(fleet);
            if units != before {
                say(&format!("running: {}", units.join(", ")));
                before = units;
            }
        }
    }
    Ok(())
}

fn running(fleet: &FleetServer) -> Vec<String> {
    let active = fleet.states().into_iter().filter(|row| row.active == "active");
    active.map(|row| row.name.trim_end_matches(".service").to_owned()).collect()
}

#[expect(clippy::print_stdout, reason = "this is a show")]
fn say(text: &str) {
    println!("--- {text}");
}
