//! From bytes of output to lines for the log, bounded in length and in rate.

use std::time::Duration;

use tokio::time::Instant;

use super::super::message::Report;

/// The longest line, in bytes. A log line is for people and fits a screen; what is longer is data.
const LINE_BYTES_MAX: usize = 4096;

/// How many lines may come at once: the start of a talkative program, such as a stack trace of a big one.
const BURST: u32 = 1000;

/// How many lines a second go on for ever. With a hundred units that is as much as the log of Dynamite can take.
const LINES_A_SECOND: u32 = 50;

/// The mark behind a line that was cut.
const CUT: &str = " [cut]";

/// Cuts output into lines and lets only so many through.
pub(super) struct Lines {
    line: Vec<u8>,
    /// Whether the line is longer than what is kept of it.
    overlong: bool,
    tokens: u32,
    refilled: Instant,
    dropped: u64,
}

impl Lines {
    pub(super) fn new(now: Instant) -> Self {
        Self { line: Vec::new(), overlong: false, tokens: BURST, refilled: now, dropped: 0 }
    }

    /// Takes output, and hands on the lines in it that are complete.
    pub(super) fn feed(&mut self, now: Instant, mut bytes: &[u8], hand_on: &mut impl FnMut(Report)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.append(&bytes[..end]);
            self.finish_line(now, hand_on);
            bytes = &bytes[end + 1..];
        }
        self.append(bytes);
    }

    /// Hands on what came without a newline at its end, and how much was left out.
    pub(super) fn flush(&mut self, hand_on: &mut impl FnMut(Report)) {
        self.tell_dropped(hand_on);
        if !self.line.is_empty() {
            self.finish_line(self.refilled, hand_on);
        }
        self.tell_dropped(hand_on);
    }

    /// Whether something was left out and not said yet.
    pub(super) fn owes(&self) -> bool {
        self.dropped > 0
    }

    fn append(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES_MAX - self.line.len();
        self.overlong |= bytes.len() > room;
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish_line(&mut self, now: Instant, hand_on: &mut impl FnMut(Report)) {
        if self.take_token(now) {
            self.tell_dropped(hand_on);
            let mut text: String =
                String::from_utf8_lossy(&self.line).trim_end().chars().map(shown).collect();
            if self.overlong {
                text.push_str(CUT);
            }
            hand_on(Report::Line(text));
        } else {
            self.dropped += 1;
        }
        self.line.clear();
        self.overlong = false;
    }

    /// Says how much was left out.
    pub(super) fn tell_dropped(&mut self, hand_on: &mut impl FnMut(Report)) {
        if self.dropped > 0 {
            hand_on(Report::Dropped(std::mem::take(&mut self.dropped)));
        }
    }

    fn take_token(&mut self, now: Instant) -> bool {
        if self.tokens == 0 {
            // After a flood a whole second's worth comes at once, so that "left out" is said once a second.
            if now.duration_since(self.refilled) < Duration::from_secs(1) {
                return false;
            }
        }
        let seconds = u32::try_from(now.duration_since(self.refilled).as_secs()).unwrap_or(BURST);
        if seconds > 0 {
            self.tokens = seconds.saturating_mul(LINES_A_SECOND).saturating_add(self.tokens).min(BURST);
            self.refilled = now;
        }
        self.tokens -= 1;
        true
    }
}

/// Control characters could do things to a terminal.
fn shown(character: char) -> char {
    if character.is_control() && character != '\t' { '\u{fffd}' } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(lines: &mut Lines, now: Instant, text: &str) -> Vec<Report> {
        let mut reports = Vec::new();
        lines.feed(now, text.as_bytes(), &mut |report| reports.push(report));
        reports
    }

    fn line(text: &str) -> Report {
        Report::Line(text.to_owned())
    }

    #[test]
    fn lines_come_as_they_are_complete() {
        let now = Instant::now();
        let mut lines = Lines::new(now);
        assert_eq!(fed(&mut lines, now, "a\nb"), [line("a")]);
        assert_eq!(fed(&mut lines, now, "c\r\n\n\x1b[2Jd\n"), [line("bc"), line(""), line("\u{fffd}[2Jd")]);
        assert_eq!(fed(&mut lines, now, "end"), []);
        let mut rest = Vec::new();
        lines.flush(&mut |report| rest.push(report));
        lines.flush(&mut |report| rest.push(report));
        assert_eq!(rest, [line("end")]);
    }

    #[test]
    fn a_line_has_a_length() {
        let now = Instant::now();
        let mut lines = Lines::new(now);
        for _ in 0..3 {
            assert_eq!(fed(&mut lines, now, &"x".repeat(3000)), []);
        }
        assert_eq!(fed(&mut lines, now, "\ny\n"), [line(&("x".repeat(LINE_BYTES_MAX) + CUT)), line("y")]);
    }

    #[test]
    fn a_flood_is_cut_and_counted_once_a_second() {
        let start = Instant::now();
        let mut lines = Lines::new(start);
        assert_eq!(fed(&mut lines, start, &"a\n".repeat(5000)).len(), BURST as usize);
        let later = start + Duration::from_secs(1);
        let reports = fed(&mut lines, later, &"a\n".repeat(5000));
        assert_eq!(reports[0], Report::Dropped(4000));
        assert_eq!(reports.len(), 1 + LINES_A_SECOND as usize);
        let reports = fed(&mut lines, start + Duration::from_hours(1), &"a\n".repeat(5000));
        assert_eq!((reports[0].clone(), reports.len()), (Report::Dropped(4950), 1 + BURST as usize));
    }
}
