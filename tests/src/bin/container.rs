//! Builds the container image and tries it: `cargo run -p dynamite-tests --bin container [PROFILE]`.
//!
//! Needs neither a Docker daemon nor a registry, but podman, which it installs where it can. PROFILE is cargo's for the
//! program in the image: `dev` unless told otherwise, which is built in half the time, and is all that differs from the image
//! that `docker build` makes. With `release` the size of the image counts too.

use anyhow::Result;
use dynamite_tests::container::tools::{Missing, Tools};
use dynamite_tests::container::{image, run, say};

#[tokio::main]
async fn main() -> Result<()> {
    let profile = std::env::args().nth(1).unwrap_or_else(|| "dev".to_owned());
    match build_and_try(&profile).await {
        // Not a failure, but it must not look like a success either.
        Err(error) if error.is::<Missing>() => {
            say(&format!("SKIPPED, nothing was built or tried: {error:#}"));
            Ok(())
        }
        done => done,
    }
}

async fn build_and_try(profile: &str) -> Result<()> {
    let tools = Tools::find().await?;
    image::build(&tools, profile).await?;
    image::inspect(&tools).await?;
    if profile == "release" {
        image::weigh(&tools).await?;
    }
    run::commands(&tools).await?;
    run::threshold(&tools).await?;
    if tools.is_root {
        run::unit(&tools).await?;
    } else {
        say("skipped: the unit of fleet, which gives its socket to a group, and only root can do that");
    }
    Ok(())
}
