//! Policies that are asked: when they are, and what becomes of their answers.

use super::*;
use crate::{
    Abstention, CooldownRecord, FailureKind, InstanceState, PastAction, PolicyError, Proposal, Question,
    Usage, Wish,
};

const FOUR: &str = "web@8086.service";

fn by(policies: &[PolicyUse]) -> Spec {
    spec(&[ServiceSpec { policies: policies.to_vec(), attached: Vec::new(), ..web(Given::default()) }])
}

fn both(policy: &str) -> PolicyUse {
    asked(policy, Directions::Both, 60)
}

fn of(policy: &str) -> Use {
    Use { service: "web".into(), policy: policy.into() }
}

fn fixture(policies: &[PolicyUse]) -> Fixture {
    Fixture::new(by(policies), &THREE)
}

fn stop(units: &[&str]) -> Proposal {
    Proposal::Stop(units.iter().map(ToString::to_string).collect())
}

fn answer(result: Result<Verdict, PolicyError>) -> Answer {
    Answer { result, usage: Usage { fuel: 5, ..Usage::default() } }
}

fn trapped(words: &str) -> Answer {
    answer(Err(PolicyError::new(FailureKind::Trap, words)))
}

impl Fixture {
    fn asked(&mut self, ms: i64) -> Vec<Question> {
        let mut asked = Vec::new();
        while self.planner.next_due().is_some_and(|due| due <= at_ms(ms)) {
            asked.extend(self.planner.take(Input::Tick, at_ms(ms)).questions);
        }
        asked
    }

    fn answers(&mut self, policy: &str, ms: i64, proposal: Proposal) -> Vec<String> {
        self.take(Input::Answer(of(policy), answer(Ok(verdict(proposal)))), ms)
    }

    fn fails(&mut self, policy: &str, ms: i64, words: &str) -> Effects {
        self.planner.take(Input::Answer(of(policy), trapped(words)), at_ms(ms))
    }

    /// Asks every policy after a sample, and answers.
    fn decide(&mut self, ms: i64, proposals: &[Proposal]) -> Vec<String> {
        self.sample_at("a", ms, 50.0);
        let asked = self.asked(ms);
        assert_eq!(asked.len(), proposals.len(), "everybody is asked");
        let each = asked.into_iter().zip(proposals);
        each.flat_map(|(question, proposal)| self.answers(question.of.policy.as_str(), ms, proposal.clone()))
            .collect()
    }

    fn heard(&self, policy: &str) -> Wish {
        let state = self.planner.service("web").unwrap();
        state.votes[policy].wish.clone()
    }

    fn last_decision(&self) -> String {
        let decided = self.events.iter().rev().find_map(|event| match event {
            Event::Decided(decision) => Some(decision.to_string()),
            _ => None,
        });
        decided.unwrap_or_default()
    }
}

#[test]
fn it_is_asked_after_a_sample_again_after_its_interval_and_never_twice_within_the_gap() {
    let mut fixture = fixture(&[both("cold")]);
    assert_eq!(fixture.asked(60_000), [], "samples from before the start cause nothing");
    fixture.sample_at("a", 60_000, 1.0);
    fixture.sample_at("b", 60_000, 2.0);
    assert_eq!(fixture.asked(60_000).len(), 1);
    fixture.sample_at("a", 60_020, 1.0);
    assert_eq!(fixture.asked(60_200), [], "it is still thinking");
    fixture.answers("cold", 60_030, Proposal::Hold);
    assert_eq!(fixture.asked(60_099), [], "within the gap");
    assert_eq!(fixture.asked(60_100).len(), 1, "it has not seen the last sample");
    fixture.answers("cold", 60_110, Proposal::Hold);
    assert_eq!(fixture.planner.next_due(), Some(at_ms(70_110)));
}

#[test]
fn a_policy_without_metrics_is_asked_at_once_and_when_it_wakes() {
    let mut fixture = fixture(&[both("clock")]);
    let question = fixture.asked(0).pop().unwrap();
    assert!(question.seen.windows.is_empty() && !question.seen.lacks_data());
    let verdict = Verdict { wake_at: Some(at_ms(2_500)), ..verdict(Proposal::Hold) };
    fixture.take(Input::Answer(of("clock"), answer(Ok(verdict))), 1);
    assert_eq!(fixture.planner.next_due(), Some(at_ms(2_500)));
}

