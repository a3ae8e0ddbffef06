//! The endpoint over real connections.

use std::io::{Read, Write};
use std::net::Ipv4Addr;

use super::*;
use crate::health::Stage;

/// An endpoint on a free port. Its loop turns until the task is aborted.
fn endpoint(stage: Stage) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let health = Arc::new(Health::default());
    health.enter(stage);
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(address, Some(listener), health.clone()));
    (address, tokio::spawn(async move { health.answering(std::future::pending::<()>()).await }))
}

/// What is answered to these bytes, until the connection ends.
async fn send(address: SocketAddr, bytes: &'static [u8]) -> String {
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        // Whoever is refused in the middle of sending may not get it all out.
        let _sent = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _read = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    });
    answer.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_paths_are_answered_in_one_line() {
    let (address, _turning) = endpoint(Stage::StandingBy);
    let answer = send(address, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nalive\n"), "{answer}");
    let answer = send(address, b"GET /readyz?x=1 HTTP/1.0\r\n\r\n").await;
    assert!(answer.contains(" 200 OK\r\n") && answer.ends_with("\r\n\r\nready: standing by\n"), "{answer}");
    let answer = send(address, b"HEAD /readyz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(answer.contains("content-length: 19\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(ask(address).await, (true, "ready: standing by".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_ready_says_why() {
    let (address, turning) = endpoint(Stage::Connecting);
    assert_eq!(ask(address).await, (false, "not ready: etcd has not answered yet".to_owned()));
    turning.abort();
    assert_eq!(ask(address).await, (false, "not ready: the loop does not answer".to_owned()));
    let answer = send(address, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("the loop does not answer\n"),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_listens_nobody_is_ready() {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (ready, said) = ask(address).await;
    assert!(!ready && said.starts_with(&format!("not ready: nobody answers at {address}")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_refused_and_does_not_stop_it() {
    static LONG: &[u8] = &[b'a'; 100_000];
    let (address, _turning) = endpoint(Stage::StandingBy);
    for (bytes, status) in [
        (&b"POST /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"[..], " 405 "),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", " 404 "),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", " 400 "),
        (LONG, " 4"),
    ] {
        let answer = send(address, bytes).await;
        assert!(answer.is_empty() || answer.contains(status), "{status}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_finish_asking_makes_room() {
    let (address, _turning) = endpoint(Stage::StandingBy);
    let began = |_| {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.write_all(b"GET").unwrap();
        stream
    };
    let silent: Vec<_> = (0..2 * CONNECTIONS_MAX).map(began).collect();
    assert_eq!(ask(address).await, (true, "ready: standing by".to_owned()));
    drop(silent);
}

#[tokio::test]
async fn an_address_that_is_wished_for_must_be_free_and_the_usual_one_need_not() {
    let taken = listen((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let address = taken.local_addr().unwrap();
    let health = Arc::new(Health::default());
    let refused = start(Some(Admin::At(address)), health.clone()).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
    assert!(start(Some(Admin::Off), health).is_ok());
    // It is listened at as soon as it is free.
    tokio::time::pause();
    let late = tokio::spawn(late(address, None));
    sleep(2 * BIND_PAUSE).await;
    assert!(!late.is_finished());
    drop(taken);
    assert_eq!(late.await.unwrap().local_addr().unwrap(), address);
}
