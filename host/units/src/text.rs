//! The text that fleet makes of options, and its hash.

use std::fmt::Write as _;

use sha1::{Digest as _, Sha1};

use crate::UnitOption;

/// The longest line, in bytes and without its newline. systemd once cut lines at 2,048 bytes, so fleet refuses them.
pub const LINE_BYTES_MAX: usize = 2047;

/// The options in the order in which fleet gives them back: sections in order of first appearance, and their options in
/// order. How sections were interleaved is lost.
#[must_use]
pub fn grouped(options: Vec<UnitOption>) -> Vec<UnitOption> {
    let mut sections: Vec<Vec<UnitOption>> = Vec::new();
    for option in options {
        let same = |members: &&mut Vec<UnitOption>| {
            members.first().is_some_and(|first| first.section == option.section)
        };
        match sections.iter_mut().find(same) {
            Some(members) => members.push(option),
            None => sections.push(vec![option]),
        }
    }
    sections.into_iter().flatten().collect()
}

/// The text of a unit file as fleet writes it: grouped by section, with a blank line between sections. No options
/// make an empty text.
#[must_use]
pub fn serialize(options: &[UnitOption]) -> String {
    let mut sections: Vec<(&str, Vec<&UnitOption>)> = Vec::new();
    for option in options {
        match sections.iter_mut().find(|(name, _)| *name == option.section) {
            Some((_, members)) => members.push(option),
            None => sections.push((&option.section, vec![option])),
        }
    }
    let lines = options.iter().map(|option| option.name.len() + option.value.len() + 2).sum::<usize>();
    let headers = sections.iter().map(|(name, _)| name.len() + 4).sum::<usize>();
    let mut text = String::with_capacity(lines + headers);
    for (index, (section, members)) in sections.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{gap}[{section}]");
        for option in members {
            let _ = writeln!(text, "{}={}", option.name, option.value);
        }
    }
    text
}

/// The SHA-1 of the serialised options, 40 lower-case hexadecimal digits: what fleet calls the hash of a unit.
#[must_use]
pub fn hash(options: &[UnitOption]) -> String {
    let digest = Sha1::digest(serialize(options).as_bytes());
    digest.iter().fold(String::with_capacity(40), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether a line of this option is longer than [`LINE_BYTES_MAX`]. Each line of a continued value counts by itself,
/// as fleet looks for a newline within its limit.
#[must_use]
pub fn line_too_long(option: &UnitOption) -> bool {
    let mut lines = option.value.split('\n');
    let first = option.name.len() + 1 + lines.next().unwrap_or_default().len();
    first > LINE_BYTES_MAX || lines.any(|line| line.len() > LINE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(section: &str, name: &str, value: &str) -> UnitOption {
        UnitOption { section: section.into(), name: name.into(), value: value.into() }
    }

    #[test]
    fn the_hash_is_the_one_that_fleet_shows() {
        let options = [option("Service", "ExecStart", "/bin/sleep 3000")];
        assert_eq!(serialize(&options), "[Service]\nExecStart=/bin/sleep 3000\n");
        assert_eq!(hash(&options), "7dc08eb00f0c705e84a61e030d98e8cc3c994954");
    }

    #[test]
    fn order_within_and_of_sections_counts_and_interleaving_does_not() {
        let (a, b, c) = (option("A", "x", "1"), option("A", "y", "2"), option("B", "z", "3"));
        assert_eq!(serialize(&[a.clone(), c.clone(), b.clone()]), "[A]\nx=1\ny=2\n\n[B]\nz=3\n");
        assert_eq!(hash(&[a.clone(), c.clone(), b.clone()]), hash(&[a.clone(), b.clone(), c.clone()]));
        assert_ne!(hash(&[a.clone(), b.clone(), c.clone()]), hash(&[b.clone(), a.clone(), c.clone()]));
        assert_ne!(hash(&[a.clone(), b.clone(), c.clone()]), hash(&[c, a, b]));
        assert_eq!(serialize(&[]), "");
    }

    #[test]
    fn a_line_of_2047_bytes_is_the_longest_one() {
        assert!(!line_too_long(&option("Service", "X", &"v".repeat(2045))));
        assert!(line_too_long(&option("Service", "X", &"v".repeat(2046))));
        let halves = format!("{}\\\n{}", "v".repeat(2000), "v".repeat(2047));
        assert!(!line_too_long(&option("Service", "X", &halves)));
        assert!(line_too_long(&option("Service", "X", &format!("{halves}v"))));
    }
}
