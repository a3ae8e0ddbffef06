//! Builds the container image and tries it: `cargo run -p dynamite-tests --bin container [PROFILE]`.
//!
//! Needs neither a Docker daemon nor a registry, but podman, which it installs where it can. PROFILE is cargo's for the
//! program in the image: `dev` unless told otherwise, which is built in half the time, and is all that differs from the image
//! that `docker build` makes. With `release` the size of the image counts too.

use anyhow::Result;
use dynamite_tests::container::tools::Tools;
use dynamite_tests::container::{image, run, say};

#[tokio::main]
async fn main() -> Result<()> {
    let profile = std::env::args().nth(1).unwrap_or_else(|| "dev".to_owned());
    let tools = match Tools::find().await? {
        Ok(tools) => tools,
        Err(missing) => {
            skip(&missing);
            return Ok(());
        }
    };
    if let Err(missing) = image::build(&tools, &profile).await? {
        skip(&missing);
        return Ok(());
    }
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

/// What cannot be tried here is not a failure, but must not look like a success either.
fn skip(missing: &str) {
    say(&format!("SKIPPED, nothing was built or tried: {missing}"));
}
