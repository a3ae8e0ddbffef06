//! The outside world of the demo: requests come in, and each instance that runs and has registered has its share of them.
//!
//! It speaks to etcd and fleet over HTTP, as metric writers on other machines would, and knows nothing else of the daemon.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::load;
use super::story::{Moment, SERVICES, Standing, WEB, WORKER};
use crate::clock::{Clock, SystemClock};
use crate::engine::Chain;
use crate::fleet::http::HttpFleet;
use crate::fleet::{Fleet, UnitState};
use crate::store::Store;
use crate::store::connect::AnyStore;

/// How often instances measure their share.
const PACE: Duration = Duration::from_millis(500);
/// A key that sets the load, in requests per second, for as long as it is there.
pub(super) const LOAD_KEY: &str = "/demo/load";
/// More is nonsense.
const LOAD_MAX: f64 = 1e6;

/// Those who send requests, and the instances that count them.
pub(super) struct Traffic {
    pub(super) store: AnyStore,
    pub(super) fleet: HttpFleet,
    pub(super) random: fastrand::Rng,
    /// When the curve began.
    pub(super) began: Instant,
}

/// etcd or fleet did not answer.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the demo's metrics cannot be written")]
    Store(#[from] crate::store::Error),
    #[error("the demo cannot see its units")]
    Fleet(#[from] crate::fleet::Error),
}

impl Traffic {
    /// Goes on until nobody takes the moments any more.
    pub(super) async fn flow(mut self, moments: Sender<Moment>) {
        let mut due = interval(PACE);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            due.tick().await;
            match self.moment().await {
                Ok(moment) if moments.send(moment).await.is_err() => return,
                Ok(_) => {}
                Err(error) => tracing::warn!("{}", Chain(&error)),
            }
        }
    }

    /// Looks which instances there are, and writes what they measure.
    async fn moment(&mut self) -> Result<Moment, Error> {
        let (states, registered, set) =
            tokio::join!(self.fleet.states(), self.store.list("/services/web"), self.store.list("/demo"),);
        let (states, registered) = (states?, registered?);
        let set = set?.into_iter().find(|entry| entry.key == LOAD_KEY);
        let set = set
            .and_then(|entry| entry.value.trim().parse().ok())
            .filter(|load| (0.0..=LOAD_MAX).contains(load));
        let at = self.began.elapsed();
        let load = set.unwrap_or_else(|| load::load(at));
        let ids: Vec<String> = {
            let running: HashSet<&str> =
                states.iter().filter(|state| is_up(state)).map(|state| &*state.name).collect();
            let ours = registered.iter().filter(|entry| running.contains(&*entry.value));
            ours.filter_map(|entry| entry.key.split('/').nth(3).map(str::to_owned)).collect()
        };
        let mut services = SERVICES.each_ref().map(|service| standing(&states, service.name));
        let now = SystemClock.now();
        let mut writes = Vec::new();
        let mut sum = 0.0;
        let sharers = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        for id in &ids {
            let share = load::share(load, sharers, &mut self.random).unwrap_or(0.0);
            sum += share;
            writes.push((format!("/metrics/web/{id}/requests/{}", now.as_millisecond()), share));
        }
        services[WEB].share = (sharers > 0).then(|| sum / f64::from(sharers));
        services[WORKER].share = load::share(load, services[WORKER].running, &mut self.random);
        if let Some(share) = services[WORKER].share {
            writes.push((format!("/metrics/worker/requests/{}", now.as_millisecond()), share));
        }
        let store = &self.store;
        let put = async |(key, share): (String, f64)| store.put(&key, &share.to_string()).await;
        try_join_all(writes.into_iter().map(put)).await?;
        Ok(Moment { at, load, services })
    }
}

fn is_up(state: &UnitState) -> bool {
    state.active == "active"
}

/// How many instances of a service run, and how many do not, or not yet.
fn standing(states: &[UnitState], service: &str) -> Standing {
    let prefix = format!("{service}@");
    let units: Vec<_> = states.iter().filter(|state| state.name.starts_with(&prefix)).collect();
    let count = |running: bool| {
        u32::try_from(units.iter().filter(|state| is_up(state) == running).count()).unwrap_or(u32::MAX)
    };
    Standing { running: count(true), waiting: count(false), share: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_by_their_service() {
        let state = |name: &str, active: &str| UnitState {
            name: name.to_owned(),
            hash: String::new(),
            machine: String::new(),
            load: "loaded".to_owned(),
            active: active.to_owned(),
            sub: String::new(),
        };
        let states = [
            state("web@8080.service", "active"),
            state("web@8081.service", "activating"),
            state("web_logging@8080.service", "active"),
            state("worker@1.service", "failed"),
        ];
        assert_eq!(standing(&states, "web"), Standing { running: 1, waiting: 1, share: None });
        assert_eq!(standing(&states, "worker"), Standing { running: 0, waiting: 1, share: None });
    }
}
