//! PUT, GET and DELETE of units as fleet does them, asked without Dynamite's client.

use serde_json::json;

use crate::{Fixture, sleeper};

#[tokio::test]
async fn content_types_are_checked_first() {
    let fixture = Fixture::start().await;
    let none = fixture.http.put(fixture.url("units/a.service")).body("nonsense").send().await.unwrap();
    assert_eq!(none.status(), 415);
    assert!(none.text().await.unwrap().contains("expected 1 Content-Type, got 0"));
    for (content_type, status) in [
        ("application/json", 400),
        ("application/json; charset=utf-8", 400),
        ("Application/JSON", 415),
        ("text/plain", 415),
    ] {
        let request = fixture.http.put(fixture.url("units/a.service")).header("content-type", content_type);
        assert_eq!(request.body("nonsense").send().await.unwrap().status(), status, "{content_type}");
    }
    let request = fixture.http.put(fixture.url("units/a.service")).header("content-type", "application/json");
    let twice = request.header("content-type", "application/json").body("{}").send().await.unwrap();
    assert!(twice.text().await.unwrap().contains("expected 1 Content-Type, got 2"));
}

#[tokio::test]
async fn bodies_are_read_leniently() {
    let fixture = Fixture::start().await;
    let put = async |body: &str| {
        let request =
            fixture.http.put(fixture.url("units/a.service")).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let error = |message: &str| json!({ "error": { "code": 400, "message": message } }).to_string();
    assert_eq!(put("").await, (400, error("unable to decode body: EOF")));
    assert_eq!(put("[]").await.0, 400);
    assert_eq!(put(r#"{"name":1}"#).await.0, 400);
    let mixed = r#"{"DESIREDSTATE":"loaded","currentState":"launched","machineID":"x","other":1,
        "Options":[{"SECTION":"Service","name":"ExecStart","Value":"/bin/sleep 1"}]} garbage"#;
    assert_eq!(put(mixed).await, (201, String::new()));
    assert_eq!(fixture.json("units/a.service").await["desiredState"], "loaded");
}

#[tokio::test]
async fn names_are_checked_before_options() {
    let fixture = Fixture::start().await;
    let body = json!({ "options": [null] });
    let put = async |name: &str, message: &str| fixture.check_put(name, body.clone(), 400, message).await;
    put("a", "unit name must contain \".\"").await;
    put("a.", "unit name cannot end in \".\"").await;
    put("a.bar", "invalid unit type: \"bar\"").await;
    put("a@1.mount", "invalid unit type for template: \"mount\"").await;
    put("a%20b.service", "invalid character ' ' in unit name").await;
    put("@1.service", "unit name cannot start in \"@\"").await;
    put(&format!("{}.service", "a".repeat(249)), "unit name exceeds maximum length (256)").await;
    let other = json!({ "name": "m.service" });
    let message = "name in URL \"n.service\" differs from unit name in request body \"m.service\"";
    fixture.check_put("n.service", other, 400, message).await;
}

#[tokio::test]
async fn a_new_unit_needs_good_options() {
    let fixture = Fixture::start().await;
    let option = |name: &str, value: &str| json!({ "section": "X-Fleet", "name": name, "value": value });
    let refused = async |options: serde_json::Value, status: u16, message: &str| {
        fixture.check_put("a.service", json!({ "options": options }), status, message).await;
    };
    let missing = "unit does not exist and options field empty";
    refused(json!([]), 409, missing).await;
    refused(json!(null), 409, missing).await;
    fixture.check_put("a.service", json!({ "desiredState": "launched" }), 409, missing).await;
    refused(json!([option("A", &"v".repeat(2046))]), 400, "line too long (max 2048 bytes)").await;
    let garbage = json!([{ "section": "S]x", "name": "a", "value": "b" }]);
    refused(garbage, 400, "found garbage after section name : [120, 93]").await;
    let pinned = option("MachineID", "x");
    for (key, value) in [("Peers", "MachineOf"), ("Conflicts", "Conflicts"), ("Replaces", "Replaces")] {
        let message = format!("MachineID cannot be used with {key}");
        refused(json!([pinned, option(value, "b*")]), 400, &message).await;
    }
    refused(json!([pinned, option("Global", "ON")]), 400, "MachineID cannot be used with Global").await;
    let both = json!([option("Global", "t"), option("MachineOf", "b.service")]);
    refused(both, 400, "Global cannot be used with Peers").await;
    let both = json!([option("Conflicts", "c*"), option("Replaces", "b*")]);
    refused(both, 400, "Conflicts cannot be used with Replaces").await;
    let both = json!([option("MachineOf", "x.service"), option("Conflicts", "x*")]);
    let message = "unresolvable requirements: peer \"x.service\" matches conflict \"x*\"";
    refused(both, 400, message).await;
    assert!(fixture.server.units().is_empty());
    let unknown = json!([option("", "x"), option("NoSuchKey", "y"), option("A", &"v".repeat(2045))]);
    refused(unknown, 201, "").await;
}

#[tokio::test]
async fn a_unit_is_made_then_updated() {
    let fixture = Fixture::start().await;
    let body = json!({ "desiredState": "launched", "name": "a.service", "options": sleeper(3000) });
    let response = fixture.send("PUT", "units/a.service", Some(body.clone())).await;
    assert_eq!(response.status(), 201);
    assert_eq!(response.headers()["content-length"], "0");
    assert!(!response.headers().contains_key("content-type"));
    let text = fixture.send("GET", "units/a.service", None).await.text().await.unwrap();
    let expected = concat!(
        r#"{"currentState":"launched","desiredState":"launched","machineID":"0123456789abcdef0123456789abcdef","#,
        r#""name":"a.service","options":[{"name":"ExecStart","section":"Service","value":"/bin/sleep 3000"}]}"#
    );
    assert_eq!(text, expected);
    for _ in 0..2 {
        let response = fixture.send("PUT", "units/a.service", Some(body.clone())).await;
        assert_eq!(response.status(), 204);
        assert!(!response.headers().contains_key("content-type"));
        assert!(!response.headers().contains_key("content-length"));
    }
    let message = "must provide DesiredState to update existing unit";
    fixture.check_put("a.service", json!({}), 409, message).await;
    fixture.check_put("a.service", json!({ "options": sleeper(3000) }), 409, message).await;
    assert_eq!(fixture.ask("DELETE", "units/a.service", None).await, (204, String::new()));
    for method in ["GET", "DELETE"] {
        assert_eq!(fixture.ask(method, "units/a.service", None).await, (404, "unit does not exist".into()));
    }
}

#[tokio::test]
async fn other_options_replace_a_unit() {
    let fixture = Fixture::start().await;
    fixture
        .check_put("a.service", json!({ "desiredState": "launched", "options": sleeper(1) }), 201, "")
        .await;
    fixture.check_put("a.service", json!({ "options": sleeper(2) }), 201, "").await;
    let unit = fixture.json("units/a.service").await;
    assert_eq!(unit["desiredState"], "inactive", "a target left out is reset");
    assert_eq!(unit.get("machineID"), None);
    let unchecked = json!([{ "section": "X-Fleet", "name": "Global", "value": "true" },
        { "section": "X-Fleet", "name": "MachineID", "value": "x" }]);
    fixture.check_put("a.service", json!({ "options": unchecked }), 201, "").await;
    let bogus = json!({ "desiredState": "Launched", "options": sleeper(3) });
    fixture.check_put("a.service", bogus, 500, "").await;
}

#[tokio::test]
async fn values_that_are_not_trimmed_replace_the_unit_each_time() {
    let fixture = Fixture::start().await;
    let options = json!([{ "section": "Service", "name": "ExecStart", "value": " /bin/a " }]);
    for _ in 0..2 {
        let body = json!({ "desiredState": "inactive", "options": options });
        fixture.check_put("a.service", body, 201, "").await;
    }
    assert_eq!(fixture.json("units/a.service").await["options"][0]["value"], "/bin/a");
    let options = json!([{ "section": "Service", "name": "ExecStart", "value": "/bin/a\nNice=1" }]);
    fixture.check_put("b.service", json!({ "options": options }), 201, "").await;
    assert_eq!(fixture.json("units/b.service").await["options"][1]["name"], "Nice");
}

#[tokio::test]
async fn a_bogus_target_is_refused_on_creation_and_poison_afterwards() {
    let fixture = Fixture::start().await;
    fixture.check_put("a.service", json!({ "desiredState": "up", "options": sleeper(1) }), 500, "").await;
    fixture.check_put("a.service", json!({ "options": sleeper(1) }), 201, "").await;
    fixture.check_put("a.service", json!({ "desiredState": "up" }), 204, "").await;
    fixture.check_put("a.service", json!({ "desiredState": "inactive" }), 500, "").await;
    for method in ["GET", "DELETE"] {
        assert_eq!(fixture.ask(method, "units/a.service", None).await, (500, String::new()));
    }
    assert_eq!(fixture.json("units").await, json!({}));
}

#[tokio::test]
async fn a_launched_template_wedges_its_machine() {
    let fixture = Fixture::start().await;
    let launched = json!({ "desiredState": "launched", "options": sleeper(1) });
    fixture.check_put("b.service", launched.clone(), 201, "").await;
    assert_eq!(fixture.server.states().len(), 1);
    fixture.check_put("a@.service", json!({ "options": sleeper(1) }), 201, "").await;
    let message = "cannot activate template \"a@.service\"";
    fixture.check_put("a@.service", json!({ "desiredState": "launched" }), 400, message).await;
    fixture
        .check_put(
            "a@1.service",
            json!({ "desiredState": "launched" }),
            409,
            "unit does not exist and options field empty",
        )
        .await;
    fixture.check_put("c@.service", launched.clone(), 201, "").await;
    assert!(fixture.server.states().is_empty());
    assert_eq!(fixture.ask("DELETE", "units/c@.service", None).await.0, 204);
    fixture.check_put("d.service", launched, 201, "").await;
    assert!(fixture.server.states().is_empty());
}

#[tokio::test]
async fn handlers_that_panic_close_the_connection() {
    let fixture = Fixture::start().await;
    let lost = fixture.http.get(fixture.url("state/none.service")).send().await.unwrap_err();
    assert!(!lost.is_connect() && lost.status().is_none());
    let put = fixture.http.put(fixture.url("units/a.service")).header("content-type", "application/json");
    assert!(put.body(r#"{"options":[null]}"#).send().await.is_err());
    assert_eq!(fixture.server.requests().iter().filter(|request| request.status.is_none()).count(), 2);
}

#[tokio::test]
async fn names_with_an_underscore_are_stored_and_hidden() {
    let fixture = Fixture::start().await;
    let body = json!({ "desiredState": "launched", "options": sleeper(1) });
    fixture.check_put("_a.service", body, 201, "").await;
    assert_eq!(fixture.json("units").await, json!({}));
    assert_eq!(fixture.json("units/_a.service").await["currentState"], "inactive");
}
