//! `dynamite policy inspect`: what a module says of itself, and what it needs.

use std::io::Write;

use anyhow::Context as _;
use serde::Serialize;

use crate::cli::{EXIT_OK, Format, InspectArgs};
use crate::wasm::{Description, Interface, Limits, Module, VERSION, interface_of};

/// How a component begins after its magic bytes.
const COMPONENT: [u8; 4] = [0x0d, 0, 1, 0];

/// What is known of a module.
#[derive(Debug, Serialize)]
struct About {
    name: String,
    version: String,
    summary: String,
    /// The version of `dynamite:policy` that it is made for.
    wit_version: String,
    /// `component` or `core module`.
    kind: &'static str,
    bytes: usize,
    sha256: String,
    imports: Vec<String>,
    exports: Vec<String>,
    /// `null` if every configuration is right.
    config_schema: serde_json::Value,
}

pub(super) fn run(args: &InspectArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    let file = args.module.display();
    // A module that needs more memory than the default to start is still one to look at.
    let limits = Limits { memory_bytes: Limits::MEMORY_BYTES_MAX, fuel: u64::MAX, time: Limits::TIME_MAX };
    let module = super::load(&args.module, &limits, &args.cache)?;
    // It was read just now, so it is a file, and not too large.
    let bytes = std::fs::read(&args.module).with_context(|| format!("`{file}` cannot be read"))?;
    let interface = interface_of(&bytes)?;
    let about = about(&module, interface, &bytes)?;
    match args.format {
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&about)?)?,
        Format::Human => human(&about, out)?,
    }
    Ok(EXIT_OK)
}

fn about(module: &Module, interface: Interface, bytes: &[u8]) -> anyhow::Result<About> {
    let Description { name, version, summary, config_schema } = module.description().clone();
    let Interface { imports, exports } = interface;
    let config_schema = match config_schema.as_str() {
        "" => serde_json::Value::Null,
        schema => serde_json::from_str(schema)?,
    };
    let ours = imports.iter().find(|import| import.starts_with("dynamite:policy/"));
    let wit_version = ours.and_then(|import| import.rsplit_once('@')).map_or(VERSION, |(_, version)| version);
    let kind = if bytes[4..].starts_with(&COMPONENT) { "component" } else { "core module" };
    Ok(About {
        name,
        version,
        summary,
        wit_version: wit_version.to_owned(),
        kind,
        bytes: bytes.len(),
        sha256: module.sha256().to_owned(),
        imports,
        exports,
        config_schema,
    })
}

fn human(about: &About, out: &mut dyn Write) -> anyhow::Result<()> {
    let row = |out: &mut dyn Write, key: &str, value: &str| writeln!(out, "{key:<10}{value}");
    let listed = |names: &[String]| if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
    writeln!(out, "{} {}: {}", about.name, about.version, about.summary)?;
    row(out, "made for", &format!("dynamite:policy@{}", about.wit_version))?;
    let shape = match about.kind {
        "component" => "a component",
        _ => "a core module that says which component it is to become",
    };
    row(out, "file", &format!("{shape}, {} KiB", about.bytes.div_ceil(1024)))?;
    row(out, "sha256", &about.sha256)?;
    row(out, "imports", &listed(&about.imports))?;
    row(out, "exports", &listed(&about.exports))?;
    if about.config_schema.is_null() {
        return Ok(row(out, "config", "not described: the module has no schema")?);
    }
    row(out, "config", "a value of this schema:")?;
    Ok(writeln!(out, "{}", serde_json::to_string_pretty(&about.config_schema)?)?)
}
