//! Registrations as instances write them to etcd:
//! `<application_base_path>/<service_type>/<instance id>/service_instance_name` holds the name of the unit.

use dynamite_core::RegistrationChange;

use crate::store::Change;

/// The key that holds the name of the unit.
const NAME_KEY: &str = "service_instance_name";

/// What changes below the application's path say of registrations.
#[must_use]
pub fn registrations(base: &str, changes: &[Change]) -> Vec<RegistrationChange> {
    changes.iter().filter_map(|change| registration(base, change)).collect()
}

fn registration(base: &str, change: &Change) -> Option<RegistrationChange> {
    match change {
        Change::SnapshotStart => Some(RegistrationChange::Cleared),
        Change::SnapshotEnd => Some(RegistrationChange::Complete),
        Change::Put { key, value } => {
            let (kind, id) = parse(base, key)?;
            let unit = value.trim().trim_matches('"').to_owned();
            Some(RegistrationChange::Registered { kind, id, unit })
        }
        Change::Delete { key } => {
            let (kind, id) = parse(base, key)?;
            Some(RegistrationChange::Gone { kind, id })
        }
        Change::DeleteTree { prefix } => tree_gone(base, prefix),
        Change::Oversized { .. } => None,
    }
}

fn parse(base: &str, key: &str) -> Option<(String, String)> {
    let mut parts = key.strip_prefix(base)?.strip_prefix('/')?.split('/');
    let (kind, id, name) = (parts.next()?, parts.next()?, parts.next()?);
    (name == NAME_KEY && parts.next().is_none()).then(|| (kind.to_owned(), id.to_owned()))
}

/// A whole directory is gone: at, below or above the application's path.
fn tree_gone(base: &str, prefix: &str) -> Option<RegistrationChange> {
    let Some(below) = prefix.strip_prefix(base) else {
        return base.starts_with(prefix).then_some(RegistrationChange::Cleared);
    };
    let mut parts = below.split('/').skip(1);
    Some(match (parts.next(), parts.next()) {
        (None, _) => RegistrationChange::Cleared,
        (Some(kind), None) => RegistrationChange::KindGone { kind: kind.to_owned() },
        (Some(kind), Some(id)) => RegistrationChange::Gone { kind: kind.to_owned(), id: id.to_owned() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: &Change, expected: impl Into<Option<RegistrationChange>>) {
        assert_eq!(registration("/services", change), expected.into(), "{change:?}");
    }

    fn gone(kind: &str, id: &str) -> RegistrationChange {
        RegistrationChange::Gone { kind: kind.to_owned(), id: id.to_owned() }
    }

    #[test]
    fn the_name_of_a_unit_is_read_with_quotes_or_without() {
        for value in ["web@1", "\"web@1\"", " web@1\n"] {
            let key = "/services/web/4f2a/service_instance_name".to_owned();
            let (kind, id, unit) = ("web".to_owned(), "4f2a".to_owned(), "web@1".to_owned());
            check(
                &Change::Put { key, value: value.to_owned() },
                Some(RegistrationChange::Registered { kind, id, unit }),
            );
        }
        for key in ["/services/web/4f2a/port", "/services/web/4f2a", "/other/web/a/service_instance_name"] {
            check(&Change::Put { key: key.to_owned(), value: "web@1".to_owned() }, None);
        }
    }

    #[test]
    fn what_is_deleted_is_gone_by_key_or_by_tree() {
        let key = "/services/web/a/service_instance_name".to_owned();
        check(&Change::Delete { key }, gone("web", "a"));
        let tree = |prefix: &str| Change::DeleteTree { prefix: prefix.to_owned() };
        check(&tree("/services/web/a"), gone("web", "a"));
        check(&tree("/services/web"), Some(RegistrationChange::KindGone { kind: "web".to_owned() }));
        check(&tree("/services"), Some(RegistrationChange::Cleared));
        check(&tree("/"), Some(RegistrationChange::Cleared));
        check(&tree("/metrics"), None);
    }
}
