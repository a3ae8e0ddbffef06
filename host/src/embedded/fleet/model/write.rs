//! What changes the cluster: PUT and DELETE of units, with fleet's checks in fleet's order and fleet's words.

use std::sync::Arc;
use std::time::Duration;

use dynamite_units::{NameError, OptionError, UnitOption, lexer};

use super::super::systemd::Kept;
use super::{Cluster, Scope, Stored};
use crate::fleet::DesiredState;

/// The body of a PUT, as far as fleet looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutBody {
    /// The target state; empty when left out.
    pub desired: String,
    /// The options; `None` stands for a `null` in the list.
    pub options: Vec<Option<UnitOption>>,
}

/// What a PUT did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It made or replaced a unit.
    Created,
    /// It set the target state.
    Updated,
}

/// Why fleet does not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 400.
    BadRequest(String),
    /// 404.
    NotFound(String),
    /// 409.
    Conflict(String),
    /// 500, which never says why.
    Internal,
    /// The handler panics, and the connection ends without an answer.
    Panic,
}

impl Cluster {
    /// Makes, replaces or updates a unit.
    pub fn put(&mut self, now: Duration, name: &str, body: PutBody) -> Result<Put, Failure> {
        self.advance(now);
        dynamite_units::check_name(name).map_err(|error| Failure::BadRequest(name_message(&error)))?;
        if self.units.get(name).is_some_and(Stored::is_poisoned) {
            return Err(Failure::Internal);
        }
        let sent: Option<Vec<UnitOption>> = body.options.into_iter().collect();
        let options = sent.ok_or(Failure::Panic)?;
        let Some(stored) = self.units.get(name) else {
            if options.is_empty() {
                return Err(Failure::Conflict("unit does not exist and options field empty".into()));
            }
            check_options(&options)?;
            return self.store(now, name, &options, &body.desired);
        };
        if !options.is_empty() && dynamite_units::hash(&options) != stored.hash {
            return self.store(now, name, &options, &body.desired);
        }
        if body.desired.is_empty() {
            return Err(Failure::Conflict("must provide DesiredState to update existing unit".into()));
        }
        if dynamite_units::is_template(name) && body.desired != DesiredState::Inactive.as_str() {
            return Err(Failure::BadRequest(format!("cannot activate template {name:?}")));
        }
        self.retarget(now, name, body.desired)?;
        Ok(Put::Updated)
    }

    fn store(
        &mut self,
        now: Duration,
        name: &str,
        options: &[UnitOption],
        desired: &str,
    ) -> Result<Put, Failure> {
        let target = if desired.is_empty() { DesiredState::Inactive.as_str() } else { desired };
        if DesiredState::from_word(target).is_none() {
            return Err(Failure::Internal);
        }
        let options = lexer::parse(&dynamite_units::serialize(options)).map_err(|_| Failure::Internal)?;
        let mut stored = Stored::new(Arc::from(options), target.to_owned());
        let scheduled = self.units.get(name).and_then(|old| old.scheduled);
        self.keep(name, &stored, scheduled)?;
        self.note_constraints(name, &stored.options);
        if let Some(old) = self.units.get(name) {
            (stored.scheduled, stored.reload_at) = (old.scheduled, old.reload_at);
        }
        let global = stored.scope == Scope::Global;
        self.units.insert(name.to_owned(), stored);
        if global {
            self.schedule(name, None);
        }
        self.changed(now, name);
        Ok(Put::Created)
    }

    fn retarget(&mut self, now: Duration, name: &str, target: String) -> Result<(), Failure> {
        let Some(stored) = self.units.get(name).filter(|stored| stored.target != target) else {
            return Ok(());
        };
        let next = Stored::new(Arc::clone(&stored.options), target);
        self.keep(name, &next, stored.scheduled)?;
        if let Some(stored) = self.units.get_mut(name) {
            stored.target = next.target;
        }
        self.changed(now, name);
        Ok(())
    }

    /// Writes a unit to the registry; fleet answers like this when etcd fails it.
    pub(super) fn keep(
        &mut self,
        name: &str,
        stored: &Stored,
        scheduled: Option<usize>,
    ) -> Result<(), Failure> {
        let machine = scheduled.map(|host| self.hosts[host].machine.id.clone());
        let (options, target) = (stored.options.to_vec(), stored.target.clone());
        let kept = Kept { name: name.to_owned(), options, target, machine };
        self.registry.keep(&kept).map_err(|error| {
            tracing::error!(unit = name, %error, "fleet's registry cannot be written");
            Failure::Internal
        })
    }

