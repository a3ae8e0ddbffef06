//! The YAML file as it is written: its sections, keys and value types. Whether the values make sense together is
//! [`super::check`]'s business.

use super::policy_file::Policy;
use super::read::{At, Fields, Reader};
use super::tree::{Node, Span, Value};
use super::words::CLEANUPS;
use crate::config::Cleanup;

/// The key everything hangs under. It may be left out.
pub(super) const ROOT: &str = "Dynamite";
/// The keys of the document.
pub(super) const SECTIONS: &[&str] =
    &["ServiceFiles", "FleetAPIEndpoint", "ETCD", "Service", "ScalingPolicy"];
/// The keys of `ServiceFiles`.
pub(super) const SERVICE_FILES: &[&str] = &["PathList"];
/// The keys of `FleetAPIEndpoint`.
pub(super) const FLEET: &[&str] = &["ip", "port"];
/// The keys of `ETCD`.
pub(super) const ETCD: &[&str] = &[
    "application_base_path",
    "metrics_base_path",
    "metrics_cleanup",
    "ip_api_endpoint",
    "port_api_endpoint",
];
/// The keys of a service.
pub(super) const SERVICE: &[&str] = &[
    "name_of_unit_file",
    "type",
    "min_instance",
    "max_instance",
    "base_instance_prefix_number",
    "ports_per_instance",
    "attached_service",
    "service_dependency",
    "scale_up_policy",
    "scale_down_policy",
    "scaling_policy",
];
/// The key of `scale_up_policy`, `scale_down_policy` and `scaling_policy`.
pub(super) const POLICY_REFERENCE: &[&str] = &["ScalingPolicy"];

/// The whole file.
#[derive(Default)]
pub(super) struct File {
    /// Every folder of `ServiceFiles.PathList`.
    pub(super) folders: Vec<At<String>>,
    pub(super) fleet: Option<Fleet>,
    pub(super) etcd: Etcd,
    pub(super) services: Vec<Service>,
    pub(super) policies: Vec<Policy>,
    /// All of it, under [`ROOT`].
    pub(super) document: serde_json::Value,
}

/// `FleetAPIEndpoint`.
pub(super) struct Fleet {
    pub(super) ip: Option<At<String>>,
    pub(super) port: Option<At<u32>>,
}

/// `ETCD`.
#[derive(Default)]
pub(super) struct Etcd {
    pub(super) application_base: Option<At<String>>,
    pub(super) metrics_base: Option<At<String>>,
    pub(super) cleanup: Option<At<Cleanup>>,
    pub(super) ip: Option<At<String>>,
    pub(super) port: Option<At<u32>>,
}

/// An entry of `Service`.
pub(super) struct Service {
    pub(super) name: At<String>,
    pub(super) unit: Option<At<String>>,
    pub(super) kind: Kind,
    pub(super) min: Option<At<u32>>,
    pub(super) max: Option<At<u32>>,
    pub(super) base: Option<At<u32>>,
    pub(super) per_instance: Option<At<u32>>,
    pub(super) attached: Vec<At<String>>,
    pub(super) depends_on: Vec<At<String>>,
    pub(super) scale_up: Option<At<String>>,
    pub(super) scale_down: Option<At<String>>,
    pub(super) scale_both: Vec<At<String>>,
}

impl Service {
    /// Each policy that it names, with the key that names it.
    pub(super) fn policies(&self) -> impl Iterator<Item = (&'static str, &At<String>)> {
        let up = self.scale_up.iter().map(|name| ("scale_up_policy", name));
        let down = self.scale_down.iter().map(|name| ("scale_down_policy", name));
        up.chain(down).chain(self.scale_both.iter().map(|name| ("scaling_policy", name)))
    }
}

/// A service's `type`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// It has none.
    Missing,
    /// It has one of the wrong form, which is reported already.
    Unreadable,
    /// It is this.
    Given(At<String>),
}

