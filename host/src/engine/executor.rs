//! Carrying out: starting, replacing, removing and mending units through fleet, so that a crash at any point leaves
//! enough behind to go on from.
//!
//! An action ends with an [`Outcome`]; it decides nothing. After an error that leaves open whether a request was
//! carried out, the unit is read again before anything is repeated.

use std::time::Duration;

use dynamite_core::{
    Claim, CooldownRecord, Health, InstancePlan, Intent, Loss, Order, Outcome, PlannedUnit, ServiceId, Task,
};
use dynamite_units::UnitOption;
use tokio::time::{Instant, sleep};

use super::World;
use super::context::{Chain, Context, LeadershipLost};
use super::inventory::health_of;
use crate::fleet::{DesiredState, Error, Fleet, Unit};
use crate::journal::EngineEvent;
use crate::record;

/// How long a unit may neither run nor be on its way. fleet needs 2 to 7 s to bring it to a machine; one that no machine
/// accepts, or that systemd starts over and over, waits for ever.
const STANDSTILL_MAX: Duration = Duration::from_mins(2);
/// How long systemd's row of a removed unit is waited for before its number is free anyway. fleet may unload one unit
/// in 5 s, so that many removals take long.
const ROW_TIME_MAX: Duration = Duration::from_mins(5);
/// How often a removed unit is looked for until fleet answers 404; it usually does at once.
const GONE_POLL: Duration = Duration::from_millis(100);

/// Why an instance did not come up.
enum Trouble {
    Taken,
    Failed(String),
    Leadership(LeadershipLost),
}

impl From<LeadershipLost> for Trouble {
    fn from(lost: LeadershipLost) -> Self {
        Self::Leadership(lost)
    }
}

/// What fleet is to be sent for a unit.
fn options(unit: &PlannedUnit) -> Result<Vec<UnitOption>, Trouble> {
    let blueprint = unit.blueprint.as_ref();
    let options = blueprint.and_then(|blueprint| serde_json::from_str(&blueprint.text).ok());
    options.ok_or_else(|| Trouble::Failed(format!("there is no unit file for {}", unit.name)))
}

/// Whether the intent names the unit, with the unit file that it has.
fn is_intended(intent: &Intent, unit: &Unit) -> bool {
    let hashes = intent.units.get(&unit.name);
    hashes.is_some_and(|hashes| hashes.contains(&dynamite_units::hash(&unit.options)))
}

impl<W: World> Context<W> {
    /// Carries out an order.
    pub(super) async fn carry_out(&self, order: &Order) -> Result<Outcome, LeadershipLost> {
        match &order.task {
            Task::Start { after, intent, .. } => {
                // A timer takes a millisecond at the least, and most starts are due at once.
                if !after.is_zero() {
                    sleep(*after).await;
                }
                self.start(order, intent).await
            }
            Task::Stop { intent } => self.stop(&order.plan, intent).await,
            Task::Mend { unit } => self.mend(unit).await,
        }
    }

    async fn start(&self, order: &Order, intent: &Intent) -> Result<Outcome, LeadershipLost> {
        let plan = &order.plan;
        // The intent is on its way while fleet is asked; nothing is changed there before it has arrived.
        let (noted, found) = tokio::join!(self.note(plan, intent), self.survey(plan));
        noted?;
        let mut ours = Vec::new();
        let result = match found {
            Ok(found) => {
                let (up, kept) = tokio::join!(
                    self.bring_up(order, intent, found, &mut ours),
                    self.keep_cooldown(&plan.service, intent.cooldown.as_ref()),
                );
                kept?;
                up
            }
            Err(trouble) => Err(trouble),
        };
        let outcome = match result {
            Ok(()) => Outcome::Started,
            Err(Trouble::Leadership(lost)) => return Err(lost),
            Err(Trouble::Taken) => Outcome::Taken,
            Err(Trouble::Failed(error)) => Outcome::Failed(error),
        };
        let (service, unit) = (plan.service.as_str(), &*plan.instance.name);
        let record_key = record::instance_key(service, unit);
        if outcome == Outcome::Started {
            let text = self.records.relaunched(&record_key, unit, &plan.attached_names());
            self.put(&record_key, &text).await?;
        } else {
            self.take_away(&ours).await?;
            if self.records.forget(&record_key) {
                self.remove(record_key).await?;
            }
        }
        self.remove(record::intent_key(service, unit)).await?;
        Ok(outcome)
    }

    async fn note(&self, plan: &InstancePlan, intent: &Intent) -> Result<(), LeadershipLost> {
        let text = serde_json::to_string(intent).unwrap_or_default();
        self.put(&record::intent_key(plan.service.as_str(), &plan.instance.name), &text).await
    }

