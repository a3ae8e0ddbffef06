//! Requests that no sane client sends.

use super::Both;
use super::ask::Connection;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

/// Sends the same to both, and compares statuses; a closed connection is 0.
async fn check(both: &Both, bytes: &[u8], status: u16) {
    let statuses = both.answers(bytes).await.map(|answer| answer.map_or(0, |answer| answer.status));
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(100)]).into_owned();
    assert_eq!(statuses, [status; 2], "etcd, embedded: {text}");
}

#[tokio::test]
async fn malformed_requests() {
    let both = Both::start().await;
    for (head, status) in [
        ("GET /v2/keys HTTP/1.1\r\n\r\n", 400),
        ("GET /v2/keys HTTP/1.0\r\n\r\n", 200),
        ("GET http://other/v2/keys HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET v2/keys HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        ("GET /v2/keys/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /v2/keys/%2 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ("GET /v2/keys HTTP/1.1\r\nHost: x\r\nX y: 1\r\n\r\n", 400),
        ("PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        ("PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
    ] {
        check(&both, head.as_bytes(), status).await;
    }
}

#[tokio::test]
async fn bodies() {
    let both = Both::start().await;
    let put = |headers: &str, body: &str| {
        format!("PUT /v2/keys/a HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}").into_bytes()
    };
    let sized = |kind: &str, body: &str| put(&format!("{kind}\r\nContent-Length: {}", body.len()), body);
    let chunked = format!("{FORM}\r\nTransfer-Encoding: chunked");
    let requests = [
        put(&chunked, "7\r\nvalue=1\r\n0\r\n\r\n"),
        put(&format!("{FORM}\r\nExpect: 100-continue\r\nContent-Length: 7"), "value=2"),
        sized(&format!("{FORM}; charset=utf-8"), "value=3"),
        sized("Content-Type: text/plain", "value=4"),
        sized("Content-Type: application/json", "value=4"),
        sized("Content-Type: ;;;", "value=5"),
        sized("X-Nothing: y", "value=6"),
        sized(FORM, &format!("value={}", "v".repeat((10 << 20) - 6))),
        sized(FORM, &format!("value={}", "v".repeat((10 << 20) - 5))),
        sized("Content-Type: text/plain", "value=7"),
    ];
    for request in requests {
        let [real, own] = both.answers(&request).await;
        let (real, own) = (real.unwrap(), own.unwrap());
        assert!(real == own, "{:?} {:.300} {:?} {:.300}", real.headers, real.body, own.headers, own.body);
    }
    for (_, address) in both.addresses() {
        let mut connection = Connection::open(&address).await;
        connection.send(&put(&chunked, "zz\r\nvalue=1\r\n0\r\n\r\n")).await;
        assert!(connection.answer().await.is_none_or(|answer| answer.status == 400));
    }
}

#[tokio::test]
async fn many_requests_in_line() {
    let both = Both::start().await;
    for (_, address) in both.addresses() {
        let mut connection = Connection::open(&address).await;
        for at in 0..100 {
            connection.request("PUT", &format!("/v2/keys/{at}"), "value=1").await;
            connection.request("DELETE", &format!("/v2/keys/{at}"), "").await;
        }
        for at in 0..200 {
            let answer = connection.answer().await.unwrap();
            assert_eq!(
                (answer.status, answer.header("x-etcd-index")),
                (201 - at % 2, (4 + at).to_string().as_str())
            );
        }
    }
}

#[tokio::test]
async fn nonsense_and_silence_do_no_harm() {
    let both = Both::start().await;
    let address = both.own.address().to_string();
    let mut silent = Vec::new();
    for at in 0..1500_u32 {
        let mut connection = Connection::open(&address).await;
        let noise: Vec<u8> =
            (0..50).flat_map(|step| at.wrapping_mul(step * 2_654_435 + 761).to_le_bytes()).collect();
        match at % 3 {
            0 => connection.send(&noise).await,
            1 => connection.send(b"PUT /v2/keys/a HTTP/1.1\r\nContent-Length: 9\r\n").await,
            _ => connection.request("GET", "/v2/keys?wait=true&recursive=true", "").await,
        }
        silent.push(connection);
    }
    let answer = Connection::open(&address).await.ask("PUT", "/v2/keys/z", "value=1").await;
    assert_eq!(answer.status, 201);
    drop(silent);
}
