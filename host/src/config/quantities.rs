//! What a call of a module may use, as it is written: memory with a unit, time with a unit, fuel without one.

use std::time::Duration;

use super::read::{At, Fields, Reader};
use super::suggest::one_of;
use super::tree::{Node, Value};
use crate::wasm::Limits;

/// The units of memory, in bytes.
pub(super) const MEMORY_UNITS: &[(&str, u64)] = &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
/// The units of time, in milliseconds.
pub(super) const TIME_UNITS: &[(&str, u64)] = &[("ms", 1), ("s", 1000)];

/// Whole numbers below this are exact as floating-point numbers.
const FLOAT_EXACT_MAX: f64 = 9_007_199_254_740_992.0;
/// The least memory, in bytes: one page.
pub(super) const MEMORY_BYTES_MIN: u64 = 64 << 10;

impl Reader<'_> {
    /// `memory`, in bytes.
    pub(crate) fn memory(&mut self, limits: &Fields<'_>) -> Option<At<usize>> {
        let node = limits.get("memory")?;
        let bytes = match &node.value {
            Value::Int(bytes) => u64::try_from(*bytes).ok(),
            Value::Text(text) => quantity(text, MEMORY_UNITS),
            _ => None,
        };
        let Some(bytes) = bytes else {
            let help = unit_meant(node, &[("K", "KiB"), ("M", "MiB"), ("G", "GiB")]);
            let help = help.unwrap_or_else(|| format!("units are {}", units(MEMORY_UNITS)));
            self.wrong_form("`memory`", "a size such as `16MiB`", node, Some(help));
            return None;
        };
        let max = Limits::MEMORY_BYTES_MAX as u64;
        if !(MEMORY_BYTES_MIN..=max).contains(&bytes) {
            let message = format!("`memory` must be from 64KiB to {}MiB, found `{node}`", max >> 20);
            self.error(node.span, message, None);
            return None;
        }
        Some(At { value: usize::try_from(bytes).ok()?, span: node.span })
    }

    /// `time`.
    pub(crate) fn time(&mut self, limits: &Fields<'_>) -> Option<At<Duration>> {
        let node = limits.get("time")?;
        let time_ms = match &node.value {
            Value::Text(text) => quantity(text, TIME_UNITS),
            _ => None,
        };
        let Some(time) = time_ms.map(Duration::from_millis) else {
            let help = match &node.value {
                Value::Int(number) => {
                    let fits = |factor: u64| {
                        let max_ms = i128::try_from(Limits::TIME_MAX.as_millis()).unwrap_or(i128::MAX);
                        (1..=max_ms / i128::from(factor)).contains(number)
                    };
                    let fitting = TIME_UNITS.iter().filter(|(_, factor)| fits(*factor));
                    let said: Vec<String> = fitting.map(|(unit, _)| format!("`{number}{unit}`")).collect();
                    (!said.is_empty()).then(|| format!("write the unit: {}", said.join(", or ")))
                }
                _ => unit_meant(node, &[("msec", "ms"), ("millis", "ms"), ("sec", "s"), ("S", "s")]),
            };
            let help = help.unwrap_or_else(|| format!("units are {}", units(TIME_UNITS)));
            self.wrong_form("`time`", "a time such as `100ms`", node, Some(help));
            return None;
        };
        if time.is_zero() || time > Limits::TIME_MAX {
            let max = Limits::TIME_MAX.as_secs();
            self.error(node.span, format!("`time` must be from 1ms to {max}s, found `{node}`"), None);
            return None;
        }
        Some(At { value: time, span: node.span })
    }

    /// `fuel`, in wasmtime's units.
    pub(crate) fn fuel(&mut self, limits: &Fields<'_>) -> Option<At<u64>> {
        let node = limits.get("fuel")?;
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^53")]
        let fuel = match node.value {
            Value::Int(fuel) => Some(fuel),
            // `1e6`, as large numbers are written.
            Value::Float(fuel) if fuel.fract() == 0.0 && fuel.abs() < FLOAT_EXACT_MAX => Some(fuel as i128),
            _ => None,
        };
        let Some(fuel) = fuel else {
            self.wrong_form("`fuel`", "a whole number", node, None);
            return None;
        };
        if let Ok(value @ 1..) = u64::try_from(fuel) {
            return Some(At { value, span: node.span });
        }
        let message = format!("`fuel` must be from 1 to {}, found `{node}`", u64::MAX);
        self.error(node.span, message, None);
        None
    }
}

/// A whole number and one of the units, with or without blanks between them.
fn quantity(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, unit) = split(text);
    let (_, factor) = units.iter().find(|(known, _)| *known == unit)?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

/// What was meant by a unit that is written in another way: the first whose beginning it has, in any case.
fn unit_meant(node: &Node, other: &[(&str, &str)]) -> Option<String> {
    let Value::Text(text) = &node.value else { return None };
    let (digits, unit) = split(text);
    let number: u64 = digits.parse().ok()?;
    let unit = unit.to_lowercase();
    let (_, right) = other.iter().find(|(known, _)| unit.starts_with(&known.to_lowercase()))?;
    Some(format!("did you mean `{number}{right}`?"))
}

fn units(units: &[(&str, u64)]) -> String {
    one_of(units.iter().map(|(unit, _)| *unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_a_whole_number_and_a_unit() {
        for (text, bytes) in [
            ("16MiB", Some(16 << 20)),
            (" 64 MiB ", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("512KiB", Some(512 << 10)),
            ("16", None),
            ("MiB", None),
            ("-1MiB", None),
            ("1.5MiB", None),
            ("16MB", None),
            ("99999999999999999999GiB", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(quantity(text, MEMORY_UNITS), bytes, "{text}");
        }
        assert_eq!(quantity("2s", TIME_UNITS), Some(2000));
    }
}
