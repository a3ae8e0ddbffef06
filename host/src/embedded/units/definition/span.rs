//! Time spans as systemd writes them: `90`, `5min 20s`, `1.5h`, `infinity`.

use std::time::Duration;

/// The units of time, and the microseconds in each. Longer spellings come first.
const UNITS: [(&str, u64); 29] = [
    ("seconds", 1_000_000),
    ("second", 1_000_000),
    ("sec", 1_000_000),
    ("s", 1_000_000),
    ("minutes", 60_000_000),
    ("minute", 60_000_000),
    ("min", 60_000_000),
    ("months", 2_629_800_000_000),
    ("month", 2_629_800_000_000),
    ("M", 2_629_800_000_000),
    ("msec", 1_000),
    ("ms", 1_000),
    ("m", 60_000_000),
    ("hours", 3_600_000_000),
    ("hour", 3_600_000_000),
    ("hr", 3_600_000_000),
    ("h", 3_600_000_000),
    ("days", 86_400_000_000),
    ("day", 86_400_000_000),
    ("d", 86_400_000_000),
    ("weeks", 604_800_000_000),
    ("week", 604_800_000_000),
    ("w", 604_800_000_000),
    ("years", 31_557_600_000_000),
    ("year", 31_557_600_000_000),
    ("y", 31_557_600_000_000),
    ("usec", 1),
    ("us", 1),
    ("µs", 1),
];

/// A number without a unit counts seconds.
const DEFAULT_UNIT: u64 = 1_000_000;

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// It ends.
    Of(Duration),
    /// It does not.
    Infinite,
}

/// Reads a span; `None` when the text is none.
pub(super) fn parse(text: &str) -> Option<Span> {
    let mut rest = text.trim();
    if rest == "infinity" {
        return Some(Span::Infinite);
    }
    if rest.is_empty() {
        return None;
    }
    let mut micros = 0_u64;
    while !rest.is_empty() {
        let (amount, after) = number(rest)?;
        let after = after.trim_start();
        let name = after.split(|character: char| !character.is_alphabetic()).next().unwrap_or_default();
        let unit = match UNITS.iter().find(|(known, _)| *known == name) {
            Some((_, unit)) => *unit,
            None if name.is_empty() => DEFAULT_UNIT,
            None => return None,
        };
        micros = micros.checked_add(amount.micros(unit)?)?;
        rest = after[name.len()..].trim_start();
    }
    Some(Span::Of(Duration::from_micros(micros)))
}

/// A decimal number: whole part, and the digits behind the point.
struct Amount<'a> {
    whole: u64,
    fraction: &'a str,
}

impl Amount<'_> {
    fn micros(&self, unit: u64) -> Option<u64> {
        let mut micros = self.whole.checked_mul(unit)?;
        let mut part = unit;
        for digit in self.fraction.bytes() {
            part /= 10;
            micros = micros.checked_add(part.checked_mul(u64::from(digit - b'0'))?)?;
        }
        Some(micros)
    }
}

fn number(text: &str) -> Option<(Amount<'_>, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(text);
    let (integer, rest) = text.split_at(whole);
    let Some(behind) = rest.strip_prefix('.') else {
        return Some((Amount { whole: integer.parse().ok()?, fraction: "" }, rest));
    };
    let (fraction, rest) = behind.split_at(digits(behind));
    if fraction.is_empty() {
        return None;
    }
    let whole = if integer.is_empty() { 0 } else { integer.parse().ok()? };
    Some((Amount { whole, fraction }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_sums_of_amounts() {
        for (text, millis) in [
            ("0", 0),
            ("90", 90_000),
            ("2 h", 7_200_000),
            ("2hours", 7_200_000),
            ("5min 20s", 320_000),
            ("5min20s", 320_000),
            ("1.5s", 1_500),
            (".5", 500),
            ("100ms", 100),
            ("1y 12month", 63_115_200_000),
            ("55s500ms", 55_500),
            ("300ms20s 5day", 432_020_300),
            ("2 minutes 1", 121_000),
            ("1500us", 1),
        ] {
            let span = parse(text).map(|span| match span {
                Span::Of(time) => time.as_millis(),
                Span::Infinite => u128::MAX,
            });
            assert_eq!(span, Some(millis), "{text}");
        }
        assert_eq!(parse(" infinity "), Some(Span::Infinite));
        assert_eq!(parse("3 µs"), Some(Span::Of(Duration::from_micros(3))));
    }

    #[test]
    fn nonsense_is_no_span() {
        for text in [
            "",
            " ",
            "soon",
            "-1",
            "1x",
            "s",
            ".",
            "1..5",
            "3.s",
            "1,5",
            "infinity 1",
            "99999999999999999999",
            "9999999999y",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
