//! Names that stand for something else in the file: policies, attached services, dependencies.

use std::collections::{HashMap, HashSet};

use dynamite_core::Operator;
use indexmap::IndexMap;

use super::Role;
use super::check::{Checker, Entries, Entry};
use super::policy_file::{Kind, Policy};
use super::read::{At, shortened};

/// How many services of a cycle are named.
const CYCLE_NAMES_MAX: usize = 20;

impl Checker<'_, '_> {
    /// Checks that every name stands for something that can be meant.
    pub(super) fn references(&mut self, entries: &Entries<'_>, policies: &[Policy]) {
        let policies: IndexMap<&str, &Policy> =
            policies.iter().map(|policy| (policy.name.value.as_str(), policy)).collect();
        for entry in entries.values() {
            for (key, reference) in entry.file.policies() {
                self.policy_reference(key, reference, &policies);
            }
            self.one_policy_twice(entry, &policies);
            self.attached(entry, entries);
            self.dependencies(entry, entries);
        }
        self.attached_role(entries);
        self.cycles(entries);
    }

    fn policy_reference(&mut self, key: &str, name: &At<String>, policies: &IndexMap<&str, &Policy>) {
        let shown = shortened(&name.value);
        let Some(policy) = policies.get(name.value.as_str()) else {
            let help = self.reader.did_you_mean(&name.value, policies.keys().copied());
            let help = help.unwrap_or_else(|| "define it in the section `ScalingPolicy`".to_owned());
            self.reader.error(name.span, format!("the scaling policy `{shown}` is not defined"), Some(help));
            return;
        };
        if let (Kind::Threshold { operator, is_doubtful: false, .. }, "scaling_policy") = (&policy.kind, key)
        {
            let message = format!("`{key}` takes policies with `module`, and `{shown}` has none");
            let right = match operator.as_ref().map(|operator| operator.value) {
                Some(Operator::Greater | Operator::GreaterOrEqual) => "`scale_up_policy`, most likely",
                Some(Operator::Less | Operator::LessOrEqual) => "`scale_down_policy`, most likely",
                None => "`scale_up_policy` or `scale_down_policy`",
            };
            let help = format!("a threshold policy goes one way: name it as {right}");
            self.reader.error(name.span, message, Some(help));
        }
    }

    fn one_policy_twice(&mut self, entry: &Entry<'_>, policies: &IndexMap<&str, &Policy>) {
        let mut seen: HashMap<&str, &str> = HashMap::new();
        for (key, name) in entry.file.policies() {
            let Some(first) = seen.insert(&name.value, key) else { continue };
            let shown = shortened(&name.value);
            let policy = policies.get(name.value.as_str());
            let is_threshold = policy.is_some_and(|policy| matches!(policy.kind, Kind::Threshold { .. }));
            if is_threshold && key == "scale_down_policy" {
                let message = format!("`{shown}` scales `{}` both up and down", entry.name());
                let help = "the two cancel out; define a policy for each direction".to_owned();
                self.reader.warning(name.span, message, Some(help));
            } else if !is_threshold {
                let message = format!("`{}` names the scaling policy `{shown}` twice", entry.name());
                let help = if first == key {
                    "name it once".to_owned()
                } else {
                    "name it once, as `scaling_policy` if it is to scale both ways".to_owned()
                };
                self.reader.error(name.span, message, Some(help));
            }
        }
    }

    /// The service of this name, which must not be `entry` itself nor stand in its list already.
    fn other<'e, 'f>(
        &mut self,
        entry: &Entry<'_>,
        name: &At<String>,
        (key, seen): (&str, &mut HashSet<String>),
        entries: &'e Entries<'f>,
    ) -> Option<&'e Entry<'f>> {
        let shown = shortened(&name.value);
        if name.value == entry.name() {
            self.reader.error(name.span, format!("`{shown}` names itself in `{key}`"), None);
            return None;
        }
        if !seen.insert(name.value.clone()) {
            self.reader.error(name.span, format!("`{shown}` stands twice in `{key}`"), None);
            return None;
        }
        let other = entries.get(name.value.as_str());
        if other.is_none() {
            let names = entries.keys().copied().filter(|known| *known != entry.name());
            let help = self.reader.did_you_mean(&name.value, names);
            let help = help.unwrap_or_else(|| "define it in the section `Service`".to_owned());
            self.reader.error(name.span, format!("the service `{shown}` is not defined"), Some(help));
        }
        other
    }

