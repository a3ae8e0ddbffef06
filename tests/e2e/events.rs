//! `--events FILE`, as a user reads it, and `--inputs FILE`, from which the same decisions follow again.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dynamite::journal::Happened;
use dynamite::store::connect::Api;
use dynamite_core::{Event, Input, Planner};
use dynamite_tests::daemon::{Daemon, Events};
use dynamite_tests::events::read;
use dynamite_tests::scene::{CONFIG, Scene};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::policies::{TARGET, configure, load_of_two};
use crate::scaling::scaled_to_three;

const HOST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host");

#[tokio::test]
async fn the_file_has_each_event_as_a_line_and_each_hold_that_the_log_has_once() -> Result<()> {
    let mut scene = Scene::start(Api::V3).await?;
    let file = scene.config_path().with_file_name("events.ndjson");
    scene.events = Events::Into(file.clone());
    scene.configure(&CONFIG.replace("max_instance: 5", "max_instance: 3"))?;
    let daemon = scaled_to_three(&scene).await?;
    // The cooldown is over at 75.
    for second in [75, 90, 91, 92] {
        scene.sample("first", second, "95").await?;
    }
    let full = json!({ "event": "decided", "hold": { "at_maximum": { "count": 3, "max": 3 } } });
    daemon.until_times(3, &full).await?;
    let said = daemon.log().matches("apache: hold: 3 of 3 (max_instance)").count();
    ensure!(said == 1, "the log has it {said} times: {}", daemon.log());
    ensure!(daemon.terminate().await?.0.success());

    let events = read(&file)?;
    for event in &events {
        let at: Timestamp = event["at"].as_str().context("a time")?.parse()?;
        ensure!(at > scene.at_second(1_000)? && event["event"].is_string(), "{event}");
    }
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    let (first, last) = (events.first().context("a line")?, events.last().context("a line")?);
    ensure!(first["event"] == "started" && first["version"].is_string(), "{first}");
    ensure!(
        last["event"] == "ending" && last["signal"] == "SIGTERM" && last["services"] == "run_on",
        "{last}"
    );
    for name in ["leading", "took_over", "policies_live", "action_ended", "running"] {
        ensure!(names.contains(&name), "no {name}: {names:?}");
    }
    let decisions: Vec<&Value> = events.iter().filter(|event| event["event"] == "decided").collect();
    for decision in &decisions {
        for field in [
            "id",
            "service",
            "cause",
            "other_votes",
            "heard",
            "count",
            "stages",
            "wanted",
            "actions",
            "hold",
            "spent",
        ] {
            ensure!(decision.get(field).is_some(), "no {field}: {decision}");
        }
    }
    let fired = decisions.iter().find(|decision| !decision["spent"].is_null()).context("one that fired")?;
    ensure!(fired["cause"]["vote"]["policy"] == "apache_scale_up", "{fired}");
    ensure!(
        fired["wanted"] == json!([2, 3]) && fired["actions"][0]["unit"] == "apache@8082.service",
        "{fired}"
    );
    ensure!(fired["spent"]["policy"] == "apache_scale_up" && fired["spent"]["after"] == 3, "{fired}");
    let held = decisions.last().context("a hold")?;
    ensure!(held["stages"][0]["rule"] == "bounds" && held["actions"] == json!([]), "{held}");
    Ok(())
}

/// The variants of an enum in a source file, as they are written in events.
fn variants(source: &str, name: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(Path::new(HOST).join(source))?;
    let (_, body) =
        text.split_once(&format!("pub enum {name} {{\n")).with_context(|| format!("no {name}"))?;
    let body = body.split("\n}").next().context("a body")?;
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    let words = names.map(|line| line.split(|end: char| !end.is_alphanumeric()).next().unwrap_or_default());
    Ok(words.map(snake_case).collect())
}

fn snake_case(name: &str) -> String {
    let word = |letter: char| {
        if letter.is_uppercase() { format!("_{}", letter.to_lowercase()) } else { letter.into() }
    };
    name.chars().map(word).collect::<String>().trim_start_matches('_').to_owned()
}

#[test]
fn every_name_in_an_event_is_in_its_documentation() -> Result<()> {
    let text = std::fs::read_to_string(Path::new(HOST).join("docs/events.md"))?;
    for (source, name) in [
        ("src/journal.rs", "EngineEvent"),
        ("src/journal.rs", "Consequence"),
        ("src/journal.rs", "Fate"),
        ("core/src/event.rs", "Event"),
        ("core/src/event.rs", "Skipped"),
        ("core/src/cause.rs", "Cause"),
        ("core/src/decision.rs", "Deed"),
        ("core/src/decision.rs", "Rule"),
        ("core/src/effects.rs", "Outcome"),
        ("core/src/reason.rs", "Reason"),
        ("core/src/vote.rs", "Grounds"),
        ("core/src/vote.rs", "Wish"),
    ] {
        let names = variants(source, name)?;
        ensure!(!names.is_empty(), "{name} has no variants");
        for word in names {
            let quoted = [format!("`{word}`"), format!("\"{word}\"")];
            ensure!(quoted.iter().any(|quoted| text.contains(quoted)), "no word of {word} of {name}");
        }
    }
    Ok(())
}

