//! Every pair of actions on one instance: there is one at a time, and none is forgotten.

use super::*;
use crate::Phase::{Running, Starting, Stopping};
use crate::{Difference, Proposal};

/// Three instances with `log` and `audit` attached.
fn three() -> Fixture {
    let service = ServiceSpec {
        attached: vec![template("log@.service"), template("audit@.service")],
        ..web(Given::default())
    };
    let mut stored = stored(&[]);
    for unit in THREE {
        let slot = &unit["web@".len()..];
        let attached = vec![format!("log@{slot}"), format!("audit@{slot}")];
        stored.instances.entry("web".into()).or_default().insert(unit.to_owned(), attached);
    }
    let mut fixture = Fixture::recovering(spec(&[service]), stored, &all(&[]));
    fixture.go_live();
    fixture
}

/// Every unit but these.
fn all<'a>(but: &[&str]) -> Vec<&'a str> {
    let units = [
        "web@8080.service",
        "log@8080.service",
        "audit@8080.service",
        "web@8082.service",
        "log@8082.service",
        "audit@8082.service",
        "web@8084.service",
        "log@8084.service",
        "audit@8084.service",
    ];
    units.into_iter().filter(|unit| !but.contains(unit)).collect()
}

impl Fixture {
    fn look_without(&mut self, units: &[&str], second: i64) -> Vec<String> {
        self.take(Input::Look(up(&all(units))), second * 1_000)
    }
}

#[test]
fn an_instance_that_is_told_to_go_while_it_is_mended_goes_when_that_has_ended() {
    let mut fixture = three();
    assert_eq!(fixture.look_without(&["log@8084.service"], 0), ["mend log@8084.service"]);
    assert_eq!(fixture.sample("i", 1, 5.0), NOTHING, "the mending goes on, and nothing else begins");
    let Some(Event::Decided(decision)) = fixture.events.last() else { panic!("a decision") };
    assert!(decision.to_string().starts_with("web: down web@8084.service: cold"), "{decision}");
    assert_eq!(fixture.phases(), [(8080, Running), (8082, Running), (8084, Stopping)]);
    assert_eq!(fixture.end("mend log@8084.service", Outcome::Mended, 2_000), ["stop web@8084.service"]);
    let names = fixture.orders[0].plan.names().join(" ");
    assert_eq!(names, "log@8084.service audit@8084.service web@8084.service");
    assert_eq!(fixture.end("stop web@8084.service", Outcome::Stopped, 3_000), NOTHING);
    assert_eq!(fixture.phases(), [(8080, Running), (8082, Running)]);
}

#[test]
fn two_attached_units_are_mended_one_after_the_other() {
    let mut fixture = three();
    let lost = ["log@8084.service", "audit@8084.service"];
    assert_eq!(fixture.look_without(&lost, 0), ["mend log@8084.service"]);
    assert_eq!(fixture.look_without(&lost, 60), NOTHING, "a look in between changes nothing");
    assert_eq!(fixture.end("mend log@8084.service", Outcome::Mended, 61_000), ["mend audit@8084.service"]);
    assert_eq!(fixture.end("mend audit@8084.service", Outcome::Mended, 62_000), NOTHING);
}

#[test]
fn what_waits_to_be_mended_is_not_when_its_instance_goes() {
    let mut fixture = three();
    fixture.look_without(&["log@8084.service", "audit@8084.service"], 0);
    fixture.sample("i", 1, 5.0);
    assert_eq!(fixture.end("mend log@8084.service", Outcome::Mended, 2_000), ["stop web@8084.service"]);
    assert_eq!(fixture.end("stop web@8084.service", Outcome::Stopped, 3_000), NOTHING);
}

#[test]
fn an_instance_that_is_lost_while_it_is_mended_is_replaced_when_that_has_ended() {
    let mut fixture = three();
    fixture.look_without(&["log@8084.service"], 0);
    let lost = ["log@8084.service", "web@8084.service"];
    for second in [5, 10, 15] {
        assert_eq!(fixture.look_without(&lost, second), NOTHING);
    }
    assert_eq!(fixture.end("mend log@8084.service", Outcome::Mended, 16_000), NOTHING);
    assert_eq!(fixture.look_without(&lost, 20), ["start web@8084.service"]);
}

