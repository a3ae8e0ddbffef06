//! `dynamite demo`: all of Dynamite on a bare machine within a minute.
//!
//! etcd and fleet are embedded, an `application` is written into a temporary folder, the daemon runs it as `dynamite run` would,
//! and the load of its `traffic` rises and falls (all of that is the `stage`). What happens is collected in a `story`, out of what
//! the daemon tells (`events`) and what fleet says, and is shown as a `view` on a `terminal` or as lines (`show`), and at last as a
//! `chart`. Nothing else is left.

mod application;
mod chart;
mod events;
mod load;
pub mod register;
mod show;
mod stage;
mod story;
mod terminal;
mod traffic;
mod view;

use std::future::pending;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

use self::events::{Heard, What};
use self::show::{Show, say};
use self::stage::{Daemon, Stage};
use self::story::Story;
use self::view::Scene;
use crate::cli::DemoArgs;
use crate::policy_cli::is_broken_pipe;
use crate::signals::told_to_end;

/// Plays it until its end or a signal, and cleans up.
///
/// # Errors
/// What keeps it from being played.
pub async fn run(args: &DemoArgs, mut rng: fastrand::Rng) -> anyhow::Result<()> {
    let began = Instant::now();
    let (ear, heard) = events::listen(began);
    let mut story = Story::default();
    let stage = Stage::set(args, rng.fork()).await?;
    let daemon = stage.daemon(Arc::new(ear), rng.fork());
    // Whatever goes wrong, units must not be left running.
    let played = play(args, began, &stage, daemon, rng, heard, &mut story);
    let played = AssertUnwindSafe(played).catch_unwind().await;
    let struck = stage.strike().await;
    let why = match played.unwrap_or_else(|panic| resume_unwind(panic)) {
        // Whoever looked on has seen enough: `dynamite demo | head`.
        Err(error) if is_broken_pipe(&error) => return struck.map(drop),
        why => why?,
    };
    let (units, chart) = (struck?, draw(&args.chart, &story)?);
    say(&format!("\n{why} after {:.0} s", began.elapsed().as_secs_f64()))?;
    say(&story.summary())?;
    say(&format!("stopped {units} units and removed all files but the chart: {}", chart.display()))?;
    Ok(())
}

/// Shows what happens until the end, and says why that came.
async fn play(
    args: &DemoArgs,
    began: Instant,
    stage: &Stage,
    mut daemon: Daemon,
    rng: fastrand::Rng,
    mut lines: Receiver<Heard>,
    story: &mut Story,
) -> anyhow::Result<&'static str> {
    let mut moments = stage.traffic(began, rng).await?;
    let mut show = Show::open(args.plain)?;
    let hints = stage.hints(args.keep);
    show.introduce(&hints)?;
    let end = (!args.keep).then_some(load::LENGTH);
    let over = async {
        match end {
            Some(end) => sleep_until(began + end).await,
            None => pending().await,
        }
    };
    let told = told_to_end()?;
    // The terminal is gone, and with it whoever looked on.
    let mut hung_up = signal(SignalKind::hangup())?;
    tokio::pin!(over, told);
    let why = loop {
        show.scene(&Scene { story, now: began.elapsed(), end, hints: &hints })?;
        tokio::select! {
            // The ends come first, and what the daemon says last: it may say much.
            biased;
            () = &mut over => break "it ended",
            name = &mut told => break name,
            _ = hung_up.recv() => break "SIGHUP",
            ended = daemon.ended() => {
                ended?;
                anyhow::bail!("the daemon ended by itself");
            }
            Some(moment) = moments.recv() => story.note(moment),
            Some(heard) = lines.recv() => hear(heard, story, &show)?,
        }
    };
    drop(show);
    daemon.end().await?;
    Ok(why)
}

/// Takes in what the daemon said.
fn hear(heard: Heard, story: &mut Story, show: &Show) -> io::Result<()> {
    let Heard { at, what } = heard;
    match what {
        What::Decided(decided) => {
            show.heard(at, &decided.to_string())?;
            story.decide(at, decided);
        }
        What::Up(words) => {
            show.heard(at, &words)?;
            story.first_instance.get_or_insert(at);
        }
        What::News(words) => show.heard(at, &words)?,
        What::Trouble(words) => {
            show.heard(at, &words)?;
            story.warn(at, words);
        }
    }
    Ok(())
}

/// Writes the chart, into the folder for temporary files if need be: there under a name that nobody could foresee, as
/// others may have put links there.
fn draw(path: &Path, story: &Story) -> anyhow::Result<PathBuf> {
    let chart = chart::chart(story);
    let Err(error) = std::fs::write(path, &chart) else { return Ok(path.to_owned()) };
    say(&format!("the chart cannot be written to `{}`: {error}", path.display()))?;
    let other = tempfile::Builder::new().prefix("dynamite-demo-").suffix(".svg").tempfile();
    let kept = other.and_then(|mut other| {
        other.write_all(chart.as_bytes())?;
        Ok(other.keep()?.1)
    });
    kept.with_context(|| format!("no chart can be written into `{}` either", std::env::temp_dir().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_that_cannot_be_written_goes_where_nobody_foresees() {
        let nowhere = Path::new("/nonexistent/dynamite-demo.svg");
        let [first, second] = [(); 2].map(|()| draw(nowhere, &Story::default()).unwrap());
        assert_ne!(first, second);
        for path in [first, second] {
            assert!(std::fs::read_to_string(&path).unwrap().contains("<svg"));
            std::fs::remove_file(path).unwrap();
        }
    }
}
