//! Dynamite's client against the embedded fleet.

use dynamite::config::FleetEndpoint;
use dynamite::embedded::fleet::{Failure, FleetServer, Options};
use dynamite::fleet::http::HttpFleet;
use dynamite::fleet::{DesiredState, Error, Fleet};
use dynamite_units::{hash, parse};

use crate::{Fixture, options};

async fn check_life(fleet: &impl Fleet) {
    let name = "a\\x2db@1.service";
    assert_eq!(fleet.unit(name).await.unwrap(), None);
    fleet.submit(name, &options(1)).await.unwrap();
    fleet.submit(name, &options(1)).await.unwrap();
    let unit = fleet.unit(name).await.unwrap().unwrap();
    assert_eq!((unit.desired, unit.machine), (Some(DesiredState::Inactive), None));
    assert_eq!(unit.options, options(1));
    assert!(fleet.state(name).await.unwrap().is_empty());
    for _ in 0..2 {
        fleet.set_desired(name, DesiredState::Launched).await.unwrap();
    }
    let states = fleet.state(name).await.unwrap();
    assert_eq!((states[0].active.as_str(), states[0].sub.as_str()), ("active", "running"));
    assert_eq!(states[0].hash, hash(&options(1)));
    let listed = fleet.units().await.unwrap();
    assert_eq!((listed[0].current, listed[0].options.len()), (Some(DesiredState::Launched), 0));
    for _ in 0..2 {
        fleet.destroy(name).await.unwrap();
    }
    assert!(fleet.units().await.unwrap().is_empty());
    assert!(fleet.states().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_unit_lives_over_tcp() {
    check_life(&Fixture::start().await.fleet()).await;
}

#[tokio::test]
async fn a_unit_lives_over_a_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fleet.sock");
    let options = Options { tcp: None, unix: Some(path.clone()), ..Options::default() };
    let server = FleetServer::start(options.clone()).await.unwrap();
    check_life(&HttpFleet::new(&server.endpoint()).unwrap()).await;
    assert!(FleetServer::start(options.clone()).await.is_err(), "a socket in use is left alone");
    server.stop().await;
    assert!(!path.exists());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    FleetServer::start(options).await.expect("an abandoned socket is taken over");
}

#[tokio::test]
async fn a_parsed_unit_file_is_never_replaced() {
    let fixture = Fixture::start().await;
    let fleet = fixture.fleet();
    let text =
        "[Unit]\n After = a \n[Service]\nExecStart=/bin/a \\\n  # no\n  --b \\\n\nX=\n[Unit]\nBefore=c\\\\\n";
    let parsed = parse(text).unwrap();
    for _ in 0..2 {
        fleet.submit("a.service", &parsed).await.unwrap();
    }
    let statuses: Vec<_> =
        fixture.server.requests().into_iter().filter_map(|request| request.status).collect();
    assert_eq!(statuses, [201, 204]);
    let unit = fleet.unit("a.service").await.unwrap().unwrap();
    assert_eq!(hash(&unit.options), hash(&parsed));
}

#[tokio::test]
async fn what_fleet_would_choke_on_is_not_sent() {
    let fixture = Fixture::start().await;
    let fleet = fixture.fleet();
    let launched = DesiredState::Launched;
    assert!(matches!(fleet.set_desired("a@.service", launched).await, Err(Error::Invalid { .. })));
    for name in ["", ".", "..", "a/b.service", "a\tb.service", "a.service\n"] {
        assert!(matches!(fleet.unit(name).await, Err(Error::Invalid { .. })), "{name}");
        assert!(matches!(fleet.destroy(name).await, Err(Error::Invalid { .. })), "{name}");
    }
    for name in ["_a.service", "a.target", "a"] {
        assert!(matches!(fleet.submit(name, &options(1)).await, Err(Error::Invalid { .. })), "{name}");
    }
    let error = fleet.submit("a.service", &[]).await.unwrap_err();
    assert!(!error.is_transient());
    assert_eq!(
        error.to_string(),
        "PUT unit a.service is not sent: a unit without any option cannot be created"
    );
    assert_eq!(fixture.server.request_count(), 0);
}

#[tokio::test]
async fn a_refusal_tells_fleets_words() {
    let fixture = Fixture::start().await;
    let error = fixture.fleet().set_desired("a.service", DesiredState::Launched).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "fleet refused PUT unit a.service (status 409): unit does not exist and options field empty"
    );
    assert!(!error.is_transient());
    assert!(matches!(fixture.server.delete_foreign("a.service"), Err(Failure::NotFound(_))));
}

#[tokio::test]
async fn connections_are_kept_and_arrivals_are_told() {
    let fixture = Fixture::start().await;
    let mut arrivals = fixture.server.arrivals();
    let fleet = fixture.fleet();
    fleet.submit("a@1.service", &options(1)).await.unwrap();
    let first = arrivals.recv().await.unwrap();
    assert_eq!((first.method.as_str(), first.path.as_str()), ("PUT", "/fleet/v1/units/a@1.service"));
    assert_eq!(first.status, None);
    assert_eq!(fixture.server.requests()[0].status, Some(201));
}

#[tokio::test]
async fn odd_places_are_refused_or_understood() {
    for host in ["", "a b", "a/b", "user@host", "host?x"] {
        let endpoint = FleetEndpoint::Tcp { host: host.into(), port: 1 };
        assert!(matches!(HttpFleet::new(&endpoint), Err(Error::Invalid { .. })), "{host}");
    }
    for host in ["::1", "[::1]", "fleet.example"] {
        assert!(HttpFleet::new(&FleetEndpoint::Tcp { host: host.into(), port: 1 }).is_ok(), "{host}");
    }
}
