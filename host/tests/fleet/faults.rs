//! Faults, and what the client makes of them.

use dynamite::config::FleetEndpoint;
use dynamite::embedded::fleet::{CarriedOut, Fault};
use dynamite::fleet::http::HttpFleet;
use dynamite::fleet::{DesiredState, Error, Fleet as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::{Fixture, options};

#[tokio::test]
async fn errors_of_the_server_are_transient() {
    let fixture = Fixture::start().await;
    let fleet = fixture.fleet();
    fixture.server.fault(Fault::Status(500, CarriedOut::No), 1);
    fixture.server.fault(Fault::Status(503, CarriedOut::No), 1);
    let first = fleet.units().await.unwrap_err();
    assert!(matches!(&first, Error::Unavailable { status: 500, message } if message.is_empty()));
    let second = fleet.units().await.unwrap_err();
    assert_eq!(
        second.to_string(),
        "fleet is unavailable (status 503): fleet server unable to communicate with etcd"
    );
    assert!(first.is_transient() && second.is_transient());
    assert!(fleet.units().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_lost_answer_leaves_open_whether_the_request_was_carried_out() {
    let fixture = Fixture::start().await;
    let fleet = fixture.fleet();
    for (carried_out, units) in [(CarriedOut::No, 0), (CarriedOut::Yes, 1)] {
        fixture.server.fault_on("PUT", Fault::Close(carried_out), 1);
        assert!(fleet.unit("a.service").await.unwrap().is_none(), "the fault is for PUT only");
        let error = fleet.submit("a.service", &options(1)).await.unwrap_err();
        assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
        assert_eq!(fixture.server.units().len(), units);
    }
    let puts = fixture.server.requests().into_iter().filter(|request| request.method == "PUT");
    assert_eq!(puts.count(), 2, "nothing is retried");
}

#[tokio::test]
async fn a_hanging_server_gives_no_answer() {
    let fixture = Fixture::start().await;
    let fleet = fixture.fleet();
    assert!(fleet.units().await.unwrap().is_empty());
    fixture.server.fault(Fault::Hang(CarriedOut::Yes), 1);
    let mut arrivals = fixture.server.arrivals();
    let submission = tokio::spawn(async move { fleet.submit("a.service", &options(1)).await });
    arrivals.recv().await.unwrap();
    // From here on nothing but the time-out can happen, so the clock may jump to it.
    tokio::time::pause();
    let error = submission.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error:?}");
    assert_eq!(fixture.server.units().len(), 1);
}

#[tokio::test]
async fn an_answer_that_is_not_fleets_is_garbled() {
    let fixture = Fixture::start().await;
    fixture.server.fault(Fault::Garbage, 2);
    let fleet = fixture.fleet();
    assert!(matches!(fleet.units().await.unwrap_err(), Error::Garbled { .. }));
    assert!(matches!(fleet.unit("a.service").await.unwrap_err(), Error::Garbled { .. }));
    fixture.server.fault(Fault::Garbage, 1);
    assert!(matches!(fleet.destroy("a.service").await.unwrap_err(), Error::Garbled { .. }));
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let fleet = HttpFleet::new(&FleetEndpoint::Tcp { host: "127.0.0.1".into(), port }).unwrap();
    let error = fleet.set_desired("a.service", DesiredState::Launched).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("no connection to fleet at `http://127.0.0.1:{port}`"));
    let fleet = HttpFleet::new(&FleetEndpoint::Unix("/nowhere/fleet.sock".into())).unwrap();
    assert!(matches!(fleet.units().await.unwrap_err(), Error::Unreachable { .. }));
}

/// A server that says the same to everyone.
async fn parrot(answer: String) -> HttpFleet {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    HttpFleet::new(&FleetEndpoint::Tcp { host: "127.0.0.1".into(), port }).unwrap()
}

async fn saying(status: &str, body: &str) -> HttpFleet {
    parrot(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())).await
}

#[tokio::test]
async fn a_not_found_of_somebody_else_does_not_mean_that_the_unit_is_gone() {
    let fleet = saying("404 Not Found", "<html>nginx</html>").await;
    assert!(matches!(fleet.unit("a.service").await.unwrap_err(), Error::Garbled { .. }));
    assert!(matches!(fleet.destroy("a.service").await.unwrap_err(), Error::Garbled { .. }));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let fleet = saying("301 Moved Permanently\r\nLocation: http://192.0.2.1/", "").await;
    assert!(matches!(fleet.units().await.unwrap_err(), Error::Garbled { .. }));
}

#[tokio::test]
async fn every_field_may_be_missing() {
    let fleet = saying("200 OK", r#"{"units":[{},{"name":"a.service"}],"states":[{}]}"#).await;
    let units = fleet.units().await.unwrap();
    assert_eq!((units.len(), units[0].name.as_str(), units[0].desired), (1, "a.service", None));
    assert!(fleet.states().await.unwrap().is_empty());
    let fleet = saying("200 OK", r#"{"desiredState":"odd","options":[{"name":"A","section":"S"}]}"#).await;
    let unit = fleet.unit("a.service").await.unwrap().unwrap();
    assert_eq!((unit.name.as_str(), unit.desired, unit.options[0].value.as_str()), ("a.service", None, ""));
}

#[tokio::test]
async fn a_server_that_never_stops_is_stopped() {
    let fleet = saying("200 OK", r#"{"nextPageToken":"ZAACAA=="}"#).await;
    assert!(matches!(fleet.units().await.unwrap_err(), Error::Garbled { .. }));
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    assert!(matches!(parrot(endless.into()).await.units().await.unwrap_err(), Error::Garbled { .. }));
    let piece = " ".repeat(64 << 10);
    let chunks = format!("10000\r\n{piece}\r\n").repeat(600);
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    assert!(matches!(parrot(chunked).await.units().await.unwrap_err(), Error::Garbled { .. }));
}
