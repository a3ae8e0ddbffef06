//! The story as a picture: an SVG with the load, what each instance has of it, the instances, and the decisions, over one
//! axis of time.
//!
//! Its colours are between light and dark, and it has no background, so that it can be read on either.

mod svg;

use std::time::Duration;

use self::svg::{Axis, Svg, path, steps};
use super::story::{Moment, SERVICES, Story, Way, clock};

const WIDTH: f64 = 800.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 784.0;
/// The heading of a panel stands so far above it.
const HEADING: f64 = 9.0;

/// Text, axes and grid.
const INK: &str = "#727a84";
/// The load.
const LOAD: &str = "#8957c8";
/// The services.
const COLOURS: [&str; 2] = ["#2f81d0", "#d0741f"];

/// A part of the picture with a vertical axis of its own.
struct Panel {
    top: f64,
    bottom: f64,
    heading: &'static str,
}

const LOADS: Panel = Panel { top: 64.0, bottom: 154.0, heading: "load, requests per second" };
const SHARES: Panel = Panel { top: 194.0, bottom: 314.0, heading: "requests per second for each instance" };
const COUNTS: Panel = Panel { top: 354.0, bottom: 464.0, heading: "running instances" };
/// The decisions: a row for each service.
const ROWS: [f64; 2] = [492.0, 512.0];
const HEIGHT: f64 = 552.0;

/// Draws the story.
pub(super) fn chart(story: &Story) -> String {
    let seconds = |at: Duration| at.as_secs_f64();
    let first = story.moments.front().map_or(0.0, |moment| seconds(moment.at));
    let first = if first < 5.0 { 0.0 } else { first };
    let last = story.moments.back().map_or(1.0, |moment| seconds(moment.at)).max(first + 1.0).ceil();
    let time = Axis { from: first, to: last, start: LEFT, end: RIGHT };
    let mut svg = Svg::new(WIDTH, HEIGHT, "The load of the demo, and the instances that follow it");
    svg.text(LEFT - 48.0, 24.0, "start", 15.0, INK, "Dynamite follows the load: dynamite demo");
    loads(&mut svg, story, &time);
    shares(&mut svg, story, &time);
    counts(&mut svg, story, &time);
    decisions(&mut svg, story, &time);
    for tick in time.ticks(10) {
        let x = time.place(tick);
        svg.line((x, LOADS.top), (x, ROWS[1] + 8.0), INK, 0.15);
        let label = clock(Duration::from_secs_f64(tick));
        svg.text(x, ROWS[1] + 24.0, "middle", 11.0, INK, &label);
    }
    svg.text(LEFT - 48.0, ROWS[1] + 24.0, "start", 11.0, INK, "min:s");
    svg.finish()
}

/// The heading, and lines at round values.
fn frame(svg: &mut Svg, panel: &Panel, axis: &Axis) {
    svg.text(LEFT - 48.0, panel.top - HEADING, "start", 12.0, INK, panel.heading);
    for tick in axis.ticks(4) {
        let y = axis.place(tick);
        svg.line((LEFT, y), (RIGHT, y), INK, 0.25);
        svg.text(LEFT - 8.0, y + 4.0, "end", 11.0, INK, &tick.to_string());
    }
}

/// Which colour is which service, at the right end of a heading.
fn legend(svg: &mut Svg, panel: &Panel) {
    let mut x = RIGHT - 130.0;
    for (service, colour) in SERVICES.iter().zip(COLOURS) {
        svg.bar((x, panel.top - HEADING - 4.0), 16.0, colour);
        svg.text(x + 22.0, panel.top - HEADING, "start", 12.0, INK, service.name);
        x += 66.0;
    }
}

fn loads(svg: &mut Svg, story: &Story, time: &Axis) {
    let most = story.moments.iter().map(|moment| moment.load).fold(1.0, f64::max);
    let axis = Axis { from: 0.0, to: most, start: LOADS.bottom, end: LOADS.top };
    frame(svg, &LOADS, &axis);
    let points: Vec<_> =
        story.moments.iter().map(|moment| at(moment, time, axis.place(moment.load))).collect();
    if let (Some(first), Some(last)) = (points.first(), points.last()) {
        let floor = LOADS.bottom;
        let area = format!("{}L{:.1} {floor}L{:.1} {floor}Z", path(&points), last.0, first.0);
        svg.area(&area, LOAD);
    }
    svg.stroke(&path(&points), LOAD, 2.0, "");
}