    fn attached(&mut self, entry: &Entry<'_>, entries: &Entries<'_>) {
        let mut seen = HashSet::new();
        for name in &entry.file.attached {
            let Some(child) = self.other(entry, name, ("attached_service", &mut seen), entries) else {
                continue;
            };
            if child.role == Some(Role::Scaled) {
                let message = format!("`{}` is not of type `attached_service`", child.name());
                let help = format!("write `type: attached_service` at `{}`", child.name());
                self.reader.error(name.span, message, Some(help));
            }
            let (Some(parent_unit), Some(child_unit)) = (&entry.unit_name, &child.unit_name) else {
                continue;
            };
            let wrong = match (entry.is_template(), child.is_template()) {
                (Some(true), Some(false)) => "must be a template too",
                (Some(false), Some(true)) => "must not be a template either",
                _ => continue,
            };
            let message = format!(
                "`{}` has the unit `{parent_unit}`, so the unit `{child_unit}` of `{}` {wrong}",
                entry.name(),
                child.name()
            );
            let help = "an attached unit has the instance name of its parent".to_owned();
            self.reader.error(name.span, message, Some(help));
        }
    }

    fn dependencies(&mut self, entry: &Entry<'_>, entries: &Entries<'_>) {
        let mut seen = HashSet::new();
        if let (Some(Role::Attached), Some(first)) = (entry.role, entry.file.depends_on.first()) {
            let message = "`service_dependency` has no effect on an attached service";
            let help = "it starts when its parent does; remove it, or give it to the parent";
            self.reader.warning(first.span, message, Some(help.to_owned()));
        }
        for name in &entry.file.depends_on {
            let Some(other) = self.other(entry, name, ("service_dependency", &mut seen), entries) else {
                continue;
            };
            if other.role == Some(Role::Attached) {
                let message =
                    format!("`{}` is an attached service, on which no other can depend", other.name());
                let help = "name the service that it is attached to".to_owned();
                self.reader.error(name.span, message, Some(help));
            }
        }
    }

    /// An attached service belongs to somebody, and has neither attached services nor policies of its own.
    fn attached_role(&mut self, entries: &Entries<'_>) {
        let wanted: HashSet<&str> =
            entries.values().flat_map(|entry| &entry.file.attached).map(|name| name.value.as_str()).collect();
        for entry in entries.values().filter(|entry| entry.role == Some(Role::Attached)) {
            if !wanted.contains(entry.name()) {
                let message =
                    format!("the attached service `{}` is attached to no service", shortened(entry.name()));
                let help = "name it in the `attached_service` of another, or remove it".to_owned();
                self.reader.warning(entry.span(), message, Some(help));
            }
            if let Some(first) = entry.file.attached.first() {
                let message = "an attached service cannot have attached services of its own";
                let help = "attach them to the parent".to_owned();
                self.reader.error(first.span, message, Some(help));
            }
            for (key, policy) in entry.file.policies() {
                let message = format!("an attached service cannot have a `{key}`");
                let help = "it is scaled with its parent; give the policy to the parent".to_owned();
                self.reader.error(policy.span, message, Some(help));
            }
        }
    }

    /// Names each cycle of dependencies once.
    fn cycles(&mut self, entries: &Entries<'_>) {
        let others = |entry: &Entry<'_>| {
            let own = entry.name().to_owned();
            let indices =
                entry.file.depends_on.iter().filter_map(|name| entries.get_index_of(name.value.as_str()));
            indices.filter(|index| entries[*index].name() != own).collect::<Vec<usize>>()
        };
        let edges: Vec<Vec<usize>> = entries.values().map(others).collect();
        for cycle in find_cycles(&edges) {
            let names: Vec<&str> =
                cycle.iter().chain(cycle.first()).map(|index| entries[*index].name()).collect();
            let first = &entries[cycle[0]];
            let span = first.file.depends_on.iter().find(|name| Some(&name.value.as_str()) == names.get(1));
            let span = span.map_or(first.span(), |name| name.span);
            let shown: Vec<String> = names.iter().take(CYCLE_NAMES_MAX).map(|name| shortened(name)).collect();
            let rest = if names.len() > CYCLE_NAMES_MAX { " -> ..." } else { "" };
            let message =
                format!("these services wait for each other for ever: {}{rest}", shown.join(" -> "));
            self.reader.error(span, message, Some("remove one of the dependencies".to_owned()));
        }
    }
}

/// The most cycles that are looked for: each is an error, and a hostile file has them in thousands.
const CYCLES_MAX: usize = 100;

/// Cycles of a graph, at least one of each knot: what a walk that marks where it has been runs into.
fn find_cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    let mut cycles = Vec::new();
    for start in 0..edges.len() {
        if marks[start] != Mark::New || cycles.len() >= CYCLES_MAX {
            continue;
        }
        marks[start] = Mark::OnPath;
        let mut path = vec![(start, 0)];
        while let Some((node, next)) = path.last_mut() {
            let Some(&target) = edges[*node].get(*next) else {
                marks[*node] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks[target] {
                Mark::New => {
                    marks[target] = Mark::OnPath;
                    path.push((target, 0));
                }
                Mark::OnPath if cycles.len() < CYCLES_MAX => {
                    let nodes = path.iter().map(|(node, _)| *node);
                    cycles.push(nodes.skip_while(|node| *node != target).collect());
                }
                Mark::OnPath | Mark::Done => {}
            }
        }
    }
    cycles
}
