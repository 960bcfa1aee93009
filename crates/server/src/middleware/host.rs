//! Refuses a request whose Host (or `:authority`) is not ours, on loopback too: a page that rebinds its own
//! name to our address must not be able to talk to us. Health probes, which come by address, are let through.

use super::Client;
use crate::app::App;
use crate::error::ApiError;
use axum::extract::Request;
use chatward_types::{Error, EventName, Kind, Outcome, Severity};

/// Checks the name; `health` marks a probe.
pub fn check(app: &App, request: &Request, health: bool, client: &Client) -> Result<(), ApiError> {
    if health || named(request).is_some_and(|name| app.names.contains(name)) {
        return Ok(());
    }
    app.event(EventName::HostRefused, Severity::Warning, Outcome::Refused).of(client).emit();
    Err(Error::new(
        Kind::Misdirected,
        "misdirected",
        "This server does not answer for that host name. Use the configured public address, or add the name to server.hosts.",
    )
    .into())
}

/// The host name that the request names, without a port. More than one Host field names nothing.
pub fn named(request: &Request) -> Option<&str> {
    let authority = match request.uri().authority() {
        Some(authority) => authority.as_str(),
        None => {
            let mut hosts = request.headers().get_all(http::header::HOST).iter();
            match (hosts.next(), hosts.next()) {
                (Some(host), None) => host.to_str().ok()?,
                _ => return None,
            }
        }
    };
    if authority.contains('@') {
        return None;
    }
    host_of(authority)
}

/// `name` of `name:port`, keeping the brackets of an IPv6 literal.
pub fn host_of(authority: &str) -> Option<&str> {
    let (host, rest) = if authority.starts_with('[') {
        authority.split_at(authority.find(']')? + 1)
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    let port_is_fine = match rest.strip_prefix(':') {
        None => rest.is_empty(),
        Some(port) => !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()),
    };
    (port_is_fine && !host.is_empty()).then_some(host)
}

/// The host names that are ours, compared without regard to case.
#[derive(Debug, Clone, Default)]
pub struct Names(Vec<Box<str>>);

impl Names {
    /// From host names, IPv6 literals in brackets.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        let mut names: Vec<Box<str>> = names.into_iter().map(|n| n.to_ascii_lowercase().into()).collect();
        names.sort_unstable();
        names.dedup();
        Self(names)
    }

    /// Whether `name` is one of ours.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|own| own.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn a_port_is_cut_off_and_nonsense_is_refused() {
        assert_eq!(host_of("chat.example:8443"), Some("chat.example"));
        assert_eq!(host_of("[::1]:80"), Some("[::1]"));
        assert_eq!(host_of("chat.example"), Some("chat.example"));
        for bad in ["", ":80", "a:b", "a:", "[::1", "[::1]x"] {
            assert_eq!(host_of(bad), None, "{bad}");
        }
    }
}