    async fn keep_cooldown(
        &self,
        service: &ServiceId,
        cooldown: Option<&CooldownRecord>,
    ) -> Result<(), LeadershipLost> {
        let Some(cooldown) = cooldown else { return Ok(()) };
        let text = serde_json::to_string(cooldown).unwrap_or_default();
        self.put(&record::cooldown_key(service.as_str(), cooldown), &text).await
    }

    /// The units of an instance as fleet has them, attached ones first.
    async fn survey(&self, plan: &InstancePlan) -> Result<Vec<Option<Unit>>, Trouble> {
        futures_util::future::try_join_all(plan.units().map(|unit| self.read(&unit.name))).await
    }

    async fn read(&self, name: &str) -> Result<Option<Unit>, Trouble> {
        self.ask("asking fleet", || self.parts.fleet.unit(name)).await
    }

    /// Repeats a question to fleet until it is answered.
    async fn ask<T, Call>(&self, what: &'static str, mut call: impl FnMut() -> Call) -> Result<T, Trouble>
    where
        Call: Future<Output = Result<T, Error>>,
    {
        let mut patience = self.patience(what);
        loop {
            self.leading()?;
            match self.call(call()).await {
                Ok(answer) => {
                    patience.succeeded();
                    return Ok(answer);
                }
                Err(error) if error.is_transient() => patience.wait(&error).await,
                Err(error) => return Err(Trouble::Failed(Chain(&error).to_string())),
            }
        }
    }

    /// Brings the units up that fleet was `found` to have or not. Notes in `ours` which units are certainly ours, so that
    /// these and no others are removed if it fails.
    async fn bring_up<'c>(
        &self,
        order: &'c Order,
        intent: &Intent,
        mut found: Vec<Option<Unit>>,
        ours: &mut Vec<&'c str>,
    ) -> Result<(), Trouble> {
        let plan = &order.plan;
        let Task::Start { claim, recorded, former, .. } = &order.task else { return Ok(()) };
        let is_recorded = |name: &String| recorded.as_ref().is_some_and(|attached| attached.contains(name));
        let is_ours = |unit: &Unit| match claim {
            Claim::New => false,
            Claim::Intended => is_intended(intent, unit),
            Claim::Recorded | Claim::Lost => {
                unit.name == plan.instance.name || is_recorded(&unit.name) || is_intended(intent, unit)
            }
        };
        for name in former {
            if is_recorded(name) || self.read(name).await?.is_some_and(|unit| is_intended(intent, &unit)) {
                self.destroy(name).await?;
            }
        }
        let mut taken = false;
        for (unit, present) in plan.units().zip(&found) {
            match present {
                Some(present) if is_ours(present) => ours.push(&unit.name),
                Some(_) => taken = true,
                None => {}
            }
        }
        if taken {
            return Err(Trouble::Taken);
        }
        if *claim == Claim::Lost {
            let health =
                self.ask("asking fleet", || health_of(&self.parts.fleet, &plan.instance.name)).await?;
            if matches!(health, Health::Lost(loss) if loss != Loss::NotLaunched) {
                self.take_away(ours).await?;
                found = vec![None; found.len()];
            }
        }
        for (unit, present) in plan.units().zip(found) {
            if present.is_none() {
                self.submit(unit).await?;
                ours.push(&unit.name);
            }
        }
        self.launch(&plan.instance.name).await?;
        for unit in &plan.attached {
            self.launch(&unit.name).await?;
        }
        self.await_up(&plan.instance.name).await
    }

