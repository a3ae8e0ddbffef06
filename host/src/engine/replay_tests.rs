//! The same seed gives the same events, byte for byte, and the list of inputs of a run, written down and read again, gives
//! the same decisions and effects.

use std::sync::{Arc, Mutex};

use dynamite_core::{Effects, Event, Input, Planner};
use jiff::Timestamp;

use super::sim::{self, By};
use crate::fakes::{Collected, Universe, begin_life};

/// A run in which a process dies at a call and another goes on: what was told.
fn run(by: By, dies_at: u64) -> Arc<Collected> {
    let collected = Arc::new(Collected::default());
    let journal = collected.clone();
    sim::simulate(async move {
        let world = Arc::new(Mutex::new(Universe::default()));
        begin_life(&world, Some(dies_at), None);
        let config = sim::config(by);
        let death = world.lock().unwrap().death.clone();
        let lives = async {
            tokio::select! {
                biased;
                () = sim::told_process(&world, "first", true, &config, journal.clone()) => {}
                () = death.notified() => {}
            }
            begin_life(&world, None, None);
            sim::told_process(&world, "second", true, &config, journal.clone()).await;
        };
        tokio::select! { biased; () = lives => {}, () = sim::weather(&world) => {} }
    });
    collected
}

/// What follows from inputs, in their order: all of it, and the decisions alone, each a line of JSON.
fn replay(inputs: &[String]) -> (Vec<String>, Vec<String>) {
    let mut planner = Planner::default();
    let (mut effects, mut decisions) = (Vec::new(), Vec::new());
    for line in inputs {
        let (now, input): (Timestamp, Input) = serde_json::from_str(line).unwrap();
        let follows: Effects = planner.take(input, now);
        let decided = follows.events.iter().filter(|event| matches!(event, Event::Decided(_)));
        decisions.extend(decided.map(|event| serde_json::to_string(event).unwrap()));
        effects.push(serde_json::to_string(&follows).unwrap());
    }
    (effects, decisions)
}

#[test]
fn the_same_run_gives_the_same_events_whatever_ran_before() {
    let first = run(By::Thresholds, 400).lines();
    let others = [run(By::Module, 300).lines(), run(By::Thresholds, 77).lines()];
    assert!(first.len() > 40 && others[0] != first && others[1] != first, "they are runs of their own");
    for (again, before) in
        [(run(By::Thresholds, 400).lines(), &first), (run(By::Module, 300).lines(), &others[0])]
    {
        for (again, before) in again.iter().zip(before) {
            assert_eq!(again, before);
        }
        assert_eq!(again.len(), before.len());
    }
}

#[test]
fn the_inputs_of_a_run_with_a_restart_give_the_same_decisions_again() {
    for (by, dies_at) in [(By::Thresholds, 400), (By::Module, 200), (By::Thresholds, 90)] {
        let collected = run(by, dies_at);
        let inputs = collected.inputs();
        let (effects, decisions) = replay(&inputs);
        let live: Vec<String> = collected
            .decisions()
            .into_iter()
            .map(|decision| serde_json::to_string(&Event::Decided(Box::new(decision))).unwrap())
            .collect();
        assert!(live.len() > 8, "there is something to decide: {}", live.len());
        assert_eq!(decisions, live, "killed at call {dies_at}");
        let read_again: Vec<String> = inputs
            .iter()
            .map(|line| {
                serde_json::to_string(&serde_json::from_str::<(Timestamp, Input)>(line).unwrap()).unwrap()
            })
            .collect();
        assert_eq!(read_again, inputs, "nothing is lost when it is written down");
        assert_eq!(replay(&read_again).0, effects);
    }
}
