//! Leadership: one Dynamite at a time runs the services, others stand by until its lease ends.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::config::Config;
use crate::engine::{self, Chain, Ended, Parts, World};
use crate::health::{Health, Stage};
use crate::modules::Modules;
use crate::record::{self, Stored};
use crate::store::{self, Lock, Store};

/// How often a standby tries to take the lease.
const CAMPAIGN_PAUSE: Duration = Duration::from_millis(500);

/// The lease, when it was asked for, and what is stored.
type Lead = (Lock, Instant, Stored);

/// Leads, whenever nobody else does, until `shutdown` is ready. `configure` makes the configuration, given what is stored.
///
/// # Errors
/// What `configure` says. Failures of etcd and fleet are waited out.
pub async fn serve<W: World, E>(
    mut parts: Parts<W>,
    holder: &str,
    ttl: Duration,
    mut configure: impl FnMut(&Stored) -> Result<Config, E>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), E> {
    tokio::pin!(shutdown);
    let mut remembered = Vec::new();
    loop {
        let (lock, locked_at, stored) = tokio::select! {
            biased;
            () = &mut shutdown => return Ok(()),
            led = parts.health.answering(take_lead(&parts.store, &parts.health, (holder, ttl), &remembered)) => led,
            // Whoever stands by for long must not lead with the modules of its start.
            never = stay_up_to_date(&parts.modules) => match never {},
        };
        let config = configure(&stored)?;
        let ended;
        (parts, ended) = engine::run(parts, &config, &stored, (lock, locked_at), &mut shutdown).await;
        match ended {
            Ended::Shutdown => return Ok(()),
            Ended::LeadershipLost(why, records) => {
                tracing::warn!("no longer leading: {why}; standing by");
                remembered = records;
            }
        }
    }
}

/// Takes over modules that change.
async fn stay_up_to_date<M: Modules>(modules: &M) -> Infallible {
    loop {
        modules.renewed().await;
    }
}

/// Takes the lease and reads what is stored, however long that takes.
async fn take_lead<S: Store>(
    store: &S,
    health: &Health,
    (holder, ttl): (&str, Duration),
    remembered: &[(String, String)],
) -> Lead {
    health.enter(Stage::Campaigning);
    let mut told = None;
    loop {
        let tried = try_to_lead(store, (holder, ttl), remembered).await;
        health.note_etcd(&tried);
        let is_trouble = tried.is_err();
        let news = match tried {
            Ok(Some(lead)) => {
                tracing::info!(holder, "leading");
                return lead;
            }
            Ok(None) => {
                health.enter(Stage::StandingBy);
                "another Dynamite leads; standing by until its lease ends".to_owned()
            }
            Err(error) => Chain(&error).to_string(),
        };
        if told.as_ref() != Some(&news) {
            if is_trouble {
                tracing::warn!("not leading yet: {news}");
            } else {
                tracing::info!("not leading yet: {news}");
            }
            told = Some(news);
        }
        sleep(CAMPAIGN_PAUSE).await;
    }
}

/// Takes the lease if it is free, and reads what is stored; `None` when somebody else has it.
async fn try_to_lead<S: Store>(
    store: &S,
    (holder, ttl): (&str, Duration),
    remembered: &[(String, String)],
) -> Result<Option<Lead>, store::Error> {
    let locked_at = Instant::now();
    let Some(lock) = store.lock(record::LEADER, holder, ttl).await? else { return Ok(None) };
    match read(store, remembered).await {
        Ok(stored) => Ok(Some((lock, locked_at, stored))),
        Err(error) => {
            // Given back, so that the next try need not wait for it to run out.
            let _unlocked = store.unlock(&lock).await;
            Err(error)
        }
    }
}

/// Reads what is stored. When etcd was wiped while this process led, what it remembers of its instances is written again
/// first: the units would be strangers otherwise.
async fn read<S: Store>(store: &S, remembered: &[(String, String)]) -> Result<Stored, store::Error> {
    let mut entries = store.list(record::ROOT).await?;
    if !remembered.is_empty() && entries.iter().all(|entry| entry.key != record::STATUS) {
        tracing::warn!(records = remembered.len(), "etcd has lost the state; writing it again from memory");
        for (key, value) in remembered {
            store.put(key, value).await?;
        }
        store.put(record::STATUS, record::Status::Running.as_str()).await?;
        entries = store.list(record::ROOT).await?;
    }
    Ok(Stored::read(entries.iter().map(|entry| (&*entry.key, &*entry.value))))
}