    /// Creates a unit that was not there when last looked for.
    async fn submit(&self, unit: &PlannedUnit) -> Result<(), Trouble> {
        let options = options(unit)?;
        let mut patience = self.patience("submitting a unit to fleet");
        loop {
            self.leading()?;
            match self.call(self.parts.fleet.submit(&unit.name, &options)).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_transient() => patience.wait(&error).await,
                Err(error) => return Err(Trouble::Failed(Chain(&error).to_string())),
            }
            match self.read(&unit.name).await? {
                Some(present) if present.options == options => return Ok(()),
                Some(_) => return Err(Trouble::Taken),
                None => {}
            }
        }
    }

    async fn launch(&self, name: &str) -> Result<(), Trouble> {
        let mut patience = self.patience("launching a unit");
        loop {
            self.leading()?;
            match self.call(self.parts.fleet.set_desired(name, DesiredState::Launched)).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_transient() => patience.wait(&error).await,
                Err(error) => return Err(Trouble::Failed(Chain(&error).to_string())),
            }
            match self.read(name).await? {
                Some(unit) if unit.desired == Some(DesiredState::Launched) => return Ok(()),
                Some(_) => {}
                None => return Err(Trouble::Failed(format!("{name} vanished before it was launched"))),
            }
        }
    }

    /// Waits until systemd runs the unit. One that is activating may take as long as it likes.
    async fn await_up(&self, name: &str) -> Result<(), Trouble> {
        let _waiting = self.wait_for_fleet();
        let began = Instant::now();
        let mut seen = began;
        let mut ended_before = false;
        loop {
            let inventory = self.inventory_after(seen).await;
            self.leading()?;
            seen = inventory.asked_at;
            match inventory.health(name) {
                Health::Up => return Ok(()),
                Health::Pending if inventory.is_progressing(name) || began.elapsed() < STANDSTILL_MAX => {}
                Health::Pending => {
                    return Err(Trouble::Failed(format!("{name}: {}", inventory.standstill(name))));
                }
                // Right after the launch the row may still be that of a loaded unit.
                Health::Lost(Loss::Ended) if !ended_before => ended_before = true,
                Health::Lost(loss) => {
                    match self.ask("asking fleet", || health_of(&self.parts.fleet, name)).await? {
                        Health::Up => return Ok(()),
                        Health::Lost(_) => return Err(Trouble::Failed(format!("{name}: {loss}"))),
                        Health::Pending => {}
                    }
                }
            }
        }
    }

    async fn stop(&self, plan: &InstancePlan, intent: &Intent) -> Result<Outcome, LeadershipLost> {
        self.note(plan, intent).await?;
        let names = plan.names();
        let (away, kept) = tokio::join!(
            self.destroy_all(&names),
            self.keep_cooldown(&plan.service, intent.cooldown.as_ref())
        );
        away?;
        kept?;
        let (service, unit) = (plan.service.as_str(), &*plan.instance.name);
        let record_key = record::instance_key(service, unit);
        self.records.forget(&record_key);
        self.remove(record_key).await?;
        self.remove(record::intent_key(service, unit)).await?;
        self.await_rows_gone(&names).await?;
        Ok(Outcome::Stopped)
    }

    /// Removes units and waits until their names can be used again.
    async fn take_away(&self, names: &[&str]) -> Result<(), LeadershipLost> {
        self.destroy_all(names).await?;
        self.await_rows_gone(names).await
    }

    async fn destroy_all(&self, names: &[&str]) -> Result<(), LeadershipLost> {
        for name in names {
            self.destroy(name).await?;
        }
        Ok(())
    }

    /// Removes a unit, until fleet answers that it does not know it.
    async fn destroy(&self, name: &str) -> Result<(), LeadershipLost> {
        let mut patience = self.patience("removing a unit from fleet");
        loop {
            self.leading()?;
            let gone = match self.call(self.parts.fleet.destroy(name)).await {
                Ok(()) => self.call(self.parts.fleet.unit(name)).await.map(|unit| unit.is_none()),
                Err(error) => Err(error),
            };
            match gone {
                Ok(true) => return Ok(()),
                Ok(false) => sleep(GONE_POLL).await,
                Err(error) => patience.wait(&error).await,
            }
        }
    }

    /// Waits until systemd has let the units go: fleet starts no unit whose old row is still there.
    async fn await_rows_gone(&self, names: &[&str]) -> Result<(), LeadershipLost> {
        let _waiting = self.wait_for_fleet();
        let began = Instant::now();
        let mut seen = began;
        while !names.is_empty() {
            let inventory = self.inventory_after(seen).await;
            self.leading()?;
            seen = inventory.asked_at;
            let Some(unit) = names.iter().find(|name| inventory.has(name)) else { break };
            if began.elapsed() > ROW_TIME_MAX {
                self.tell(EngineEvent::UnitLingers { unit: (*unit).to_owned() });
                break;
            }
        }
        Ok(())
    }

    async fn mend(&self, unit: &PlannedUnit) -> Result<Outcome, LeadershipLost> {
        let name = || unit.name.clone();
        match self.try_mend(unit).await {
            Err(Trouble::Leadership(lost)) => return Err(lost),
            Err(Trouble::Failed(error)) => {
                self.tell(EngineEvent::UnitNotMended { unit: name(), error: Some(error) });
            }
            Err(Trouble::Taken) => self.tell(EngineEvent::UnitNotMended { unit: name(), error: None }),
            Ok(()) => {}
        }
        Ok(Outcome::Mended)
    }

    async fn try_mend(&self, unit: &PlannedUnit) -> Result<(), Trouble> {
        let health = self.ask("asking fleet", || health_of(&self.parts.fleet, &unit.name)).await?;
        match health {
            Health::Up | Health::Pending => return Ok(()),
            Health::Lost(Loss::NotLaunched) => {}
            Health::Lost(_) => {
                self.take_away(&[&unit.name]).await?;
                self.submit(unit).await?;
            }
        }
        self.launch(&unit.name).await
    }
}
