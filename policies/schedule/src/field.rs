//! One field of a cron pattern: `*`, `5`, `1-5`, `*/15`, `8-18/2`, `MON`, and lists of these.

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// The numbers that a field names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Field {
    /// A bit for each.
    bits: u64,
    /// Whether it is `*`, or begins so.
    any: bool,
}

/// What may be in a field.
#[derive(Clone, Copy)]
struct Range {
    what: &'static str,
    first: u8,
    last: u8,
    /// Names of the numbers from `first` on.
    names: &'static [&'static str],
}

impl Field {
    pub(crate) fn minute(text: &str) -> Result<Self, String> {
        Range { what: "minute", first: 0, last: 59, names: &[] }.read(text)
    }

    pub(crate) fn hour(text: &str) -> Result<Self, String> {
        Range { what: "hour", first: 0, last: 23, names: &[] }.read(text)
    }

    pub(crate) fn day(text: &str) -> Result<Self, String> {
        Range { what: "day of the month", first: 1, last: 31, names: &[] }.read(text)
    }

    pub(crate) fn month(text: &str) -> Result<Self, String> {
        Range { what: "month", first: 1, last: 12, names: &MONTHS }.read(text)
    }

    /// Sunday is 0, and 7 as well.
    pub(crate) fn weekday(text: &str) -> Result<Self, String> {
        let Self { bits, any } =
            Range { what: "day of the week", first: 0, last: 7, names: &WEEKDAYS }.read(text)?;
        Ok(Self { bits: bits | (bits >> 7), any })
    }

    pub(crate) fn has(self, number: i8) -> bool {
        (self.bits >> number.unsigned_abs()) & 1 == 1
    }

    /// Whether it does not restrict anything, for the rule about the two kinds of days.
    pub(crate) fn is_any(self) -> bool {
        self.any
    }
}

impl Range {
    fn read(self, text: &str) -> Result<Field, String> {
        let mut bits = 0;
        for part in text.split(',') {
            bits |= self.part(part)?;
        }
        Ok(Field { bits, any: text.starts_with('*') })
    }

    fn part(self, part: &str) -> Result<u64, String> {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let (start, end) = match range.split_once('-') {
            _ if range == "*" => (self.first, self.last),
            Some((start, end)) => (self.number(start)?, self.number(end)?),
            None if step.is_some() => (self.number(range)?, self.last),
            None => (self.number(range)?, self.number(range)?),
        };
        let step = step.map_or(Some(1), |step| step.parse().ok()).filter(|&step| step > 0);
        let Some(step) = step.filter(|_| start <= end) else {
            return Err(format!("`{part}` is no range for the {}", self.what));
        };
        Ok((start..=end).step_by(step).fold(0, |bits, number| bits | 1 << number))
    }

    fn number(self, text: &str) -> Result<u8, String> {
        let named = self.names.iter().zip(self.first..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let number = named.map(|(_, number)| number).or_else(|| text.parse().ok());
        number
            .filter(|number| (self.first..=self.last).contains(number))
            .ok_or_else(|| format!("`{text}` is no {}: {} to {} are", self.what, self.first, self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(field: Result<Field, String>) -> Vec<i8> {
        let field = field.unwrap();
        (0..64).filter(|&number| field.has(number)).collect()
    }

    #[test]
    fn fields_name_numbers() {
        assert_eq!(numbers(Field::hour("8")), [8]);
        assert_eq!(numbers(Field::hour("8-10,20")), [8, 9, 10, 20]);
        assert_eq!(numbers(Field::minute("*/20")), [0, 20, 40]);
        assert_eq!(numbers(Field::minute("50/5")), [50, 55]);
        assert_eq!(numbers(Field::hour("8-18/4")), [8, 12, 16]);
        assert_eq!(numbers(Field::month("jan-MAR")), [1, 2, 3]);
        assert_eq!(numbers(Field::weekday("MON-FRI")), [1, 2, 3, 4, 5]);
        assert_eq!(numbers(Field::day("*")).len(), 31);
        assert!(numbers(Field::weekday("5-7")).contains(&0), "7 is Sunday");
    }

    #[test]
    fn what_is_no_field_is_refused() {
        for wrong in ["", "24", "-1", "x", "1-", "3-2", "*/0", "1/2/3", "1,,2", "**", "*-3", "+", "256"] {
            assert!(Field::hour(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Field::hour("24").unwrap_err(), "`24` is no hour: 0 to 23 are");
        assert_eq!(Field::hour("3-2").unwrap_err(), "`3-2` is no range for the hour");
        assert_eq!(Field::weekday("NEVER").unwrap_err(), "`NEVER` is no day of the week: 0 to 7 are");
    }
}
