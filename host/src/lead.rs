//! Leadership: one Dynamite at a time runs the services, others stand by until its lease ends.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{self, Chain, Ended, Lease, Parts, World};
use crate::health::Stage;
use crate::journal::EngineEvent;
use crate::modules::Modules;
use crate::record::{self, Contents};
use crate::store::{self, Store};

/// How often a standby tries to take the lease.
const CAMPAIGN_PAUSE: Duration = Duration::from_millis(500);

/// Who wants to lead.
#[derive(Clone, Copy, Debug)]
struct Candidate<'c> {
    /// Its name, that no other bears.
    holder: &'c str,
    /// How long its lease outlives its last renewal.
    ttl: Duration,
}

/// What whoever leads has.
struct Lead {
    lease: Lease,
    stored: Contents,
}

/// Leads, whenever nobody else does, until `shutdown` is ready. `configure` makes the configuration, given what is stored.
///
/// # Errors
/// What `configure` says. Failures of etcd and fleet are waited out.
pub async fn serve<W: World, E>(
    mut parts: Parts<W>,
    holder: &str,
    ttl: Duration,
    mut configure: impl FnMut(&Contents) -> Result<Config, E>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), E> {
    tokio::pin!(shutdown);
    let candidate = Candidate { holder, ttl };
    let mut remembered = Vec::new();
    loop {
        let Lead { lease, stored } = tokio::select! {
            biased;
            () = &mut shutdown => return Ok(()),
            led = parts.health.answering(take_lead(&parts, candidate, &remembered)) => led,
            // Whoever stands by for long must not lead with the modules of its start.
            never = stay_up_to_date(&parts.modules) => match never {},
        };
        let config = configure(&stored)?;
        let ended;
        (parts, ended) = engine::run(parts, &config, &stored, lease, &mut shutdown).await;
        match ended {
            Ended::Shutdown => return Ok(()),
            Ended::LeadershipLost(why, records) => {
                tell(&parts, EngineEvent::LeadershipLost { why: why.to_string() });
                remembered = records;
            }
        }
    }
}

fn tell<W: World>(parts: &Parts<W>, event: EngineEvent) {
    parts.journal.tell(parts.clock.now(), event);
}

/// Takes over modules that change.
async fn stay_up_to_date<M: Modules>(modules: &M) -> Infallible {
    loop {
        modules.renewed().await;
    }
}

/// Takes the lease and reads what is stored, however long that takes.
async fn take_lead<W: World>(
    parts: &Parts<W>,
    candidate: Candidate<'_>,
    remembered: &[(String, String)],
) -> Lead {
    let health = &parts.health;
    health.enter(Stage::Campaigning);
    let mut told = None;
    loop {
        let tried = try_to_lead(parts, candidate, remembered).await;
        health.note_etcd(&tried);
        let is_trouble = tried.is_err();
        let news = match tried {
            Ok(Some(lead)) => {
                tell(parts, EngineEvent::Leading { holder: candidate.holder.to_owned() });
                return lead;
            }
            Ok(None) => {
                health.enter(Stage::StandingBy);
                "another Dynamite leads; standing by until its lease ends".to_owned()
            }
            Err(error) => Chain(&error).to_string(),
        };
        if told.as_ref() != Some(&news) {
            tell(parts, EngineEvent::NotLeading { why: news.clone(), is_trouble });
            told = Some(news);
        }
        sleep(CAMPAIGN_PAUSE).await;
    }
}

/// Takes the lease if it is free, and reads what is stored; `None` when somebody else has it.
async fn try_to_lead<W: World>(
    parts: &Parts<W>,
    candidate: Candidate<'_>,
    remembered: &[(String, String)],
) -> Result<Option<Lead>, store::Error> {
    let (store, asked_at) = (&parts.store, Instant::now());
    let Candidate { holder, ttl } = candidate;
    let Some(lock) = store.lock(record::LEADER, holder, ttl).await? else { return Ok(None) };
    match read(parts, remembered).await {
        Ok(stored) => Ok(Some(Lead { lease: Lease { lock, asked_at }, stored })),
        Err(error) => {
            // Given back, so that the next try need not wait for it to run out.
            let _unlocked = store.unlock(&lock).await;
            Err(error)
        }
    }
}

/// Reads what is stored. When etcd was wiped while this process led, what it remembers of its instances is written again
/// first: the units would be strangers otherwise.
async fn read<W: World>(parts: &Parts<W>, remembered: &[(String, String)]) -> Result<Contents, store::Error> {
    let store = &parts.store;
    let mut entries = store.list(record::ROOT).await?;
    if !remembered.is_empty() && entries.iter().all(|entry| entry.key != record::STATUS) {
        tell(parts, EngineEvent::StateRewritten { records: remembered.len() });
        for (key, value) in remembered {
            store.put(key, value).await?;
        }
        store.put(record::STATUS, record::Status::Running.as_str()).await?;
        entries = store.list(record::ROOT).await?;
    }
    Ok(Contents::read(entries.iter().map(|entry| (&*entry.key, &*entry.value))))
}
