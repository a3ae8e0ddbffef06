//! [`Store`] over etcd's gRPC API, v3.

use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tonic::{Code, Status};

use self::client::{Client, Repeat};
use self::messages::{Compare, DeleteRangeRequest, HeaderResponse, KeyValue, Op, PutRequest, RangeRequest};
use self::messages::{RangeResponse, RequestOp, Target, TxnRequest, TxnResponse};
use self::range::{Page, Pages};
use self::watch::text;
use super::connect::Checked;
use super::keys::normalise;
use super::{Change, Entry, Error, Lock, Store, leave_out};

mod client;
mod lock;
mod messages;
mod range;
mod watch;

/// The most operations that etcd takes in one transaction, unless it is told otherwise.
const TXN_OPS_MAX: usize = 128;

const TXN: &str = "/etcdserverpb.KV/Txn";

/// A cluster that serves the gRPC API.
#[derive(Debug)]
pub struct EtcdV3 {
    client: Client,
    seed: u64,
}

impl EtcdV3 {
    /// A store on these servers; connects to none of them.
    pub(super) fn new(checked: &Checked) -> Result<Self, Error> {
        Ok(Self { client: Client::new(checked)?, seed: checked.seed })
    }

    async fn read(&self, key: &str) -> Result<Option<KeyValue>, Status> {
        let request = RangeRequest { key: key.as_bytes().to_vec(), ..RangeRequest::default() };
        let answer: RangeResponse =
            self.client.call("/etcdserverpb.KV/Range", request, Repeat::Harmless).await?;
        Ok(answer.kvs.into_iter().next())
    }

    /// Carries out `put` if `against` holds.
    async fn put_when(&self, put: PutRequest, against: Target) -> Result<TxnResponse, Status> {
        let target = match against {
            Target::Created(_) => 1,
            Target::Value(_) => 3,
        };
        let compare = Compare { result: 0, target, key: put.key.clone(), against: Some(against) };
        let success = vec![RequestOp { op: Some(Op::Put(put)) }];
        self.client.call(TXN, TxnRequest { compare: vec![compare], success }, Repeat::Misleading).await
    }
}

impl Store for EtcdV3 {
    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, Error> {
        let prefix = normalise(prefix);
        let mut pages = Pages::below(&self.client, &prefix);
        let mut entries = Vec::new();
        let failed = |status| self.client.error(&format!("range {prefix}/"), status);
        while let Some(page) = pages.next().await.map_err(failed)? {
            match page {
                Page::Keys(kvs) => entries
                    .extend(kvs.into_iter().filter_map(|kv| Entry::if_small(text(kv.key), text(kv.value)))),
                Page::Oversized(key) => leave_out(&text(key)),
            }
        }
        Ok(entries)
    }

    async fn put(&self, key: &str, value: &str) -> Result<(), Error> {
        let key = normalise(key);
        let request = PutRequest { key: key.clone().into_bytes(), value: value.into(), lease: 0 };
        let answer: Result<HeaderResponse, Status> =
            self.client.call("/etcdserverpb.KV/Put", request, Repeat::Harmless).await;
        answer.map(drop).map_err(|status| self.client.error(&format!("put {key}"), status))
    }

    async fn delete(&self, keys: &[String]) -> Result<(), Error> {
        for some in keys.chunks(TXN_OPS_MAX) {
            let delete = |key: &String| DeleteRangeRequest { key: normalise(key).into_bytes() };
            let success = some.iter().map(|key| RequestOp { op: Some(Op::Delete(delete(key))) }).collect();
            let request = TxnRequest { compare: Vec::new(), success };
            let answer: Result<TxnResponse, Status> = self.client.call(TXN, request, Repeat::Harmless).await;
            answer.map_err(|status| self.client.error("txn of deletes", status))?;
        }
        Ok(())
    }

    async fn follow(&self, prefix: &str, changes: Sender<Vec<Change>>) {
        watch::follow(&self.client, fastrand::Rng::with_seed(self.seed), prefix, changes).await;
    }

    async fn lock(&self, key: &str, holder: &str, ttl: Duration) -> Result<Option<Lock>, Error> {
        let lock = Lock { key: normalise(key), holder: holder.to_owned(), lease: 0, ttl };
        let failed = |status| self.client.error(&format!("lock {key}"), status);
        self.take(lock).await.map_err(failed)
    }

    async fn renew(&self, lock: &Lock) -> Result<bool, Error> {
        let failed = |status| self.client.error(&format!("renew {}", lock.key), status);
        self.keep(lock).await.map_err(failed)
    }

    async fn unlock(&self, lock: &Lock) -> Result<(), Error> {
        match self.revoke(lock.lease).await {
            Err(status) if status.code() != Code::NotFound => {
                Err(self.client.error(&format!("unlock {}", lock.key), status))
            }
            _ => Ok(()),
        }
    }
}
