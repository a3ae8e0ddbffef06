//! HTTP itself: paths, methods, headers, malformed requests, limits, many connections.

use std::time::Duration;

use dynamite::embedded::fleet::Options;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Fixture, sleeper};

/// Sends bytes as they are and returns everything that comes back before the connection is closed.
async fn raw(fixture: &Fixture, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(fixture.server.address().unwrap()).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

async fn raw_get(fixture: &Fixture, path: &str) -> String {
    raw(fixture, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_as_fleet_does() {
    let fixture = Fixture::start().await;
    let get = "only GET supported against this resource";
    let item = "only GET, PUT and DELETE supported against this resource";
    for (method, path, status, message) in [
        ("POST", "units", 405, get),
        ("PUT", "state", 405, get),
        ("DELETE", "state/a.service", 405, get),
        ("POST", "units/a.service", 405, item),
        ("OPTIONS", "units/a.service", 405, item),
        ("PUT", "machines", 405, "only GET and PATCH supported against this resource"),
        ("GET", "units/", 404, ""),
        ("GET", "units/a%2Fb.service", 404, ""),
        ("GET", "units/a.service/", 404, ""),
        ("GET", "nothing", 404, ""),
        ("GET", "", 404, ""),
        ("GET", "../v1", 405, ""),
        ("GET", "../..", 405, ""),
    ] {
        assert_eq!(fixture.ask(method, path, None).await, (status, message.to_owned()), "{method} {path}");
    }
    assert_eq!(fixture.ask("POST", "discovery", None).await.0, 400);
    assert_eq!(fixture.ask("HEAD", "units", None).await, (405, String::new()));
}

#[tokio::test]
async fn paths_have_an_alias_and_escapes() {
    let fixture = Fixture::start().await;
    fixture.check_put("a%401.service", json!({ "options": sleeper(1) }), 201, "").await;
    assert_eq!(fixture.json("units/a@1.service").await["name"], "a@1.service");
    assert_eq!(fixture.json("../../v1-alpha/units/a@1.service").await["name"], "a@1.service");
    let moved = raw_get(&fixture, "/fleet/v1//units?a=b").await;
    assert!(moved.starts_with("HTTP/1.1 301 ") && moved.contains("Location: /fleet/v1/units?a=b"), "{moved}");
    assert!(raw_get(&fixture, "/fleet/./v1/units").await.contains("<a href="));
}

#[tokio::test]
async fn headers_are_those_of_fleet() {
    let fixture = Fixture::start().await;
    let units = fixture.send("GET", "units", None).await;
    assert_eq!(units.headers()["content-type"], "application/json");
    assert!(units.headers()["server"].to_str().unwrap().starts_with("fleetd/"));
    assert_eq!(units.headers()["content-length"], "2");
    let discovery = fixture.send("GET", "discovery", None).await;
    assert_eq!(discovery.headers()["transfer-encoding"], "chunked");
    assert!(discovery.text().await.unwrap().contains("\n  \""));
    assert!(fixture.send("GET", "../../metrics", None).await.text().await.unwrap().contains("# TYPE"));
}

#[tokio::test]
async fn malformed_requests_are_answered_and_do_no_harm() {
    let fixture = Fixture::start().await;
    let no_host = raw(&fixture, b"GET /fleet/v1/units HTTP/1.1\r\nConnection: close\r\n\r\n").await;
    assert!(no_host.starts_with("HTTP/1.1 400 ") && no_host.contains("text/plain"), "{no_host}");
    assert!(raw(&fixture, b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    assert!(raw_get(&fixture, "/fleet/v1/units/%ff").await.starts_with("HTTP/1.1 400 "));
    assert!(raw_get(&fixture, "/fleet/v1/units/%4").await.starts_with("HTTP/1.1 400 "));
    let long = format!("/{}", "a".repeat(1 << 20));
    assert!(!raw_get(&fixture, &long).await.starts_with("HTTP/1.1 2"));
    raw(&fixture, b"PUT /fleet/v1/units/a.service HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\n{}\r\n\r\n")
        .await;
    assert_eq!(fixture.ask("GET", "units", None).await.0, 200);
}

#[tokio::test]
async fn huge_bodies_are_refused_and_large_ones_are_not() {
    let fixture = Fixture::start().await;
    let value = "v".repeat(1900);
    let options: Vec<_> = (0..1000)
        .map(|index| json!({ "section": "S", "name": format!("k{index}"), "value": value }))
        .collect();
    fixture.check_put("a.service", json!({ "options": options }), 201, "").await;
    let request = fixture.http.put(fixture.url("units/b.service")).header("content-type", "application/json");
    // The server may close before everything is sent, which the client sees as a lost connection.
    let status = request.body("x".repeat(9 << 20)).send().await.map(|response| response.status().as_u16());
    assert!(status.is_err() || status.is_ok_and(|status| status == 413));
}

#[tokio::test]
async fn the_quietest_connections_make_room_for_others() {
    let fixture = Fixture::with(Options { connections_max: 8, ..Options::default() }).await;
    let address = fixture.server.address().unwrap();
    let idle = futures_util::future::join_all((0..20).map(|_| TcpStream::connect(address))).await;
    let asks = (0..300).map(|_| raw_get(&fixture, "/fleet/v1/units"));
    let answers = futures_util::future::join_all(asks).await;
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200 ")));
    drop(idle);
}

#[tokio::test]
async fn slow_clients_are_let_go() {
    let fixture = Fixture::start().await;
    let mut arrivals = fixture.server.arrivals();
    let mut slow = TcpStream::connect(fixture.server.address().unwrap()).await.unwrap();
    slow.write_all(b"PUT /fleet/v1/units/a.service HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        .await
        .unwrap();
    let mut silent = TcpStream::connect(fixture.server.address().unwrap()).await.unwrap();
    silent.write_all(b"GET /fleet/v1/un").await.unwrap();
    arrivals.recv().await.unwrap();
    tokio::time::pause();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let mut nothing = Vec::new();
    assert!(silent.read_to_end(&mut nothing).await.is_ok());
    assert!(!nothing.starts_with(b"HTTP/1.1 2"));
}

#[tokio::test]
async fn a_stopped_server_is_gone() {
    let fixture = Fixture::start().await;
    let url = fixture.url("units");
    assert_eq!(fixture.http.get(&url).send().await.unwrap().status(), 200);
    fixture.server.stop().await;
    assert!(fixture.http.get(&url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn a_closed_server_keeps_its_units() {
    let mut fixture = Fixture::start().await;
    fixture.check_put("a.service", json!({ "options": sleeper(1) }), 201, "").await;
    fixture.server.close().await;
    assert!(fixture.http.get(fixture.url("units")).send().await.unwrap_err().is_connect());
    fixture.server.open().await.unwrap();
    assert_eq!(fixture.json("units/a.service").await["name"], "a.service");
}

#[tokio::test]
async fn damaged_requests_never_stop_the_server() {
    let fixture = Fixture::start().await;
    let body = json!({ "desiredState": "launched", "options": sleeper(1) }).to_string();
    let request = format!(
        "PUT /fleet/v1/units/a@1.service?x=y HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut random = fastrand::Rng::with_seed(20);
    for round in 0..500 {
        let mut bytes = request.clone().into_bytes();
        for _ in 0..=random.usize(0..4) {
            let at = random.usize(..bytes.len().max(2) - 1);
            match random.u8(..3) {
                0 => bytes[at] = random.u8(..),
                1 => bytes[at..].rotate_left(1),
                _ => bytes.truncate(at + 1),
            }
        }
        let mut stream = TcpStream::connect(fixture.server.address().unwrap()).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let end = timeout(Duration::from_secs(15), stream.read_to_end(&mut answer)).await;
        assert!(end.is_ok(), "round {round} is never answered: {}", String::from_utf8_lossy(&bytes));
    }
    assert_eq!(fixture.ask("GET", "discovery", None).await.0, 200);
}
