//! Values over time as columns of characters.

use std::time::Duration;

use super::paint::Style;

/// From nearly nothing to full.
const EIGHTHS: [char; 8] =
    ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
/// The same for terminals without those.
const ASCII: [char; 3] = ['.', ':', '#'];

/// Rows of a graph, the topmost first. Values are shown from 0 to the largest one; a value holds until the next.
pub(super) fn graph(
    points: impl Iterator<Item = (Duration, f64)> + Clone,
    (from, to): (Duration, Duration),
    (columns, rows): (usize, usize),
    style: Style,
) -> Vec<String> {
    let levels: &[char] = if style.unicode { &EIGHTHS } else { &ASCII };
    let most = points.clone().map(|(_, value)| value).fold(1.0, f64::max);
    let newest = points.clone().map(|(at, _)| at).max().unwrap_or_default();
    let length = to.saturating_sub(from);
    let mut heights = Vec::new();
    let (mut points, mut value) = (points.peekable(), None);
    for column in 1..=columns {
        let until = from + length.mul_f64(ratio(column, columns));
        let is_over = from + length.mul_f64(ratio(column - 1, columns)) > newest;
        while let Some((_, next)) = points.next_if(|(at, _)| *at <= until) {
            value = Some(next);
        }
        let value = value.filter(|_| !is_over);
        heights.push(value.map_or(0, |value| height(value / most, rows * levels.len())));
    }
    let row = |row: usize| {
        let below = row * levels.len();
        let shown = heights.iter().map(|height| match height.saturating_sub(below) {
            0 => ' ',
            more => levels[more.min(levels.len()) - 1],
        });
        shown.collect::<String>().trim_end().to_owned()
    };
    (0..rows).rev().map(row).collect()
}

/// So many of `most` levels, and at least one: a little is not nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "some hundred"
)]
fn height(part: f64, most: usize) -> usize {
    ((part * most as f64).round() as usize).clamp(1, most.max(1))
}

#[expect(clippy::cast_precision_loss, reason = "a terminal has some hundred columns")]
fn ratio(column: usize, columns: usize) -> f64 {
    column as f64 / columns as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_columns_and_the_time_to_come_is_empty() {
        let second = Duration::from_secs;
        let points = [(second(0), 1.0), (second(1), 8.0), (second(2), 16.0)];
        let style = Style { colour: false, unicode: true };
        let graph = graph(points.into_iter(), (second(0), second(4)), (4, 2), style);
        assert_eq!(graph, [" \u{2588}\u{2588}", "\u{2588}\u{2588}\u{2588}"]);
    }
}
