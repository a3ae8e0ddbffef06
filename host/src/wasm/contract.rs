//! Whether a file holds a scaling policy, said before it is compiled, in words for its author.

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::{Resolve, WorldId, WorldItem, WorldKey};

use super::error::LoadError;

/// How a core module begins: the magic bytes, version 1, layer 0.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
/// How a component begins: the magic bytes, version 13, layer 1.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
/// What the section of a core module is called that says what component it is to become.
const INTERFACE_SECTION: &str = "component-type";
/// The package that a policy is made for.
const PACKAGE: &str = "dynamite:policy";
/// The version of it that is served.
pub const VERSION: &str = "0.1.0";
/// The module of the imports of WASI 0.1.
const OLD_WASI: &str = "wasi_snapshot_preview1";
/// The functions that a policy has.
const EXPORTS: [&str; 3] = ["describe", "validate", "decide"];

/// What a module needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    /// It imports WASI.
    pub(super) wasi: bool,
}

/// What a module imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The names of what it imports.
    pub imports: Vec<String>,
    /// The names of what it exports.
    pub exports: Vec<String>,
}

/// The component in a file: its bytes, or made of them if they are a core module that says how.
pub(super) fn component(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    if bytes.starts_with(COMPONENT) {
        return Ok(bytes.to_vec());
    }
    if !bytes.starts_with(MODULE) {
        return Err(LoadError::NotWasm);
    }
    if !has_interface(bytes)? {
        return Err(LoadError::NoInterface);
    }
    let encoded =
        ComponentEncoder::default().validate(true).module(bytes).and_then(|mut encoder| encoder.encode());
    encoded.map_err(|error| LoadError::Damaged(format!("{error:#}")))
}

/// Whether a core module says what component it is to become, and can.
fn has_interface(module: &[u8]) -> Result<bool, LoadError> {
    let mut found = false;
    for payload in Parser::new(0).parse_all(module) {
        let payload = payload.map_err(|error| LoadError::Damaged(error.to_string()))?;
        match payload {
            Payload::CustomSection(section) => found |= section.name().starts_with(INTERFACE_SECTION),
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.map_err(|error| LoadError::Damaged(error.to_string()))?;
                    if import.module == OLD_WASI {
                        return Err(LoadError::OldWasi(import.name.to_owned()));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

/// What a component imports and exports.
pub(super) fn interface(component: &[u8]) -> Result<Interface, LoadError> {
    let decoded =
        wit_component::decode(component).map_err(|error| LoadError::Damaged(format!("{error:#}")))?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(LoadError::OtherWorld("it is a package of interfaces, and no component".to_owned()));
    };
    Ok(Interface::of(&resolve, world))
}

impl Interface {
    fn of(resolve: &Resolve, world: WorldId) -> Self {
        let world = &resolve.worlds[world];
        let name = |key: &WorldKey| resolve.name_world_key(key);
        let is_type = |item: &WorldItem| matches!(item, WorldItem::Type { .. });
        let names = |items: &wit_parser::IndexMap<WorldKey, WorldItem>| {
            items.iter().filter(|(_, item)| !is_type(item)).map(|(key, _)| name(key)).collect()
        };
        Self { imports: names(&world.imports), exports: names(&world.exports) }
    }
}

/// Checks that a component is a policy, as far as names go; types are compared when it is linked.
pub(super) fn check(component: &[u8]) -> Result<Needs, LoadError> {
    let Interface { imports, exports } = interface(component)?;
    let is_ours = |name: &&String| name.starts_with(PACKAGE);
    let served = format!("@{VERSION}");
    if let Some(other) = imports.iter().chain(&exports).filter(is_ours).find(|name| !name.ends_with(&served))
    {
        return Err(LoadError::OtherVersion { found: other.clone() });
    }
    let is_wasi = |name: &str| name.starts_with("wasi:") && name.contains("@0.2.");
    let unknown: Vec<&str> =
        imports.iter().filter(|name| !is_ours(name) && !is_wasi(name)).map(String::as_str).collect();
    let missing: Vec<&str> =
        EXPORTS.into_iter().filter(|name| !exports.iter().any(|export| export == name)).collect();
    let mut wrong = Vec::new();
    if !missing.is_empty() {
        wrong.push(format!("it does not export {}", listed(&missing)));
    }
    if !unknown.is_empty() {
        wrong.push(format!(
            "it imports {}, and only `dynamite:policy/log@{VERSION}` and WASI 0.2 are offered",
            listed(&unknown)
        ));
    }
    if wrong.is_empty() {
        return Ok(Needs { wasi: imports.iter().any(|name| is_wasi(name)) });
    }
    Err(LoadError::OtherWorld(wrong.join("; ")))
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wants_the_old_wasi_is_not_called_damaged() {
        let module =
            wat::parse_str(r#"(module (import "wasi_snapshot_preview1" "fd_write" (func)))"#).unwrap();
        assert!(matches!(component(&module), Err(LoadError::OldWasi(name)) if name == "fd_write"));
    }
}
