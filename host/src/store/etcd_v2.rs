//! [`Store`] over etcd's keys API, v2.
//!
//! It never asks for `stream=true`, which loses events in silence, and never follows a redirect.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::Method;
use tokio::sync::mpsc::Sender;

use self::client::{Answer, Client, Repeat, about, field, refusal};
use self::json::Node;
use self::own::OwnDeletes;
use self::transport::Request;
use super::connect::Checked;
use super::keys::normalise;
use super::{Change, Entry, Error, Expected, Lock, Store, VALUE_BYTES_MAX};

mod client;
mod json;
mod own;
mod transport;
mod tree;
mod watch;

/// The requests of one `delete` that are under way at once: enough to hide etcd's commit, few enough that it still
/// serves others.
const DELETES_AT_ONCE: usize = 16;

const KEY_NOT_FOUND: u32 = 100;
const COMPARE_FAILED: u32 = 101;
const NOT_A_FILE: u32 = 102;
const NODE_EXISTS: u32 = 105;

/// A cluster that serves the keys API.
#[derive(Debug)]
pub struct EtcdV2 {
    client: Client,
    own: OwnDeletes,
    seed: u64,
}

impl EtcdV2 {
    /// A store on these servers; connects to none of them.
    pub(super) fn new(checked: &Checked) -> Result<Self, Error> {
        Ok(Self { client: Client::new(checked)?, own: OwnDeletes::default(), seed: checked.seed })
    }

    /// Whether the first server that answers offers the keys API.
    pub(super) async fn is_served(&self) -> Result<bool, Error> {
        let request = about(Method::GET, "/_dynamite/state/application_status", "");
        match self.client.call(&request, Repeat::Harmless).await {
            Ok(_) | Err(Error::Refused { .. }) => Ok(true),
            Err(Error::Garbled { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, key: &str, form: String, repeat: Repeat) -> Result<(Request, Answer), Error> {
        let mut request = about(Method::PUT, &normalise(key), "");
        request.form = Some(form);
        let answer = self.client.call(&request, repeat).await?;
        Ok((request, answer))
    }

    async fn delete_one(&self, key: &str) -> Result<(), Error> {
        let request = about(Method::DELETE, &normalise(key), "");
        match self.client.call(&request, Repeat::Harmless).await? {
            Ok(event) => {
                self.own.add(event.node.modified);
                Ok(())
            }
            // A directory is no key, so there was nothing to remove.
            Err(error) if matches!(error.code, KEY_NOT_FOUND | NOT_A_FILE) => Ok(()),
            Err(error) => Err(refusal(&request, error)),
        }
    }

    /// Prolongs the lock if `holder` holds it. With `refresh` the value stays and no watcher is woken.
    async fn refresh(&self, key: &str, holder: &str, ttl: Duration) -> Result<bool, Error> {
        let form = format!("prevExist=true&refresh=true&{}&{}", field("prevValue", holder), lifetime(ttl));
        let (request, answer) = self.write(key, form, Repeat::Harmless).await?;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.code, KEY_NOT_FOUND | COMPARE_FAILED | NOT_A_FILE) => Ok(false),
            Err(error) => Err(refusal(&request, error)),
        }
    }
}

/// The `ttl` field, in whole seconds, at least one; 0 would mean "for ever".
fn lifetime(ttl: Duration) -> String {
    let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
    format!("ttl={}", seconds.max(1))
}

fn entry(key: String, node: Node) -> Option<Entry> {
    let value = node.value.filter(|_| !node.dir)?;
    Some(Entry { key, value, revision: node.modified })
}

impl Store for EtcdV2 {
    async fn get(&self, key: &str) -> Result<Option<Entry>, Error> {
        let key = normalise(key);
        let request = about(Method::GET, &key, "?quorum=true");
        match self.client.call(&request, Repeat::Harmless).await? {
            Ok(event) if event.node.value.as_ref().is_some_and(|value| value.len() > VALUE_BYTES_MAX) => {
                Err(too_large(format!("GET {key}")))
            }
            Ok(event) => Ok(entry(key, event.node)),
            Err(error) if error.code == KEY_NOT_FOUND => Ok(None),
            Err(error) => Err(refusal(&request, error)),
        }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        tree::list(&self.client, &normalise(prefix)).await
    }

    async fn put(&self, key: &str, value: &str) -> Result<u64, Error> {
        let (request, answer) = self.write(key, field("value", value), Repeat::Harmless).await?;
        answer.map(|event| event.node.modified).map_err(|error| refusal(&request, error))
    }

    async fn put_if(&self, key: &str, value: &str, expected: Expected) -> Result<Option<u64>, Error> {
        let condition = match expected {
            Expected::Absent => "prevExist=false".to_owned(),
            Expected::Revision(revision) => format!("prevIndex={revision}"),
        };
        let form = format!("{}&{condition}", field("value", value));
        let (request, answer) = self.write(key, form, Repeat::Misleading).await?;
        match answer {
            Ok(event) => Ok(Some(event.node.modified)),
            Err(error) if matches!(error.code, KEY_NOT_FOUND | COMPARE_FAILED | NODE_EXISTS) => Ok(None),
            Err(error) => Err(refusal(&request, error)),
        }
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        stream::iter(keys.to_vec())
            .map(|key| async move { self.delete_one(&key).await })
            .buffer_unordered(DELETES_AT_ONCE)
            .try_collect()
            .await
    }

    async fn follow(&self, prefix: &str, changes: Sender<Vec<Change>>) {
        watch::follow(&self.client, &self.own, fastrand::Rng::with_seed(self.seed), prefix, changes).await;
    }

    async fn lock(&self, key: &str, holder: &str, ttl: Duration) -> Result<Option<Lock>, Error> {
        let form = format!("prevExist=false&{}&{}", field("value", holder), lifetime(ttl));
        // Sent twice it is harmless: a lock that the first try took is found to be ours below.
        let (request, answer) = self.write(key, form, Repeat::Harmless).await?;
        let ours = match answer {
            Ok(_) => true,
            Err(error) if error.code == NODE_EXISTS => self.refresh(key, holder, ttl).await?,
            Err(error) => return Err(refusal(&request, error)),
        };
        Ok(ours.then(|| Lock { key: normalise(key), holder: holder.to_owned(), lease: 0, ttl }))
    }

    async fn renew(&self, lock: &Lock) -> Result<bool, Error> {
        self.refresh(&lock.key, &lock.holder, lock.ttl).await
    }

    async fn unlock(&self, lock: &Lock) -> Result<(), Error> {
        let query = format!("?{}", field("prevValue", &lock.holder));
        let request = about(Method::DELETE, &normalise(&lock.key), &query);
        match self.client.call(&request, Repeat::Harmless).await? {
            Err(error) if !matches!(error.code, KEY_NOT_FOUND | COMPARE_FAILED) => {
                Err(refusal(&request, error))
            }
            _ => Ok(()),
        }
    }
}

fn too_large(request: String) -> Error {
    Error::Refused { request, message: format!("the value is larger than {VALUE_BYTES_MAX} bytes") }
}
