//! Write scaling policies for Dynamite: a trait with a typed configuration and a typed state, a view of the metrics, and
//! a macro that makes a WebAssembly module of it.
//!
//! ```
//! use dynamite_policy::prelude::*;
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Config {
//!     /// The load that one instance should have.
//!     target: f64,
//! }
//!
//! struct Keep;
//!
//! impl Policy for Keep {
//!     type Config = Config;
//!     type State = ();
//!
//!     fn decide(config: &Config, seen: &Observation, (): &mut ()) -> Result<Verdict, String> {
//!         let Some(load) = seen.first_window()?.all().mean() else { return Ok(hold("no samples")) };
//!         let wanted = seen.service.count_for(load / config.target);
//!         Ok(scale_to(wanted, format!("load is {load:.1}, the target {}", config.target)))
//!     }
//! }
//!
//! export_policy!(Keep);
//! # fn main() {}
//! ```
//!
//! The crate of a policy is a library with `crate-type = ["cdylib"]` that depends on this one, on `serde`, and on
//! `schemars`. `cargo test` runs it natively: there, `export_policy!` exports nothing, [`log`] writes to a list, and
//! [`testing`] builds what a policy sees. `cargo build --release --target wasm32-unknown-unknown` makes the module.
//!
//! # Where things are
//! - [`Policy`]: what an author implements; [`Verdict`] and its builders: what comes out
//! - [`Observation`], [`Service`], [`Instance`]: what goes in
//! - [`Recent`]: the highest or lowest number of the last while, for the state
//! - [`Window`], [`Series`], [`View`], [`Samples`]: the metrics, and statistics of them
//!
//! # What is absent
//! Clocks, random numbers, files, and sockets: `seen.now` is the time, and everything follows from the input.

#[doc(hidden)]
pub mod bindings;
mod fit;
#[doc(hidden)]
pub mod glue;
pub mod log;
mod observation;
mod policy;
mod recent;
mod samples;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod verdict;
mod view;
mod window;

pub use bindings::dynamite::policy::types::{
    Action, Decision, Description, Instance, InstanceState, Observation, Series, Service, Timestamp, Window,
};
pub use fit::Line;
pub use observation::round_up;
pub use policy::{NoConfig, Policy};
pub use recent::Recent;
pub use samples::{Sample, Samples, mean};
pub use verdict::{Verdict, hold, scale_down, scale_to, scale_up, stop};
pub use view::{Pool, View};

/// All that a policy usually needs, for `use dynamite_policy::prelude::*`.
pub mod prelude {
    pub use std::time::Duration;

    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};

    pub use crate::{
        Action, Decision, Instance, InstanceState, NoConfig, Observation, Policy, Recent, Sample, Samples,
        Series, Service, Timestamp, Verdict, View, Window, export_policy, hold, log, mean, round_up,
        scale_down, scale_to, scale_up, stop,
    };
}

/// Exports a [`Policy`] as the module's only one.
///
/// Its name, version, and summary are those of the crate (`description` in its `Cargo.toml` is the summary). Each can be
/// given instead: `export_policy!(Keep, name = "keep", summary = "Keeps the load where it is")`.
#[macro_export]
macro_rules! export_policy {
    ($policy:ty $(, $field:ident = $value:expr)* $(,)?) => {
        const _: () = {
            #[allow(clippy::needless_update, reason = "all of them may be given")]
            const ABOUT: $crate::glue::About = $crate::glue::About {
                $($field: $value,)*
                ..$crate::glue::About {
                    name: ::core::env!("CARGO_PKG_NAME"),
                    version: ::core::env!("CARGO_PKG_VERSION"),
                    summary: ::core::env!("CARGO_PKG_DESCRIPTION"),
                }
            };
            $crate::__export!($policy, ABOUT);
        };
    };
}

/// The part of [`export_policy!`] that differs between a component and a native build.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($policy:ty, $about:ident) => {
        struct Component;

        impl $crate::bindings::Guest for Component {
            fn describe() -> $crate::Description {
                $crate::glue::describe::<$policy>($about)
            }

            fn validate(config: ::std::string::String) -> ::core::result::Result<(), ::std::string::String> {
                $crate::glue::validate::<$policy>(&config)
            }

            fn decide(
                config: ::std::string::String,
                seen: $crate::Observation,
                state: ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<$crate::glue::Answer, ::std::string::String> {
                $crate::glue::decide::<$policy>(&config, &seen, &state)
            }
        }

        $crate::bindings::export_component!(Component with_types_in $crate::bindings);
    };
}

/// The part of [`export_policy!`] that differs between a component and a native build: here nothing is exported, and
/// the policy is only made sure to be one.
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($policy:ty, $about:ident) => {
        const _: fn() -> $crate::Description = || $crate::glue::describe::<$policy>($about);
    };
}
