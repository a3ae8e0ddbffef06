//! What `wit/0.1.0` says, as Rust: generated, and named by nothing outside [`super`].
//!
//! The second binding is the same world for modules that import WASI, which must be called asynchronously. What a module is
//! given is borrowed: it is copied into the module's memory anyway, and whoever made it may want to use it again.

wasmtime::component::bindgen!({
    path: "../wit/0.1.0",
    world: "scaling-policy",
    ownership: Borrowing { duplicate_if_necessary: false },
});

pub(super) mod waiting {
    wasmtime::component::bindgen!({
        path: "../wit/0.1.0",
        world: "scaling-policy",
        ownership: Borrowing { duplicate_if_necessary: false },
        exports: { default: async },
        with: {
            "dynamite:policy/types": super::dynamite::policy::types,
            "dynamite:policy/log": super::dynamite::policy::log,
        },
    });
}
