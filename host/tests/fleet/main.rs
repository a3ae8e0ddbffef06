//! The client of fleet and the embedded fleet, each driven over real connections, the server also without the client.

#![expect(clippy::unwrap_used, reason = "the helpers of tests stand outside of test functions")]

mod api;
mod client;
mod faults;
mod lifecycle;
mod listing;
mod transport;

use dynamite::embedded::fleet::{FleetServer, Options};
use dynamite::fleet::http::HttpFleet;
use dynamite_units::UnitOption;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

/// A server with everything at once, and a plain HTTP client for it.
struct Fixture {
    server: FleetServer,
    http: Client,
}

impl Fixture {
    async fn start() -> Self {
        Self::with(Options::default()).await
    }

    async fn with(options: Options) -> Self {
        dynamite::tls::install_provider();
        let server = FleetServer::start(options).await.unwrap();
        Self { server, http: Client::builder().no_proxy().build().unwrap() }
    }

    fn fleet(&self) -> HttpFleet {
        HttpFleet::new(&self.server.endpoint()).unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/fleet/v1/{path}", self.server.address().unwrap())
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Response {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = self.http.request(method, self.url(path));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await.unwrap()
    }

    /// The status and the message of fleet's error, or the body where there is none.
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, String) {
        let response = self.send(method, path, body).await;
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let message = serde_json::from_str::<Value>(&text).ok().and_then(|body| {
            assert_eq!(body["error"]["code"].as_u64().unwrap_or(status.into()), u64::from(status));
            Some(body["error"]["message"].as_str()?.to_owned())
        });
        (status, message.unwrap_or(text))
    }

    async fn put(&self, name: &str, body: Value) -> (u16, String) {
        self.ask("PUT", &format!("units/{name}"), Some(body)).await
    }

    async fn check_put(&self, name: &str, body: Value, status: u16, message: &str) {
        assert_eq!(self.put(name, body.clone()).await, (status, message.to_owned()), "{name} {body}");
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.send("GET", path, None).await.text().await.unwrap()).unwrap()
    }
}

/// Options of a service that sleeps.
fn sleeper(seconds: u32) -> Value {
    json!([{ "section": "Service", "name": "ExecStart", "value": format!("/bin/sleep {seconds}") }])
}

fn options(seconds: u32) -> Vec<UnitOption> {
    serde_json::from_value(sleeper(seconds)).unwrap()
}