fn shares(svg: &mut Svg, story: &Story, time: &Axis) {
    let shares = story.moments.iter().flat_map(|moment| moment.services.iter().filter_map(|one| one.share));
    let marks = SERVICES.iter().flat_map(|service| service.marks).copied();
    let most = shares.chain(marks).fold(1.0, f64::max);
    let axis = Axis { from: 0.0, to: most * 1.05, start: SHARES.bottom, end: SHARES.top };
    frame(svg, &SHARES, &axis);
    legend(svg, &SHARES);
    for (index, (service, colour)) in SERVICES.iter().zip(COLOURS).enumerate() {
        for mark in service.marks {
            let y = axis.place(*mark);
            svg.stroke(&path(&[(LEFT, y), (RIGHT, y)]), colour, 1.2, "5 4");
            let (words, below) = label(index, *mark);
            svg.text(RIGHT, y + below, "end", 10.5, colour, &format!("{words} {mark}"));
        }
        let known = story
            .moments
            .iter()
            .filter_map(|moment| Some(at(moment, time, axis.place(moment.services[index].share?))));
        svg.stroke(&path(&known.collect::<Vec<_>>()), colour, 1.8, "");
    }
}

/// What a mark of a service means, and how far below its line that is written.
fn label(index: usize, mark: f64) -> (&'static str, f64) {
    match (SERVICES[index].marks, mark) {
        ([_], _) => ("worker: target", -4.0),
        ([low, ..], mark) if mark > *low => ("web: one more above", -4.0),
        _ => ("web: one less below", 12.0),
    }
}

fn counts(svg: &mut Svg, story: &Story, time: &Axis) {
    let most = story.moments.iter().flat_map(|moment| moment.services.iter().map(|one| one.running)).max();
    let axis =
        Axis { from: 0.0, to: f64::from(most.unwrap_or(1).max(1)), start: COUNTS.bottom, end: COUNTS.top };
    frame(svg, &COUNTS, &axis);
    legend(svg, &COUNTS);
    for (index, colour) in COLOURS.iter().enumerate() {
        // Where both have as many, both lines are seen.
        let aside = if index == 0 { -1.5 } else { 1.5 };
        let points = story
            .moments
            .iter()
            .map(|moment| at(moment, time, axis.place(f64::from(moment.services[index].running)) + aside));
        svg.stroke(&steps(&points.collect::<Vec<_>>()), colour, 2.4, "");
    }
}

fn decisions(svg: &mut Svg, story: &Story, time: &Axis) {
    let from = story.moments.front().map(|moment| moment.at).unwrap_or_default();
    for (index, (service, colour)) in SERVICES.iter().zip(COLOURS).enumerate() {
        let y = ROWS[index];
        svg.text(LEFT - 8.0, y + 4.0, "end", 11.0, INK, service.name);
        svg.line((LEFT, y), (RIGHT, y), INK, 0.25);
        let mut free = LEFT;
        for (at, decided) in
            story.decisions.iter().filter(|(at, decided)| *at >= from && decided.service == service.name)
        {
            let height = match decided.way {
                Way::Up => -6.0,
                Way::Down => 6.0,
                Way::Replace | Way::Hold => continue,
            };
            // Those of one time stand side by side.
            let x = time.place(at.as_secs_f64()).max(free);
            free = x + 9.0;
            svg.mark((x, y), height, colour, &format!("{} {decided}", clock(*at)));
        }
    }
    svg.text(RIGHT, ROWS[0] - 12.0, "end", 10.5, INK, "decisions: \u{25b2} one more, \u{25bc} one less");
}

fn at(moment: &Moment, time: &Axis, y: f64) -> (f64, f64) {
    (time.place(moment.at.as_secs_f64()), y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::story::{Decided, Standing};

    /// Three moments and a decision whose reason is not XML.
    fn story() -> Story {
        let mut story = Story::default();
        for (second, load, running) in [(0, 40.0, 0), (1, 200.0, 1), (2, 390.0, 4)] {
            let share = (running > 0).then(|| load / f64::from(running));
            let services = [Standing { running, waiting: 0, share }; 2];
            story.note(Moment { at: Duration::from_secs(second), load, services });
        }
        let reason = "web_up: \"requests\" <of> a & b is 92.4 (> 80 for 2s)".to_owned();
        let decided =
            Decided { service: "web".into(), way: Way::Up, unit: Some("web@8081.service".into()), reason };
        story.decide(Duration::from_secs(1), decided.clone());
        story.decide(Duration::from_secs(1), Decided { way: Way::Down, ..decided });
        story
    }

    #[test]
    fn a_story_is_drawn() {
        insta::assert_snapshot!(chart(&story()));
    }

    #[test]
    fn nothing_is_drawn_too_and_lies_within_the_picture() {
        for story in [Story::default(), story()] {
            let chart = chart(&story);
            assert!(chart.starts_with("<svg ") && chart.ends_with("</svg>\n"));
            assert!(!chart.contains("NaN") && !chart.contains("inf"), "{chart}");
        }
    }
}
