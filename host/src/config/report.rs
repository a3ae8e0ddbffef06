//! What is wrong with a configuration, in the form in which people read it: place, offending line, and what would be
//! right. Nothing here decides what is wrong.

use std::fmt::{self, Write as _};

use super::tree::Span;

/// How many errors and warnings are kept. Nobody reads more, and the time a hostile file takes stays bounded.
const DIAGNOSTICS_MAX: usize = 100;

/// The longest piece of a line that is shown, in characters: the stored configuration is one line of kilobytes.
const LINE_CHARS_MAX: usize = 110;

/// A text that diagnostics point into.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    /// The file's name as the user gave it, or the key in etcd.
    pub(crate) name: String,
    lines: Vec<&'a str>,
    /// All of it.
    pub(crate) text: &'a str,
}

impl<'a> Source<'a> {
    /// Takes a text apart into its lines.
    pub(crate) fn new(name: String, text: &'a str) -> Self {
        Self { name, lines: text.lines().collect(), text }
    }

    /// The place of `span`, with the line it is on.
    pub(crate) fn place(&self, span: Span) -> Place {
        let line =
            span.line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or_default();
        Place { file: self.name.clone(), span, line: line.to_owned() }
    }

    /// `file:line`, to name a second place in a note.
    pub(crate) fn short(&self, span: Span) -> String {
        format!("{}:{}", self.name, span.line)
    }
}

/// Where something is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    file: String,
    span: Span,
    line: String,
}

/// Whether a configuration with this can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Error,
    Warning,
}

/// One thing that is wrong, or looks wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    severity: Severity,
    message: String,
    place: Option<Place>,
    note: Option<String>,
    help: Option<String>,
}

impl Diagnostic {
    /// Place, message and help.
    fn line(&self) -> String {
        let place = self.place.as_ref().filter(|place| place.span.line > 0);
        let place = place.map(|place| format!("{}:{}:{}: ", place.file, place.span.line, place.span.column));
        let more = [&self.note, &self.help].into_iter().flatten().map(|text| format!("; {text}"));
        printable(&format!("{}{}{}", place.unwrap_or_default(), self.message, more.collect::<String>()))
    }

    /// Something that makes the configuration unusable.
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), place: None, note: None, help: None }
    }

    /// Something that is probably not meant.
    pub(crate) fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Says where.
    pub(crate) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Adds a fact, such as a second place.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Says what would be right.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// As [`Self::help`], when there is something to say.
    pub(crate) fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }
}

/// Everything that is wrong with a configuration. Its [`Display`](fmt::Display) form is the text for people: errors
/// and warnings by file and line, each with the offending line and with help, and ends with a line break.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    errors: usize,
    /// How many of the errors are of modules.
    of_modules: usize,
    warnings: usize,
}

impl Report {
    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Whether the configuration can be used: all of its errors are of modules, and end no more than their policies.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.errors == self.of_modules
    }

    /// How many warnings there are.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.warnings
    }

    /// The message of each warning without its place, in the order of the report; for logs.
    pub fn warning_messages(&self) -> impl Iterator<Item = &str> {
        let warnings = self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning);
        warnings.map(|diagnostic| diagnostic.message.as_str())
    }

    /// Everything in one line, with places and help; for logs.
    pub(crate) fn line(&self) -> String {
        let said: Vec<String> = self.diagnostics.iter().map(Diagnostic::line).collect();
        said.join("; ")
    }

    /// Adds what is wrong with the module of a policy.
    pub(crate) fn add_of_module(&mut self, found: Self) {
        let before = self.errors;
        found.diagnostics.into_iter().for_each(|diagnostic| self.add(diagnostic));
        self.of_modules += self.errors - before;
    }

    /// Adds a diagnostic, unless it is there already (an alias repeats its mistakes) or there are too many.
    pub(crate) fn add(&mut self, diagnostic: Diagnostic) {
        if self.diagnostics.contains(&diagnostic) {
            return;
        }
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if !self.is_full() {
            self.diagnostics.push(diagnostic);
        }
    }

    /// Whether further diagnostics are only counted, so that the caller need not look for help.
    pub(crate) fn is_full(&self) -> bool {
        self.diagnostics.len() >= DIAGNOSTICS_MAX
    }

    /// Brings the diagnostics into the order in which they are shown: those of `main`, then by file, line and column.
    pub(crate) fn sort(&mut self, main: &str) {
        self.diagnostics.sort_by(|a, b| {
            let key = |diagnostic: &Diagnostic| {
                diagnostic.place.as_ref().map(|place| (place.file != main, place.file.clone(), place.span))
            };
            key(a).cmp(&key(b))
        });
    }
}

impl std::error::Error for Report {}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            write!(f, "{diagnostic}")?;
        }
        let hidden = self.errors + self.warnings - self.diagnostics.len();
        if hidden > 0 { writeln!(f, "\n... and {hidden} more") } else { Ok(()) }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}: {}", printable(&self.message))?;
        let mut gutter = String::from(" ");
        if let Some(place) = &self.place {
            gutter = " ".repeat(place.span.line.to_string().len() + 1);
            place.fmt_with(f, &gutter)?;
        }
        if let Some(note) = &self.note {
            writeln!(f, "{gutter}= note: {}", printable(note))?;
        }
        match &self.help {
            Some(help) => writeln!(f, "{gutter}= help: {}", printable(help)),
            None => Ok(()),
        }
    }
}

impl Place {
    fn fmt_with(&self, f: &mut fmt::Formatter<'_>, gutter: &str) -> fmt::Result {
        let Span { line, column, len } = self.span;
        let arrow = &gutter[1..];
        if line == 0 {
            return writeln!(f, "{arrow}--> {}", printable(&self.file));
        }
        writeln!(f, "{arrow}--> {}:{line}:{column}", printable(&self.file))?;
        let chars: Vec<char> = self.line.chars().collect();
        let at = column.saturating_sub(1).min(chars.len());
        let start = if chars.len() <= LINE_CHARS_MAX { 0 } else { at.saturating_sub(LINE_CHARS_MAX / 2) };
        let end = chars.len().min(start + LINE_CHARS_MAX);
        let (before, after) =
            (if start > 0 { "..." } else { "" }, if end < chars.len() { "..." } else { "" });
        let shown = printable(&chars[start..end].iter().collect::<String>());
        let indent = " ".repeat(before.len() + at - start);
        let carets = "^".repeat(len.clamp(1, (end - at).max(1)));
        writeln!(f, "{gutter}|")?;
        writeln!(f, "{line} | {}", format!("{before}{shown}{after}").trim_end())?;
        writeln!(f, "{gutter}| {indent}{carets}")
    }
}

/// Replaces what would move the cursor or colour the terminal, one character for one, so that carets stay in place.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}
