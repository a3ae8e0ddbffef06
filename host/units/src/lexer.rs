//! How fleetd reads the text of a unit again after storing it.
//!
//! This is deliberately not [`parse`](crate::parse()): fleetd is laxer, knows no comments
//! within a continued value, and takes every backslash at the end of a line for a continuation. A client has to send
//! what survives this.

use crate::LINE_BYTES_MAX;
use crate::UnitOption;

/// Why fleetd cannot read a text, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A line does not fit fleetd's limit.
    #[error("line too long (max {} bytes)", LINE_BYTES_MAX + 1)]
    LineTooLong,
    /// A `[` without a `]`.
    #[error("unable to find end of section")]
    UnclosedSection,
    /// Something follows the `]`. fleetd prints the bytes as numbers.
    #[error("found garbage after section name : {0:?}")]
    AfterSection(Vec<u8>),
    /// A line without `=`.
    #[error("unexpected newline encountered while parsing option name")]
    NoEquals,
    /// The text ends within a key.
    #[error("EOF")]
    Eof,
}

/// Reads a text as fleetd does.
pub fn parse(text: &str) -> Result<Vec<UnitOption>, Error> {
    let mut lexer = Lexer { rest: text };
    let mut options = Vec::new();
    if !lexer.seek_section()? {
        return Ok(options);
    }
    let mut section = lexer.section()?;
    loop {
        lexer.rest = lexer.rest.trim_start();
        lexer.check_line()?;
        match lexer.rest.chars().next() {
            None => return Ok(options),
            Some('[') => {
                lexer.rest = &lexer.rest[1..];
                section = lexer.section()?;
            }
            Some('#' | ';') => lexer.skip_comment(),
            Some(_) => options.push(lexer.option(&section)?),
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    /// Goes behind the next `[`, whatever stands before it; false at the end of the text.
    fn seek_section(&mut self) -> Result<bool, Error> {
        while let Some(at) = self.rest.find(['[', '#', ';']) {
            self.check_line()?;
            let comment = !self.rest[at..].starts_with('[');
            self.rest = &self.rest[at + 1..];
            if !comment {
                return Ok(true);
            }
            self.skip_comment();
        }
        Ok(false)
    }

    fn section(&mut self) -> Result<String, Error> {
        let (name, rest) = self.rest.split_once(']').ok_or(Error::UnclosedSection)?;
        self.rest = rest;
        let (garbage, _) = self.line();
        if garbage.trim().is_empty() {
            Ok(name.to_owned())
        } else {
            Err(Error::AfterSection(garbage.trim().as_bytes().to_vec()))
        }
    }

    fn skip_comment(&mut self) {
        while !self.rest.is_empty() {
            let (line, _) = self.line();
            if !line.strip_suffix(' ').unwrap_or(line).ends_with('\\') {
                return;
            }
        }
    }

    fn option(&mut self, section: &str) -> Result<UnitOption, Error> {
        let at = self.rest.find(['=', '\n', '\r']).ok_or(Error::Eof)?;
        let name = self.rest[..at].trim().to_owned();
        if !self.rest[at..].starts_with('=') {
            return Err(Error::NoEquals);
        }
        self.rest = &self.rest[at + 1..];
        let mut value = String::new();
        loop {
            self.check_line()?;
            let (line, end) = self.line();
            if line.trim().is_empty() {
                break;
            }
            value.push_str(line);
            if !line.ends_with('\\') {
                break;
            }
            if end == LineEnd::Newline {
                value.push('\n');
            }
        }
        let trimmed = value.trim();
        let value = if value.ends_with('\n') { format!("{trimmed}\n") } else { trimmed.to_owned() };
        Ok(UnitOption { section: section.to_owned(), name, value })
    }

    fn line(&mut self) -> (&'a str, LineEnd) {
        match self.rest.split_once('\n') {
            Some((line, rest)) => {
                self.rest = rest;
                (line, LineEnd::Newline)
            }
            None => (std::mem::take(&mut self.rest), LineEnd::EndOfText),
        }
    }

    /// fleetd looks for a line end in the 2,048 bytes before it, when there are as many.
    fn check_line(&self) -> Result<(), Error> {
        let ahead = self.rest.as_bytes().get(..=LINE_BYTES_MAX);
        match ahead {
            Some(bytes) if !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n')) => Err(Error::LineTooLong),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Newline,
    EndOfText,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str, &str)]) {
        let options = parse(text).unwrap();
        let found: Vec<_> =
            options.iter().map(|o| (o.section.as_str(), o.name.as_str(), o.value.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn values_are_trimmed_and_split_at_newlines() {
        check("[S]\nA= x \nB=y\n", &[("S", "A", "x"), ("S", "B", "y")]);
        check("[S]\nA=x \\\n  y \n", &[("S", "A", "x \\\n  y")]);
        check("[S]\nA=x \\\n\nB=y\n", &[("S", "A", "x \\\n"), ("S", "B", "y")]);
        check("noise [S]\n=x\nA=\n[T]\n", &[("S", "", "x"), ("S", "A", "")]);
        check("", &[]);
    }

    #[test]
    fn its_errors_are_fleets() {
        for (text, error) in [
            ("[S] xy\n", "found garbage after section name : [120, 121]"),
            ("[S\n", "unable to find end of section"),
            ("[S]\nabc\n", "unexpected newline encountered while parsing option name"),
            (&format!("[S]\nA={}\n", "v".repeat(2046)), "line too long (max 2048 bytes)"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), error);
        }
        assert!(parse(&format!("[S]\nA={}\n", "v".repeat(2045))).is_ok());
    }
}
