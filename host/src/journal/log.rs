//! The log, as a reader of the journal: a line for each event that is news.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dynamite_core::{self as scaling, Decision, Outcome, Reason, ServiceId, Skipped};

use super::{Consequence, EngineEvent, Event, Fate, Happened, Journal, LogDedup, SaidLevel};

/// What lines about answers of policies are called in `RUST_LOG`, as there may be thousands a second.
const ANSWERS: &str = concat!(env!("CARGO_CRATE_NAME"), "::answers");

/// Writes lines for people, or for machines, by way of `tracing`.
#[derive(Debug, Default)]
pub struct Log {
    told: Mutex<LogDedup>,
}

impl Journal for Log {
    fn record(&self, happened: &Happened) {
        match &happened.event {
            Event::Planner(event) => self.planner(event),
            Event::Engine(event) => engine(event),
        }
    }
}

impl Log {
    fn planner(&self, event: &scaling::Event) {
        match event {
            scaling::Event::Decided(decision) => self.decided(decision),
            scaling::Event::ActionEnded { service, slot, unit, outcome, running, failures, .. } => {
                self.told().note(event);
                let configured = slot.is_some();
                ended(service, unit, configured, outcome, *running, *failures);
            }
            scaling::Event::ServiceDegraded { service, reason } => {
                tracing::error!(service = service.as_str(), "{service}: degraded: {reason}");
            }
            scaling::Event::ServiceRecovered { service } => {
                tracing::info!(service = service.as_str(), "{service}: recovered");
            }
            scaling::Event::PolicyAnswered { of, delay, usage, .. } => {
                let (service, policy, delay_us) =
                    (of.service.as_str(), of.policy.as_str(), delay.as_micros());
                let (fuel, memory, took) = (usage.fuel, usage.memory_bytes, usage.took);
                tracing::debug!(
                    target: ANSWERS,
                    service,
                    policy,
                    delay_us,
                    fuel,
                    memory,
                    ?took,
                    "{service}: {policy} answered"
                );
            }
            scaling::Event::PolicyFails { of, error, .. } => {
                let (service, policy, error) = (of.service.as_str(), of.policy.as_str(), &*error.words);
                tracing::warn!(service, policy, error, "{service}: hold: {policy} failed: {error}");
            }
            scaling::Event::PolicyWorks { of } => {
                let (service, policy) = (of.service.as_str(), of.policy.as_str());
                tracing::info!(service, policy, "{service}: {policy} works again");
            }
            scaling::Event::PoliciesLive { samples } => {
                tracing::info!(samples, "read the samples that were there; policies are live");
            }
            scaling::Event::SampleSkipped { key, why, counts } => {
                let why = match why {
                    Skipped::Late => return,
                    Skipped::BadTime => "the key ends with no time, or one more than a day ahead",
                    Skipped::BadValue => "the value is no finite number, or has none at the field",
                    Skipped::TooMany => "there are more series or samples than are kept; some are left out",
                };
                tracing::warn!(key, ?counts, "a sample is skipped, as others under its path may be: {why}");
            }
            scaling::Event::RegistrationsFull { max } => {
                tracing::warn!(max, "too many registrations; further ones are not read");
            }
            scaling::Event::ConfigurationChanged { difference } if difference.is_empty() => {}
            scaling::Event::ConfigurationChanged { difference } => {
                tracing::info!(?difference, "the configuration has changed, and is applied");
            }
        }
    }

    fn told(&self) -> MutexGuard<'_, LogDedup> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decided(&self, decision: &Decision) {
        let service = decision.service.as_str();
        if let (true, Some(Reason::Stays { .. })) = (decision.actions.is_empty(), &decision.hold) {
            // Most decisions are of this kind, and most logs are not shown them.
            tracing::debug!(service, "{decision}");
            return;
        }
        for line in self.told().news(decision) {
            match (line.action, line.reason) {
                // That is told when it begins, by an event of its own.
                (None, Reason::PolicyFailed { .. }) => {}
                (None, _) => tracing::info!(service, "{line}"),
                (Some(action), Reason::NotConfigured) => {
                    tracing::warn!(service, unit = action.unit, "{line}");
                }
                (Some(action), _) if action.is_waiting() => tracing::info!(service, "{line}"),
                (Some(action), _) => tracing::info!(service, unit = action.unit, "{line}"),
            }
        }
    }
}

