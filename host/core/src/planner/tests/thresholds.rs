//! Thresholds: which samples fire, what comes of it, and how starts that fail are borne.

use super::*;

#[test]
fn a_cold_start_starts_the_minimum_in_the_lowest_slots() {
    let fixture = Fixture::recovering(spec(&[web(Given::default())]), Stored::default(), &[]);
    assert_eq!(
        fixture.orders.iter().map(name).collect::<Vec<_>>(),
        ["start web@8080.service", "start web@8082.service"]
    );
}

#[test]
fn slots_of_units_that_are_not_ours_are_skipped() {
    let spec = spec(&[web(Given::default())]);
    let fixture = Fixture::recovering(spec, Stored::default(), &["web@8080.service", "log@8082.service"]);
    assert_eq!(
        fixture.orders.iter().map(name).collect::<Vec<_>>(),
        ["start web@8084.service", "start web@8086.service"]
    );
}

#[test]
fn load_adds_one_up_to_the_maximum_and_the_bound_leaves_the_trigger() {
    let mut fixture = Fixture::new(spec(&[web(Given { cooldown: 10, ..Given::default() })]), &TWO);
    assert_eq!(fixture.sample("i", 0, 95.0), ["start web@8084.service"]);
    assert_eq!(fixture.sample("i", 9, 95.0), NOTHING, "cooling down");
    assert_eq!(fixture.sample("j", 10, 95.0), ["start web@8086.service"]);
    assert_eq!(fixture.sample("j", 20, 95.0), NOTHING, "4 of 4");
    assert_eq!(fixture.sample("j", 21, 95.0), NOTHING, "4 of 4, and no cooldown began");
    let holds = fixture.events.iter().filter(|event| {
        matches!(event, Event::Decided(decision) if decision.to_string() == "web: hold: 4 of 4 (max_instance)")
    });
    assert_eq!(holds.count(), 2, "each of them is told");
}

#[test]
fn the_instance_whose_series_fired_goes_else_the_highest() {
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &THREE);
    fixture.register("i", "web@8082");
    assert_eq!(fixture.sample("i", 0, 5.0), ["stop web@8082.service"]);
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &THREE);
    assert_eq!(fixture.sample("stranger", 0, 5.0), ["stop web@8084.service"]);
    assert_eq!(fixture.sample("stranger", 1, 5.0), NOTHING, "2 of 2 (min_instance)");
}

#[test]
fn the_series_of_another_service_of_the_type_does_not_scale_this_one() {
    let other = ServiceSpec { kind: "web".into(), ..service("other") };
    let mut stored = stored(&THREE);
    stored.instances.insert("other".into(), [("other@1.service".to_owned(), Vec::new())].into());
    let units = [&THREE[..], &["other@1.service"]].concat();
    let mut fixture = Fixture::recovering(spec(&[web(Given::default()), other]), stored, &units);
    fixture.go_live();
    fixture.register("o", "other@1.service");
    assert_eq!(fixture.sample("o", 0, 95.0), NOTHING);
    fixture.register("o", "web@8080.service");
    assert_eq!(fixture.sample("o", 1, 95.0), ["start web@8086.service"]);
}

#[test]
fn samples_from_before_the_start_set_triggers_and_cause_nothing() {
    let given = Given { period: 30, ..Given::default() };
    let mut fixture = Fixture::recovering(spec(&[web(given)]), stored(&TWO), &TWO);
    fixture.take(Input::Registrations(vec![RegistrationChange::Complete]), 0);
    let mut first = batch(Stretch::Snapshot);
    let series = fixture.series("i", 0, &mut first);
    let reading = |second| Reading { series, at: at(second), value: 95.0 };
    first.readings = vec![reading(40), reading(10)];
    assert_eq!(fixture.take(Input::Samples(first), 41_000), NOTHING);
    let last = SampleBatch { readings: vec![reading(20)], ..batch(Stretch::SnapshotEnd) };
    assert_eq!(fixture.take(Input::Samples(last), 41_000), NOTHING);
    assert_eq!(fixture.events.last(), Some(&Event::PoliciesLive { samples: 3 }));
    assert_eq!(fixture.sample("i", 41, 95.0), ["start web@8084.service"]);
}

#[test]
fn a_cooldown_from_before_the_start_is_in_force() {
    let mut stored = stored(&TWO);
    let cooldown = crate::CooldownRecord {
        direction: Direction::Up,
        policy: "hot".into(),
        fired_at: at(0),
        until: at(60),
        instances_before: 2,
        instances_after: 3,
    };
    stored.cooldowns.insert("web".into(), vec![cooldown]);
    let mut fixture = Fixture::recovering(spec(&[web(Given::default())]), stored, &TWO);
    fixture.go_live();
    assert_eq!(fixture.sample("i", 59, 95.0), NOTHING);
    assert_eq!(fixture.sample("i", 60, 95.0), ["start web@8084.service"]);
}

