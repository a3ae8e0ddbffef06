//! Identities: what a service, a policy, an instance and a series are called, wherever they are spoken of.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that is cheap to copy and is written as plain text.
macro_rules! name {
    ($(#[$about:meta])* $name:ident) => {
        $(#[$about])*
        #[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(|name| Self(name.into()))
            }
        }
    };
}

name! {
    /// A service, by its key in the configuration.
    ServiceId
}
name! {
    /// A scaling policy, by its key in the configuration.
    PolicyId
}

/// The number of an instance among those of its service, which is its lowest port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub u32);

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A policy at work for a service: there is one state, one last vote and one rest for each of these.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Use {
    /// The service that it decides about.
    pub service: ServiceId,
    /// The policy.
    pub policy: PolicyId,
}

/// A series of samples, as its source numbers it: a place, and which of the series that had it one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeriesId {
    /// The place; places are dense, and given again when a series is gone.
    pub place: u32,
    /// How many series had the place before.
    pub life: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_text_and_found_by_it() {
        let service = ServiceId::from("web");
        let text = serde_json::to_string(&service).unwrap();
        assert_eq!(text, "\"web\"");
        assert_eq!(serde_json::from_str::<ServiceId>(&text).unwrap(), service);
        let by_name = std::collections::BTreeMap::from([(service, 1)]);
        assert_eq!(by_name.get("web"), Some(&1));
    }
}
