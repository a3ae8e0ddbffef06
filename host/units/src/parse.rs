//! The reader of unit files. Where systemd and fleet disagree, systemd says what the file means and the value takes
//! the form in which fleet hands exactly that on.

use crate::UnitOption;

use super::text::{grouped, line_too_long};

/// The longest file, in bytes. etcd takes values up to 1.5 MB by default, and fleet stores a unit as one value.
pub const FILE_BYTES_MAX: usize = 1 << 20;

/// How many mistakes are reported: enough to mend a file in one go, and a file of garbage stays readable.
const ERRORS_MAX: usize = 50;

/// How much of an offending text is repeated, in characters: it must fit a line of a terminal.
const EXCERPT_CHARS_MAX: usize = 60;

/// A mistake and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct Error {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a line of a unit file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is longer than [`FILE_BYTES_MAX`]; nothing of it was read.
    #[error("the file has {bytes} bytes; a unit file has at most {FILE_BYTES_MAX}")]
    FileTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The bytes are not text; nothing behind them was read.
    #[error("this is not UTF-8 text")]
    NotUtf8,
    /// A NUL byte.
    #[error("a NUL byte: is this a binary file?")]
    Nul,
    /// The file starts with U+FEFF.
    #[error("the file starts with a byte order mark; save it as plain UTF-8")]
    ByteOrderMark,
    /// A carriage return, most likely before each newline. Only the first one is reported.
    #[error("a carriage return; save the file with Unix line ends (LF, not CRLF)")]
    CarriageReturn,
    /// An assignment before the first section.
    #[error("`{text}` stands before the first section; a header such as `[Service]` is missing")]
    OutsideSection {
        /// The line.
        text: String,
    },
    /// A header without `]`.
    #[error("`{text}` lacks its closing `]`")]
    UnclosedSection {
        /// The line.
        text: String,
    },
    /// A header with something behind it.
    #[error("`{text}` stands behind the `]` of a section header")]
    AfterSection {
        /// What stands there.
        text: String,
    },
    /// A header whose name is empty, has blanks around it or contains `[`.
    #[error("`[{name}]` does not name a section")]
    BadSection {
        /// What stands between the brackets.
        name: String,
    },
    /// A line that is neither header, comment nor assignment.
    #[error("`{text}` has no `=`; if it continues the line above, that one must end in a backslash")]
    NoEquals {
        /// The line.
        text: String,
    },
    /// An assignment without a key.
    #[error("nothing stands before the `=`")]
    NoKey,
    /// A backslash that would continue the line if no blanks came after it. systemd's versions differ on it.
    #[error("blanks follow the backslash, so the line does not continue; take them out")]
    BlankAfterBackslash,
    /// A line longer than fleet takes.
    #[error("a line of `{name}` is longer than {} bytes; break it with a backslash", super::LINE_BYTES_MAX)]
    LineTooLong {
        /// The key.
        name: String,
    },
}

/// Reads a unit file from bytes that may not be text.
pub fn parse_bytes(bytes: &[u8]) -> Result<Vec<UnitOption>, Vec<Error>> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(vec![too_long(bytes.len())]);
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let line = good.matches('\n').count() + 1;
            let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            Err(vec![Error { line, column, problem: Problem::NotUtf8 }])
        }
    }
}

/// Reads a unit file: its options as fleet would give them back, so in order and sections brought together; or every
/// mistake in it, in order and up to a limit.
///
/// Comments begin with `#` or `;`. A backslash at the end continues a line; comment lines in between are left out and a
/// blank line ends the value, both as in systemd. An empty value is kept, as it clears what came before.
pub fn parse(text: &str) -> Result<Vec<UnitOption>, Vec<Error>> {
    if text.len() > FILE_BYTES_MAX {
        return Err(vec![too_long(text.len())]);
    }
    let mut reader = Reader::default();
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    if body.len() < text.len() {
        reader.error(1, 1, Problem::ByteOrderMark);
    }
    for (index, line) in body.split('\n').enumerate() {
        reader.line(index + 1, line);
    }
    reader.finish();
    if reader.errors.is_empty() { Ok(grouped(reader.options)) } else { Err(reader.errors) }
}

fn too_long(bytes: usize) -> Error {
    Error { line: 1, column: 1, problem: Problem::FileTooLong { bytes } }
}

#[derive(Default)]
struct Reader {
    section: Option<String>,
    /// An option whose value goes on.
    pending: Option<Pending>,
    options: Vec<UnitOption>,
    errors: Vec<Error>,
    carriage_returns: usize,
}

