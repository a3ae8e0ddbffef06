//! The little of SVG that a chart needs: lines, areas, texts and marks, and axes that say where they go.

use std::fmt::Write as _;

/// From values to places in the picture. `start` may be below `end`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) start: f64,
    pub(super) end: f64,
}

impl Axis {
    /// Where a value stands; one that is beyond the axis, at its end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let part = ((value - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        self.start + part * (self.end - self.start)
    }

    /// Round values on the axis, about as many as that, with steps of 1, 2 or 5 times a power of ten; never less than 1.
    pub(super) fn ticks(&self, about: u32) -> Vec<f64> {
        let rough = ((self.to - self.from) / f64::from(about.max(1))).max(1.0);
        let power = 10_f64.powf(rough.log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].iter().map(|times| times * power).find(|step| *step >= rough * 0.999);
        let step = step.unwrap_or(rough);
        let mut ticks = Vec::new();
        let mut tick = (self.from / step).ceil() * step;
        while tick <= self.to {
            ticks.push(tick);
            tick += step;
        }
        ticks
    }
}

/// A picture that is being drawn.
#[derive(Debug)]
pub(super) struct Svg(String);

impl Svg {
    /// An empty picture of this size, in pixels.
    pub(super) fn new(width: f64, height: f64, title: &str) -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" font-family=\"system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif\">\n\
             <title>{}</title>\n",
            escaped(title)
        ))
    }

    /// The whole text.
    pub(super) fn finish(mut self) -> String {
        self.0 += "</svg>\n";
        self.0
    }

    pub(super) fn text(&mut self, x: f64, y: f64, anchor: &str, size: f64, colour: &str, text: &str) {
        let text = escaped(text);
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{colour}\">{text}</text>"
        ));
    }

    /// A thin line.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, opacity: f64) {
        let d = path(&[from, to]);
        self.add(format_args!("<path d=\"{d}\" stroke=\"{colour}\" stroke-opacity=\"{opacity}\"/>"));
    }

    /// A line along a path; `dashes` as in SVG, or empty.
    pub(super) fn stroke(&mut self, d: &str, colour: &str, width: f64, dashes: &str) {
        let dashes =
            if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        self.add(format_args!(
            "<path d=\"{d}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" stroke-linejoin=\"round\"{dashes}/>"
        ));
    }

    /// What a path encloses, faintly.
    pub(super) fn area(&mut self, d: &str, colour: &str) {
        self.add(format_args!("<path d=\"{d}\" fill=\"{colour}\" fill-opacity=\"0.2\"/>"));
    }

    /// A short thick line to the right.
    pub(super) fn bar(&mut self, (x, y): (f64, f64), length: f64, colour: &str) {
        self.stroke(&path(&[(x, y), (x + length, y)]), colour, 4.0, "");
    }

    /// A triangle with its tip at `height` from its place, and a text that shows when pointed at.
    pub(super) fn mark(&mut self, (x, y): (f64, f64), height: f64, colour: &str, title: &str) {
        let (title, half, base, tip) = (escaped(title), 4.5, y - height * 0.6, y + height);
        self.add(format_args!(
            "<path d=\"M{:.1} {base:.1}L{:.1} {base:.1}L{x:.1} {tip:.1}Z\" fill=\"{colour}\"><title>{title}</title></path>",
            x - half,
            x + half
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{element}");
    }
}

/// Straight from point to point.
pub(super) fn path(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(d, "{command}{x:.1} {y:.1}");
    }
    d
}

/// From point to point in steps: a value holds until the next.
pub(super) fn steps(points: &[(f64, f64)]) -> String {
    let mut d = String::new();
    let mut before: Option<String> = None;
    for (x, y) in points {
        let y = format!("{y:.1}");
        let _ = match &before {
            None => write!(d, "M{x:.1} {y}"),
            Some(before) if *before == y => Ok(()),
            Some(_) => write!(d, "H{x:.1}V{y}"),
        };
        before = Some(y);
    }
    if let Some((x, _)) = points.last() {
        let _ = write!(d, "H{x:.1}");
    }
    d
}

/// A text as it stands in XML. Control characters have no place there.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let ticks = |from, to, about| Axis { from, to, start: 0.0, end: 1.0 }.ticks(about);
        assert_eq!(ticks(0.0, 390.0, 4), [0.0, 100.0, 200.0, 300.0]);
        assert_eq!(ticks(0.0, 5.0, 4), [0.0, 2.0, 4.0]);
        assert_eq!(ticks(0.0, 1.0, 4), [0.0, 1.0]);
        assert_eq!(ticks(13.0, 50.0, 10), [15.0, 20.0, 25.0, 30.0, 35.0, 40.0, 45.0, 50.0]);
    }

    #[test]
    fn steps_hold_a_value_until_the_next() {
        assert_eq!(steps(&[(0.0, 1.0), (1.0, 1.0), (2.0, 3.0), (3.0, 3.0)]), "M0.0 1.0H2.0V3.0H3.0");
        assert_eq!(steps(&[]), "");
    }

    #[test]
    fn texts_are_xml() {
        assert_eq!(escaped("a < b & \"c\"\u{1b}>"), "a &lt; b &amp; &quot;c&quot; &gt;");
    }
}
