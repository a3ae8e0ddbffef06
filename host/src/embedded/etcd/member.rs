//! What the server says about itself: the only member of its cluster, and its leader.

use jiff::Timestamp;

/// The version it behaves like.
const VERSION: &str = "3.4.23";

/// The only member.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// The id of the cluster, in hexadecimal digits.
    pub(super) cluster_id: String,
    /// The id of the member, in hexadecimal digits.
    pub(super) id: String,
    /// Where clients reach it.
    pub(super) client_url: String,
    /// How many times the store was started, from 2 on: what a fresh etcd says.
    pub(super) term: u64,
    /// When the process started it.
    pub(super) started: Timestamp,
}

impl Member {
    /// The JSON of `/version`.
    pub(super) fn version() -> String {
        format!("{{\"etcdserver\":\"{VERSION}\",\"etcdcluster\":\"3.4.0\"}}")
    }

    /// The JSON of a member.
    pub(super) fn to_json(&self) -> String {
        format!(
            "{{\"id\":\"{}\",\"name\":\"default\",\"peerURLs\":[],\"clientURLs\":[\"{}\"]}}",
            self.id, self.client_url
        )
    }

    /// The JSON of `/v2/members`.
    pub(super) fn list(&self) -> String {
        format!("{{\"members\":[{}]}}\n", self.to_json())
    }

    /// The JSON of `/v2/stats/leader`.
    pub(super) fn leader_stats(&self) -> String {
        format!("{{\"leader\":\"{}\",\"followers\":{{}}}}", self.id)
    }

    /// The JSON of `/v2/stats/self`.
    pub(super) fn self_stats(&self, now: Timestamp) -> String {
        let Self { id, started, .. } = self;
        let uptime = now.duration_since(*started).as_secs_f64();
        format!(
            "{{\"name\":\"default\",\"id\":\"{id}\",\"state\":\"StateLeader\",\"startTime\":\"{started}\",\
             \"leaderInfo\":{{\"leader\":\"{id}\",\"uptime\":\"{uptime}s\",\"startTime\":\"{started}\"}},\
             \"recvAppendRequestCnt\":0,\"sendAppendRequestCnt\":0}}"
        )
    }
}
