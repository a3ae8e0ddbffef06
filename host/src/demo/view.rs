//! What is shown on a terminal: the story so far as lines that fit it. Pure; `terminal` puts them there.

mod graph;
mod paint;

use std::time::Duration;

use self::graph::graph;
use self::paint::Paint;
pub(super) use self::paint::{Line, Style};
use super::load;
use super::story::{Decided, SERVICES, Standing, Story, Way, clock};

/// How wide the place for an instance's share is.
const GAUGE: usize = 20;
/// What fills a gauge, in requests per second.
const GAUGE_MAX: f64 = 120.0;
/// From so many rows on, the load has four of them, and otherwise one.
const TALL: usize = 22;

/// What is shown.
pub(super) struct Scene<'s> {
    pub(super) story: &'s Story,
    pub(super) now: Duration,
    /// When it ends; none if that is up to the user.
    pub(super) end: Option<Duration>,
    /// Lines below, such as where the servers are.
    pub(super) hints: &'s [String],
}

/// The lines for a terminal with so many columns and rows.
pub(super) fn frame(scene: &Scene<'_>, (columns, rows): (usize, usize), style: Style) -> Vec<String> {
    let mut lines = vec![heading(scene), Line::default()];
    lines.extend(load_lines(scene, columns, if rows >= TALL { 4 } else { 1 }, style));
    lines.push(Line::default());
    let last = scene.story.moments.back();
    for (index, service) in SERVICES.iter().enumerate() {
        let standing = last.map(|moment| moment.services[index]).unwrap_or_default();
        let paint = Paint::Service(index);
        lines.push(
            Line::new(Paint::Bold, &format!(" {:<7}", service.name))
                .with(paint, &boxes(standing, service.max, style))
                .with(Paint::Plain, &format!("  {}", counted(standing))),
        );
        lines.push(
            Line::new(Paint::Plain, "        ")
                .with(paint, &gauge(standing.share, service.marks, style))
                .with(Paint::Plain, &format!("  {}", each(standing.share)))
                .with(Paint::Dim, &format!("  {}", service.rule)),
        );
    }
    lines.push(Line::default());
    lines.push(Line::new(Paint::Bold, " decisions"));
    let room = rows.saturating_sub(lines.len() + 1 + scene.hints.len());
    lines.extend(news(scene.story, room));
    // The hints stand at the bottom.
    while lines.len() + scene.hints.len() < rows {
        lines.push(Line::default());
    }
    lines.extend(scene.hints.iter().map(|hint| Line::new(Paint::Dim, &format!(" {hint}"))));
    lines.truncate(rows);
    lines.iter().map(|line| line.fit(columns, style)).collect()
}

fn heading(scene: &Scene<'_>) -> Line {
    let end = scene.end.map_or_else(String::new, |end| format!(" of {}", clock(end)));
    Line::new(Paint::Bold, " dynamite demo")
        .with(Paint::Plain, &format!("   {}{end}", clock(scene.now)))
        .with(Paint::Dim, "   Ctrl-C ends it")
}

fn load_lines(scene: &Scene<'_>, columns: usize, height: usize, style: Style) -> Vec<Line> {
    let load = scene.story.moments.back().map_or(0.0, |moment| moment.load);
    let mut lines = vec![
        Line::new(Paint::Bold, " load   ")
            .with(Paint::Load, &format!("{load:.0}"))
            .with(Paint::Plain, " requests per second"),
    ];
    // All of the curve, and with --keep as much as it is long.
    let from = scene.now.saturating_sub(load::LENGTH);
    let points = scene.story.moments.iter().map(|moment| (moment.at, moment.load));
    let graph = graph(points, (from, from + load::LENGTH), (columns.saturating_sub(2), height), style);
    lines.extend(graph.into_iter().map(|row| Line::new(Paint::Load, &format!(" {row}"))));
    lines
}

/// A box for each instance that may run, filled if it does.
fn boxes(standing: Standing, max: u32, style: Style) -> String {
    let (full, coming, none) =
        if style.unicode { ('\u{25a0}', '\u{25a1}', '\u{b7}') } else { ('#', 'o', '.') };
    (0..max.max(standing.running + standing.waiting))
        .flat_map(|number| {
            let shown = if number < standing.running {
                full
            } else if number < standing.running + standing.waiting {
                coming
            } else {
                none
            };
            [shown, ' ']
        })
        .collect()
}

fn counted(standing: Standing) -> String {
    match standing.waiting {
        0 => format!("{} running", standing.running),
        waiting => format!("{} running, {waiting} on the way", standing.running),
    }
}

fn each(share: Option<f64>) -> String {
    share.map_or_else(|| "no requests yet".to_owned(), |share| format!("{share:>3.0} requests/s each"))
}

