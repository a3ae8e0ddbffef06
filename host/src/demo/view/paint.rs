//! Lines in colours, cut where the terminal ends.

/// What a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::demo) struct Style {
    /// Whether it shows colours.
    pub(in crate::demo) colour: bool,
    /// Whether it shows more than ASCII.
    pub(in crate::demo) unicode: bool,
}

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Bold,
    /// Of less importance.
    Dim,
    Load,
    /// The service with this index.
    Service(usize),
    /// Something is wrong.
    Bad,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\u{1b}[1m",
            Self::Dim => "\u{1b}[2m",
            Self::Load => "\u{1b}[35m",
            Self::Service(0) => "\u{1b}[34m",
            Self::Service(_) => "\u{1b}[33m",
            Self::Bad => "\u{1b}[31m",
        }
    }
}

/// A line of pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::demo) struct Line(Vec<(Paint, String)>);

impl Line {
    /// A line with one piece.
    pub(super) fn new(paint: Paint, text: &str) -> Self {
        Self::default().with(paint, text)
    }

    /// The line with one more piece.
    pub(super) fn with(mut self, paint: Paint, text: &str) -> Self {
        self.0.push((paint, text.to_owned()));
        self
    }

    /// The line as it is written: at most so many columns wide. Control characters do not get through.
    pub(super) fn fit(&self, columns: usize, style: Style) -> String {
        let mut line = String::new();
        let mut left = columns;
        for (paint, text) in &self.0 {
            let shown: String = text.chars().take(left).map(|c| visible(c, style)).collect();
            left -= shown.chars().count();
            let code = if style.colour && !shown.trim().is_empty() { paint.code() } else { "" };
            let end = if code.is_empty() { "" } else { "\u{1b}[0m" };
            line.extend([code, &shown, end]);
        }
        line
    }
}

/// What every terminal shows one column wide in place of a character.
fn visible(character: char, style: Style) -> char {
    let is_box = ('\u{2500}'..='\u{25ff}').contains(&character) || character == '\u{b7}';
    match character {
        ' '..='~' => character,
        _ if style.unicode && is_box => character,
        _ => '?',
    }
}
