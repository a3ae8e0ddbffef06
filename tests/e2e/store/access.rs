//! Certificates and logins.

use std::path::Path;

use dynamite::store::connect::{Api, Settings, connect};
use dynamite::store::{Error, Store as _};
use dynamite_tests::etcd::{Etcd, Options, Tls};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};

use super::{Follower, etcd, open};

/// An authority, and a certificate of it for server and client alike.
fn certificates(folder: &Path) -> Tls {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, &issuer).unwrap();
    let tls = Tls { ca: folder.join("ca.pem"), cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&tls.ca, ca.pem()).unwrap();
    std::fs::write(&tls.cert, cert.pem()).unwrap();
    std::fs::write(&tls.key, key.serialize_pem()).unwrap();
    tls
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_open_the_door_and_their_lack_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Some(certificates(folder.path()));
    let etcd = Etcd::start(Options { v2: true, tls, arguments: Vec::new() }).await.unwrap();
    for api in [Api::V2, Api::V3, Api::Auto] {
        let store = open(etcd.settings(api)).await;
        let mut follower = Follower::new(&store, "/tls");
        store.put("/tls/a", "1").await.unwrap();
        follower.until_holds(&[("/tls/a", "1")]).await;
        store.delete(&["/tls/a".to_owned()]).await.unwrap();

        let without = Settings { client_cert: None, client_key: None, api: Api::V3, ..etcd.settings(api) };
        assert!(open(without).await.put("/tls/b", "1").await.is_err());
    }
    let half = Settings { client_key: None, ..etcd.settings(Api::V2) };
    assert!(matches!(connect(half).await.unwrap_err(), Error::Setting(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn v3_logins_work_and_are_renewed() {
    let etcd = super::start(&["--auth-token-ttl", "1"]).await;
    etcd.ctl(3, &["user", "add", "root:secret"]).unwrap();
    etcd.ctl(3, &["auth", "enable"]).unwrap();
    let settings = |password: Option<&str>| Settings {
        user: password.map(|_| "root".to_owned()),
        password: password.map(str::to_owned),
        ..etcd.settings(Api::V3)
    };
    let store = open(settings(Some("secret"))).await;
    let mut follower = Follower::new(&store, "/u");
    store.put("/u/a", "1").await.unwrap();
    follower.until_holds(&[("/u/a", "1")]).await;
    // A change of the users makes every token stale.
    etcd.ctl(3, &["--user", "root:secret", "user", "add", "other:x"]).unwrap();
    store.put("/u/b", "2").await.unwrap();
    follower.until_holds(&[("/u/a", "1"), ("/u/b", "2")]).await;
    for wrong in [None, Some("wrong")] {
        let error = open(settings(wrong)).await.put("/u/c", "1").await.unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_logins_work() {
    let etcd = etcd().await;
    let root = r#"{"user":"root","password":"se:cret"}"#;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = |path: &str| format!("http://{}/v2/auth/{path}", etcd.endpoint());
    client.put(url("users/root")).body(root).send().await.unwrap().error_for_status().unwrap();
    client.put(url("enable")).send().await.unwrap().error_for_status().unwrap();
    let login = |password: &str| Settings {
        user: Some("root".to_owned()),
        password: Some(password.to_owned()),
        ..etcd.settings(Api::V2)
    };
    client
        .delete(url("roles/guest"))
        .basic_auth("root", Some("se:cret"))
        .send()
        .await
        .unwrap()
        .error_for_status()
        .unwrap();
    let store = open(login("se:cret")).await;
    store.put("/u/a", "1").await.unwrap();
    assert_eq!(super::value(&store, "/u", "/u/a").await.as_deref(), Some("1"));
    let error = open(login("wrong")).await.put("/u/b", "1").await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error:?}");
}
