//! The embedded etcd in a process of its own, to be killed and measured: `embedded_etcd FOLDER [ADDRESS]`.
//!
//! Prints its endpoint when it serves, and ends when its input does.

use std::io::Read as _;

use anyhow::{Context as _, Result};
use dynamite::embedded::etcd::{EtcdServer, Options};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "whoever starts it waits for that")]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().context("the first argument is the folder")?;
    let mut options = Options { data_dir: Some(folder.into()), ..Options::default() };
    if let Some(address) = arguments.next() {
        options.listen = address.parse()?;
    }
    let server = EtcdServer::start(options, fastrand::Rng::with_seed(1)).await?;
    println!("{}", server.endpoint());
    tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
    server.stop().await;
    Ok(())
}
