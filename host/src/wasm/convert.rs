//! Between the core's values and those of the interface.

use std::collections::HashSet;

use dynamite_core::{
    InstanceState, Observation, PastAction, Proposal, SeenInstance, SeenSeries, SeenService, SeenWindow,
    Verdict,
};
use jiff::Timestamp;

use super::Garbled;
use super::bindings::dynamite::policy::types;

/// The longest reason, in bytes.
pub const REASON_BYTES_MAX: usize = 1024;
/// The largest state, in bytes; etcd holds one for each policy of each service.
pub const STATE_BYTES_MAX: usize = 64 * 1024;
/// The most instances that a decision may name.
const NAMES_MAX: usize = 10_000;

/// A time as the interface has it; the epoch for what is before it.
fn to_ms(time: Timestamp) -> u64 {
    u64::try_from(time.as_millisecond()).unwrap_or(0)
}

/// Shows what is seen in the words of the interface, for as long as the call takes.
pub(super) fn lend<T>(seen: &Observation, call: impl FnOnce(types::Observation<'_>) -> T) -> T {
    let series: Vec<Vec<_>> =
        seen.windows.iter().map(|window| window.series.iter().map(lent_series).collect()).collect();
    let windows: Vec<_> =
        seen.windows.iter().zip(&series).map(|(window, series)| lent_window(window, series)).collect();
    let instances: Vec<_> = seen.service.instances.iter().map(lent_instance).collect();
    let SeenService { name, service_type, min, max, instances: _ } = &seen.service;
    call(types::Observation {
        now: to_ms(seen.now),
        service: types::Service {
            name: name.as_str(),
            service_type,
            min_instances: *min,
            max_instances: *max,
            instances: &instances,
        },
        windows: &windows,
        last_scale_up: seen.last_up.map(Into::into),
        last_scale_down: seen.last_down.map(Into::into),
    })
}

fn lent_series(series: &SeenSeries) -> types::Series<'_> {
    types::Series {
        id: &series.id,
        instance: series.instance.as_deref(),
        at: &series.at_ms,
        values: &series.values,
    }
}

fn lent_window<'s>(window: &'s SeenWindow, series: &'s [types::Series<'s>]) -> types::Window<'s> {
    types::Window {
        service_type: &window.service_type,
        metric: &window.metric,
        unit: &window.unit,
        aggregated: window.aggregated,
        length_ms: window.length_ms,
        series,
    }
}

fn lent_instance(instance: &SeenInstance) -> types::Instance<'_> {
    types::Instance {
        name: &instance.name,
        number: instance.number,
        state: match instance.state {
            InstanceState::Starting => types::InstanceState::Starting,
            InstanceState::Running => types::InstanceState::Running,
            InstanceState::Stopping => types::InstanceState::Stopping,
            InstanceState::Failed => types::InstanceState::Failed,
        },
        since: to_ms(instance.since),
    }
}

impl From<PastAction> for types::Action {
    fn from(action: PastAction) -> Self {
        Self { at: to_ms(action.at), instances_before: action.before, instances_after: action.after }
    }
}

/// What a policy answered, within the limits of what it may answer. A reason that is too long is cut.
pub(super) fn verdict(verdict: types::Verdict) -> Result<Verdict, Garbled> {
    let types::Verdict { decision, mut reason, state, wake_at } = verdict;
    if state.len() > STATE_BYTES_MAX {
        return Err(Garbled::StateTooLarge(state.len()));
    }
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    let proposal = match decision {
        types::Decision::Hold => Proposal::Hold,
        types::Decision::ScaleTo(count) => Proposal::To(count),
        types::Decision::ScaleUp(count) => Proposal::Up(count),
        types::Decision::ScaleDown(count) => Proposal::Down(count),
        types::Decision::Stop(names) if names.len() > NAMES_MAX => {
            return Err(Garbled::TooManyNames(names.len()));
        }
        types::Decision::Stop(names) => Proposal::Stop(distinct(names)),
    };
    // What no calendar has is later than everything, so it never comes.
    let wake_at = wake_at.and_then(|at| Timestamp::from_millisecond(i64::try_from(at).ok()?).ok());
    Ok(Verdict { proposal, reason: one_line(&reason), state, wake_at })
}

/// Each name once, in the order in which they were first given.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// A text of a module as it may stand in a log: on one line, without control characters.
pub(super) fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(decision: types::Decision) -> types::Verdict {
        types::Verdict { decision, reason: "a\nb\u{7}".to_owned(), state: vec![1], wake_at: Some(5) }
    }

    #[test]
    fn an_answer_is_taken_over_and_its_reason_is_one_line() {
        let taken = verdict(answer(types::Decision::ScaleTo(3))).unwrap();
        let at = Timestamp::from_millisecond(5).ok();
        let expected =
            Verdict { proposal: Proposal::To(3), reason: "a b".into(), state: vec![1], wake_at: at };
        assert_eq!(taken, expected);
    }

    #[test]
    fn what_is_too_much_is_refused_or_cut() {
        let large = types::Verdict { state: vec![0; STATE_BYTES_MAX + 1], ..answer(types::Decision::Hold) };
        assert_eq!(verdict(large), Err(Garbled::StateTooLarge(STATE_BYTES_MAX + 1)));
        let names = vec![String::new(); NAMES_MAX + 1];
        assert_eq!(verdict(answer(types::Decision::Stop(names))), Err(Garbled::TooManyNames(NAMES_MAX + 1)));
        let twice = ["b", "a", "b"].map(str::to_owned).to_vec();
        let once = Proposal::Stop(vec!["b".to_owned(), "a".to_owned()]);
        assert_eq!(verdict(answer(types::Decision::Stop(twice))).unwrap().proposal, once);
        let long = types::Verdict { reason: "ä".repeat(4000), ..answer(types::Decision::Hold) };
        assert_eq!(verdict(long).unwrap().reason.len(), REASON_BYTES_MAX);
        let never = types::Verdict { wake_at: Some(u64::MAX), ..answer(types::Decision::Hold) };
        assert_eq!(verdict(never).unwrap().wake_at, None);
    }
}