impl Reader<'_> {
    /// Reads a whole document.
    pub(super) fn file(&mut self, node: &Node) -> File {
        let (body, document) = self.body(node);
        if !matches!(body.value, Value::Map(_) | Value::Null) {
            self.wrong_form("the configuration", "a map of sections", body, None);
            return File::default();
        }
        let sections = self.fields(body, "the configuration", SECTIONS);
        let files = sections.get("ServiceFiles");
        let folders = files.map(|node| {
            let fields = self.fields(node, "`ServiceFiles`", SERVICE_FILES);
            self.texts(&fields, "PathList")
        });
        let is_empty = sections.get("Service").is_none_or(|node| node.value == Value::Map(Vec::new()));
        if is_empty && !sections.is_doubtful {
            let help = "name at least one service in the section `Service`".to_owned();
            self.error(Span::default(), "no service is defined", Some(help));
        }
        File {
            folders: folders.unwrap_or_default(),
            fleet: sections.get("FleetAPIEndpoint").map(|node| self.fleet(node)),
            etcd: sections.get("ETCD").map(|node| self.etcd(node)).unwrap_or_default(),
            services: self.named(&sections, "Service", Self::service),
            policies: self.named(&sections, "ScalingPolicy", Self::policy),
            document,
        }
    }

    /// What hangs under `Dynamite`, or everything when that key is left out, and the whole as JSON.
    fn body<'n>(&mut self, node: &'n Node) -> (&'n Node, serde_json::Value) {
        let Value::Map(pairs) = &node.value else { return (node, serde_json::Value::Null) };
        let is_root = |key: &Node| key.value == Value::Text(ROOT.to_owned());
        let Some((_, body)) = pairs.iter().find(|(key, _)| is_root(key)) else {
            return (
                node,
                serde_json::Value::Object([(ROOT.to_owned(), node.to_json())].into_iter().collect()),
            );
        };
        for (key, _) in self.entries(node, "the configuration") {
            if key.value != ROOT {
                let message = format!("`{}` stands outside `{ROOT}`", super::read::shortened(key.value));
                self.error(key.span, message, Some(format!("indent it, so that it is below `{ROOT}:`")));
            }
        }
        (body, node.to_json())
    }

    /// Reads each entry of a section whose keys are names.
    fn named<T>(
        &mut self,
        sections: &Fields<'_>,
        section: &str,
        read: fn(&mut Self, At<String>, &Node) -> T,
    ) -> Vec<T> {
        let Some(node) = sections.get(section) else { return Vec::new() };
        let entries = self.entries(node, &format!("`{section}`"));
        let own = |name: At<&str>| At { value: name.value.to_owned(), span: name.span };
        entries.into_iter().map(|(name, node)| read(self, own(name), node)).collect()
    }

    fn fleet(&mut self, node: &Node) -> Fleet {
        let fields = self.fields(node, "`FleetAPIEndpoint`", FLEET);
        let fleet = Fleet { ip: self.text(&fields, "ip"), port: self.count(&fields, "port") };
        for (key, example) in [("ip", "ip: 127.0.0.1"), ("port", "port: 49153")] {
            self.require(&fields, node.span, "`FleetAPIEndpoint`", key, example);
        }
        fleet
    }

    fn etcd(&mut self, node: &Node) -> Etcd {
        let fields = self.fields(node, "`ETCD`", ETCD);
        Etcd {
            application_base: self.text(&fields, "application_base_path"),
            metrics_base: self.text(&fields, "metrics_base_path"),
            cleanup: self.word(&fields, "metrics_cleanup", &CLEANUPS),
            ip: self.text(&fields, "ip_api_endpoint"),
            port: self.count(&fields, "port_api_endpoint"),
        }
    }

    fn service(&mut self, name: At<String>, node: &Node) -> Service {
        let what = format!("service `{}`", super::read::shortened(&name.value));
        let fields = self.fields(node, &what, SERVICE);
        let example = format!("name_of_unit_file: {}@.service", name.value);
        self.require(&fields, name.span, &what, "name_of_unit_file", &example);
        let kind = match (fields.get("type"), self.text(&fields, "type")) {
            (None, _) => Kind::Missing,
            (Some(_), None) => Kind::Unreadable,
            (Some(_), Some(kind)) => Kind::Given(kind),
        };
        Service {
            unit: self.text(&fields, "name_of_unit_file"),
            kind,
            min: self.count(&fields, "min_instance"),
            max: self.count(&fields, "max_instance"),
            base: self.count(&fields, "base_instance_prefix_number"),
            per_instance: self.count(&fields, "ports_per_instance"),
            attached: self.texts(&fields, "attached_service"),
            depends_on: self.texts(&fields, "service_dependency"),
            scale_up: self.policy_references(&fields, "scale_up_policy").into_iter().next(),
            scale_down: self.policy_references(&fields, "scale_down_policy").into_iter().next(),
            scale_both: self.policy_references(&fields, "scaling_policy"),
            name,
        }
    }

    /// The policies of `scale_up_policy`, `scale_down_policy` or `scaling_policy`; only the last may name several.
    fn policy_references(&mut self, fields: &Fields<'_>, key: &str) -> Vec<At<String>> {
        let Some(node) = fields.get(key) else { return Vec::new() };
        let bare = bare_names(node);
        if let [first, ..] = &*bare {
            let names: Vec<String> = bare.iter().map(|name| super::read::shortened(&name.value)).collect();
            let wanted = if names.len() > 1 { format!("[{}]", names.join(", ")) } else { names.concat() };
            let help = format!("write `{key}: {{ScalingPolicy: {wanted}}}`");
            self.error(first.span, format!("`{key}` must be a map with the key `ScalingPolicy`"), Some(help));
            return bare;
        }
        let what = format!("`{key}`");
        let inner = self.fields(node, &what, POLICY_REFERENCE);
        self.require(&inner, node.span, &what, "ScalingPolicy", "ScalingPolicy: name_of_the_policy");
        match key {
            "scaling_policy" => self.texts(&inner, "ScalingPolicy"),
            _ => self.text(&inner, "ScalingPolicy").into_iter().collect(),
        }
    }

    /// Reports a key that may not be left out, unless it may be there under a wrong name.
    pub(super) fn require(&mut self, fields: &Fields<'_>, span: Span, what: &str, key: &str, example: &str) {
        if fields.get(key).is_none() && !fields.is_doubtful {
            self.error(span, format!("`{key}` is missing in {what}"), Some(format!("add `{example}`")));
        }
    }
}

/// The names in a text or a list of texts; none if it is anything else.
fn bare_names(node: &Node) -> Vec<At<String>> {
    let name = |node: &Node| match &node.value {
        Value::Text(name) => Some(At { value: name.clone(), span: node.span }),
        _ => None,
    };
    let names: Option<Vec<_>> = match &node.value {
        Value::List(items) => items.iter().map(name).collect(),
        _ => name(node).map(|name| vec![name]),
    };
    names.unwrap_or_default()
}