#[test]
fn it_sees_the_service_its_windows_and_the_state_it_gave() {
    let mut fixture = fixture(&[both("cold")]);
    fixture.register("b", THREE[1]);
    fixture.sample_at("a", 60_000, 1.0);
    for (ms, value) in [(0, 1.0), (1_000, 3.0), (61_000, 4.0)] {
        fixture.sample_at("b", ms, value);
    }
    fixture.sample_at("a", 62_000, 2.0);
    let question = fixture.asked(62_000).pop().unwrap();
    let seen = &question.seen;
    let instances: Vec<_> = seen.service.instances.iter().map(|i| (&*i.name, i.number, i.state)).collect();
    let running = InstanceState::Running;
    assert_eq!(instances, [(THREE[0], 8080, running), (THREE[1], 8082, running), (THREE[2], 8084, running)]);
    assert_eq!((seen.service.min, seen.service.max, seen.now), (2, Some(4), at_ms(62_000)));
    let series: Vec<_> =
        seen.windows[0].series.iter().map(|s| (&*s.id, s.instance.as_deref(), &*s.values)).collect();
    assert_eq!(series, [("a", None, &[1.0, 2.0][..]), ("b", Some(THREE[1]), &[3.0, 4.0])]);
    let effects =
        fixture.planner.take(Input::Answer(of("cold"), answer(Ok(verdict(Proposal::Hold)))), at_ms(62_001));
    assert!(effects.records.policy_states.contains(&of("cold")), "the state is kept");
    let Event::PolicyAnswered { usage, delay, .. } = &effects.events[0] else {
        panic!("{:?}", effects.events)
    };
    assert_eq!((usage.fuel, delay.as_millis()), (5, 62_001), "and what it took is told");
    fixture.sample_at("a", 63_000, 2.0);
    assert_eq!(*fixture.asked(63_000)[0].state, [7]);
}

#[test]
fn proposals_are_brought_within_the_bounds_and_carried_out() {
    let case = |proposal, expected: &[&str]| {
        assert_eq!(fixture(&[both("cold")]).decide(0, &[proposal]), expected);
    };
    case(Proposal::Hold, &[]);
    case(Proposal::Up(1), &["start web@8086.service"]);
    case(Proposal::To(100), &["start web@8086.service"]);
    case(Proposal::To(3), &[]);
    case(Proposal::Down(1), &["stop web@8084.service"]);
    case(Proposal::To(0), &["stop web@8084.service"]);
    case(stop(&[THREE[0]]), &["stop web@8080.service"]);
}

#[test]
fn of_several_instances_those_that_can_go_do_and_the_record_counts_them() {
    let case = |proposal: Proposal, expected: &[&str]| {
        let mut fixture = fixture(&[both("cold")]);
        assert_eq!(fixture.decide(0, &[Proposal::Up(1)]), ["start web@8086.service"]);
        assert_eq!(fixture.decide(1_000, std::slice::from_ref(&proposal)), expected, "{proposal:?}");
        for order in &fixture.orders[1..] {
            let Task::Stop { intent } = &order.task else { panic!("a stop") };
            let record = intent.cooldown.as_ref().unwrap();
            assert_eq!((record.instances_before, record.instances_after), (4, 3), "{proposal:?}");
        }
    };
    case(stop(&[FOUR, THREE[0]]), &["stop web@8080.service"]);
    case(stop(&[THREE[0], FOUR]), &["stop web@8080.service"]);
    case(stop(&[THREE[0], THREE[0]]), &["stop web@8080.service"]);
    case(stop(&[FOUR]), &[]);
    case(stop(&[THREE[1], THREE[0]]), &["stop web@8082.service"]);
    case(Proposal::To(2), &["stop web@8084.service"]);
    case(Proposal::Down(1), &[]);
}

#[test]
fn a_policy_for_one_direction_acts_in_that_one_only() {
    for (directions, proposal, done) in [
        (Directions::Up, Proposal::Down(1), &[][..]),
        (Directions::Up, Proposal::Up(1), &["start web@8086.service"]),
        (Directions::Down, Proposal::Up(1), &[]),
        (Directions::Down, Proposal::Down(1), &["stop web@8084.service"]),
    ] {
        let mut fixture = fixture(&[asked("cold", directions, 60)]);
        assert_eq!(fixture.decide(0, std::slice::from_ref(&proposal)), done, "{directions:?} {proposal:?}");
    }
}

#[test]
fn after_it_scaled_it_rests_in_that_direction_also_after_a_restart() {
    let mut first = fixture(&[both("cold")]);
    first.decide(0, &[Proposal::Up(1)]);
    let Task::Start { intent, .. } = &first.orders[0].task else { panic!("a start") };
    let record: CooldownRecord = intent.cooldown.clone().unwrap();
    assert_eq!((record.instances_before, record.instances_after, record.until), (3, 4, at(60)));
    let mut stored = stored(&THREE);
    stored.cooldowns.insert("web".into(), vec![record]);
    let mut again = Fixture::recovering(by(&[both("cold")]), stored, &THREE);
    again.go_live();
    assert_eq!(again.decide(59_999, &[Proposal::Up(1)]), NOTHING);
    let past = PastAction { at: at(0), before: 3, after: 4 };
    assert_eq!(again.planner.service("web").unwrap().last_up, Some(past));
    assert_eq!(again.decide(60_100, &[Proposal::Up(1)]), ["start web@8086.service"]);
}