/// What the planner tells when it is given these inputs again.
fn played(inputs: &Path) -> Result<Vec<String>> {
    let mut planner = Planner::default();
    let mut told = Vec::new();
    for mut line in read(inputs)? {
        let (at, input): (Timestamp, Input) =
            (serde_json::from_value(line["at"].take())?, serde_json::from_value(line["input"].take())?);
        for event in planner.take(input, at).events {
            told.push(serde_json::to_string(&Happened { at, event: event.into() })?);
        }
    }
    Ok(told)
}

/// What the planner told then, line by line.
fn told(events: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(events)?;
    let lines = text.lines().filter(|line| serde_json::from_str::<Event>(line).is_ok());
    Ok(lines.map(str::to_owned).collect())
}

/// A scene whose daemons write to the same two files.
async fn recorded(api: Api) -> Result<(Scene, impl Fn(&Scene) -> Result<Daemon>)> {
    let mut scene = Scene::start(api).await?;
    let [events, inputs] = ["events", "inputs"].map(|name| scene.config_path().with_file_name(name));
    scene.events = Events::Into(events);
    let inputs = inputs.to_str().context("the path of a temporary folder is text")?.to_owned();
    let start =
        move |scene: &Scene| scene.dynamite_with(&scene.config_path(), "info", &["--inputs", &inputs]);
    Ok((scene, start))
}

/// That the events of the planner follow from the inputs, to the byte, and which deeds are among them.
fn check(scene: &Scene, deeds: &[&str]) -> Result<()> {
    let [events, inputs] = ["events", "inputs"].map(|name| scene.config_path().with_file_name(name));
    let (then, now) = (told(&events)?, played(&inputs)?);
    for (number, (then, now)) in then.iter().zip(&now).enumerate() {
        ensure!(then == now, "event {number} was\n{then}\nand is\n{now}");
    }
    ensure!(then.len() == now.len(), "{} events, played {}", then.len(), now.len());
    for deed in deeds {
        ensure!(
            then.iter().any(|line| line.contains(&format!("\"deed\":\"{deed}\""))),
            "no {deed}: {then:#?}"
        );
    }
    let live = then.iter().filter(|line| line.contains("\"event\":\"policies_live\"")).count();
    ensure!(live == 2, "{live} terms");
    Ok(())
}

#[tokio::test]
async fn inputs_of_a_live_daemon_with_restarts_give_the_same_decisions_again() -> Result<()> {
    let (scene, start) = recorded(Api::V2).await?;
    let daemon = start(&scene)?;
    scene.until_apaches(&[8080, 8081], &daemon).await?;
    scene.until_running(&daemon).await?;
    scene.register("first", "apache@8080.service").await?;
    // A careless reader of numbers takes each of these for another.
    for (second, value) in [(0, "91.90678696665249"), (7, "90.91973112356189"), (15, "95.33481985265627")] {
        scene.sample("first", second, value).await?;
    }
    scene.until_apaches(&[8080, 8081, 8082], &daemon).await?;
    daemon.kill().await?;
    let daemon = start(&scene)?;
    daemon.until_times(2, &json!({ "event": "policies_live" })).await?;
    for second in [100, 115, 116] {
        scene.sample("first", second, "5.1").await?;
    }
    scene.until_apaches(&[8081, 8082], &daemon).await?;
    ensure!(daemon.terminate().await?.0.success());
    check(&scene, &["start", "stop"])
}

#[tokio::test]
async fn inputs_of_a_module_give_the_same_decisions_again() -> Result<()> {
    let (scene, start) = recorded(Api::V3).await?;
    configure(&scene, "target-tracking", TARGET)?;
    let daemon = start(&scene)?;
    scene.until_running(&daemon).await?;
    load_of_two(&scene, 100).await?;
    scene.until_apaches(&[8080, 8081, 8082, 8083], &daemon).await?;
    daemon.kill().await?;
    let daemon = start(&scene)?;
    daemon.until_times(2, &json!({ "event": "policies_live" })).await?;
    load_of_two(&scene, 400).await?;
    scene.until_apaches(&[8080, 8081, 8082, 8083, 8084], &daemon).await?;
    ensure!(daemon.terminate().await?.0.success());
    check(&scene, &["start"])
}
