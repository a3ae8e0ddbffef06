//! Reading, writing, deleting and locking.

use std::time::Duration;

use dynamite::store::connect::{AnyStore, Api};
use dynamite::store::keys::normalise;
use dynamite::store::{Error, Store as _};
use dynamite_tests::wait;

use super::{BOTH, Backends, LIMIT, etcd, open, value};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_got_whatever_its_key_and_value() {
    let backends = Backends::start().await;
    for (api, settings) in backends.each() {
        let store = open(settings.clone()).await;
        for key in ["/a", "/a b/%2F/c%", "/ü/😀", "/a+b/?x=1&y#z", "//d//e/./f/../g/", "h"] {
            let name = normalise(key);
            for text in ["", "1", "a b&c=d%\n\"\u{1}ü😀", &"x".repeat(100_000)] {
                store.put(key, text).await.unwrap();
                assert_eq!(value(&store, "/", &name).await.as_deref(), Some(text), "{api} {key}");
            }
        }
        assert_eq!(value(&store, "/", "/d").await, None, "a folder is no key");
        let keys: Vec<String> = store.list("/d/").await.unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, ["/d/e/g"], "{api}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_sorted_and_deletes_take_many_keys() {
    let backends = Backends::start().await;
    for (api, settings) in backends.each() {
        let store = open(settings.clone()).await;
        assert_eq!(store.list("/none").await.unwrap(), []);
        let mut keys: Vec<String> = (0..300).map(|at| format!("/l/{}/{at}", at % 7)).collect();
        for key in &keys {
            store.put(key, "v").await.unwrap();
        }
        store.put("/lx", "not below").await.unwrap();
        keys.sort();
        let listed: Vec<String> =
            store.list("/l").await.unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(listed, keys, "{api}");
        keys.push("/l/never/there".to_owned());
        store.delete(&keys).await.unwrap();
        store.delete(&keys).await.unwrap();
        assert_eq!(store.list("/l").await.unwrap(), []);
        assert!(value(&store, "/", "/lx").await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_held_by_one_until_it_lapses() {
    let backends = Backends::start().await;
    for (api, settings) in backends.each() {
        let store = open(settings.clone()).await;
        let ttl = Duration::from_secs(2);
        let lock = store.lock("/lock", "me & I", ttl).await.unwrap().unwrap();
        assert_eq!(store.lock("/lock", "you", ttl).await.unwrap(), None);
        assert!(
            store.lock("/lock", "me & I", ttl).await.unwrap().is_some(),
            "an answer that was lost, {api}"
        );
        let lock =
            if api == "v3" { store.lock("/lock", "me & I", ttl).await.unwrap().unwrap() } else { lock };
        assert!(store.renew(&lock).await.unwrap());
        assert_eq!(value(&store, "/", "/lock").await.as_deref(), Some("me & I"), "renewing keeps the value");
        store.unlock(&lock).await.unwrap();
        assert!(!store.renew(&lock).await.unwrap());
        let yours = store.lock("/lock", "you", ttl).await.unwrap().unwrap();
        store.unlock(&lock).await.unwrap();
        assert!(store.renew(&yours).await.unwrap(), "{api}: the lock of another was given back");
        lapses(&store, ttl).await;
        assert!(!store.renew(&yours).await.unwrap());
    }
}

async fn lapses(store: &AnyStore, ttl: Duration) {
    wait::until("the lock to lapse", LIMIT, async || {
        store.lock("/lock", "third", ttl).await.unwrap().ok_or("still held")
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_outlives_a_restart_of_etcd() {
    let mut etcd = etcd().await;
    for api in BOTH {
        let store = open(etcd.settings(api)).await;
        let lock = store.lock("/kept", "me", Duration::from_mins(1)).await.unwrap().unwrap();
        etcd.kill().unwrap();
        assert!(store.renew(&lock).await.unwrap_err().is_transient());
        etcd.restart().await.unwrap();
        let renewed = wait::until("etcd to answer", LIMIT, async || match store.renew(&lock).await {
            Err(error) if error.is_transient() => Err(error),
            other => Ok(other.unwrap()),
        });
        assert!(renewed.await.unwrap(), "{api:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_refused() {
    let etcd = etcd().await;
    let store = open(etcd.settings(Api::V3)).await;
    let error = store.put("/large", &"x".repeat(3_000_000)).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    let store = open(etcd.settings(Api::V2)).await;
    store.put("/file", "1").await.unwrap();
    let error = store.put("/file/below", "1").await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
}
