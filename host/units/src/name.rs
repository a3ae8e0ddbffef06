//! What fleet takes as the name of a unit.

/// The longest name, in bytes; systemd's limit, which fleet repeats.
pub const NAME_BYTES_MAX: usize = 256;

/// Every type of unit whose name fleet accepts.
const TYPES: [&str; 13] = [
    "automount",
    "busname",
    "device",
    "mount",
    "path",
    "scope",
    "service",
    "slice",
    "snapshot",
    "socket",
    "swap",
    "target",
    "timer",
];

/// The types that fleet can run. It accepts the others too, then restarts them for ever or never lets them go.
const USABLE_TYPES: [&str; 7] = ["automount", "device", "mount", "path", "service", "socket", "timer"];

/// The types of which fleet takes templates and instances.
const TEMPLATE_TYPES: [&str; 5] = ["path", "service", "socket", "target", "timer"];

/// Why a name cannot be the name of a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing in it.
    #[error("a unit name cannot be empty")]
    Empty,
    /// It is longer than [`NAME_BYTES_MAX`].
    #[error("a unit name has at most {NAME_BYTES_MAX} bytes, not {bytes}")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It has no dot, so no type.
    #[error("a unit name needs a type such as `.service` at its end")]
    NoType,
    /// Nothing comes after the last dot.
    #[error("a unit name cannot end in a dot")]
    EndsInDot,
    /// What comes after the last dot is not a type of unit.
    #[error("`{suffix}` is no type of unit; most are `service`")]
    UnknownType {
        /// What comes after the last dot.
        suffix: String,
    },
    /// A name with `@` has a type that cannot be a template.
    #[error("units of type `{suffix}` can be neither templates nor instances: take out the `@`")]
    NoTemplateType {
        /// What comes after the last dot.
        suffix: String,
    },
    /// A character that systemd does not take.
    #[error("{character:?} cannot stand in a unit name; letters, digits and `:-_.\\@` can")]
    BadCharacter {
        /// The first one.
        character: char,
    },
    /// Nothing comes before the `@`.
    #[error("a unit name cannot start with `@`")]
    StartsWithAt,
    /// It starts with `_`: etcd hides such keys, so fleet would take the unit, never list it and never run it.
    #[error("a unit name that starts with `_` is hidden by etcd, so that fleet never runs it")]
    Hidden,
    /// fleet accepts this type, but does not handle it.
    #[error("fleet cannot handle units of type `{suffix}`, although it accepts them")]
    UnusableType {
        /// What comes after the last dot.
        suffix: String,
    },
}

/// Checks a name by fleet's own rules, in its order.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::TooLong { bytes: name.len() });
    }
    let (stem, suffix) = name.rsplit_once('.').ok_or(NameError::NoType)?;
    if suffix.is_empty() {
        return Err(NameError::EndsInDot);
    }
    if !TYPES.contains(&suffix) {
        return Err(NameError::UnknownType { suffix: suffix.to_owned() });
    }
    if name.contains('@') && !TEMPLATE_TYPES.contains(&suffix) {
        return Err(NameError::NoTemplateType { suffix: suffix.to_owned() });
    }
    let allowed = |character: char| character.is_ascii_alphanumeric() || ":-_.\\@".contains(character);
    if let Some(character) = stem.chars().find(|&character| !allowed(character)) {
        return Err(NameError::BadCharacter { character });
    }
    if name.starts_with('@') {
        return Err(NameError::StartsWithAt);
    }
    Ok(())
}

/// Checks a name by fleet's rules, and also refuses what fleet accepts and then cannot handle.
pub fn check_usable_name(name: &str) -> Result<(), NameError> {
    check_name(name)?;
    let suffix = name.rsplit_once('.').map_or("", |(_, suffix)| suffix);
    if name.starts_with('_') {
        return Err(NameError::Hidden);
    }
    if !USABLE_TYPES.contains(&suffix) {
        return Err(NameError::UnusableType { suffix: suffix.to_owned() });
    }
    Ok(())
}

/// Whether a name is that of a template: its instance, what stands between the first `@` and the last dot, is empty.
#[must_use]
pub fn is_template(name: &str) -> bool {
    let stem = name.rsplit_once('.').map_or("", |(stem, _)| stem);
    stem.split_once('@').is_some_and(|(_, instance)| instance.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fleet_takes_some_odd_names() {
        for name in [
            ".service",
            "..service",
            "-x.service",
            "a@b@c.service",
            "a\\x2d.mount",
            "a@.service",
            "_a.target",
        ] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        assert_eq!(check_name(&format!("{}.service", "a".repeat(248))), Ok(()));
    }

    #[test]
    fn each_broken_rule_is_named() {
        let suffix = |suffix: &str| suffix.to_owned();
        for (name, error) in [
            ("", NameError::Empty),
            ("apache", NameError::NoType),
            ("apache.", NameError::EndsInDot),
            ("foo.bar", NameError::UnknownType { suffix: suffix("bar") }),
            ("foo.Service", NameError::UnknownType { suffix: suffix("Service") }),
            ("a@1.mount", NameError::NoTemplateType { suffix: suffix("mount") }),
            ("a b.service", NameError::BadCharacter { character: ' ' }),
            ("a/b.service", NameError::BadCharacter { character: '/' }),
            ("é.service", NameError::BadCharacter { character: 'é' }),
            ("@1.service", NameError::StartsWithAt),
        ] {
            assert_eq!(check_name(name), Err(error), "{name}");
        }
        let long = format!("{}.service", "a".repeat(249));
        assert_eq!(check_name(&long), Err(NameError::TooLong { bytes: 257 }));
    }

    #[test]
    fn what_fleet_cannot_handle_is_not_usable() {
        assert_eq!(check_usable_name("_a.service"), Err(NameError::Hidden));
        assert_eq!(check_usable_name("a.target"), Err(NameError::UnusableType { suffix: "target".into() }));
        assert_eq!(check_usable_name("a@1.service"), Ok(()));
    }

    #[test]
    fn a_template_has_an_empty_instance() {
        assert!(is_template("a@.service"));
        for name in ["a.service", "a@1.service", "a@b@.service", "a@"] {
            assert!(!is_template(name), "{name}");
        }
    }
}
