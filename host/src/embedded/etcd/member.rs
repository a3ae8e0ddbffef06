//! What the server says about itself: the only member of its cluster, and its leader.

use std::net::SocketAddr;

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
    /// Where it listens.
    pub(super) address: SocketAddr,
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

    /// Where clients reach it. Listening everywhere it knows no name for itself but that by which it was asked.
    pub(super) fn client_url(&self, host: &str) -> String {
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        if self.address.ip().is_unspecified() && !host.is_empty() && host.bytes().all(harmless) {
            return format!("http://{host}");
        }
        format!("http://{}", self.address)
    }

    /// The JSON of a member.
    pub(super) fn to_json(&self, host: &str) -> String {
        format!(
            "{{\"id\":\"{}\",\"name\":\"default\",\"peerURLs\":[],\"clientURLs\":[\"{}\"]}}",
            self.id,
            self.client_url(host)
        )
    }

    /// The JSON of `/v2/members`.
    pub(super) fn list(&self, host: &str) -> String {
        format!("{{\"members\":[{}]}}\n", self.to_json(host))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_where_they_reach_it() {
        let (cluster_id, id, started) = ("1".to_owned(), "2".to_owned(), Timestamp::UNIX_EPOCH);
        let mut member = Member { cluster_id, id, address: ([127, 0, 0, 1], 2379).into(), term: 2, started };
        assert_eq!(member.client_url("other:1"), "http://127.0.0.1:2379");
        member.address = ([0, 0, 0, 0], 2379).into();
        assert_eq!(member.client_url("box:2379"), "http://box:2379");
        assert_eq!(member.client_url("\"}"), "http://0.0.0.0:2379");
        let list: serde_json::Value = serde_json::from_str(&member.list("box:2379")).unwrap();
        assert_eq!(list["members"][0]["clientURLs"][0], "http://box:2379");
    }
}
