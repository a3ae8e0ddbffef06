//! The section `ETCD`.

use super::check::Checker;
use super::file::Etcd;
use super::read::{At, Reader, shortened};
use super::{Cleanup, EtcdPaths, endpoint};

/// Where instances register unless told otherwise.
pub(crate) const APPLICATION_BASE_DEFAULT: &str = "/services";
/// Where metrics are written unless told otherwise.
pub(crate) const METRICS_BASE_DEFAULT: &str = "/metrics";
/// What belongs to Dynamite itself.
const OWN: &str = "/_dynamite";

impl Checker<'_, '_> {
    /// The paths, and where etcd is.
    pub(super) fn etcd(&mut self, etcd: &Etcd) -> (EtcdPaths, Option<String>) {
        let mut base = |given: &Option<At<String>>, key: &str, default: &str| match given {
            Some(path) => self.reader.base_path(path, key),
            None => Some(default.to_owned()),
        };
        let application = base(&etcd.application_base, "application_base_path", APPLICATION_BASE_DEFAULT);
        let metrics = base(&etcd.metrics_base, "metrics_base_path", METRICS_BASE_DEFAULT);
        if let (Some(application), Some(metrics)) = (&application, &metrics)
            && (is_within(application, metrics) || is_within(metrics, application))
            && let Some(given) = etcd.metrics_base.as_ref().or(etcd.application_base.as_ref())
        {
            let message =
                format!("`application_base_path` {application} and `metrics_base_path` {metrics} overlap");
            let help = "metrics are deleted when they are old: keep them apart from registrations".to_owned();
            self.reader.error(given.span, message, Some(help));
        }
        let paths = EtcdPaths {
            application_base: application.unwrap_or_default(),
            metrics_base: metrics.unwrap_or_default(),
            cleanup: etcd.cleanup.as_ref().map_or(Cleanup::WhenUnneeded, |cleanup| cleanup.value),
        };
        (paths, self.etcd_endpoint(etcd))
    }

    fn etcd_endpoint(&mut self, etcd: &Etcd) -> Option<String> {
        if etcd.ip.is_none() && etcd.port.is_none() {
            return None;
        }
        let port = match &etcd.port {
            Some(port) => self.port(port, "port_api_endpoint"),
            None => Some(endpoint::ETCD_PORT_DEFAULT),
        };
        let host = etcd.ip.as_ref().map_or("127.0.0.1", |ip| ip.value.as_str());
        if let Some(ip) = &etcd.ip {
            self.host(ip, "ip_api_endpoint")?;
        }
        Some(format!("{}:{}", endpoint::bracketed(host), port?))
    }
}

impl Reader<'_> {
    /// A base path without its trailing slash.
    pub(crate) fn base_path(&mut self, path: &At<String>, key: &str) -> Option<String> {
        match base_path(&path.value) {
            Ok(plain) => Some(plain),
            Err((message, help)) => {
                self.error(path.span, format!("`{key}` {message}"), Some(help));
                None
            }
        }
    }

    /// Reports a word that cannot be one level of a path in etcd.
    pub(crate) fn path_word(&mut self, word: &At<String>, what: &str) {
        let text = word.value.as_str();
        let wrong = if text.contains('/') {
            "must not contain `/`"
        } else if matches!(text, "." | "..") {
            "must not be a dot or two"
        } else if text.starts_with('_') {
            "must not start with `_`, because etcd hides such keys"
        } else if text.trim() != text || text.is_empty() || text.chars().any(char::is_control) {
            "must not be empty, nor start or end with blanks, nor hold control characters"
        } else {
            return;
        };
        self.error(word.span, format!("{what} {wrong}: it becomes part of a path in etcd"), None);
    }
}

/// A base path without its trailing slash.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub(crate) fn base_path(text: &str) -> Result<String, (&'static str, String)> {
    let plain = text.strip_suffix('/').unwrap_or(text);
    let as_etcd = || "write the path as etcd has it".to_owned();
    if !text.starts_with('/') {
        Err(("must start with `/`", format!("write `/{}`", shortened(text))))
    } else if plain.is_empty() {
        let help = "write a folder, such as `/services`".to_owned();
        Err(("must not be the root, which holds everything", help))
    } else if plain[1..].split('/').any(|level| matches!(level, "" | "." | "..")) {
        Err(("must not contain `//`, `/.` or `/..`", as_etcd()))
    } else if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        Err(("must not contain blanks", as_etcd()))
    } else if is_within(plain, OWN) {
        let message = "must not lie in `/_dynamite`, where Dynamite keeps its own state";
        Err((message, "take another folder".to_owned()))
    } else {
        Ok(plain.to_owned())
    }
}

/// Whether `path` is `folder` or below it.
pub(crate) fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
