//! What `wit/0.1.0` says, as Rust: generated, and named by nothing outside [`super`].
//!
//! The second binding is the same world for modules that import WASI, which must be called asynchronously.

wasmtime::component::bindgen!({
    path: "../wit/0.1.0",
    world: "scaling-policy",
});

pub(super) mod waiting {
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "scaling-policy",
        exports: { default: async },
        with: {
            "dynamite:policy/types": super::dynamite::policy::types,
            "dynamite:policy/log": super::dynamite::policy::log,
        },
    });
}
