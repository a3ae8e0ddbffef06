//! What Dynamite needs from fleet: a narrow trait, the values that cross it, and what can go wrong.
//!
//! This module neither retries nor decides; [`http`] is the client.

use std::future::Future;

use dynamite_units::UnitOption;

pub mod http;

/// The target state of a unit. fleet accepts any string and some of them wedge the unit for ever, so there
/// is no way to send another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DesiredState {
    /// Known to fleet, on no machine.
    Inactive,
    /// On a machine, not started.
    Loaded,
    /// On a machine and started once. This does not say that it runs.
    Launched,
}

impl DesiredState {
    /// The word of fleet's API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Loaded => "loaded",
            Self::Launched => "launched",
        }
    }

    /// Reads the word of fleet's API; `None` for any other.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Inactive, Self::Loaded, Self::Launched].into_iter().find(|state| state.as_str() == word)
    }
}

/// A unit that fleet knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The whole name, such as `apache@8080.service`.
    pub name: String,
    /// What was asked for; `None` when fleet left it out or holds a word that is not its own.
    pub desired: Option<DesiredState>,
    /// How far fleet came; `None` when fleet left it out.
    pub current: Option<DesiredState>,
    /// The machine it is scheduled on.
    pub machine: Option<String>,
    /// The unit file. Empty in a listing, which leaves options out to keep memory bounded.
    pub options: Vec<UnitOption>,
}

/// What systemd says of a unit on one machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitState {
    /// The whole name of the unit.
    pub name: String,
    /// SHA-1 of the unit file that this row is about, hexadecimal.
    pub hash: String,
    /// The machine.
    pub machine: String,
    /// systemd's load state, such as `loaded` or `bad-setting`.
    pub load: String,
    /// systemd's active state, such as `active`, `activating` or `failed`.
    pub active: String,
    /// systemd's sub state, such as `running`, `dead` or `auto-restart`.
    pub sub: String,
}

/// Why fleet did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection was made: the request was certainly not carried out.
    #[error("no connection to fleet at `{endpoint}`")]
    Unreachable {
        /// Where fleet was looked for.
        endpoint: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection ended or timed out before an answer came: the request may have been carried out.
    #[error("fleet at `{endpoint}` gave no answer")]
    NoAnswer {
        /// Where fleet was asked.
        endpoint: String,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// fleet answered 5xx, as it does when etcd fails it: the request may have been carried out.
    #[error("fleet is unavailable (status {status}): {message}")]
    Unavailable {
        /// The HTTP status.
        status: u16,
        /// fleet's own words; may be empty.
        message: String,
    },
    /// fleet refused the request; repeating it is useless.
    #[error("fleet refused {request} (status {status}): {message}")]
    Refused {
        /// What was asked, such as `PUT unit a@1.service`.
        request: String,
        /// The HTTP status.
        status: u16,
        /// fleet's own words; may be empty.
        message: String,
    },
    /// The request was not sent, as fleet would refuse it, or accept it and choke on it.
    #[error("{request} is not sent: {reason}")]
    Invalid {
        /// What was to be asked, such as `PUT unit a@.service`.
        request: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer is not what fleet's API says.
    #[error("fleet answered {request} with something that is not its API: {detail}")]
    Garbled {
        /// What was asked.
        request: String,
        /// What was wrong with the answer.
        detail: String,
    },
}

impl Error {
    /// Whether the same request may succeed later. After such an error the unit is read again before it is written.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::Invalid { .. })
    }
}

/// What Dynamite needs from fleet, and nothing more. No call retries.
pub trait Fleet: Send + Sync {
    /// One unit with its options; `None` when fleet does not know it.
    fn unit(&self, name: &str) -> impl Future<Output = Result<Option<Unit>, Error>> + Send;
    /// Every unit, without options, all pages. Items may be missing or doubled when units change meanwhile.
    fn units(&self) -> impl Future<Output = Result<Vec<Unit>, Error>> + Send;
    /// What systemd says of every unit, all pages.
    fn states(&self) -> impl Future<Output = Result<Vec<UnitState>, Error>> + Send;
    /// What systemd says of one unit: a row a machine, none when it is on no machine.
    fn state(&self, name: &str) -> impl Future<Output = Result<Vec<UnitState>, Error>> + Send;
    /// Creates a unit as `inactive`. A unit of that name with other options would be replaced, so look first.
    fn submit(&self, name: &str, options: &[UnitOption]) -> impl Future<Output = Result<(), Error>> + Send;
    /// Sets the target state of a unit that exists. Twice is the same as once.
    fn set_desired(
        &self,
        name: &str,
        desired: DesiredState,
    ) -> impl Future<Output = Result<(), Error>> + Send;
    /// Removes a unit. One that is not there is a success.
    fn destroy(&self, name: &str) -> impl Future<Output = Result<(), Error>> + Send;
}