struct Pending {
    option: UnitOption,
    line: usize,
    /// Whether the option is reported; one with a mistake is only read to its end.
    validity: Validity,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Validity {
    Good,
    Faulty,
}

impl Reader {
    fn error(&mut self, line: usize, column: usize, problem: Problem) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(Error { line, column, problem });
        }
    }

    fn line(&mut self, number: usize, line: &str) {
        if let Some(at) = line.find('\0') {
            self.error(number, column(line, at), Problem::Nul);
        }
        if let Some(at) = line.find('\r') {
            self.carriage_returns += 1;
            if self.carriage_returns == 1 {
                self.error(number, column(line, at), Problem::CarriageReturn);
            }
        }
        let line = line.trim_end_matches('\r');
        if self.pending.is_some() {
            self.continued(number, line);
            return;
        }
        let trimmed = line.trim();
        let indent = column(line, line.len() - line.trim_start().len());
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            return;
        }
        match trimmed.strip_prefix('[') {
            Some(header) => self.header(number, indent, header),
            None => self.assignment(number, indent, line),
        }
    }

    fn header(&mut self, number: usize, indent: usize, header: &str) {
        let (name, rest) = header.split_once(']').unwrap_or((header, ""));
        let rest = rest.trim();
        if name.len() == header.len() {
            self.error(number, indent, Problem::UnclosedSection { text: excerpt(&format!("[{header}")) });
        } else if !rest.is_empty() {
            let at = indent + 1 + column(header, header.len() - rest.len()) - 1;
            self.error(number, at, Problem::AfterSection { text: excerpt(rest) });
        } else if name.is_empty() || name.trim() != name || name.contains('[') {
            self.error(number, indent, Problem::BadSection { name: excerpt(name) });
        }
        // A broken header opens a section too: what follows is not to blame.
        self.section = Some(name.to_owned());
    }

    fn assignment(&mut self, number: usize, indent: usize, line: &str) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        let mut validity = Validity::Faulty;
        if self.section.is_none() {
            self.error(number, indent, Problem::OutsideSection { text: excerpt(line.trim()) });
        } else if name.len() == line.len() {
            self.error(number, indent, Problem::NoEquals { text: excerpt(line.trim()) });
        } else if name.trim().is_empty() {
            self.error(number, indent, Problem::NoKey);
        } else {
            validity = Validity::Good;
        }
        let value = if name.len() == line.len() { line } else { value };
        let option = UnitOption {
            section: self.section.clone().unwrap_or_default(),
            name: name.trim().to_owned(),
            value: String::new(),
        };
        self.pending = Some(Pending { option, line: number, validity });
        if value.trim().is_empty() {
            self.finish();
        } else {
            self.extend(number, column(line, line.len() - value.len()), value);
        }
    }

    fn continued(&mut self, number: usize, line: &str) {
        if line.trim_start_matches([' ', '\t']).starts_with(['#', ';']) {
            return;
        }
        if line.trim().is_empty() { self.finish() } else { self.extend(number, 1, line) }
    }

    /// Appends what stands from column `from` on to the pending value, and ends it unless the line continues.
    fn extend(&mut self, number: usize, from: usize, line: &str) {
        let Some(pending) = &mut self.pending else { return };
        pending.option.value.push_str(line);
        let unescaped = line.trim_end_matches('\\');
        let backslashes = line.len() - unescaped.len();
        if backslashes > 0 {
            // fleet goes on reading after any backslash. A newline in the value makes it write a blank line behind the
            // option, which ends the value for fleet, and for systemd when the backslash was an escaped one.
            pending.option.value.push('\n');
        } else if line.trim_end().ends_with('\\') && pending.validity == Validity::Good {
            pending.validity = Validity::Faulty;
            self.error(number, from - 1 + column(line, line.trim_end().len()), Problem::BlankAfterBackslash);
        }
        if backslashes.is_multiple_of(2) {
            self.finish();
        }
    }

    /// Ends the pending value, at the end of the file too.
    fn finish(&mut self) {
        let Some(Pending { mut option, line, validity }) = self.pending.take() else { return };
        let dangling = option.value.ends_with('\n');
        let trimmed = option.value.trim();
        option.value = if dangling { format!("{trimmed}\n") } else { trimmed.to_owned() };
        if validity == Validity::Faulty {
            return;
        }
        if line_too_long(&option) {
            self.error(line, 1, Problem::LineTooLong { name: excerpt(&option.name) });
        }
        self.options.push(option);
    }
}

/// The column of a byte offset, in characters from 1.
fn column(line: &str, at: usize) -> usize {
    line.get(..at).unwrap_or(line).chars().count() + 1
}

/// The start of a text, with nothing in it that could disturb a terminal.
fn excerpt(text: &str) -> String {
    let printable = |character: char| if character.is_control() { '\u{fffd}' } else { character };
    let mut short: String = text.chars().map(printable).take(EXCERPT_CHARS_MAX).collect();
    if text.chars().nth(EXCERPT_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
