//! The image: built, and looked into.

use std::collections::BTreeMap;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::tools::{Missing, Tools, is_there};
use super::{file, say};

/// What it is called.
pub const IMAGE: &str = "localhost/dynamite:test";
/// What it is built in, where this machine made that itself.
const BASE: &str = "localhost/dynamite-build-base";
/// What it is built in otherwise.
const OFFICIAL: &str = "docker.io/library/rust:1.95-slim-bookworm";
/// How large it may be, in bytes.
const BYTES_MAX: u64 = 40_000_000;
/// How large it may be without the program, whose size depends on the profile.
const REST_BYTES_MAX: u64 = 8_000_000;
/// What is in it.
const FOLDERS: [&str; 6] = [
    "etc/ssl/certs/ca-certificates.crt",
    "etc/dynamite/service-files/",
    "usr/bin/dynamite",
    "usr/share/dynamite/policies/",
    "var/cache/dynamite/",
    "etc/nsswitch.conf",
];

/// What `podman image inspect` says.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct About {
    size: u64,
    config: Config,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    user: String,
    entrypoint: Vec<String>,
    labels: BTreeMap<String, String>,
}

/// Builds the image with this profile of cargo.
///
/// # Errors
/// That the build fails, or [`Missing`] if nothing can be built here.
pub async fn build(tools: &Tools, profile: &str) -> Result<()> {
    let base = base(tools).await?;
    // Where podman is not allowed to start anything, as in many a container, it is not the image's fault.
    if let Err(error) = tools.ask(&["run", "--rm", base, "true"]).await {
        bail!(Missing(format!("podman cannot start a container: {error:#}")));
    }
    let mut command = tools.command("podman");
    command.args(["build", "--format", "docker", "--layers", "--pull=never", "--tag", IMAGE]);
    command.arg(format!("--build-arg=PROFILE={profile}")).arg(format!("--build-arg=RUST_IMAGE={base}"));
    if tools.ask(&["run", "--rm", base, "cargo", "--version"]).await.is_err() {
        // It is no image of Rust's: its toolchain is this machine's, and so is what was downloaded.
        let toolchain = text(Command::new("rustc").args(["--print", "sysroot"])).await?;
        let home = std::env::var("CARGO_HOME");
        let home = home.or_else(|_| std::env::var("HOME").map(|home| home + "/.cargo"))?;
        command.arg(format!("--volume={toolchain}:/usr/local/toolchain:ro"));
        command.arg(format!("--volume={home}/registry:/usr/local/cargo/registry:rw"));
    }
    let status = command.arg(file(".")).stdout(Stdio::null()).status().await?;
    ensure!(status.success(), "the image cannot be built");
    Ok(())
}

/// What there is to build in: a Debian with a C compiler, made here if this is root, or else Rust's own image, which podman
/// then fetches.
async fn base(tools: &Tools) -> Result<&'static str> {
    for image in [BASE, OFFICIAL] {
        if tools.podman(["image", "exists", image]).await?.status.success() {
            return Ok(image);
        }
    }
    if tools.is_root && !is_there("debootstrap").await {
        // If that is in vain, there may still be a registry.
        let _installed = tools.install().await;
    }
    if tools.is_root && is_there("debootstrap").await {
        make_base(tools)
            .await
            .map_err(|error| Missing(format!("nothing to build in could be made: {error:#}")))?;
        return Ok(BASE);
    }
    match tools.ask(&["pull", "--quiet", OFFICIAL]).await {
        Ok(_) => Ok(OFFICIAL),
        Err(error) => {
            bail!(Missing(format!("there is neither debootstrap, with root, nor a registry: {error:#}")))
        }
    }
}

async fn make_base(tools: &Tools) -> Result<()> {
    say("making a Debian to build in");
    let root = tools.folder().join("debian");
    let root = root.to_str().context("the path of a temporary folder is text")?;
    let packages = "--variant=minbase --include=ca-certificates,gcc,libc6-dev";
    tools.shell(&format!("debootstrap {packages} bookworm {root} >&2")).await?;
    let import = "podman import --change ENV=PATH=/usr/local/toolchain/bin:/usr/sbin:/usr/bin:/sbin:/bin \
                  --change ENV=CARGO_HOME=/usr/local/cargo -";
    tools.shell(&format!("tar -C {root} --exclude='./dev/*' -c . | {import} {BASE} >&2; rm -r {root}")).await
}

/// Looks into the image: its settings, its size, and that nothing is in it but what belongs there.
///
/// # Errors
/// What is wrong.
pub async fn inspect(tools: &Tools) -> Result<()> {
    let about = tools.ask(&["image", "inspect", IMAGE]).await?;
    let [about]: [About; 1] = serde_json::from_str(&about)?;
    ensure!(about.config.user == "65532:65532", "it runs as {}", about.config.user);
    ensure!(about.config.entrypoint == ["/usr/bin/dynamite"]);
    let version = tools.ask(&["run", "--rm", IMAGE, "--version"]).await?;
    let label = &about.config.labels["org.opencontainers.image.version"];
    ensure!(version == format!("dynamite {label}"), "{version} is labelled {label}");
    let files = listing(tools).await?;
    let stray = |(name, _): &(String, u64)| {
        let library = name.starts_with("lib") && name.contains(".so");
        !library
            && !name.ends_with("/passwd")
            && !name.ends_with("/group")
            && !FOLDERS.iter().any(|folder| name.starts_with(folder))
    };
    let stray: Vec<_> = files.iter().filter(|file| stray(file)).collect();
    ensure!(stray.is_empty(), "that has no place in the image: {stray:?}");
    let size = |prefix: &str| {
        files.iter().filter(|(name, _)| name.starts_with(prefix)).map(|(_, size)| size).sum::<u64>()
    };
    let (all, program) = (size(""), size("usr/bin/dynamite"));
    say(&format!(
        "the image has {:.1} MB, of which the program {:.1}, the policies {:.1}",
        megabytes(about.size),
        megabytes(program),
        megabytes(size("usr/share/dynamite"))
    ));
    ensure!(all - program < REST_BYTES_MAX, "{} bytes besides the program", all - program);
    Ok(())
}

/// Fails if the image is too large; only a release has the size that counts.
///
/// # Errors
/// That it is.
pub async fn weigh(tools: &Tools) -> Result<()> {
    let size: u64 = tools.ask(&["image", "inspect", "--format", "{{.Size}}", IMAGE]).await?.parse()?;
    ensure!(size < BYTES_MAX, "the image has {size} bytes");
    Ok(())
}

/// The files of the image with their sizes, folders excepted.
async fn listing(tools: &Tools) -> Result<Vec<(String, u64)>> {
    let name = tools.ask(&["create", IMAGE]).await?;
    let line = format!("podman export {name} | tar -tv");
    let listed = text(tools.command("sh").args(["-euc", &line])).await;
    tools.ask(&["rm", &name]).await?;
    let listed = listed?;
    let mut files = Vec::new();
    for line in listed.lines().filter(|line| !line.starts_with('d')) {
        // `-rwxr-xr-x 0/0  1234 2026-01-01 00:00 usr/bin/dynamite`
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, size, _, _, name, ..] = words[..] else { bail!("a line of tar: {line}") };
        files.push((name.to_owned(), size.parse()?));
    }
    Ok(files)
}

async fn text(command: &mut Command) -> Result<String> {
    let output = command.output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
