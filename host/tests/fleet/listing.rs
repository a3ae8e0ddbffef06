//! Listings, pages, machines.

use dynamite::embedded::fleet::{FleetServer, Machine, Options};
use dynamite::fleet::{DesiredState, Fleet as _};
use serde_json::{Value, json};

use crate::{Fixture, options};

fn fill(server: &FleetServer, count: usize) {
    for index in 0..count {
        server.put_foreign(&format!("t{index}.service"), &options(3000), DesiredState::Launched).unwrap();
    }
}

async fn check_pages(count: usize, sizes: &[usize]) {
    let fixture = Fixture::start().await;
    fill(&fixture.server, count);
    for (collection, key) in [("units", "units"), ("state", "states")] {
        let mut url = collection.to_owned();
        let mut found = Vec::new();
        let mut names: Vec<String> = Vec::new();
        loop {
            let page = fixture.json(&url).await;
            let items = page.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
            found.push(items.len());
            names.extend(items.iter().map(|item| item["name"].as_str().unwrap().to_owned()));
            let Some(token) = page.get("nextPageToken") else { break };
            url = format!("{collection}?nextPageToken={}", token.as_str().unwrap());
        }
        assert_eq!(found, sizes, "{collection}");
        assert!(names.is_sorted() && names.len() == count);
    }
    fixture.server.forget_requests();
    let fleet = fixture.fleet();
    assert_eq!(fleet.units().await.unwrap().len(), count);
    assert_eq!(fixture.server.requests().len(), sizes.len());
    assert_eq!(fleet.states().await.unwrap().len(), count);
}

#[tokio::test]
async fn no_units_are_an_empty_page() {
    check_pages(0, &[0]).await;
    assert_eq!(Fixture::start().await.json("units").await, json!({}));
}

#[tokio::test]
async fn full_pages_are_followed_by_an_empty_one() {
    check_pages(100, &[100, 0]).await;
    check_pages(200, &[100, 100, 0]).await;
}

#[tokio::test]
async fn the_last_page_has_no_token() {
    check_pages(99, &[99]).await;
    check_pages(250, &[100, 100, 50]).await;
}

#[tokio::test]
async fn tokens_are_those_of_fleet() {
    let fixture = Fixture::start().await;
    fill(&fixture.server, 100);
    assert_eq!(fixture.json("units").await["nextPageToken"], "ZAACAA==");
    for (token, message) in [
        ("", "EOF"),
        ("ZQACAA==", "token limit must be 100"),
        ("ZAAAAA%3D%3D", "token page must be greater than zero"),
    ] {
        let found = fixture.ask("GET", &format!("units?nextPageToken={token}"), None).await;
        assert_eq!(found, (400, message.to_owned()));
    }
}

#[tokio::test]
async fn states_are_filtered_before_they_are_paged() {
    let fixture = Fixture::start().await;
    fill(&fixture.server, 150);
    let one = fixture.json("state?unitName=t149.service&alt=json").await;
    assert_eq!(one["states"].as_array().unwrap().len(), 1);
    assert_eq!(one.get("nextPageToken"), None);
    let keys: Vec<_> = one["states"][0].as_object().unwrap().keys().cloned().collect();
    let expected = ["hash", "machineID", "name", "systemdActiveState", "systemdLoadState", "systemdSubState"];
    assert_eq!(keys, expected);
    assert_eq!(fixture.json("state?unitName=t1*").await, json!({}));
    assert_eq!(fixture.json("state?unitName=t1.service&machineID=0123").await, json!({}));
    assert_eq!(fixture.json("state/t1.service").await["systemdSubState"], "running");
}

#[tokio::test]
async fn machines_are_listed_and_their_metadata_patched() {
    let fixture = Fixture::start().await;
    let id = "0123456789abcdef0123456789abcdef";
    let listed =
        json!({ "machines": [{ "id": id, "metadata": { "region": "local" }, "primaryIP": "127.0.0.1" }] });
    assert_eq!(fixture.json("machines").await, listed);
    let region = format!("/{id}/metadata/region");
    let patch = async |op: &str, path: &str, value: Value| {
        let body = json!([{ "op": op, "path": path, "value": value }]);
        fixture.ask("PATCH", "machines", Some(body)).await.0
    };
    assert_eq!(patch("add", &region, json!("x")).await, 400);
    assert_eq!(patch("move", &region, json!({ "value": "x" })).await, 400);
    assert_eq!(patch("add", "/nowhere", json!({ "value": "x" })).await, 400);
    assert_eq!(patch("replace", &region, json!({ "value": "" })).await, 400);
    assert_eq!(patch("replace", &region, json!({ "value": "eu" })).await, 204);
    assert_eq!(fixture.json("machines").await["machines"][0]["metadata"]["region"], "eu");
    assert_eq!(patch("remove", &region, json!(null)).await, 204);
    assert_eq!(fixture.json("machines").await["machines"][0].get("metadata"), None);
    assert_eq!(fixture.ask("GET", &format!("machines/{id}"), None).await.0, 404);
}

#[tokio::test]
async fn units_go_where_their_requirements_say() {
    let machine = |id: &str, zone: &str| Machine {
        id: id.repeat(32),
        metadata: [("zone".to_owned(), zone.to_owned())].into(),
        primary_ip: String::new(),
    };
    let fixture =
        Fixture::with(Options { machines: vec![machine("a", "1"), machine("b", "2")], ..Options::default() })
            .await;
    let put = |name: &str, key: &str, value: &str| {
        let mut options = options(1);
        options.push(dynamite_units::UnitOption {
            section: "X-Fleet".into(),
            name: key.into(),
            value: value.into(),
        });
        fixture.server.put_foreign(name, &options, DesiredState::Launched).unwrap();
    };
    put("lead.service", "MachineMetadata", "zone=2");
    put("follower.service", "MachineOf", "lead.service");
    put("single@1.service", "Conflicts", "single@*.service");
    put("single@2.service", "Conflicts", "single@*.service");
    put("single@3.service", "Conflicts", "single@*.service");
    put("everywhere.service", "Global", "true");
    put("nowhere.service", "MachineMetadata", "zone=3");
    let place =
        |name: &str| fixture.server.units().into_iter().find(|unit| unit.name == name).unwrap().machine;
    assert_eq!(place("lead.service"), Some("b".repeat(32)));
    assert_eq!(place("follower.service"), Some("b".repeat(32)));
    assert_ne!(place("single@1.service"), place("single@2.service"));
    assert_eq!((place("single@3.service"), place("nowhere.service")), (None, None));
    let rows = fixture.server.states();
    assert_eq!(rows.iter().filter(|row| row.name == "everywhere.service").count(), 2);
    let global = fixture.json("units/everywhere.service").await;
    assert_eq!((global.get("currentState"), global.get("machineID")), (None, None));
    let listed = fixture.json("units").await;
    assert_eq!(listed["units"][0]["currentState"], "inactive");
    fixture.server.delete_foreign("lead.service").unwrap();
    assert_eq!(place("follower.service"), None);
    fixture.server.delete_foreign("single@1.service").unwrap();
    assert_ne!(place("single@3.service"), None);
}