    /// Remembers whether a unit's place depends on other units or on machines.
    pub(super) fn note_constraints(&mut self, name: &str, options: &[UnitOption]) {
        let depends = |option: &UnitOption| option.section == "X-Fleet" && option.name != "Global";
        if options.iter().any(depends) {
            self.constrained.insert(name.to_owned());
        } else {
            self.constrained.remove(name);
        }
    }

    /// Has the engine look at a unit, and the agents that already have it.
    pub(super) fn changed(&mut self, now: Duration, name: &str) {
        let of_name = (name.to_owned(), 0)..=(name.to_owned(), usize::MAX);
        let loaded = self.placements.range(of_name).next().is_some();
        if loaded || self.units.get(name).is_some_and(|stored| stored.scheduled.is_some()) {
            self.wake_agent(now, name);
        }
        self.wake_engine(now, name);
    }

    /// Removes a unit; its row stays until an agent unloads it.
    pub fn delete(&mut self, now: Duration, name: &str) -> Result<(), Failure> {
        if self.unit(now, name)?.is_none() {
            return Err(Failure::NotFound("unit does not exist".into()));
        }
        self.remove(now, name)
    }

    /// Removes every unit, also those that no listing shows and no request can remove, and has them unloaded as soon as it
    /// is due. One that the registry does not forget stays.
    pub fn clear(&mut self, now: Duration) {
        self.advance(now);
        let names: Vec<String> = self.units.keys().cloned().collect();
        for name in names {
            // The log has said why.
            let _ = self.remove(now, &name);
        }
        self.advance(now);
    }

    fn remove(&mut self, now: Duration, name: &str) -> Result<(), Failure> {
        self.registry.forget(name).map_err(|error| {
            tracing::error!(unit = name, %error, "{name}: fleet's registry cannot be written");
            Failure::Internal
        })?;
        self.schedule(name, None);
        self.units.remove(name);
        self.wake_engine(now, name);
        Ok(())
    }
}

fn check_options(options: &[UnitOption]) -> Result<(), Failure> {
    // fleet reads its own text again before it looks at the requirements.
    lexer::parse(&dynamite_units::serialize(options))
        .map_err(|error| Failure::BadRequest(error.to_string()))?;
    let message = match dynamite_units::check_options(options).err().unwrap_or_default().into_iter().next() {
        None | Some(OptionError::None | OptionError::LineTooLong { .. } | OptionError::BadSection { .. }) => {
            return Ok(());
        }
        Some(OptionError::MachineIdWith { other }) => {
            format!("MachineID cannot be used with {}", peers(other))
        }
        Some(OptionError::GlobalWith { other }) => format!("Global cannot be used with {}", peers(other)),
        Some(OptionError::ConflictsWithReplaces) => "Conflicts cannot be used with Replaces".to_owned(),
        Some(OptionError::Unresolvable { peer, key, pattern }) => {
            let word = if key == "Replaces" { "replace" } else { "conflict" };
            format!("unresolvable requirements: peer {peer:?} matches {word} {pattern:?}")
        }
    };
    Err(Failure::BadRequest(message))
}

/// fleet's own word for `MachineOf`.
fn peers(key: &str) -> &str {
    if key == "MachineOf" { "Peers" } else { key }
}

fn name_message(error: &NameError) -> String {
    match error {
        NameError::Empty => "unit name cannot be empty".into(),
        NameError::TooLong { .. } => "unit name exceeds maximum length (256)".into(),
        NameError::NoType => "unit name must contain \".\"".into(),
        NameError::EndsInDot => "unit name cannot end in \".\"".into(),
        NameError::UnknownType { suffix } | NameError::UnusableType { suffix } => {
            format!("invalid unit type: {suffix:?}")
        }
        NameError::NoTemplateType { suffix } => format!("invalid unit type for template: {suffix:?}"),
        NameError::BadCharacter { character } => format!("invalid character {character:?} in unit name"),
        NameError::StartsWithAt => "unit name cannot start in \"@\"".into(),
        NameError::Hidden => "unit name cannot start in \"_\"".into(),
    }
}
