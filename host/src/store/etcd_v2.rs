//! [`Store`] over etcd's keys API, v2.
//!
//! It never asks for `stream=true`, which loses events in silence, and never follows a redirect.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::Method;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;

use self::client::{Answer, Client, about, field, parse_answer, refusal};
use self::own::OwnDeletes;
use self::transport::Request;
use self::wire::Wire;
use super::connect::Checked;
use super::keys::normalise;
use super::{Change, Entry, Error, Lock, Store};

mod client;
mod json;
mod own;
mod transport;
mod tree;
mod watch;
mod wire;

/// The connections of one `delete`: enough to hide etcd's commit, few enough that it still serves others.
const DELETES_AT_ONCE: usize = 4;
/// The keys that one connection is given at once; about what fits into a batch.
const DELETES_IN_LINE: usize = 32;
/// How long answers to deletes are let gather before they are read; nobody is in a hurry for them.
const DELETE_GATHER: Duration = Duration::from_millis(20);
/// The longest wait for the next answer to a delete.
const DELETE_PATIENCE: Duration = Duration::from_secs(8);

const KEY_NOT_FOUND: u32 = 100;
const COMPARE_FAILED: u32 = 101;
const NOT_A_FILE: u32 = 102;
const NODE_EXISTS: u32 = 105;

/// A cluster that serves the keys API.
#[derive(Debug)]
pub struct EtcdV2 {
    client: Client,
    own: OwnDeletes,
    /// Connections for deletes that are idle.
    wires: Mutex<Vec<Wire>>,
    seed: u64,
}

impl EtcdV2 {
    /// A store on these servers; connects to none of them.
    pub(super) fn new(checked: &Checked) -> Result<Self, Error> {
        let client = Client::new(checked)?;
        Ok(Self { client, own: OwnDeletes::default(), wires: Mutex::default(), seed: checked.seed })
    }

    /// Whether the first server that answers offers the keys API.
    pub(super) async fn is_served(&self) -> Result<bool, Error> {
        let request = about(Method::GET, "/_dynamite/state/application_status", "");
        match self.client.call(&request).await {
            Ok(_) | Err(Error::Refused { .. }) => Ok(true),
            Err(Error::Garbled { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn write(&self, key: &str, form: String) -> Result<(Request, Answer), Error> {
        let mut request = about(Method::PUT, &normalise(key), "");
        request.form = Some(form);
        let answer = self.client.call(&request).await?;
        Ok((request, answer))
    }

    /// Deletes some keys, in line on one connection where that can be done.
    async fn delete_some(&self, keys: &[String]) -> Result<(), Error> {
        let requests: Vec<Request> =
            keys.iter().map(|key| about(Method::DELETE, &normalise(key), "")).collect();
        // One alone or over TLS, and what is left when the connection breaks: one by one, with all that can be done.
        let done = if requests.len() < 2 { 0 } else { self.delete_in_line(&requests).await? };
        for request in &requests[done..] {
            self.deleted(request, self.client.call(request).await?)?;
        }
        Ok(())
    }

    /// Sends batches of deletes, and returns how many of them were answered before the connection failed, if it did.
    async fn delete_in_line(&self, requests: &[Request]) -> Result<usize, Error> {
        let idle = self.wires.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let wire = if idle.is_some() { idle } else { self.client.wire().await.unwrap_or_default() };
        let Some(mut wire) = wire else { return Ok(0) };
        let mut done = 0;
        while done < requests.len() {
            let some = &requests[done..done + wire.fitting(&requests[done..])];
            if wire.send(some).await.is_err() {
                return Ok(done);
            }
            let end = done + some.len();
            while done < end {
                if wire.gather(DELETE_GATHER).await.is_err() {
                    return Ok(done);
                }
                let Ok(Ok(answers)) = timeout(DELETE_PATIENCE, wire.receive()).await else { return Ok(done) };
                for (answer, request) in answers.into_iter().zip(&requests[done..end]) {
                    self.deleted(request, parse_answer(request, answer.status, &answer.body)?)?;
                    done += 1;
                }
            }
        }
        self.wires.lock().unwrap_or_else(PoisonError::into_inner).push(wire);
        Ok(done)
    }

    fn deleted(&self, request: &Request, answer: Answer) -> Result<(), Error> {
        match answer {
            Ok(event) => {
                self.own.add(event.node.modified);
                Ok(())
            }
            // A directory is no key, so there was nothing to remove.
            Err(error) if matches!(error.code, KEY_NOT_FOUND | NOT_A_FILE) => Ok(()),
            Err(error) => Err(refusal(request, error)),
        }
    }

    /// Prolongs the lock if `holder` holds it. With `refresh` the value stays and no watcher is woken.
    async fn refresh(&self, key: &str, holder: &str, ttl: Duration) -> Result<bool, Error> {
        let form = format!("prevExist=true&refresh=true&{}&{}", field("prevValue", holder), lifetime(ttl));
        let (request, answer) = self.write(key, form).await?;
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

impl Store for EtcdV2 {
    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        tree::list(&self.client, &normalise(prefix)).await
    }

    async fn put(&self, key: &str, value: &str) -> Result<(), Error> {
        let (request, answer) = self.write(key, field("value", value)).await?;
        answer.map(drop).map_err(|error| refusal(&request, error))
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        let _under_way = self.own.begin();
        let lines: Vec<Vec<String>> = keys.chunks(DELETES_IN_LINE).map(<[String]>::to_vec).collect();
        stream::iter(lines)
            .map(|some| async move { self.delete_some(&some).await })
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
        let (request, answer) = self.write(key, form).await?;
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
        match self.client.call(&request).await? {
            Err(error) if !matches!(error.code, KEY_NOT_FOUND | COMPARE_FAILED) => {
                Err(refusal(&request, error))
            }
            _ => Ok(()),
        }
    }
}
