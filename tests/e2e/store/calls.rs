//! Reading, writing, deleting and locking.

use std::time::Duration;

use dynamite::store::connect::{AnyStore, Api};
use dynamite::store::{Error, Expected, Store as _};
use dynamite_tests::wait;

use super::{BOTH, LIMIT, etcd, open};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_is_got_whatever_its_key_and_value() {
    let etcd = etcd().await;
    for api in BOTH {
        let store = open(etcd.settings(api)).await;
        for key in ["/a", "/a b/%2F/c%", "/ü/😀", "/a+b/?x=1&y#z", "//d//e/./f/../g/", "h"] {
            for value in ["", "1", "a b&c=d%\n\"\u{1}ü😀", &"x".repeat(100_000)] {
                let revision = store.put(key, value).await.unwrap();
                let entry = store.get(key).await.unwrap().unwrap();
                assert_eq!((entry.value.as_str(), entry.revision), (value, revision), "{api:?} {key}");
            }
        }
        assert_eq!(store.get("/missing").await.unwrap(), None);
        assert_eq!(store.get("/d").await.unwrap(), None);
        let keys: Vec<String> = store.list("/d/").await.unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, ["/d/e/g"], "{api:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conditional_write_happens_only_if_its_condition_holds() {
    let etcd = etcd().await;
    for api in BOTH {
        let store = open(etcd.settings(api)).await;
        assert_eq!(store.put_if("/k", "x", Expected::Revision(7)).await.unwrap(), None);
        let first = store.put_if("/k", "1", Expected::Absent).await.unwrap().unwrap();
        assert_eq!(store.put_if("/k", "x", Expected::Absent).await.unwrap(), None);
        let second = store.put_if("/k", "2", Expected::Revision(first)).await.unwrap().unwrap();
        assert!(second > first);
        assert_eq!(store.put_if("/k", "x", Expected::Revision(first)).await.unwrap(), None);
        assert_eq!(store.get("/k").await.unwrap().unwrap().value, "2", "{api:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_sorted_and_deletes_take_many_keys() {
    let etcd = etcd().await;
    for api in BOTH {
        let store = open(etcd.settings(api)).await;
        assert_eq!(store.list("/none").await.unwrap(), []);
        let mut keys: Vec<String> = (0..300).map(|at| format!("/l/{}/{at}", at % 7)).collect();
        for key in &keys {
            store.put(key, "v").await.unwrap();
        }
        store.put("/lx", "not below").await.unwrap();
        keys.sort();
        let listed: Vec<String> =
            store.list("/l").await.unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(listed, keys, "{api:?}");
        keys.push("/l/never/there".to_owned());
        store.delete(&keys).await.unwrap();
        store.delete(&keys).await.unwrap();
        assert_eq!(store.list("/l").await.unwrap(), []);
        assert!(store.get("/lx").await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_held_by_one_until_it_lapses() {
    let etcd = etcd().await;
    for api in BOTH {
        let store = open(etcd.settings(api)).await;
        let ttl = Duration::from_secs(2);
        let lock = store.lock("/lock", "me & I", ttl).await.unwrap().unwrap();
        assert_eq!(store.lock("/lock", "you", ttl).await.unwrap(), None);
        assert!(
            store.lock("/lock", "me & I", ttl).await.unwrap().is_some(),
            "an answer that was lost, {api:?}"
        );
        let lock =
            if api == Api::V3 { store.lock("/lock", "me & I", ttl).await.unwrap().unwrap() } else { lock };
        assert!(store.renew(&lock).await.unwrap());
        assert_eq!(store.get("/lock").await.unwrap().unwrap().value, "me & I", "renewing keeps the value");
        store.unlock(&lock).await.unwrap();
        assert!(!store.renew(&lock).await.unwrap());
        let yours = store.lock("/lock", "you", ttl).await.unwrap().unwrap();
        store.unlock(&lock).await.unwrap();
        assert!(store.renew(&yours).await.unwrap(), "{api:?}: the lock of another was given back");
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
