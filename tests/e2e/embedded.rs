//! The embedded etcd as a process: what it has acknowledged outlives kill -9.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynamite::embedded::etcd::{Error, EtcdServer, Options};
use dynamite_tests::embedded::Embedded;
use dynamite_tests::wait;
use serde_json::Value;
use tempfile::TempDir;

use crate::store::LIMIT;

const BINARY: &str = env!("CARGO_BIN_EXE_embedded_etcd");

const WRITERS: usize = 8;

fn client() -> reqwest::Client {
    dynamite::tls::install_provider();
    reqwest::Client::builder().no_proxy().timeout(LIMIT).build().unwrap()
}

fn url(server: &Embedded, rest: &str) -> String {
    format!("http://{}/v2/keys{rest}", server.endpoint())
}

async fn get(server: &Embedded, rest: &str) -> Value {
    client().get(url(server, rest)).send().await.unwrap().json().await.unwrap()
}

async fn put(server: &Embedded, rest: &str, form: &str) -> Value {
    let answer = client().put(url(server, &format!("{rest}?{form}"))).send().await.unwrap();
    answer.json().await.unwrap()
}

/// Keys with the values and indexes that were acknowledged.
type Acknowledged = Arc<Mutex<BTreeMap<String, (String, u64)>>>;

/// Writes until the server is gone.
async fn write(endpoint: String, round: usize, writer: usize, acknowledged: Acknowledged) {
    let client = client();
    for number in 0.. {
        let (key, value) = (format!("/k/{round}-{writer}-{}", number % 20), format!("{number}"));
        let target = format!("http://{endpoint}/v2/keys{key}?value={value}");
        let Ok(answer) = client.put(target).send().await else { return };
        let Ok(event) = answer.json::<Value>().await else { return };
        let index = event["node"]["modifiedIndex"].as_u64().unwrap();
        acknowledged.lock().unwrap().insert(key, (value, index));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kill_9() {
    let folder = TempDir::new().unwrap();
    let acknowledged = Acknowledged::default();
    let newest = || acknowledged.lock().unwrap().values().map(|(_, index)| *index).max().unwrap_or(0);
    for round in 0..3 {
        let mut server = Embedded::start(BINARY, folder.path()).unwrap();
        let (endpoint, start) = (server.endpoint().to_owned(), newest());
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| tokio::spawn(write(endpoint.clone(), round, writer, Arc::clone(&acknowledged))))
            .collect();
        wait::until("writes", LIMIT, async || if newest() > start + 500 { Ok(()) } else { Err(newest()) })
            .await
            .unwrap();
        server.kill().unwrap();
        for writer in writers {
            writer.await.unwrap();
        }
        let server = Embedded::start(BINARY, folder.path()).unwrap();
        let listed = get(&server, "/k?recursive=true").await;
        let nodes = listed["node"]["nodes"].as_array().unwrap();
        let stored: BTreeMap<&str, (&str, u64)> = nodes
            .iter()
            .map(|node| {
                let index = node["modifiedIndex"].as_u64().unwrap();
                (node["key"].as_str().unwrap(), (node["value"].as_str().unwrap(), index))
            })
            .collect();
        for (key, (value, index)) in acknowledged.lock().unwrap().iter() {
            // The last write of each may have been stored without an answer.
            let (stored, at) = stored[key.as_str()];
            assert!(
                at > *index || (stored, at) == (value.as_str(), *index),
                "{key}: {value} {index}, {stored} {at}"
            );
        }
        let event = get(&server, &format!("/k?recursive=true&wait=true&waitIndex={}", newest())).await;
        assert_eq!(event["node"]["modifiedIndex"], newest(), "the history survives too");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lifetimes_and_ids_survive_kill_9() {
    let folder = TempDir::new().unwrap();
    let mut server = Embedded::start(BINARY, folder.path()).unwrap();
    put(&server, "/long", "value=1&ttl=1000").await;
    put(&server, "/short", "value=1&ttl=1").await;
    let cluster = async |server: &Embedded| {
        let answer = client().get(url(server, "/")).send().await.unwrap();
        let header = |name| answer.headers()[name].to_str().unwrap().to_owned();
        (header("x-etcd-cluster-id"), header("x-raft-term").parse::<u64>().unwrap())
    };
    let before = cluster(&server).await;
    server.kill().unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let server = Embedded::start(BINARY, folder.path()).unwrap();
    let after = cluster(&server).await;
    assert_eq!(after, (before.0, before.1 + 1));
    let long = get(&server, "/long").await;
    assert!((1..1000).contains(&long["node"]["ttl"].as_u64().unwrap()), "{long}");
    assert_eq!(get(&server, "/short").await["errorCode"], 100, "its time has come meanwhile");
    let event = get(&server, "/short?wait=true&waitIndex=6").await;
    assert_eq!(event["action"], "expire");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_server() {
    let folder = TempDir::new().unwrap();
    let mut server = Embedded::start(BINARY, folder.path()).unwrap();
    let options = Options { data_dir: Some(folder.path().to_owned()), ..Options::default() };
    let start = || EtcdServer::start(options.clone(), fastrand::Rng::with_seed(1));
    let error = start().await.unwrap_err();
    assert!(matches!(error, Error::InUse { .. }) && error.to_string().contains("another process"), "{error}");
    server.kill().unwrap();
    start().await.unwrap().stop().await;
    start().await.unwrap().stop().await;
}
