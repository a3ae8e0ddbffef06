//! The rules of the `[X-Fleet]` section that fleet checks when a unit is created.

use crate::UnitOption;

use super::text::line_too_long;

/// A combination of options that fleet refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// There are none: fleet takes that for "no unit file given".
    #[error("a unit without any option cannot be created")]
    None,
    /// A line is longer than [`LINE_BYTES_MAX`](super::LINE_BYTES_MAX).
    #[error("a line of `{name}` is longer than {} bytes; break it with a backslash", super::LINE_BYTES_MAX)]
    LineTooLong {
        /// The key.
        name: String,
    },
    /// The section cannot be written between brackets.
    #[error("`{section}` cannot be the name of a section")]
    BadSection {
        /// The name.
        section: String,
    },
    /// A pinned machine leaves nothing to choose.
    #[error(
        "`MachineID` cannot stand beside `MachineOf`, `Conflicts`, `Global` or `Replaces`, here `{other}`"
    )]
    MachineIdWith {
        /// The first other key found.
        other: &'static str,
    },
    /// A unit that is everywhere cannot be told to be somewhere.
    #[error("`Global` cannot stand beside `MachineOf` or `Replaces`, here `{other}`")]
    GlobalWith {
        /// The first other key found.
        other: &'static str,
    },
    /// Two contrary wishes about other units.
    #[error("`Conflicts` cannot stand beside `Replaces`")]
    ConflictsWithReplaces,
    /// The unit wants to be with and without the same unit.
    #[error("`MachineOf={peer}` contradicts `{key}={pattern}`")]
    Unresolvable {
        /// The unit wanted.
        peer: String,
        /// `Conflicts` or `Replaces`.
        key: &'static str,
        /// The pattern that matches it.
        pattern: String,
    },
}

/// Checks options as fleet does on creation and reports every broken rule, in fleet's order.
pub fn check_options(options: &[UnitOption]) -> Result<(), Vec<OptionError>> {
    let mut errors = Vec::new();
    if options.is_empty() {
        errors.push(OptionError::None);
    }
    for option in options {
        if line_too_long(option) {
            errors.push(OptionError::LineTooLong { name: option.name.clone() });
        }
        if option.section.contains([']', '\n']) {
            errors.push(OptionError::BadSection { section: option.section.clone() });
        }
    }
    errors.extend(check_requirements(options));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_requirements(options: &[UnitOption]) -> Vec<OptionError> {
    let mut errors = Vec::new();
    let peers = values(options, &["X-ConditionMachineOf", "MachineOf"]);
    let conflicts = globs(&values(options, &["X-Conflicts", "Conflicts"]));
    let replaces = globs(&values(options, &["Replaces"]));
    for (key, patterns) in [("Conflicts", &conflicts), ("Replaces", &replaces)] {
        for peer in &peers {
            errors.extend(patterns.iter().filter(|pattern| matches_glob(pattern, peer)).map(|pattern| {
                OptionError::Unresolvable { peer: peer.clone(), key, pattern: pattern.clone() }
            }));
        }
    }
    let machine_keys = ["MachineID", "X-ConditionMachineID", "X-ConditionMachineBootID"];
    let present = [
        ("MachineOf", !peers.is_empty()),
        ("Conflicts", !conflicts.is_empty()),
        ("Global", is_global(options)),
        ("Replaces", !replaces.is_empty()),
    ];
    let first =
        |keys: &[&str]| present.iter().find(|(key, there)| *there && keys.contains(key)).map(|(key, _)| *key);
    if !values(options, &machine_keys).is_empty()
        && let Some(other) = first(&["MachineOf", "Conflicts", "Global", "Replaces"])
    {
        errors.push(OptionError::MachineIdWith { other });
    }
    if is_global(options)
        && let Some(other) = first(&["MachineOf", "Replaces"])
    {
        errors.push(OptionError::GlobalWith { other });
    }
    if !conflicts.is_empty() && !replaces.is_empty() {
        errors.push(OptionError::ConflictsWithReplaces);
    }
    errors
}

/// Whether the unit runs on every machine. The last value of `Global` counts; true, yes, 1, on and t say so.
#[must_use]
pub fn is_global(options: &[UnitOption]) -> bool {
    let last = values(options, &["Global"]).pop().unwrap_or_default().to_ascii_lowercase();
    ["true", "yes", "1", "on", "t"].contains(&last.as_str())
}

/// The values of these keys in `[X-Fleet]`, key by key. A value in double quotes is a list: `"a=1" "b=2"` are two.
#[must_use]
pub fn values(options: &[UnitOption], keys: &[&str]) -> Vec<String> {
    let of_key = |key: &&str| {
        let key = (*key).to_owned();
        options.iter().filter(move |option| option.section == "X-Fleet" && option.name == key)
    };
    keys.iter().flat_map(of_key).flat_map(|option| split_quoted(&option.value)).collect()
}

fn split_quoted(line: &str) -> Vec<String> {
    if line.len() < 2 || !line.starts_with('"') || !line.ends_with('"') {
        return vec![line.to_owned()];
    }
    let mut quoted = false;
    let mut values = vec![String::new()];
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => values.push(String::new()),
            other => values.last_mut().into_iter().for_each(|value| value.push(other)),
        }
    }
    values
}