#[test]
fn an_instance_that_starts_is_neither_stopped_nor_mended_nor_replaced() {
    let mut fixture = three();
    let lost = ["web@8084.service", "log@8084.service"];
    fixture.look_without(&lost, 0);
    assert_eq!(fixture.look_without(&lost, 5), ["start web@8084.service"]);
    assert_eq!(fixture.look_without(&lost, 60), NOTHING);
    assert_eq!(fixture.sample("i", 61, 5.0), NOTHING, "it is still starting");
    fixture.register("j", "web@8084.service");
    assert_eq!(fixture.sample("j", 62, 5.0), NOTHING);
    assert_eq!(fixture.phases()[2], (8084, Starting));
}

#[test]
fn an_instance_that_goes_is_neither_started_nor_mended_nor_stopped_again() {
    let mut fixture = three();
    assert_eq!(fixture.sample("i", 0, 5.0), ["stop web@8084.service"]);
    for second in [5, 10, 15] {
        assert_eq!(fixture.look_without(&["web@8084.service", "log@8084.service"], second), NOTHING);
    }
    assert_eq!(
        fixture.sample("i", 16, 95.0),
        ["start web@8086.service"],
        "its slot is taken until it is gone"
    );
}

#[test]
fn instances_that_are_too_many_go_after_they_are_mended() {
    let mut fixture = three();
    fixture.look_without(&["log@8084.service"], 0);
    let lowered = ServiceSpec {
        attached: vec![template("log@.service"), template("audit@.service")],
        bounds: Bounds { min: 2, max: Some(2) },
        ..web(Given::default())
    };
    assert_eq!(fixture.take(Input::Spec(spec(&[lowered])), 1_000), NOTHING);
    assert_eq!(fixture.end("mend log@8084.service", Outcome::Mended, 2_000), ["stop web@8084.service"]);
}

#[test]
fn a_service_that_is_not_configured_any_more_goes_when_nothing_is_under_way_on_it() {
    let mut fixture = three();
    fixture.look_without(&["log@8084.service"], 0);
    let gone = fixture.take(Input::Spec(Spec::default()), 1_000);
    assert_eq!(gone, ["stop web@8080.service", "stop web@8082.service"]);
    assert_eq!(fixture.end("mend log@8084.service", Outcome::Mended, 2_000), ["stop web@8084.service"]);
    let difference = Difference { removed: vec!["web".into()], ..Difference::default() };
    assert!(fixture.events.contains(&Event::ConfigurationChanged { difference }));
}

#[test]
fn a_policy_that_names_an_instance_that_is_mended_is_obeyed_when_that_has_ended() {
    let service = ServiceSpec {
        policies: vec![asked("clock", Directions::Both, 0)],
        attached: vec![template("log@.service")],
        ..web(Given::default())
    };
    let mut stored = stored(&THREE);
    let attached = vec!["log@8082.service".to_owned()];
    stored.instances.entry("web".into()).or_default().insert(THREE[1].to_owned(), attached);
    let mut fixture = Fixture::recovering(spec(&[service]), stored, &THREE);
    fixture.go_live();
    assert_eq!(fixture.take(Input::Look(up(&THREE)), 0), ["mend log@8082.service"]);
    fixture.take(Input::Tick, 0);
    let of = Use { service: "web".into(), policy: "clock".into() };
    let stop = verdict(Proposal::Stop(vec![THREE[1].to_owned()]));
    let answer = Answer { result: Ok(stop), usage: crate::Usage::default() };
    assert_eq!(fixture.take(Input::Answer(of, answer), 100), NOTHING);
    assert_eq!(fixture.end("mend log@8082.service", Outcome::Mended, 200), ["stop web@8082.service"]);
}