#[test]
fn two_series_that_fire_in_one_batch_are_two_causes() {
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &TWO);
    let mut both = batch(Stretch::Live);
    for id in ["i", "j"] {
        let series = fixture.series(id, 0, &mut both);
        both.readings.push(Reading { series, at: at(0), value: 95.0 });
    }
    assert_eq!(
        fixture.take(Input::Samples(both), 0),
        ["start web@8084.service"],
        "the second is in its cooldown"
    );
}

#[test]
fn an_order_says_what_is_written_down_before() {
    let mut fixture = Fixture::new(spec(&[web(Given { cooldown: 60, ..Given::default() })]), &TWO);
    fixture.sample("i", 0, 95.0);
    let Task::Start { intent, .. } = &fixture.orders[0].task else { panic!("a start") };
    let text = serde_json::to_string(intent).unwrap();
    assert_eq!(
        text,
        r#"{"action":"start","units":{"log@8084.service":["hash of log@.service"],"#.to_owned()
            + r#""web@8084.service":["hash of web@.service"]},"reason":"hot: cpu of i is 95 (> 90 for 0s)","#
            + r#""cooldown":{"direction":"up","policy":"hot","fired_at":"2015-07-28T13:15:50Z","#
            + r#""until":"2015-07-28T13:16:50Z","instances_before":2,"instances_after":3}}"#
    );
}

#[test]
fn a_lost_unit_is_replaced_after_a_second_look_and_attempts_back_off() {
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &TWO);
    let one = ["web@8080.service", "log@8080.service", "log@8082.service"];
    assert_eq!(fixture.take(Input::Look(up(&one)), 0), NOTHING);
    assert_eq!(fixture.take(Input::Look(up(&one)), 5_000), ["start web@8082.service"]);
    let (mut pauses, mut order) = (Vec::new(), "start web@8082.service".to_owned());
    for second in 0..6 {
        let failed = Outcome::Failed("no".to_owned());
        // Its slot is not free as long as what was attached to it is there.
        order = fixture.end(&order, failed, 10_000 + second).remove(0);
        assert_eq!(order, "start web@8084.service");
        let Task::Start { after, .. } = &fixture.orders[0].task else { panic!("a start") };
        pauses.push(after.as_secs());
    }
    let words = "after the fourth failure it is degraded, and goes on below its minimum";
    assert_eq!(pauses, [1, 2, 4, 60, 60, 60], "{words}");
    let degraded = fixture.events.iter().filter(|event| matches!(event, Event::ServiceDegraded { .. }));
    assert_eq!(degraded.count(), 1);
}

#[test]
fn an_attached_unit_that_does_not_stay_up_is_brought_back_after_growing_pauses() {
    let mut stored = stored(&TWO[1..]);
    let attached = vec!["log@8080.service".to_owned()];
    stored.instances.entry("web".into()).or_default().insert(TWO[0].to_owned(), attached);
    let mut fixture = Fixture::recovering(spec(&[web(Given::default())]), stored, &TWO);
    let mut seconds = Vec::new();
    for second in (0..240).step_by(5).chain([600, 605]) {
        for order in fixture.take(Input::Look(up(&TWO)), second * 1_000) {
            assert_eq!(order, "mend log@8080.service");
            assert_eq!(fixture.end(&order, Outcome::Mended, second * 1_000), NOTHING);
            seconds.push(second);
        }
    }
    assert_eq!(seconds, [0, 5, 10, 20, 40, 75, 135, 195, 600, 605]);
}

#[test]
fn an_instance_enters_its_phase_when_its_action_ends_and_not_before() {
    let mut fixture = Fixture::new(spec(&[web(Given::default())]), &TWO);
    fixture.sample("i", 0, 95.0);
    fixture.end("start web@8084.service", Outcome::Started, 7_000);
    let seen = fixture.planner.service("web").unwrap().seen();
    let since: Vec<_> = seen.instances.iter().map(|instance| instance.since).collect();
    assert_eq!(
        since,
        [Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH, at(7)],
        "since it is up, not since the sample"
    );
}

#[test]
fn samples_that_come_together_are_shown_one_by_one_as_if_they_had_not() {
    let given = Given { period: 20, cooldown: 0 };
    for samples in [
        &[(0, 50.0), (10, 95.0), (20, 95.0), (30, 95.0), (40, 95.0), (50, 50.0)][..],
        &[(0, 95.0), (10, 95.0), (25, 95.0)],
        &[(60, 50.0), (25, 95.0), (10, 95.0), (0, 95.0)],
    ] {
        let mut fixture = Fixture::new(spec(&[web(given)]), &TWO);
        let mut batch = batch(Stretch::Live);
        let series = fixture.series("i", 0, &mut batch);
        let reading = |&(second, value)| Reading { series, at: at(second), value };
        batch.readings.extend(samples.iter().map(reading));
        assert_eq!(fixture.take(Input::Samples(batch), 60_000), ["start web@8084.service"], "{samples:?}");
    }
}
