//! Where fleet and etcd are: the forms in which people write it.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use crate::config::FleetEndpoint;

/// Where fleet listens unless told otherwise; systemd makes this socket.
pub const FLEET_SOCKET_DEFAULT: &str = "/var/run/fleet.sock";

/// Where etcd listens unless told otherwise, on this machine.
pub const ETCD_ENDPOINT_DEFAULT: &str = "127.0.0.1:2379";

/// The port of etcd when only its host is known.
pub(super) const ETCD_PORT_DEFAULT: u16 = 2379;

/// Why a text is no endpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It starts with something like `ftp://`.
    #[error("the scheme `{0}://` is unknown; it must be {1}")]
    Scheme(String, &'static str),
    /// The part after the last colon is no port.
    #[error("`{0}` is no port; it must be a number from 1 to 65535")]
    Port(String),
    /// There is no port.
    #[error("the port is missing; write `{0}:PORT`")]
    NoPort(String),
    /// The host is neither a name nor an address.
    #[error("`{0}` is neither a host name nor an address")]
    Host(String),
    /// There is a path behind the port.
    #[error("`{0}` behind the port is not supported")]
    Path(String),
    /// The path of a unix socket is not absolute.
    #[error("the path of the socket must be absolute: `unix:///var/run/fleet.sock`")]
    Socket,
}

impl Default for FleetEndpoint {
    /// [`FLEET_SOCKET_DEFAULT`].
    fn default() -> Self {
        Self::Unix(PathBuf::from(FLEET_SOCKET_DEFAULT))
    }
}

impl FromStr for FleetEndpoint {
    type Err = EndpointError;

    /// Reads `host:port`, `http://host:port` or `unix:///path`.
    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let text = text.trim();
        match text.split_once("://") {
            Some(("unix", path)) if path.len() > 1 && path.starts_with('/') => Ok(Self::Unix(path.into())),
            Some(("unix", _)) => Err(EndpointError::Socket),
            Some(("http", rest)) => tcp(rest),
            Some((scheme, _)) => {
                Err(EndpointError::Scheme(scheme.to_owned(), "`http://`, `unix://`, or left out"))
            }
            None => tcp(text),
        }
    }
}

fn tcp(text: &str) -> Result<FleetEndpoint, EndpointError> {
    let (host, port) = host_and_port(text)?;
    Ok(FleetEndpoint::Tcp { host, port })
}

impl fmt::Display for FleetEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "http://{}:{port}", bracketed(host)),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Reads an etcd endpoint, `host:port` or `http://host:port` or `https://host:port`, and takes a final slash away. Without a
/// scheme it stays without: what that stands for depends on whether certificates are given.
///
/// # Errors
///
/// What is wrong with the text.
pub fn etcd_url(text: &str) -> Result<String, EndpointError> {
    let text = text.trim();
    let (scheme, rest) = match text.split_once("://") {
        Some(("http", rest)) => ("http://", rest),
        Some(("https", rest)) => ("https://", rest),
        Some((scheme, _)) => {
            return Err(EndpointError::Scheme(scheme.to_owned(), "`http://`, `https://`, or left out"));
        }
        None => ("", text),
    };
    let (host, port) = host_and_port(rest)?;
    Ok(format!("{scheme}{}:{port}", bracketed(&host)))
}

/// Reads `host:port`, with an IPv6 address in brackets.
fn host_and_port(text: &str) -> Result<(String, u16), EndpointError> {
    let (authority, path) = text.find('/').map_or((text, ""), |at| text.split_at(at));
    if !matches!(path, "" | "/") {
        return Err(EndpointError::Path(path.to_owned()));
    }
    if authority.is_empty() {
        return Err(EndpointError::Empty);
    }
    if authority.ends_with(']') || authority.parse::<IpAddr>().is_ok() || !authority.contains(':') {
        let host = authority.trim_matches(['[', ']']);
        check_host(host)?;
        return Err(EndpointError::NoPort(bracketed(host)));
    }
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    check_host(host)?;
    match port.parse() {
        Ok(number @ 1..) if port.bytes().all(|byte| byte.is_ascii_digit()) => Ok((host.to_owned(), number)),
        _ => Err(EndpointError::Port(port.to_owned())),
    }
}

/// Refuses what is neither a host name nor an address.
pub(super) fn check_host(host: &str) -> Result<(), EndpointError> {
    let is_name = host.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    });
    // Digits and dots alone would be an address, and this one was none.
    let is_name = is_name && !host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if is_name || host.parse::<IpAddr>().is_ok() { Ok(()) } else { Err(EndpointError::Host(host.to_owned())) }
}

/// A host as a URL has it: an IPv6 address in brackets.
pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn a_fleet_endpoint_is_a_socket_or_an_address() {
        for (text, right) in [
            ("10.0.0.1:49153", "http://10.0.0.1:49153"),
            ("http://core-1.local:80/", "http://core-1.local:80"),
            ("[::1]:80", "http://[::1]:80"),
            ("unix:///var/run/fleet.sock", "unix:///var/run/fleet.sock"),
        ] {
            let endpoint: FleetEndpoint = text.parse().expect(text);
            assert_eq!(endpoint.to_string(), right);
        }
    }

    #[test]
    fn an_etcd_endpoint_has_no_path_and_a_scheme_only_if_one_was_given() {
        assert_eq!(etcd_url("127.0.0.1:4001").as_deref(), Ok("127.0.0.1:4001"));
        assert_eq!(etcd_url("http://[::1]:4001/").as_deref(), Ok("http://[::1]:4001"));
        assert_eq!(etcd_url(" https://etcd.example:2379/").as_deref(), Ok("https://etcd.example:2379"));
    }

    #[test]
    fn nonsense_says_what_is_wrong_with_it() {
        let mut said = String::new();
        for text in [
            "",
            "10.0.0.1",
            "::1",
            "[::1]",
            "10.0.0.1:0",
            "10.0.0.1:65536",
            "a:+1",
            "a:",
            ":80",
            "a b:1",
            "999.1.1.1:1",
            "https://a:1",
            "unix://fleet.sock",
            "unix:///",
            "a:1/v1",
            "a:b:c:1",
        ] {
            let error = text.parse::<FleetEndpoint>().expect_err(text);
            writeln!(said, "{text:?}: {error}").expect("a string takes everything");
        }
        insta::assert_snapshot!(said);
    }
}
