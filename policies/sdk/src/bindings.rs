//! What `wit_bindgen` makes of the contract, and nothing else. Authors use what the crate's root exports of it.

#![allow(
    missing_docs,
    unsafe_code,
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "scaling-policy",
    pub_export_macro: true,
    export_macro_name: "export_component",
    additional_derives: [PartialEq],
});
