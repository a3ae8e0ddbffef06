//! How the story is told: a view on a terminal, or lines.

use std::io::{self, Write};
use std::time::Duration;

use super::story::{Moment, SERVICES, clock};
use super::terminal::{self, Screen};
use super::view::{Scene, Style, frame};

/// How often a line about the load is written.
const LOAD_LINE_EVERY: Duration = Duration::from_secs(2);

/// One of the two.
#[derive(Debug)]
pub(super) enum Show {
    /// A view that changes.
    View(Screen, Style),
    /// Lines, the next of them about the load at this time.
    Lines(Duration),
}

impl Show {
    /// The view where the terminal can show it, unless lines are asked for.
    pub(super) fn open(plain: bool) -> io::Result<Self> {
        if plain || !terminal::is_able() {
            return Ok(Self::Lines(Duration::ZERO));
        }
        Ok(Self::View(Screen::enter()?, terminal::style()))
    }

    /// Says how things are now.
    pub(super) fn scene(&mut self, scene: &Scene<'_>) -> io::Result<()> {
        match self {
            Self::View(screen, style) => {
                let size = terminal::size();
                screen.draw(frame(scene, size, *style), size)
            }
            Self::Lines(next) => match scene.story.moments.back() {
                Some(moment) if moment.at >= *next => {
                    *next = moment.at + LOAD_LINE_EVERY;
                    say(&standing(moment))
                }
                _ => Ok(()),
            },
        }
    }

    /// Says what was just logged, where lines are said.
    pub(super) fn heard(&self, at: Duration, words: &str) -> io::Result<()> {
        match self {
            Self::View(..) => Ok(()),
            Self::Lines(_) => say(&format!("{}  {words}", clock(at))),
        }
    }

    /// Says what will be seen and where things are, where lines are said.
    pub(super) fn introduce(&self, hints: &[String]) -> io::Result<()> {
        let Self::Lines(_) = self else { return Ok(()) };
        for service in &SERVICES {
            say(&format!("{}: {} requests per second for each instance", service.name, service.rule))?;
        }
        hints.iter().try_for_each(|hint| say(hint))
    }
}

/// The load and the instances in a line.
fn standing(moment: &Moment) -> String {
    let services = SERVICES.iter().zip(&moment.services).map(|(service, standing)| {
        let share = standing.share.map_or_else(String::new, |share| format!(" at {share:.0}"));
        format!("{} {}{share}", service.name, standing.running)
    });
    let services: Vec<String> = services.collect();
    format!("{}  load {:.0}: {}", clock(moment.at), moment.load, services.join(", "))
}

/// Writes a line at once.
pub(super) fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::story::Standing;

    #[test]
    fn a_line_says_how_things_are() {
        let web = Standing { running: 3, waiting: 1, share: Some(77.6) };
        let moment =
            Moment { at: Duration::from_secs(67), load: 232.8, services: [web, Standing::default()] };
        assert_eq!(standing(&moment), "1:07  load 233: web 3 at 78, worker 0");
    }
}
