//! What the author of a policy implements.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Observation, Verdict};

/// A scaling policy: a pure function of its configuration, what is seen, and its own state.
///
/// Every call gets a fresh instance of the module, so what is kept in statics is lost: keep it in `State`.
pub trait Policy {
    /// The value of `config:`. [`NoConfig`] if there is nothing to configure.
    ///
    /// Its JSON Schema is shown by `dynamite policy inspect` and checked by `dynamite check`: the doc comments of its
    /// fields become descriptions, `#[serde(default)]` becomes a default, and `#[serde(deny_unknown_fields)]` finds typing
    /// mistakes.
    type Config: DeserializeOwned + JsonSchema;

    /// What is remembered until the next call for the same service; `()` if nothing is.
    ///
    /// It is kept as JSON of at most 64 KiB, which outlives Dynamite and the module. State that cannot be read, as an
    /// older version wrote it, is taken as `State::default()`, and so is state with a number that is not finite.
    type State: Serialize + DeserializeOwned + Default;

    /// Checks what the types of the configuration do not say. The error is shown to whoever wrote it.
    fn validate(config: &Self::Config) -> Result<(), String> {
        let _ = config;
        Ok(())
    }

    /// Decides. `config` has passed [`Policy::validate`].
    ///
    /// An error is a failure: nothing is scaled, the state stays as it was before the call, and the error is logged. Having
    /// too few samples is none: [`hold`](crate::hold) and say so.
    fn decide(config: &Self::Config, seen: &Observation, state: &mut Self::State) -> Result<Verdict, String>;
}

/// The configuration of a policy that has nothing to configure.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}