fn ended(service: &ServiceId, unit: &str, configured: bool, outcome: &Outcome, instances: u32, attempt: u32) {
    let service = service.as_str();
    match outcome {
        _ if !configured => {
            tracing::info!(service, unit, "{service}: {unit} is gone, as it is not configured any more");
        }
        Outcome::Started => tracing::info!(service, unit, instances, "{service}: {unit} is up"),
        Outcome::Stopped => tracing::info!(service, unit, "{service}: {unit} is gone"),
        Outcome::Taken => {
            tracing::warn!(
                service,
                unit,
                "{service}: {unit} is a unit of somebody else; its number is skipped"
            );
        }
        Outcome::Failed(error) => {
            tracing::warn!(service, error, attempt, "{service}: an instance did not start");
        }
        Outcome::Mended => {}
    }
}

fn engine(event: &EngineEvent) {
    match event {
        EngineEvent::Started { version, fleet, etcd } => tracing::info!(version, %fleet, etcd, "started"),
        EngineEvent::Ending { signal, services: Fate::EndToo } => {
            tracing::info!(signal, "ending, and the services with this container; they come back with it");
        }
        EngineEvent::Ending { signal, services: Fate::RunOn } => {
            tracing::info!(signal, "ending; the services keep running");
        }
        EngineEvent::Leading { holder } => tracing::info!(holder, "leading"),
        EngineEvent::NotLeading { why, is_trouble: true } => tracing::warn!("not leading yet: {why}"),
        EngineEvent::NotLeading { why, .. } => tracing::info!("not leading yet: {why}"),
        EngineEvent::LeadershipLost { why } => tracing::warn!("no longer leading: {why}; standing by"),
        EngineEvent::StateRewritten { records } => {
            tracing::warn!(records, "etcd has lost the state; writing it again from memory");
        }
        EngineEvent::KeyUnreadable { key } => {
            tracing::warn!(key, "cannot be read, and is taken as not there");
        }
        EngineEvent::ConfigurationDiffers { changed } => {
            let changed = changed.join(", ");
            tracing::info!(changed, "the configuration differs from the stored one, and is applied");
        }
        EngineEvent::TookOver { services, instances, units, status } => {
            tracing::info!(services, instances, units_in_fleet = units, status, "took over");
        }
        EngineEvent::Running { status } => tracing::info!(status, "every service that can be up is up"),
        EngineEvent::CallFailed { what, error, attempt } => {
            tracing::warn!(%error, attempt, "{what} failed; trying again");
        }
        EngineEvent::CallWorks { what, attempts } => tracing::info!(attempts, "{what} works again"),
        EngineEvent::UnitLingers { unit } => {
            tracing::warn!(unit, "fleet still reports a removed unit; its number is free again");
        }
        EngineEvent::UnitNotMended { unit, error: Some(error) } => {
            tracing::warn!(unit, error, "an attached unit stays down");
        }
        EngineEvent::UnitNotMended { unit, error: None } => {
            tracing::warn!(unit, "somebody else's unit has the name");
        }
        EngineEvent::Unsaved { what } => tracing::warn!("{what}"),
        _ => module(event),
    }
}

fn module(event: &EngineEvent) {
    match event {
        EngineEvent::ModuleLoaded { policy, name, version, sha256, file: None } => {
            let policy = policy.as_str();
            tracing::info!(policy, version, sha256, "{policy}: decided by the module {name}");
        }
        EngineEvent::ModuleLoaded { policy, version, sha256, file: Some(file), .. } => {
            let policy = policy.as_str();
            tracing::info!(policy, file, version, sha256, "{policy}: took over a new module");
        }
        EngineEvent::ModuleRefused { policy, file, error, consequence } => {
            let policy = policy.as_str();
            let what = match consequence {
                Consequence::NoneFromTheStart => {
                    "its module cannot be used, so it keeps the instances that there are until a good file is there"
                }
                Consequence::StillNone => "its module still cannot be used",
                Consequence::OldOneStays => {
                    "the changed module is refused; the old one stays, and a restart would find none"
                }
            };
            tracing::error!(policy, file, error, "{policy}: {what}");
        }
        EngineEvent::ModuleGone { policy, file } => {
            let policy = policy.as_str();
            tracing::warn!(
                policy,
                file,
                "{policy}: the file of its module is gone; after a restart it could not decide"
            );
        }
        EngineEvent::PolicySaid { service, policy, level, text } => {
            let policy = policy.as_str();
            match level {
                SaidLevel::Debug => tracing::debug!(service, policy, "{service}: {policy} says: {text}"),
                SaidLevel::Info => tracing::info!(service, policy, "{service}: {policy} says: {text}"),
                SaidLevel::Warn => tracing::warn!(service, policy, "{service}: {policy} says: {text}"),
            }
        }
        EngineEvent::PolicySaidTooMuch { policy, lines } => {
            let policy = policy.as_str();
            tracing::warn!(
                policy,
                lines,
                "{policy}: it says more than is logged; {lines} lines were left out"
            );
        }
        _ => {}
    }
}
