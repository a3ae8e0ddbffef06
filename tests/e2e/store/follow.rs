//! Following a tree that changes.

use std::time::Duration;

use dynamite::store::connect::Api;
use dynamite::store::{Store as _, VALUE_BYTES_MAX};

use super::{BOTH, Backends, Follower, etcd, open, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_comes_first_and_then_each_change_in_order() {
    let backends = Backends::start().await;
    for (api, settings) in backends.each() {
        let store = open(settings.clone()).await;
        for (key, value) in [("/f/b", "1"), ("/f/a/x", "2"), ("/fx", "not below")] {
            store.put(key, value).await.unwrap();
        }
        let mut follower = Follower::new(&store, "/f/");
        follower.until_holds(&[("/f/a/x", "2"), ("/f/b", "1")]).await;
        let mut expected = Vec::new();
        for at in 0..200 {
            store.put("/f/c", &at.to_string()).await.unwrap();
            store.put("/other", "x").await.unwrap();
            expected.push(format!("/f/c={at}"));
        }
        let count = expected.len();
        follower.until("the puts", |follower| follower.seen.len() >= count).await;
        assert_eq!((follower.seen.as_slice(), follower.snapshots), (expected.as_slice(), 1), "{api}");
        let other = open(settings.clone()).await;
        other.delete(&["/f/b".to_owned()]).await.unwrap();
        follower
            .until("the delete", |follower| follower.seen.last().is_some_and(|seen| seen == "-/f/b"))
            .await;
        follower.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_does_not_exist_yet_is_empty() {
    let backends = Backends::start().await;
    for (_, settings) in backends.each() {
        let store = open(settings.clone()).await;
        let mut follower = Follower::new(&store, "/not/yet");
        follower.until_holds(&[]).await;
        store.put("/not/yet/x", "1").await.unwrap();
        follower.until_holds(&[("/not/yet/x", "1")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn expiry_and_recursive_deletes_are_seen() {
    let etcd = etcd().await;
    let store = open(etcd.settings(Api::V2)).await;
    for key in ["/t/a/1", "/t/a/2", "/t/b"] {
        store.put(key, "v").await.unwrap();
    }
    let mut follower = Follower::new(&store, "/t");
    follower.until("the snapshot", |follower| follower.keys.len() == 3).await;
    etcd.ctl(2, &["rm", "--recursive", "/t/a"]).unwrap();
    follower.until_holds(&[("/t/b", "v")]).await;
    etcd.ctl(2, &["set", "--ttl", "1", "/t/b", "short"]).unwrap();
    follower.until_holds(&[("/t/b", "short")]).await;
    follower.until_holds(&[]).await;
    store.put("/t/c", "v").await.unwrap();
    follower.until_holds(&[("/t/c", "v")]).await;
    etcd.ctl(2, &["rm", "--recursive", "/t"]).unwrap();
    follower.until_holds(&[]).await;

    let store = open(etcd.settings(Api::V3)).await;
    let mut follower = Follower::new(&store, "/t");
    let lock = store.lock("/t/lock", "me", Duration::from_mins(1)).await.unwrap().unwrap();
    follower.until_holds(&[("/t/lock", "me")]).await;
    store.unlock(&lock).await.unwrap();
    follower.until_holds(&[]).await;
}

/// One at a time: one of them measures the memory of the process, and the other takes as much as that may be.
static MEMORY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread")]
async fn odd_and_large_values_do_not_stop_a_follower() {
    let _alone = MEMORY.lock().await;
    let etcd = start(&["--max-request-bytes", "33554432"]).await;
    for api in BOTH {
        let store = open(etcd.settings(api)).await;
        // A v2 form may hold 10 MB.
        let large = "x".repeat(9_000_000);
        store.put("/o/large", &large).await.unwrap();
        store.put("/o/just", &"y".repeat(VALUE_BYTES_MAX)).await.unwrap();
        store.put("/o/ü \u{1}%", "\u{1}\"\\ü").await.unwrap();
        let listed: Vec<String> =
            store.list("/o").await.unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(listed, ["/o/just", "/o/ü \u{1}%"], "{api:?}: a large value is left out");
        let mut follower = Follower::new(&store, "/o");
        follower
            .until("the snapshot", |follower| follower.keys.len() == 2 && follower.oversized == ["/o/large"])
            .await;
        assert_eq!(follower.keys["/o/just"].len(), VALUE_BYTES_MAX);
        assert_eq!(follower.keys["/o/ü \u{1}%"], "\u{1}\"\\ü");
        for _ in 0..2 {
            store.put("/o/later", &large).await.unwrap();
        }
        store.put("/o/later", "small").await.unwrap();
        follower
            .until("the last put", |follower| follower.keys.get("/o/later").is_some_and(|v| v == "small"))
            .await;
        assert!(follower.oversized.contains(&"/o/later".to_owned()) || api == Api::V3, "{api:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_history_is_made_up_for() {
    let etcd = etcd().await;
    let store = open(etcd.settings(Api::V2)).await;
    let mut follower = Follower::new(&store, "/h");
    follower.until_holds(&[]).await;
    // Nobody takes what the follower has to say, so it stands still while others write.
    let keys: Vec<String> = (0..20).map(|at| format!("/elsewhere/{at}")).collect();
    for _ in 0..100 {
        for key in &keys {
            store.put(key, "x").await.unwrap();
        }
        store.put("/h/k", "x").await.unwrap();
    }
    store.put("/h/k", "last").await.unwrap();
    follower.until_holds(&[("/h/k", "last")]).await;
    assert!(follower.snapshots > 1, "2100 events are more than etcd remembers");

    let store = open(etcd.settings(Api::V3)).await;
    let mut follower = Follower::new(&store, "/h");
    follower.until_holds(&[]).await;
    for at in 0..3000 {
        store.put("/h/k", &at.to_string()).await.unwrap();
    }
    // This server has carried out nothing else by way of v3.
    etcd.ctl(3, &["compact", "3001"]).unwrap();
    follower.until_holds(&[("/h/k", "2999")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_tree_comes_in_small_batches() {
    const KEYS: usize = 100_000;
    let _alone = MEMORY.lock().await;
    let backends = Backends::start().await;
    for (api, settings) in backends.each() {
        let store = open(settings.clone()).await;
        fill(&store, KEYS).await;
        let before = resident_kib();
        let mut follower = Follower::new(&store, "/big");
        follower.until("all keys", |follower| follower.keys.len() == KEYS).await;
        assert!(follower.batch_max <= 600, "{}", follower.batch_max);
        // The keys that this test holds take 15 MiB; etcd's answer alone would be 23 MiB.
        let grown = resident_kib().saturating_sub(before);
        assert!(grown < 40 * 1024, "{api}: {grown} KiB");
    }
}

async fn fill(store: &std::sync::Arc<dynamite::store::connect::AnyStore>, keys: usize) {
    let tasks: Vec<_> = (0..32)
        .map(|worker| {
            let store = std::sync::Arc::clone(store);
            tokio::spawn(async move {
                for at in (worker..keys).step_by(32) {
                    store.put(&format!("/big/{}/{at:06}", at % 100), "12.5").await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
