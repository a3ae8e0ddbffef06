//! etcd goes away, hangs, or comes back as another.

use std::time::Duration;

use dynamite::store::Store as _;
use dynamite::store::connect::{AnyStore, Api, Settings, connect};
use dynamite_tests::etcd::{Etcd, Options};
use dynamite_tests::wait;

use super::{BOTH, Follower, LIMIT, etcd, open};

async fn put(store: &AnyStore, key: &str, value: &str) {
    wait::until("a put", LIMIT, async || store.put(key, value).await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_goes_on_after_a_restart() {
    for api in BOTH {
        let mut etcd = etcd().await;
        let store = open(etcd.settings(api)).await;
        let mut follower = Follower::new(&store, "/r");
        store.put("/r/a", "1").await.unwrap();
        follower.until_holds(&[("/r/a", "1")]).await;
        etcd.kill().unwrap();
        assert!(store.list("/r").await.unwrap_err().is_transient());
        etcd.restart().await.unwrap();
        put(&store, "/r/b", "2").await;
        follower.until_holds(&[("/r/a", "1"), ("/r/b", "2")]).await;
        assert_eq!(follower.snapshots, 1, "{api:?}: nothing was lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_server_is_noticed() {
    for api in BOTH {
        let mut etcd = etcd().await;
        let store = open(etcd.settings(api)).await;
        let mut follower = Follower::new(&store, "/w");
        for at in 0..50 {
            store.put("/w/a", &at.to_string()).await.unwrap();
        }
        follower.until_holds(&[("/w/a", "49")]).await;
        etcd.kill().unwrap();
        etcd.wipe().unwrap();
        etcd.restart().await.unwrap();
        follower.until_holds(&[]).await;
        put(&store, "/w/b", "1").await;
        follower.until_holds(&[("/w/b", "1")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_survived() {
    for api in BOTH {
        let etcd = etcd().await;
        let store = open(etcd.settings(api)).await;
        let mut follower = Follower::new(&store, "/p");
        store.put("/p/a", "1").await.unwrap();
        follower.until_holds(&[("/p/a", "1")]).await;
        etcd.pause().unwrap();
        // The signal takes a moment to stop every thread.
        let look = async || store.list("/p").await.map_or_else(Ok, Err);
        let error = wait::until("an error", Duration::from_mins(1), look).await.unwrap();
        assert!(error.is_transient(), "{api:?} {error:?}");
        etcd.resume().unwrap();
        put(&store, "/p/b", "2").await;
        follower.until_holds(&[("/p/a", "1"), ("/p/b", "2")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_endpoint_is_passed_over() {
    let etcd = etcd().await;
    for api in [Api::V2, Api::V3, Api::Auto] {
        let endpoints = vec!["127.0.0.1:1".to_owned(), etcd.endpoint()];
        let store = open(Settings { endpoints, ..etcd.settings(api) }).await;
        let mut follower = Follower::new(&store, "/e");
        follower.until("the snapshot", |follower| follower.snapshots == 1).await;
        assert!(store.lock("/e/lock", "me", LIMIT).await.unwrap().is_some());
        store.put("/e/k", "1").await.unwrap();
        follower.until_holds(&[("/e/k", "1"), ("/e/lock", "me")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_which_api_it_serves() {
    let both = etcd().await;
    assert!(matches!(connect(both.settings(Api::Auto)).await.unwrap(), AnyStore::V2(_)));
    let new = Etcd::start(Options::default()).await.unwrap();
    assert!(matches!(connect(new.settings(Api::Auto)).await.unwrap(), AnyStore::V3(_)));
    let mut gone = etcd().await;
    gone.kill().unwrap();
    assert!(connect(gone.settings(Api::Auto)).await.unwrap_err().is_transient());
}
