//! The client of fleet's API v1, over TCP or a unix socket.
//!
//! One call is one request (or one a page), on a connection that is kept. It never retries, follows no redirect, asks
//! no proxy, and refuses to send what fleet would accept and then choke on.

mod answer;
mod reply;

use std::time::Duration;

use bytes::Bytes;
use dynamite_units::{NAME_BYTES_MAX, UnitOption, check_options, check_usable_name, is_template};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{DesiredState, Error, Fleet, Unit, UnitState};
use crate::config::FleetEndpoint;
use answer::{ListedUnit, OneUnit, Page, StateRow};
use reply::{Reply, Request, garbled, invalid};

/// How long a request may take. fleet waits up to 1 s for etcd in each of its steps, and a fleetd that is being started by
/// its socket keeps connections waiting for some 2 s; this is several times both.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may take to be made: enough for one lost packet, which is sent again after 1 s.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest answer that is read, in bytes. A page holds up to 100 units, whose files have a few kilobytes each; the
/// largest file that etcd stores, 1.5 MB, fits many times.
const ANSWER_BYTES_MAX: usize = 32 << 20;

/// How many pages are read: 65,536 items, all that fleet can page through, at a tenth of its usual 100 a page.
const PAGES_MAX: usize = 6554;

/// Idle connections that are kept. A listing may run beside a write.
const IDLE_CONNECTIONS_MAX: usize = 4;

/// A fleet that is asked over HTTP.
#[derive(Clone, Debug)]
pub struct HttpFleet {
    client: Client,
    /// `http://host:port/fleet/v1`.
    base: Url,
    /// For people.
    endpoint: String,
}

/// The body of a PUT. fleet takes the name from the path.
#[derive(Serialize)]
struct PutBody<'a> {
    #[serde(rename = "desiredState")]
    desired: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    options: &'a [UnitOption],
}

impl HttpFleet {
    /// A client of the fleet at this place. Nothing is connected yet; the error is a place that cannot be an address.
    pub fn new(endpoint: &FleetEndpoint) -> Result<Self, Error> {
        crate::tls::install_provider();
        let builder = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            // fleet has no TLS; reading the system's certificates takes time, and fails where there are none.
            .tls_certs_only([]);
        let (builder, place, endpoint) = match endpoint {
            FleetEndpoint::Tcp { host, port } => {
                let literal = host.contains(':') && !host.starts_with('[');
                let host = if literal { format!("[{host}]") } else { host.clone() };
                (builder, format!("http://{host}:{port}"), format!("http://{host}:{port}"))
            }
            // Any host will do, but there has to be one.
            FleetEndpoint::Unix(path) => (
                builder.unix_socket(path.clone()),
                "http://localhost".to_owned(),
                format!("unix://{}", path.display()),
            ),
        };
        let invalid = |reason: String| Error::Invalid { request: format!("endpoint `{endpoint}`"), reason };
        let base = Url::parse(&format!("{place}/fleet/v1")).map_err(|error| invalid(error.to_string()))?;
        if base.path() != "/fleet/v1" || !base.username().is_empty() || base.query().is_some() {
            return Err(invalid("it is not the name of a host".into()));
        }
        let client = builder.build().map_err(|error| invalid(error.to_string()))?;
        Ok(Self { client, base, endpoint })
    }

    /// The address of an item, its name percent-encoded. Names that an URL cannot carry are refused.
    fn unit_url(&self, request: &Request<'_>, name: &str) -> Result<Url, Error> {
        // An URL drops dot segments, tabs and newlines, so that another unit would be meant.
        let lost = |character: char| character == '/' || character.is_control();
        if name.len() > NAME_BYTES_MAX || name.contains(lost) || matches!(name, "" | "." | "..") {
            return Err(invalid(request, "this cannot be the name of a unit"));
        }
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(["units", name]);
        }
        Ok(url)
    }

    async fn send(
        &self,
        of: &Request<'_>,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<Reply, Error> {
        let mut request = self.client.request(method, url);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        }
        let response = request.send().await.map_err(|error| self.lost(error))?;
        let status = response.status();
        let body = self.read(of, response).await?;
        Ok(Reply { status, body })
    }

    /// Reads a body, and no further than the limit.
    async fn read(&self, of: &Request<'_>, mut response: reqwest::Response) -> Result<Bytes, Error> {
        let too_long = || garbled(of, &format!("it is longer than {ANSWER_BYTES_MAX} bytes"));
        let announced = response.content_length().unwrap_or(0);
        if announced > ANSWER_BYTES_MAX as u64 {
            return Err(too_long());
        }
        let Some(first) = response.chunk().await.map_err(|error| self.lost(error))? else {
            return Ok(Bytes::new());
        };
        if first.len() as u64 == announced {
            // The usual short answer came in one piece and needs no copy.
            return Ok(first);
        }
        let mut whole = Vec::from(first);
        while let Some(more) = response.chunk().await.map_err(|error| self.lost(error))? {
            if whole.len() + more.len() > ANSWER_BYTES_MAX {
                return Err(too_long());
            }
            whole.extend_from_slice(&more);
        }
        Ok(whole.into())
    }

    fn lost(&self, error: reqwest::Error) -> Error {
        let endpoint = self.endpoint.clone();
        let never_sent = error.is_connect() || error.is_builder();
        // The chain is printed with the endpoint already; the URL would repeat it.
        let source = Box::new(error.without_url());
        if never_sent {
            Error::Unreachable { endpoint, source }
        } else {
            Error::NoAnswer { endpoint, source }
        }
    }

    async fn put(&self, name: &str, desired: DesiredState, options: &[UnitOption]) -> Result<(), Error> {
        let what = format!("unit {name}");
        let request = Request { verb: "PUT", what: &what };
        let url = self.unit_url(&request, name)?;
        let body = serde_json::to_vec(&PutBody { desired: desired.as_str(), options });
        let body = body.map_err(|error| invalid(&request, &error.to_string()))?;
        let reply = self.send(&request, Method::PUT, url, Some(body)).await?;
        reply.accepted(&request)
    }

    /// Every page of a listing, item by item.
    async fn pages<P: Page + DeserializeOwned>(
        &self,
        what: &str,
        filter: Option<&str>,
        mut take: impl FnMut(P::Item),
    ) -> Result<(), Error> {
        let request = Request { verb: "GET", what };
        let mut token: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let mut url = self.base.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.push(P::COLLECTION);
            }
            if let Some(name) = filter {
                url.query_pairs_mut().append_pair("unitName", name);
            }
            if let Some(token) = &token {
                url.query_pairs_mut().append_pair("nextPageToken", token);
            }
            let page: P = self.send(&request, Method::GET, url, None).await?.json(&request)?;
            let (items, next) = page.into_parts();
            items.into_iter().for_each(&mut take);
            match next.filter(|next| !next.is_empty()) {
                None => return Ok(()),
                same if same == token => return Err(garbled(&request, "a page has itself for the next one")),
                next => token = next,
            }
        }
        Err(garbled(&request, &format!("there are more than {PAGES_MAX} pages")))
    }
}

