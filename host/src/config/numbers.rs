//! Bounds and port ranges of services.
//!
//! A service takes `ports_per_instance` ports for each of its instances, from `base_instance_prefix_number` on. Two
//! services must not take the same port, but one without `max_instance` has no end: it counts as ending where the next
//! service starts. A service that gives no base has numbers that are no ports and overlaps with nothing, unless an
//! attached service of its is attached to another service too, for then equal numbers are equal unit names.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Role;
use super::check::{Checker, Entries, Entry};
use super::read::At;
use super::report::Diagnostic;
use super::tree::Span;

/// The highest port.
const PORT_MAX: u64 = 65_535;

/// The ports of a service.
struct Range<'f> {
    entry: &'f Entry<'f>,
    first: u64,
    /// The last one, or of an endless service the last one of its fewest instances.
    last: u64,
    span: Span,
}

impl Checker<'_, '_> {
    /// Checks every service's bounds, and that no two services take the same ports.
    pub(super) fn numbers(&mut self, entries: &Entries<'_>) {
        let sharing = sharing(entries);
        let mut ranges = Vec::new();
        for entry in entries.values() {
            match entry.role {
                Some(Role::Attached) => self.meaningless(entry),
                Some(Role::Scaled) => {
                    self.bounds(entry);
                    let range = self.range(entry);
                    let has_ports = entry.file.base.is_some() || sharing.contains(entry.name());
                    ranges.extend(range.filter(|_| has_ports && entry.is_template() == Some(true)));
                }
                None => {}
            }
        }
        self.overlaps(ranges);
    }

    /// Warns of what an attached service takes from its parent anyway.
    fn meaningless(&mut self, entry: &Entry<'_>) {
        let service = entry.file;
        for (key, value) in [
            ("min_instance", &service.min),
            ("max_instance", &service.max),
            ("base_instance_prefix_number", &service.base),
            ("ports_per_instance", &service.per_instance),
        ] {
            if let Some(value) = value {
                let message = format!("`{key}` has no effect on an attached service");
                let help = "it has as many instances as its parent, under the same numbers; remove the line";
                self.reader.warning(value.span, message, Some(help.to_owned()));
            }
        }
    }

    fn bounds(&mut self, entry: &Entry<'_>) {
        let service = entry.file;
        if let Some(max) = service.max.as_ref().filter(|max| max.value == 0) {
            let help = "remove the service, or write at least 1".to_owned();
            self.reader.error(max.span, "`max_instance` must not be 0", Some(help));
            return;
        }
        let min = service.min.as_ref().map_or(1, |min| min.value);
        if let Some(max) = service.max.as_ref().filter(|max| min > max.value) {
            let message = format!("`min_instance` {min} is greater than `max_instance` {}", max.value);
            let span = service.min.as_ref().map_or(max.span, |min| min.span);
            let help = "raise `max_instance`, or lower `min_instance`, which is 1 unless given".to_owned();
            self.reader.error(span, message, Some(help));
        }
        if entry.is_template() != Some(false) {
            return;
        }
        for (key, value) in [("min_instance", &service.min), ("max_instance", &service.max)] {
            let Some(At { value, span }) = value.as_ref().filter(|at| at.value > 1) else { continue };
            let unit = entry.unit_name.as_deref().unwrap_or_default();
            let message =
                format!("`{key}` {value} is too many: `{unit}` is no template, so it runs once at most");
            let (stem, suffix) = unit.rsplit_once('.').unwrap_or((unit, "service"));
            let help = format!("make it a template, `{stem}@.{suffix}`, or write 1");
            self.reader.error(*span, message, Some(help));
        }
    }

    /// The ports of a service, if they are ports.
    fn range<'f>(&mut self, entry: &'f Entry<'f>) -> Option<Range<'f>> {
        let service = entry.file;
        let base = service.base.as_ref().map_or(1, |base| base.value);
        let per_instance = service.per_instance.as_ref().map_or(1, |ports| ports.value);
        if let Some(ports) = service.per_instance.as_ref().filter(|ports| ports.value == 0) {
            self.reader.error(ports.span, "`ports_per_instance` must be at least 1", None);
            return None;
        }
        if let Some(given) = &service.base {
            self.port(given, "base_instance_prefix_number")?;
        }
        let min = service.min.as_ref().map_or(1, |min| min.value);
        let needed = service.max.as_ref().map_or(min.max(1), |max| max.value);
        let (first, per_instance, count) = (u64::from(base), u64::from(per_instance), u64::from(needed));
        let end = first + per_instance * count;
        let span = [&service.base, &service.max, &service.min].into_iter().flatten().next();
        let span = span.map_or(entry.span(), |at| at.span);
        if end - 1 > PORT_MAX {
            let message = format!(
                "{count} instances from number {first} need ports up to {}, but 65535 is the last",
                end - 1
            );
            let fit = (PORT_MAX + 1 - first) / per_instance;
            self.reader.error(span, message, (fit > 0).then(|| format!("{fit} would fit")));
            return None;
        }
        Some(Range { entry, first, last: end - 1, span })
    }

    /// Reports each range that starts inside an earlier one.
    fn overlaps(&mut self, mut ranges: Vec<Range<'_>>) {
        ranges.sort_by_key(|range| (range.first, range.last));
        let mut ranges = ranges.into_iter();
        let Some(mut widest) = ranges.next() else { return };
        for range in ranges {
            if range.first <= widest.last {
                let message = format!(
                    "the ports of `{}` ({} to {}) and of `{}` ({} to {}) overlap",
                    widest.entry.name(),
                    widest.first,
                    widest.last,
                    range.entry.name(),
                    range.first,
                    range.last,
                );
                let note = format!(
                    "`{}` is at {}",
                    widest.entry.name(),
                    self.reader.source.short(widest.entry.span())
                );
                let free = widest.last + 1;
                let help = (free <= PORT_MAX)
                    .then(|| format!("`base_instance_prefix_number: {free}` is free of it"));
                let place = self.reader.source.place(range.span);
                self.reader.report.add(Diagnostic::error(message).at(place).note(note).maybe_help(help));
            }
            if range.last > widest.last {
                widest = range;
            }
        }
    }
}

/// The services that share an attached service with another one.
fn sharing<'f>(entries: &'f Entries<'_>) -> HashSet<&'f str> {
    let mut parents: HashMap<&str, Vec<&str>> = HashMap::new();
    for entry in entries.values() {
        let attached: BTreeSet<&str> =
            entry.file.attached.iter().map(|attached| attached.value.as_str()).collect();
        for name in attached {
            parents.entry(name).or_default().push(entry.name());
        }
    }
    parents.into_values().filter(|parents| parents.len() > 1).flatten().collect()
}