/// A bar as long as the share, in which the marks are seen.
fn gauge(share: Option<f64>, marks: &[f64], style: Style) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "at most GAUGE"
    )]
    let place = |value: f64| (value / GAUGE_MAX * GAUGE as f64).clamp(0.0, GAUGE as f64) as usize;
    let length = share.map_or(0, place);
    let (full, mark, none) =
        if style.unicode { ('\u{2588}', '\u{2502}', '\u{2591}') } else { ('=', '|', '-') };
    (0..GAUGE)
        .map(|column| match column {
            column if marks.iter().any(|value| place(*value) == column) => mark,
            column if column < length => full,
            _ => none,
        })
        .collect()
}

/// The last decisions and warnings, as many as there is room for, the newest last.
fn news(story: &Story, room: usize) -> Vec<Line> {
    let decisions = story.decisions.iter().map(|(at, decided)| (*at, decision(*at, decided)));
    let warnings = story.warnings.iter().map(|(at, words)| {
        (*at, Line::new(Paint::Dim, &format!("  {:>4}  ", clock(*at))).with(Paint::Bad, words))
    });
    let mut news: Vec<(Duration, Line)> = decisions.chain(warnings).collect();
    news.sort_by_key(|(at, _)| *at);
    let left_out = news.len().saturating_sub(room);
    news.into_iter().skip(left_out).map(|(_, line)| line).collect()
}

fn decision(at: Duration, decided: &Decided) -> Line {
    let index = SERVICES.iter().position(|service| service.name == decided.service);
    let paint = index.map_or(Paint::Plain, Paint::Service);
    let (word, paint) = match decided.way {
        Way::Up => ("up", paint),
        Way::Down => ("down", paint),
        Way::Replace => ("replace", Paint::Bad),
        Way::Hold => ("hold", Paint::Dim),
    };
    let what = decided.unit.as_deref().map_or(&*decided.service, |unit| unit.trim_end_matches(".service"));
    Line::new(Paint::Dim, &format!("  {:>4}  ", clock(at)))
        .with(paint, &format!("{word:<5}{what:<10}"))
        .with(Paint::Plain, &format!(" {}", decided.reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::story::Moment;

    const PLAIN: Style = Style { colour: false, unicode: true };

    fn story() -> Story {
        let mut story = Story::default();
        for half in 0..40_u32 {
            let at = Duration::from_millis(500) * half;
            let load = load::load(at);
            let running = half / 10 + 1;
            let share = Some(load / f64::from(running));
            let services = [Standing { running, waiting: half % 2, share }; 2];
            story.note(Moment { at, load, services });
        }
        let way = Way::Up;
        let reason = "web_up: requests of web-8080 is 92.4 (> 80 for 2s)".to_owned();
        let decided = Decided { service: "web".into(), way, unit: Some("web@8081.service".into()), reason };
        story.decide(Duration::from_secs(9), decided.clone());
        story.warn(Duration::from_secs(11), "an instance did not start".into());
        story.decide(Duration::from_secs(12), Decided { way: Way::Hold, unit: None, ..decided });
        story
    }

    fn shown(columns: usize, rows: usize, style: Style) -> Vec<String> {
        let hints = ["etcd http://127.0.0.1:4001".to_owned()];
        let scene =
            Scene { story: &story(), now: Duration::from_secs(20), end: Some(load::LENGTH), hints: &hints };
        frame(&scene, (columns, rows), style)
    }

    #[test]
    fn the_story_is_shown() {
        insta::assert_snapshot!(shown(90, 24, PLAIN).join("\n"));
    }

    #[test]
    fn a_plain_terminal_gets_plain_characters() {
        let shown = shown(60, 18, Style { colour: false, unicode: false });
        assert!(shown.iter().all(|line| line.is_ascii()), "{shown:#?}");
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn it_fits_every_terminal() {
        for (columns, rows) in [(0, 0), (1, 1), (10, 5), (20, 8), (200, 60)] {
            let shown = shown(columns, rows, PLAIN);
            assert!(shown.len() <= rows, "{rows} rows");
            assert!(shown.iter().all(|line| line.chars().count() <= columns), "{shown:#?}");
        }
    }

    #[test]
    fn colours_are_taken_back_at_the_end_of_each_line() {
        let shown = shown(40, 24, Style { colour: true, unicode: true });
        for line in &shown {
            let ends = line.matches("\u{1b}[0m").count();
            assert_eq!(line.matches("\u{1b}[").count(), 2 * ends, "{line:?}");
        }
        assert!(shown.iter().any(|line| line.contains('\u{1b}')));
    }
}
