//! Small modules for tests: a policy whose functions are WebAssembly text, so that each test writes the one it needs.

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// The interface that is served.
const WIT: &str = include_str!("../../../wit/0.1.0/policy.wit");
/// Where the schema lies in memory; what is below is for answers.
const SCHEMA_AT: usize = 4096;

/// A policy. Its functions are the bodies of WebAssembly functions, with these addresses in memory:
///
/// - 0: a result without an error, which is also a verdict to hold with the reason `test` and no state;
/// - 64: an error of `validate` with the text in `refusal`;
/// - 96: the same of `decide`;
/// - 128: the description.
pub(crate) struct Policy<'a> {
    /// The JSON Schema of its configuration.
    pub(crate) schema: &'a str,
    /// What the errors say, at most 512 bytes.
    pub(crate) refusal: &'a str,
    /// `describe`, which takes nothing and leaves an address.
    pub(crate) describe: &'a str,
    /// `validate`, which takes address and length of the configuration and leaves an address.
    pub(crate) validate: &'a str,
    /// `decide`, which takes the address of its arguments and leaves an address.
    pub(crate) decide: &'a str,
}

impl Default for Policy<'_> {
    /// It takes every configuration and holds.
    fn default() -> Self {
        Self {
            schema: "",
            refusal: "no",
            describe: "(i32.const 128)",
            validate: "(i32.const 0)",
            decide: "(i32.const 0)",
        }
    }
}

impl Policy<'_> {
    /// The policy as a core module that says what component it is to become.
    pub(crate) fn build(&self) -> Vec<u8> {
        with_interface(self.core(), WIT, "scaling-policy")
    }

    /// The policy made for this version of the interface.
    pub(crate) fn build_for(&self, version: &str) -> Vec<u8> {
        let wit = WIT.replace("dynamite:policy@0.1.0", &format!("dynamite:policy@{version}"));
        with_interface(self.core(), &wit, "scaling-policy")
    }

    /// The policy as a core module that says nothing of its interface.
    pub(crate) fn core(&self) -> Vec<u8> {
        let Self { schema, refusal, describe, validate, decide } = self;
        // Strings are an address and a length; the addresses are those of the data below.
        let text = |at: usize, text: &str| words(&[at, text.len()]);
        let hold = format!("{}{}", words(&[0, 0, 0, 0, 0]), text(256, "test"));
        let error = format!("{}{}", words(&[1]), text(512, refusal));
        let undecided = format!("{}{}", words(&[1, 0]), text(512, refusal));
        let description = format!(
            "{}{}{}{}",
            text(256, "test"),
            text(264, "1.2.3"),
            text(272, "For tests."),
            text(SCHEMA_AT, schema)
        );
        let (schema, refusal) = (escaped(schema.as_bytes()), escaped(refusal.as_bytes()));
        let data = format!(
            r#"(data (i32.const 0) "{hold}")
               (data (i32.const 64) "{error}")
               (data (i32.const 96) "{undecided}")
               (data (i32.const 128) "{description}")
               (data (i32.const 256) "test\00\00\00\001.2.3\00\00\00For tests.")
               (data (i32.const 512) "{refusal}")
               (data (i32.const {SCHEMA_AT}) "{schema}")"#
        );
        wat::parse_str(format!(
            r#"(module
                 (memory (export "memory") 16)
                 (global $free (mut i32) (i32.const 524288))
                 {data}
                 (func (export "describe") (result i32) {describe})
                 (func (export "validate") (param i32 i32) (result i32) {validate})
                 (func (export "decide") (param i32) (result i32) {decide})
                 (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                   (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
                   (global.get $free)
                   (global.set $free (i32.add (global.get $free) (local.get 3)))))"#
        ))
        .expect("the text is WebAssembly")
    }
}

/// A module for a world that has nothing to do with policies.
pub(crate) fn of_another_world() -> Vec<u8> {
    let core = wat::parse_str(r#"(module (func (export "run")))"#).expect("the text is WebAssembly");
    with_interface(core, "package test:other; world other { export run: func(); }", "other")
}

/// The policy that holds, in a component with more core modules than a place in the pool takes, as Python's have.
pub(crate) fn of_many_instances() -> Vec<u8> {
    let policy = ComponentEncoder::default().module(&Policy::default().build()).expect("it is a policy");
    let mut component = { policy }.encode().expect("it is a policy");
    let modules = Parser::new(0).parse_all(&component);
    let modules = modules.filter(|part| matches!(part, Ok(Payload::ModuleSection { .. }))).count();
    let empty = u8::try_from(modules).expect("there are few");
    // A section 1 of eight bytes: a module with nothing in it. A section 2 of 28: nine times an instance (0) of it with
    // no arguments (0).
    component.extend(b"\x01\x08\0asm\x01\0\0\0\x02\x1c\x09");
    component.extend([0, empty, 0].repeat(9));
    component
}

/// The policy that holds, in a component that makes use of asynchronous functions, as JavaScript's do unless told otherwise.
pub(crate) fn of_later_times() -> Vec<u8> {
    let policy = ComponentEncoder::default().module(&Policy::default().build()).expect("it is a policy");
    let mut component = { policy }.encode().expect("it is a policy");
    // A section 8 of two bytes: one function, `task.cancel`.
    component.extend(b"\x08\x02\x01\x05");
    component
}

/// Adds what says which component a core module is to become.
fn with_interface(mut core: Vec<u8>, wit: &str, world: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("policy.wit", wit).expect("the text is WIT");
    let world = resolve.select_world(&[package], Some(world)).expect("the world is there");
    wit_component::embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)
        .expect("the module can be marked");
    core
}

/// Numbers as they lie in memory, in WebAssembly text.
fn words(numbers: &[usize]) -> String {
    let bytes = numbers.iter().map(|number| u32::try_from(*number).expect("it is small").to_le_bytes());
    escaped(&bytes.collect::<Vec<_>>().concat())
}

/// Bytes in WebAssembly text.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:02x}"))
}
