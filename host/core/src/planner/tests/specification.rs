//! Another specification while all goes on.

use super::*;
use crate::{Difference, Proposal};

fn difference(fixture: &Fixture) -> Difference {
    let told = fixture.events.iter().rev().find_map(|event| match event {
        Event::ConfigurationChanged { difference } => Some(difference.clone()),
        _ => None,
    });
    told.unwrap()
}

#[test]
fn what_did_not_change_keeps_windows_triggers_and_rests() {
    let given = Given { period: 30, cooldown: 600 };
    let mut fixture = Fixture::new(spec(&[web(given)]), &TWO);
    fixture.sample("i", 0, 95.0);
    let other = service("other");
    assert_eq!(fixture.take(Input::Spec(spec(&[web(given), other])), 10_000), ["start other@1.service"]);
    assert_eq!(difference(&fixture).added, ["other".into()]);
    assert_eq!(fixture.sample("i", 30, 95.0), ["start web@8084.service"], "triggered since before");
    let wider = ServiceSpec { bounds: Bounds { min: 2, max: Some(9) }, ..web(given) };
    assert_eq!(
        fixture.take(Input::Spec(spec(&[wider])), 31_000),
        ["stop other@1.service"; 0],
        "it is being started"
    );
    assert_eq!(difference(&fixture).changed, [("web".into(), vec!["max_instance".to_owned()])]);
    assert_eq!(fixture.end("start other@1.service", Outcome::Started, 32_000), ["stop other@1.service"]);
    for second in [40, 80, 120] {
        assert_eq!(fixture.sample("i", second, 95.0), NOTHING, "it rests");
    }
}

#[test]
fn a_rule_that_changed_begins_anew_and_goes_on_resting() {
    let given = Given { period: 30, cooldown: 600 };
    let mut fixture = Fixture::new(spec(&[web(given)]), &TWO);
    fixture.sample("i", 0, 95.0);
    let shorter = Given { period: 20, cooldown: 600 };
    fixture.take(Input::Spec(spec(&[web(shorter)])), 10_000);
    assert_eq!(difference(&fixture).changed[0].1, ["policy hot", "policy cold"]);
    assert_eq!(fixture.sample("i", 25, 95.0), NOTHING, "the period begins with this sample");
    assert_eq!(fixture.sample("i", 45, 95.0), ["start web@8084.service"]);
    fixture.take(Input::Spec(spec(&[web(given)])), 46_000);
    assert_eq!(fixture.sample("i", 100, 95.0), NOTHING);
    assert_eq!(fixture.sample("i", 140, 95.0), NOTHING, "it rests for ten minutes");
}

#[test]
fn the_same_specification_changes_nothing_and_is_not_told() {
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &TWO);
    let before = fixture.events.len();
    assert_eq!(fixture.take(Input::Spec(spec(&[web(Given::default())])), 0), NOTHING);
    assert_eq!(fixture.events.len(), before);
}

#[test]
fn bounds_are_applied_both_ways() {
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &THREE);
    let bounds = |min, max| ServiceSpec { bounds: Bounds { min, max: Some(max) }, ..web(Given::default()) };
    assert_eq!(fixture.take(Input::Spec(spec(&[bounds(4, 4)])), 0), ["start web@8086.service"]);
    fixture.end("start web@8086.service", Outcome::Started, 0);
    let gone = fixture.take(Input::Spec(spec(&[bounds(1, 2)])), 0);
    assert_eq!(gone, ["stop web@8086.service", "stop web@8084.service"]);
}

#[test]
fn instances_of_a_former_unit_file_go_when_there_are_enough_of_the_new_one() {
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &TWO);
    let renamed = ServiceSpec { unit: template("www@.service"), ..web(Given::default()) };
    let started = fixture.take(Input::Spec(spec(&[renamed])), 0);
    assert_eq!(started, ["start www@8080.service", "start www@8082.service"]);
    fixture.end("start www@8080.service", Outcome::Started, 0);
    let gone = fixture.end("start www@8082.service", Outcome::Started, 0);
    assert_eq!(gone, ["stop web@8080.service", "stop web@8082.service"]);
    assert_eq!(fixture.orders[0].plan.names(), ["web@8080.service"], "nothing was recorded to be attached");
}

#[test]
fn a_policy_that_is_asked_keeps_its_state_whatever_else_changes() {
    let of = Use { service: "web".into(), policy: "clock".into() };
    let by =
        |directions| ServiceSpec { policies: vec![asked("clock", directions, 60)], ..web(Given::default()) };
    let mut fixture = Fixture::new(spec(&[by(Directions::Both)]), &THREE);
    fixture.take(Input::Tick, 0);
    let answer = Answer { result: Ok(verdict(Proposal::Hold)), usage: crate::Usage::default() };
    fixture.take(Input::Answer(of.clone(), answer), 0);
    let due = fixture.planner.next_due();
    fixture.take(Input::Spec(spec(&[by(Directions::Up)])), 1_000);
    assert_eq!((fixture.planner.policy_state(&of), fixture.planner.next_due()), (&[7][..], due));
    fixture.take(Input::Spec(spec(&[web(Given::default())])), 2_000);
    assert_eq!((fixture.planner.policy_state(&of), fixture.planner.next_due()), (&[][..], None));
    fixture.take(Input::Spec(spec(&[by(Directions::Both)])), 3_000);
    assert_eq!(fixture.planner.next_due(), Some(at(3)), "a new one that reads no metric is asked at once");
}

#[test]
fn registrations_are_read_anew_for_other_services() {
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &THREE);
    fixture.register("o", "other@1.service");
    let other = ServiceSpec { kind: "web".into(), ..service("other") };
    fixture.take(Input::Spec(spec(&[web(Given::default()), other])), 0);
    assert_eq!(fixture.sample("o", 1, 95.0), NOTHING, "it is another service's series now");
}