#[test]
fn a_failure_changes_nothing_is_reported_and_asked_again_later_and_later() {
    let mut fixture = fixture(&[both("cold")]);
    fixture.sample_at("a", 0, 1.0);
    fixture.asked(0);
    for (failure, next) in [(0, 10_000), (1, 20_000), (2, 40_000)] {
        let effects = fixture.fails("cold", 0, "it trapped");
        assert_eq!(effects.orders, []);
        assert_eq!(effects.records.policy_statuses.contains(&of("cold")), failure == 0, "told once");
        let holds = effects.events.iter().filter(|event| matches!(event, Event::Decided(_)));
        assert_eq!(holds.count(), 1, "that it holds is told each time");
        assert_eq!(fixture.planner.next_due(), Some(at_ms(next)));
        fixture.sample_at("a", failure + 1, 1.0);
        assert_eq!(fixture.planner.next_due(), Some(at_ms(next)), "samples do not hurry it");
        assert_eq!(fixture.asked(next).len(), 1);
    }
    fixture.answers("cold", 40_000, stop(&["web@1.service"]));
    assert_eq!(fixture.heard("cold"), Wish::Abstain(Abstention::Failed), "unknown instances are a failure");
    let trouble = fixture.planner.trouble(&of("cold")).unwrap();
    assert_eq!(trouble.error.kind, FailureKind::Answer);
    assert_eq!(fixture.planner.policy_state(&of("cold")), [] as [u8; 0], "a failed decision leaves no state");
}

#[test]
fn a_policy_fails_since_its_first_failure_whatever_fails_next() {
    let mut fixture = fixture(&[both("cold")]);
    fixture.sample_at("a", 0, 1.0);
    for (ms, error) in [(0, "it trapped"), (10_000, "it called `exit`")] {
        assert_eq!(fixture.asked(ms).len(), 1);
        let effects = fixture.fails("cold", ms, error);
        let trouble = fixture.planner.trouble(&of("cold")).unwrap();
        assert_eq!((&*trouble.error.words, trouble.since), (error, at(0)));
        assert!(effects.records.policy_statuses.contains(&of("cold")), "{error} is written");
    }
}

#[test]
fn a_policy_whose_module_cannot_be_used_says_so_at_once_and_begins_when_it_can() {
    let mut fixture = fixture(&[both("cold")]);
    fixture.take(Input::Ask(vec!["cold".into()]), 0);
    assert_eq!(fixture.asked(0).len(), 1, "without a sample");
    fixture.fails("cold", 0, "there is no such file");
    assert_eq!(fixture.heard("cold"), Wish::Abstain(Abstention::Failed));
    let renewed = |fixture: &mut Fixture, ms| {
        fixture.planner.take(Input::Renewed(vec!["cold".into()]), at_ms(ms)).records.policy_statuses
    };
    assert!(
        renewed(&mut fixture, 1_000).contains(&of("cold")) && fixture.planner.trouble(&of("cold")).is_none()
    );
    assert_eq!(fixture.heard("cold"), Wish::Abstain(Abstention::NoData));
    assert_eq!(fixture.planner.next_due(), None, "samples from before the start cause nothing");
    fixture.sample_at("a", 2_000, 1.0);
    assert_eq!(fixture.asked(2_000).len(), 1);
    for _ in 0..5 {
        fixture.fails("cold", 2_000, "it trapped");
    }
    renewed(&mut fixture, 3_000);
    assert_eq!(fixture.asked(3_000).len(), 1, "it need not wait until its pause is over");
    fixture.answers("cold", 3_000, Proposal::Hold);
    assert_eq!(fixture.heard("cold"), Wish::Stay);
    assert!(fixture.events.contains(&Event::PolicyWorks { of: of("cold") }));
}

#[test]
fn the_largest_count_wins_and_who_failed_or_has_no_data_keeps_instances() {
    let two = || fixture(&[both("cold"), both("hot")]);
    let up = two().decide(0, &[Proposal::Down(1), Proposal::Up(1)]);
    assert_eq!(up, ["start web@8086.service"], "the first is kept: the second has no data yet");
    assert_eq!(two().decide(0, &[Proposal::Hold, Proposal::Down(1)]), NOTHING, "one stays");
    let agreed = two().decide(0, &[Proposal::Down(1), Proposal::Down(1)]);
    assert_eq!(agreed, ["stop web@8084.service"], "the second knows what the first wants");
    let mut fixture = two();
    fixture.sample_at("a", 0, 1.0);
    fixture.asked(0);
    fixture.fails("cold", 0, "it trapped");
    assert_eq!(fixture.answers("hot", 0, Proposal::Down(1)), NOTHING);
    assert_eq!(fixture.last_decision(), "web: hold: cold failed, so nothing goes");
    assert_eq!(fixture.answers("hot", 0, Proposal::Up(1)), ["start web@8086.service"]);
}

#[test]
fn without_any_sample_a_policy_has_no_say_about_less() {
    let mut fixture = fixture(&[both("cold")]);
    fixture.take(Input::Ask(vec!["cold".into()]), 0);
    fixture.asked(0);
    assert_eq!(fixture.answers("cold", 0, Proposal::Down(1)), NOTHING);
    assert_eq!(fixture.heard("cold"), Wish::Abstain(Abstention::NoData));
    fixture.take(Input::Ask(vec!["cold".into()]), 1_000);
    fixture.asked(1_000);
    assert_eq!(fixture.answers("cold", 1_000, Proposal::Up(1)), ["start web@8086.service"]);
}
