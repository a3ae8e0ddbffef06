//! What a former run left, and what is made of it.

use super::*;
use crate::{Intent, IntentAction};

fn intent(action: IntentAction) -> Intent {
    Intent { action, units: [].into(), reason: String::new(), cooldown: None }
}

fn recovered(spec: Spec, stored: Stored, units: &[&str]) -> (Fixture, Vec<String>) {
    let fixture = Fixture::recovering(spec, stored, units);
    let done = fixture.orders.iter().map(name).collect();
    (fixture, done)
}

#[test]
fn what_was_begun_is_finished_and_what_is_not_configured_goes() {
    let mut stored = stored(&THREE);
    stored.instances.insert("gone".into(), [("gone@1.service".to_owned(), Vec::new())].into());
    let intents = [
        ("web@8084.service".to_owned(), intent(IntentAction::Stop)),
        ("web@8086.service".to_owned(), intent(IntentAction::Start)),
    ];
    stored.intents.insert("web".into(), intents.into());
    let (mut fixture, done) = recovered(spec(&[web(Given::default())]), stored, &THREE);
    assert_eq!(done, ["stop gone@1.service", "stop web@8084.service", "start web@8086.service"]);
    let Task::Start { claim, .. } = &fixture.orders[2].task else { panic!("a start") };
    assert_eq!(*claim, Claim::Intended);
    assert_eq!(fixture.end("stop gone@1.service", Outcome::Stopped, 0), NOTHING);
}

#[test]
fn instances_of_a_former_unit_file_go_when_the_minimum_of_new_ones_is_up() {
    let former = ["former@1.service"];
    let (mut fixture, done) = recovered(spec(&[web(Given::default())]), stored(&former), &former);
    assert_eq!(done, ["start web@8080.service", "start web@8082.service"]);
    assert_eq!(fixture.end("start web@8080.service", Outcome::Started, 0), NOTHING);
    assert_eq!(fixture.end("start web@8082.service", Outcome::Started, 0), ["stop former@1.service"]);
    assert!(fixture.planner.is_settled());
}

#[test]
fn a_lowered_maximum_is_applied_from_the_top() {
    let lowered = ServiceSpec { bounds: Bounds { min: 2, max: Some(2) }, ..web(Given::default()) };
    let (_, done) = recovered(spec(&[lowered]), stored(&THREE), &THREE);
    assert_eq!(done, ["stop web@8084.service"]);
}

#[test]
fn what_is_recorded_and_lost_is_replaced_with_what_is_configured_now() {
    let mut stored = stored(&[]);
    let attached = vec!["old@8080.service".to_owned()];
    stored.instances.entry("web".into()).or_default().insert(TWO[0].to_owned(), attached.clone());
    let (fixture, done) = recovered(spec(&[web(Given::default())]), stored, &[]);
    assert_eq!(done, ["start web@8080.service", "start web@8082.service"]);
    let Order { plan, task: Task::Start { claim, recorded, former, .. }, .. } = &fixture.orders[0] else {
        panic!("a start")
    };
    assert_eq!((*claim, recorded.as_ref(), former), (Claim::Lost, Some(&attached), &attached));
    assert_eq!(plan.names(), ["log@8080.service", "web@8080.service"]);
}

#[test]
fn an_instance_goes_with_what_it_was_begun_with() {
    let mut stored = stored(&[]);
    let attached = vec!["old@8084.service".to_owned()];
    for unit in THREE {
        stored.instances.entry("web".into()).or_default().insert(unit.to_owned(), attached.clone());
    }
    let mut fixture = Fixture::recovering(spec(&[web(Given::default())]), stored, &THREE);
    fixture.go_live();
    assert_eq!(fixture.sample("i", 0, 5.0), ["stop web@8084.service"]);
    let plan = &fixture.orders[0].plan;
    assert_eq!(plan.names(), ["old@8084.service", "web@8084.service"]);
    assert_eq!(plan.attached[0].blueprint, None, "it can only be removed");
}

#[test]
fn services_start_after_those_that_they_depend_on() {
    let db = ServiceSpec { unit: template("db.service"), ..service("db") };
    let web = ServiceSpec { depends_on: vec!["db".into()], ..web(Given::default()) };
    let (mut fixture, done) = recovered(spec(&[web, db]), Stored::default(), &[]);
    assert_eq!(done, ["start db.service"]);
    let started = fixture.end("start db.service", Outcome::Started, 0);
    assert_eq!(started, ["start web@8080.service", "start web@8082.service"]);
    assert!(!fixture.planner.is_settled());
}

#[test]
fn a_term_with_another_specification_is_no_change_while_all_goes_on() {
    let one = || ServiceSpec { bounds: Bounds { min: 1, max: Some(1) }, ..web(Given::default()) };
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &TWO);
    for input in [Input::Stored(stored(&TWO)), Input::Spec(spec(&[one()]))] {
        assert_eq!(fixture.take(input, 10_000), NOTHING);
    }
    let mut fresh = Planner::default();
    for input in [Input::Stored(stored(&TWO)), Input::Spec(spec(&[one()]))] {
        fresh.take(input, at(10));
    }
    let look = || Input::Look(up(&TWO));
    let (again, first) = (fixture.planner.take(look(), at(11)), fresh.take(look(), at(11)));
    assert_eq!(again, first, "a planner that has seen a term before decides as a new one");
    assert_eq!(names(&first), ["stop web@8082.service"]);
}

#[test]
fn a_term_forgets_what_the_one_before_knew_of_the_world() {
    let mut fixture = Fixture::new(spec(&[web(Given { period: 30, ..Given::default() })]), &TWO);
    fixture.sample("i", 0, 95.0);
    fixture.take(Input::Stored(stored(&THREE)), 10_000);
    assert_eq!(fixture.take(Input::Look(up(&THREE)), 10_000), NOTHING);
    assert_eq!(fixture.phases().len(), 3);
    assert!(!fixture.planner.is_live());
    let command = Command::Scale { service: "web".into(), to: 4 };
    fixture.take(Input::Command(command), 10_000);
    let Some(Event::Decided(decision)) = fixture.events.last() else { panic!("a decision") };
    assert_eq!(decision.id, DecisionId { term: at(10).as_millisecond(), number: 1 });
}
