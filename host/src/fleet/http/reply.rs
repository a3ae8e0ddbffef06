//! An answer of any status: its body, or the error that it stands for.

use bytes::Bytes;
use reqwest::StatusCode;
use serde::de::DeserializeOwned;

use super::answer::FleetError;
use crate::fleet::Error;

/// How much of a plain-text refusal is repeated, in characters.
const EXCERPT_CHARS_MAX: usize = 200;

/// A request in words, for errors: `PUT unit a@1.service`.
pub(super) struct Request<'a> {
    pub(super) verb: &'static str,
    pub(super) what: &'a str,
}

impl Request<'_> {
    pub(super) fn words(&self) -> String {
        format!("{} {}", self.verb, self.what)
    }
}

/// What came back: the status and the whole body.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Reply {
    /// The body of a success; an error in every other case.
    pub(super) fn json<T: DeserializeOwned>(&self, request: &Request<'_>) -> Result<T, Error> {
        if self.status != StatusCode::OK {
            return Err(self.error(request));
        }
        serde_json::from_slice(&self.body).map_err(|error| garbled(request, &error.to_string()))
    }

    /// A success of a write, which has no body.
    pub(super) fn accepted(&self, request: &Request<'_>) -> Result<(), Error> {
        match self.status {
            StatusCode::CREATED | StatusCode::NO_CONTENT => Ok(()),
            _ => Err(self.error(request)),
        }
    }

    /// Whether fleet itself says that there is no such unit. Any other 404 is somebody else's.
    pub(super) fn is_unknown_unit(&self) -> bool {
        self.status == StatusCode::NOT_FOUND && FleetError::read(&self.body).is_some()
    }

    fn error(&self, request: &Request<'_>) -> Error {
        let status = self.status.as_u16();
        let message = FleetError::read(&self.body).map(|error| error.message);
        match (status, message) {
            (500..=599, message) => Error::Unavailable { status, message: message.unwrap_or_default() },
            (400..=499, Some(message)) => Error::Refused { request: request.words(), status, message },
            // fleet answers some malformed requests in plain text, below its own handlers.
            (400, None) => {
                let message = String::from_utf8_lossy(&self.body).chars().take(EXCERPT_CHARS_MAX).collect();
                Error::Refused { request: request.words(), status, message }
            }
            _ => garbled(request, &format!("status {status} is not fleet's")),
        }
    }
}

pub(super) fn garbled(request: &Request<'_>, detail: &str) -> Error {
    Error::Garbled { request: request.words(), detail: detail.to_owned() }
}

pub(super) fn invalid(request: &Request<'_>, reason: &str) -> Error {
    Error::Invalid { request: request.words(), reason: reason.to_owned() }
}
