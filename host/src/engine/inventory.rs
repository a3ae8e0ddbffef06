//! What fleet knows, as of the last look: fleet has no watch, so it is asked again and again.

use dynamite_core::{Health, Look, Loss};
use indexmap::IndexMap;
use tokio::time::Instant;

use crate::fleet::{DesiredState, Error, Fleet, Unit, UnitState};

/// What is known of one unit.
#[derive(Clone, Debug, Default)]
struct Seen {
    /// `None` when only a row of systemd is left of it.
    unit: Option<(Option<DesiredState>, Option<DesiredState>)>,
    row: Option<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    load: String,
    active: String,
    sub: String,
}

/// Every unit that fleet knows.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// When the look began: nothing that happened later is certain to be in it.
    pub(crate) asked_at: Instant,
    seen: IndexMap<Box<str>, Seen>,
}

impl Inventory {
    /// An inventory from before the first look.
    pub(crate) fn empty() -> Self {
        Self { asked_at: Instant::now(), seen: IndexMap::new() }
    }

    /// Asks fleet for everything.
    pub(crate) async fn ask<F: Fleet>(fleet: &F) -> Result<Self, Error> {
        let asked_at = Instant::now();
        let (units, states) = (fleet.units().await?, fleet.states().await?);
        let mut seen: IndexMap<Box<str>, Seen> = IndexMap::with_capacity(units.len());
        for unit in units {
            seen.entry(unit.name.into()).or_default().unit = Some((unit.desired, unit.current));
        }
        for state in states {
            let row = Row { load: state.load, active: state.active, sub: state.sub };
            let known = seen.entry(state.name.into()).or_default();
            // A unit on several machines is as well as the best of them.
            if known.row.as_ref().is_none_or(|present| present.active != "active") {
                known.row = Some(row);
            }
        }
        Ok(Self { asked_at, seen })
    }

    /// What it comes to for whoever decides.
    pub(crate) fn look(&self) -> Look {
        Look(self.seen.iter().map(|(name, seen)| (name.clone(), seen.health())).collect())
    }

    /// Whether the name is in use: by a unit, or by a process that systemd has not let go yet.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.seen.contains_key(name)
    }

    /// How a unit is doing that should run.
    pub(crate) fn health(&self, name: &str) -> Health {
        self.seen.get(name).map_or(Health::Lost(Loss::Vanished), Seen::health)
    }

    /// Whether systemd on some machine is bringing the unit up, and has not just seen it die to start it over.
    pub(crate) fn is_progressing(&self, name: &str) -> bool {
        let row = self.seen.get(name).and_then(|seen| seen.row.as_ref());
        row.is_some_and(|row| row.active == "activating" && row.sub != "auto-restart")
    }

    /// Why a unit that was launched is neither up nor on its way.
    pub(crate) fn standstill(&self, name: &str) -> String {
        match self.seen.get(name).and_then(|seen| seen.row.as_ref()) {
            Some(row) => format!("it does not come up ({} {})", row.active, row.sub),
            None => "no machine took it".to_owned(),
        }
    }

    /// How many units there are.
    pub(crate) fn len(&self) -> usize {
        self.seen.len()
    }
}

impl Seen {
    fn health(&self) -> Health {
        let Some((desired, current)) = self.unit else { return Health::Lost(Loss::Vanished) };
        if desired != Some(DesiredState::Launched) {
            return Health::Lost(Loss::NotLaunched);
        }
        let Some(row) = &self.row else { return Health::Pending };
        let broken = ["bad-setting", "error", "masked", "not-found"].contains(&&*row.load);
        if row.active == "failed" || broken {
            return Health::Lost(Loss::Failed(format!("{} {} {}", row.load, row.active, row.sub)));
        }
        // fleet says launched as soon as it told systemd to start the unit; only systemd knows whether it runs.
        match (current == Some(DesiredState::Launched), &*row.active) {
            (true, "active") => Health::Up,
            (true, "inactive") => Health::Lost(Loss::Ended),
            _ => Health::Pending,
        }
    }
}

/// How one unit is doing, asked of fleet directly: a listing may leave a unit out.
pub(crate) async fn health_of<F: Fleet>(fleet: &F, name: &str) -> Result<Health, Error> {
    let Some(Unit { desired, current, .. }) = fleet.unit(name).await? else {
        return Ok(Health::Lost(Loss::Vanished));
    };
    let rows = fleet.state(name).await?;
    let best = rows.iter().find(|row| row.active == "active").or(rows.first());
    let row = best.map(|UnitState { load, active, sub, .. }| Row {
        load: load.clone(),
        active: active.clone(),
        sub: sub.clone(),
    });
    Ok(Seen { unit: Some((desired, current)), row }.health())
}