fn globs(values: &[String]) -> Vec<String> {
    values.iter().flat_map(|value| value.split_whitespace()).map(str::to_owned).collect()
}

/// Whether a name matches a pattern of `*`, `?` and literal characters, as `Conflicts` has them.
#[must_use]
pub fn matches_glob(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == name[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                // Let the last star swallow one character more, or give up.
                let Some((star_at, swallowed)) = star else { return false };
                star = Some((star_at, swallowed + 1));
                (at, read) = (star_at + 1, swallowed + 1);
            }
        }
    }
    pattern[at..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fleet: &[(&str, &str)], expected: &[OptionError]) {
        let options = fleet.iter().map(|(name, value)| UnitOption {
            section: "X-Fleet".into(),
            name: (*name).into(),
            value: (*value).into(),
        });
        let options: Vec<_> = options.collect();
        let found = check_options(&options).err().unwrap_or_default();
        assert_eq!(found, expected, "{fleet:?}");
    }

    #[test]
    fn combinations_that_fleet_refuses() {
        check(
            &[("MachineID", "x"), ("MachineOf", "a.service")],
            &[OptionError::MachineIdWith { other: "MachineOf" }],
        );
        check(
            &[("MachineID", "x"), ("Conflicts", "a*")],
            &[OptionError::MachineIdWith { other: "Conflicts" }],
        );
        check(
            &[("X-ConditionMachineID", "x"), ("Global", "YES")],
            &[OptionError::MachineIdWith { other: "Global" }],
        );
        check(&[("MachineID", "x"), ("Replaces", "a*")], &[OptionError::MachineIdWith { other: "Replaces" }]);
        check(
            &[("Global", "t"), ("MachineOf", "a.service")],
            &[OptionError::GlobalWith { other: "MachineOf" }],
        );
        check(&[("Global", "1"), ("Replaces", "a*")], &[OptionError::GlobalWith { other: "Replaces" }]);
        check(&[("Conflicts", "b*"), ("Replaces", "a*")], &[OptionError::ConflictsWithReplaces]);
    }

    #[test]
    fn a_peer_may_not_be_a_conflict() {
        let error = |key, pattern: &str| OptionError::Unresolvable {
            peer: "x.service".into(),
            key,
            pattern: pattern.into(),
        };
        check(&[("MachineOf", "x.service"), ("Conflicts", "y* x*")], &[error("Conflicts", "x*")]);
        check(&[("MachineOf", "x.service"), ("Replaces", "?.service")], &[error("Replaces", "?.service")]);
    }

    #[test]
    fn combinations_that_fleet_accepts() {
        check(&[("Global", "true"), ("Conflicts", "a*"), ("MachineMetadata", "a=1")], &[]);
        check(&[("Global", "true"), ("Global", "false"), ("MachineOf", "a.service")], &[]);
        check(&[("NoSuchKey", "x")], &[]);
        assert_eq!(check_options(&[]), Err(vec![OptionError::None]));
    }

    #[test]
    fn quoted_values_are_lists() {
        assert_eq!(split_quoted("\"a=1\" \"b=2 3\""), ["a=1", "b=2 3"]);
        assert_eq!(split_quoted("a=1 b"), ["a=1 b"]);
        assert_eq!(split_quoted("\""), ["\""]);
    }

    #[test]
    fn globs_match_like_a_shell() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcd", false),
            ("?", "é", true),
            ("", "a", false),
            ("**a*", "bba", true),
        ] {
            assert_eq!(matches_glob(pattern, name), expected, "{pattern} {name}");
        }
    }
}
