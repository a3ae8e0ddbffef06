//! A lock is a key under a lease: created when it is not there, gone with the lease.

use futures_util::{StreamExt, stream};
use tonic::{Status, Streaming};

use super::EtcdV3;
use super::client::Repeat;
use super::messages::{
    HeaderResponse, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveResponse, LeaseRequest, PutRequest,
    Target,
};
use crate::store::Lock;

impl EtcdV3 {
    /// Takes `lock`, whose lease is yet to be filled in.
    pub(super) async fn take(&self, mut lock: Lock) -> Result<Option<Lock>, Status> {
        let seconds = lock.ttl.as_secs() + u64::from(lock.ttl.subsec_nanos() > 0);
        let request = LeaseGrantRequest { ttl: seconds.max(1).cast_signed() };
        let granted: LeaseGrantResponse =
            self.client.call("/etcdserverpb.Lease/LeaseGrant", request, Repeat::Harmless).await?;
        lock.lease = granted.id;
        let put = PutRequest {
            key: lock.key.clone().into_bytes(),
            value: lock.holder.clone().into_bytes(),
            lease: lock.lease,
        };
        // The second finds a lock that an earlier try took, though its answer was lost.
        for against in [Target::Created(0), Target::Value(put.value.clone())] {
            if self.put_when(put.clone(), against).await?.succeeded {
                return Ok(Some(lock));
            }
        }
        // Should this fail, the lease lapses by itself.
        let _ = self.revoke(lock.lease).await;
        Ok(None)
    }

    /// Prolongs `lock`; false when its lease or its key is not ours any more.
    pub(super) async fn keep(&self, lock: &Lock) -> Result<bool, Status> {
        let request = LeaseRequest { id: lock.lease };
        let requests = || stream::iter([request]);
        let mut answers: Streaming<LeaseKeepAliveResponse> =
            self.client.stream("/etcdserverpb.Lease/LeaseKeepAlive", requests).await?;
        let answer =
            answers.next().await.ok_or_else(|| Status::unavailable("the lease was not answered"))??;
        if answer.ttl <= 0 {
            return Ok(false);
        }
        let held = self.read(&lock.key).await?;
        Ok(held.is_some_and(|kv| kv.lease == lock.lease && kv.value == lock.holder.as_bytes()))
    }

    /// Ends a lease, and with it the keys under it.
    pub(super) async fn revoke(&self, id: i64) -> Result<HeaderResponse, Status> {
        self.client.call("/etcdserverpb.Lease/LeaseRevoke", LeaseRequest { id }, Repeat::Harmless).await
    }
}
