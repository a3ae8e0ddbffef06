//! From settings to a store: which servers, which of the two APIs, and with which certificates.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::Uri;
use tokio::sync::mpsc::Sender;

use super::etcd_v2::EtcdV2;
use super::etcd_v3::EtcdV3;
use super::{Change, Entry, Error, Lock, Store};

/// Which of etcd's APIs to speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Api {
    /// The keys API under `/v2/keys`.
    V2,
    /// gRPC.
    V3,
    /// v2 where it is served, else v3. The two are separate key spaces on one server, and the original Dynamite and
    /// those who write metrics for it speak v2: a server that offers v2 was set up so for their sake.
    #[default]
    Auto,
}

/// How to reach etcd.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `host:port`, `http://host:port` or `https://host:port`; at least one. The next one is asked when one fails.
    /// Without a scheme it is https when a certificate is given.
    pub endpoints: Vec<String>,
    /// Which API to speak.
    pub api: Api,
    /// A PEM file with the certificates to trust; without it, those of the system.
    pub ca: Option<PathBuf>,
    /// A PEM file with our certificate. Goes with `client_key`.
    pub client_cert: Option<PathBuf>,
    /// A PEM file with the key of our certificate.
    pub client_key: Option<PathBuf>,
    /// The user to log in as. Goes with `password`.
    pub user: Option<String>,
    /// The password of `user`.
    pub password: Option<String>,
    /// Where the jitter of reconnections starts.
    pub seed: u64,
}

/// Settings that were checked, and the files read.
#[derive(Clone, Debug)]
pub(super) struct Checked {
    pub(super) endpoints: Vec<Uri>,
    pub(super) ca: Option<Vec<u8>>,
    /// Certificate and key.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
    /// User and password.
    pub(super) login: Option<(String, String)>,
    pub(super) seed: u64,
}

impl Checked {
    /// Reads what the settings name.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for what cannot work.
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let tls = settings.ca.is_some() || settings.client_cert.is_some();
        let endpoints = settings
            .endpoints
            .iter()
            .map(|endpoint| parse_endpoint(endpoint, if tls { "https" } else { "http" }))
            .collect::<Result<Vec<Uri>, Error>>()?;
        if endpoints.is_empty() {
            return Err(Error::Setting("no endpoint is given".to_owned()));
        }
        if let Some(plain) = endpoints.iter().find(|uri| tls && uri.scheme_str() != Some("https")) {
            let why =
                "certificates are given, but this is not encrypted; write https://, or leave the scheme out";
            return Err(Error::Setting(format!("endpoint `{plain}`: {why}")));
        }
        let identity = match (&settings.client_cert, &settings.client_key) {
            (Some(cert), Some(key)) => Some((read(cert)?, read(key)?)),
            (None, None) => None,
            _ => return Err(Error::Setting("a client certificate and its key go together".to_owned())),
        };
        let login = match (&settings.user, &settings.password) {
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            (None, None) => None,
            _ => return Err(Error::Setting("user and password go together".to_owned())),
        };
        let ca = settings.ca.as_deref().map(read).transpose()?;
        Ok(Self { endpoints, ca, identity, login, seed: settings.seed })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::Setting(format!("cannot read {}: {error}", path.display())))
}

fn parse_endpoint(text: &str, default_scheme: &str) -> Result<Uri, Error> {
    let wrong = |why: &str| Error::Setting(format!("endpoint `{text}`: {why}"));
    let trimmed = text.trim().trim_end_matches('/');
    let with_scheme =
        if trimmed.contains("://") { trimmed.to_owned() } else { format!("{default_scheme}://{trimmed}") };
    let uri: Uri = with_scheme.parse().map_err(|_| wrong("is no address such as `127.0.0.1:2379`"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("only http and https are spoken"));
    }
    if uri.port_u16().is_none() || uri.host().is_none_or(str::is_empty) {
        return Err(wrong("host and port are needed"));
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(wrong("nothing may follow the port"));
    }
    Ok(uri)
}

/// A store over whichever API was chosen.
#[derive(Debug)]
pub enum AnyStore {
    /// The keys API.
    V2(EtcdV2),
    /// gRPC.
    V3(EtcdV3),
}

/// Opens a store. Only [`Api::Auto`] asks the servers anything; otherwise the first request is the first to fail.
///
/// # Errors
///
/// [`Error::Setting`] for what cannot work; with [`Api::Auto`] also a transient one when no server answers.
pub async fn connect(settings: Settings) -> Result<AnyStore, Error> {
    crate::tls::install_provider();
    let checked = Checked::new(&settings)?;
    match settings.api {
        Api::V2 => Ok(AnyStore::V2(EtcdV2::new(&checked)?)),
        Api::V3 => Ok(AnyStore::V3(EtcdV3::new(&checked)?)),
        Api::Auto => {
            let v2 = EtcdV2::new(&checked)?;
            if v2.is_served().await? {
                Ok(AnyStore::V2(v2))
            } else {
                Ok(AnyStore::V3(EtcdV3::new(&checked)?))
            }
        }
    }
}

/// The same call on either store.
macro_rules! delegate {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            AnyStore::V2($store) => $call.await,
            AnyStore::V3($store) => $call.await,
        }
    };
}

impl Store for AnyStore {
    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        delegate!(self, store => store.list(prefix))
    }

    async fn put(&self, key: &str, value: &str) -> Result<(), Error> {
        delegate!(self, store => store.put(key, value))
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        delegate!(self, store => store.delete(keys))
    }

    async fn follow(&self, prefix: &str, changes: Sender<Vec<Change>>) {
        delegate!(self, store => store.follow(prefix, changes));
    }

    async fn lock(&self, key: &str, holder: &str, ttl: Duration) -> Result<Option<Lock>, Error> {
        delegate!(self, store => store.lock(key, holder, ttl))
    }

    async fn renew(&self, lock: &Lock) -> Result<bool, Error> {
        delegate!(self, store => store.renew(lock))
    }

    async fn unlock(&self, lock: &Lock) -> Result<(), Error> {
        delegate!(self, store => store.unlock(lock))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_may_leave_out_the_scheme() {
        for (text, expected) in [
            ("127.0.0.1:2379", "http://127.0.0.1:2379/"),
            ("http://etcd:2379/", "http://etcd:2379/"),
            ("https://[::1]:2379", "https://[::1]:2379/"),
        ] {
            assert_eq!(parse_endpoint(text, "http").unwrap().to_string(), expected);
        }
    }

    #[test]
    fn with_certificates_nothing_goes_unencrypted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = |endpoint: &str| Settings {
            endpoints: vec![endpoint.to_owned()],
            ca: Some(file.path().to_owned()),
            ..Settings::default()
        };
        let checked = Checked::new(&settings("etcd:2379")).unwrap();
        assert_eq!(checked.endpoints[0].to_string(), "https://etcd:2379/");
        assert!(Checked::new(&settings("http://etcd:2379")).is_err());
    }

    #[test]
    fn wrong_endpoints_are_named() {
        for text in ["", "etcd", "ftp://etcd:1", "http://etcd:2379/v2", "a b:1"] {
            let error = parse_endpoint(text, "http").unwrap_err().to_string();
            assert!(error.contains(&format!("`{text}`")), "{error}");
        }
    }
}
