//! The terminal: another screen without a cursor, which is given back as it was however the demo ends.
//!
//! Some escape sequences that every terminal of the last thirty years knows are all that is needed: no crate for them.

use std::io::{self, IsTerminal as _, Write as _};

use super::view::Style;

/// Another screen, without a cursor, empty.
const ENTER: &str = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J";
/// All of that taken back.
const LEAVE: &str = "\u{1b}[0m\u{1b}[?25h\u{1b}[?1049l";
/// How large a terminal is that does not say.
const SIZE_DEFAULT: (usize, usize) = (80, 24);

/// Whether a view can be shown that changes.
pub(super) fn is_able() -> bool {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    io::stdout().is_terminal() && !is_dumb
}

/// What the terminal can show, by what its user says.
pub(super) fn style() -> Style {
    let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = said("LC_ALL").or_else(|| said("LC_CTYPE")).or_else(|| said("LANG")).unwrap_or_default();
    let locale = locale.to_lowercase();
    Style { colour: said("NO_COLOR").is_none(), unicode: locale.contains("utf-8") || locale.contains("utf8") }
}

/// Columns and rows.
pub(super) fn size() -> (usize, usize) {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    let size = size.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    size.ok().filter(|(columns, rows)| *columns > 0 && *rows > 0).unwrap_or(SIZE_DEFAULT)
}

/// The other screen.
#[derive(Debug)]
pub(super) struct Screen {
    shown: Vec<String>,
    size: (usize, usize),
}

impl Screen {
    /// Goes to the other screen. A panic leaves it first, so that its message is seen.
    pub(super) fn enter() -> io::Result<Self> {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            hook(panic);
        }));
        write(ENTER)?;
        Ok(Self { shown: Vec::new(), size: size() })
    }

    /// Shows lines that fit the size. Only those are written that changed.
    pub(super) fn draw(&mut self, lines: Vec<String>, size: (usize, usize)) -> io::Result<()> {
        let mut changes = String::new();
        if size != self.size {
            // A terminal that got another size shows who knows what.
            changes += "\u{1b}[2J";
            self.shown.clear();
            self.size = size;
        }
        changes += &changed(&self.shown, &lines);
        self.shown = lines;
        if changes.is_empty() { Ok(()) } else { write(&changes) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

/// What takes a screen from some lines to others.
fn changed(from: &[String], to: &[String]) -> String {
    let mut changes = String::new();
    for row in 0..from.len().max(to.len()) {
        let line = to.get(row).map_or("", String::as_str);
        if from.get(row).map(String::as_str) != Some(line) {
            changes.extend(["\u{1b}[", &(row + 1).to_string(), ";1H", line, "\u{1b}[K"]);
        }
    }
    changes
}

fn leave() {
    // There is nobody left to tell if that fails.
    let _ = write(LEAVE);
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_changed_are_written() {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let before = lines(&["a", "b", "c"]);
        assert_eq!(changed(&before, &before), "");
        assert_eq!(changed(&before, &lines(&["a", "x", "c"])), "\u{1b}[2;1Hx\u{1b}[K");
        assert_eq!(changed(&before, &lines(&["a", "b"])), "\u{1b}[3;1H\u{1b}[K");
    }
}