impl Fleet for HttpFleet {
    async fn unit(&self, name: &str) -> Result<Option<Unit>, Error> {
        let what = format!("unit {name}");
        let request = Request { verb: "GET", what: &what };
        let url = self.unit_url(&request, name)?;
        let reply = self.send(&request, Method::GET, url, None).await?;
        if reply.is_unknown_unit() {
            return Ok(None);
        }
        let unit: OneUnit = reply.json(&request)?;
        Ok(Some(unit.into_unit(name)))
    }

    async fn units(&self) -> Result<Vec<Unit>, Error> {
        let mut units = Vec::new();
        let take = |unit: ListedUnit| units.extend(unit.into_unit());
        self.pages::<answer::Units>("units", None, take).await?;
        Ok(units)
    }

    async fn states(&self) -> Result<Vec<UnitState>, Error> {
        let mut states = Vec::new();
        let take = |row: StateRow| states.extend(row.into_state());
        self.pages::<answer::States>("states", None, take).await?;
        Ok(states)
    }

    async fn state(&self, name: &str) -> Result<Vec<UnitState>, Error> {
        let mut states = Vec::new();
        let take = |row: StateRow| states.extend(row.into_state().filter(|state| state.name == name));
        // Not `/state/<name>`: fleetd dies of it when there is no row.
        self.pages::<answer::States>(&format!("state {name}"), Some(name), take).await?;
        Ok(states)
    }

    async fn submit(&self, name: &str, options: &[UnitOption]) -> Result<(), Error> {
        let what = format!("unit {name}");
        let request = Request { verb: "PUT", what: &what };
        check_usable_name(name).map_err(|error| invalid(&request, &error.to_string()))?;
        check_options(options).map_err(|errors| {
            let reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
            invalid(&request, &reasons.join("; "))
        })?;
        self.put(name, DesiredState::Inactive, options).await
    }

    async fn set_desired(&self, name: &str, desired: DesiredState) -> Result<(), Error> {
        if is_template(name) && desired != DesiredState::Inactive {
            let what = format!("unit {name}");
            let reason = "a template cannot run: it wedges the machine that tries";
            return Err(invalid(&Request { verb: "PUT", what: &what }, reason));
        }
        self.put(name, desired, &[]).await
    }

    async fn destroy(&self, name: &str) -> Result<(), Error> {
        let what = format!("unit {name}");
        let request = Request { verb: "DELETE", what: &what };
        let url = self.unit_url(&request, name)?;
        let reply = self.send(&request, Method::DELETE, url, None).await?;
        if reply.is_unknown_unit() { Ok(()) } else { reply.accepted(&request) }
    }
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_name_is_addressed_as_itself_or_not_at_all(name in "[a-z@.%/\\\\?# \t\n;:é+&=]{0,12}") {
            let endpoint = FleetEndpoint::Tcp { host: "localhost".into(), port: 1 };
            let fleet = HttpFleet::new(&endpoint).unwrap();
            if let Ok(url) = fleet.unit_url(&Request { verb: "GET", what: "unit" }, &name) {
                let item = url.as_str().strip_prefix("http://localhost:1/fleet/v1/units/").unwrap();
                prop_assert!(!item.contains(['/', '?', '#']));
                prop_assert_eq!(percent_decode_str(item).decode_utf8().unwrap(), name);
            }
        }
    }
}
