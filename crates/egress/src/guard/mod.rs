//! The rules: which URL may be asked for, and which address may be dialled, for each reach.
//!
//! Owns: `Reach`, `Refusal`, `check_url` (before anything happens) and `check_socket` (the last word, which the
//! connector asks for every address it is about to dial).
//! Never does: I/O. No rule depends on what was allowed before, so a redirect is judged like a first request.

mod address;
#[cfg(test)]
pub(crate) mod hostile;

pub(crate) use address::embedded;
pub use address::{is_global_unicast, is_metadata, is_private};

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// The longest URL that is asked for, in bytes.
pub const MAX_URL_BYTES: usize = 4096;

/// Names that resolve inside a network or a machine, whatever the public DNS says of them.
const LOCAL_SUFFIXES: &[&str] =
    &["localhost", "local", "internal", "intranet", "lan", "corp", "home", "home.arpa", "onion"];

/// How far a request may go. It follows from who named the address, never from the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// A stranger or an owner named it: global unicast addresses, ports 80 and 443, not our own machine.
    Public,
    /// The operator's file named it: private hosts and any port too, but no metadata service, and plain http
    /// to private hosts alone.
    Operator,
    /// This literal address and port and nothing else: the demo's sample site. It works only in an `Egress` that
    /// was built with [`crate::EgressBuilder::exact_socket`], which `serve` never calls.
    Exact(SocketAddr),
}

/// Why the guard refused. For the operator's log and the crawl report; strangers get one constant text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Neither http nor https.
    Scheme,
    /// The URL carries a user name or password.
    UserInfo,
    /// The URL names no host, or one that is not a plain DNS name.
    HostName,
    /// The name belongs to a machine's or company's own network.
    LocalName,
    /// The port is not allowed.
    Port,
    /// The URL is longer than [`MAX_URL_BYTES`].
    TooLong,
    /// The address is not on the public internet.
    NotPublic,
    /// The address belongs to a metadata service.
    Metadata,
    /// The address is one of this machine's.
    OwnAddress,
    /// Plain http to a host outside the operator's own networks.
    PlainHttp,
    /// Not the one socket that the demo may reach.
    NotTheSocket,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "only http and https addresses are fetched",
            Self::UserInfo => "the address carries a user name or password",
            Self::HostName => "the address has no valid host name",
            Self::LocalName => "the host name belongs to a local network",
            Self::Port => "the port is not allowed",
            Self::TooLong => "the address is too long",
            Self::NotPublic => "the host is not on the public internet",
            Self::Metadata => "the host is a metadata service",
            Self::OwnAddress => "the host is this machine",
            Self::PlainHttp => "plain http is allowed to private hosts only",
            Self::NotTheSocket => "the address is not the sample site's",
        })
    }
}

impl std::error::Error for Refusal {}

/// Judges a URL before anything is resolved or dialled: scheme, user info, host, port and IP literals.
///
/// A name that passes is judged again by what it resolves to, inside the connector.
///
/// # Errors
/// The rule that refuses it.
pub fn check_url(url: &Url, reach: &Reach) -> Result<(), Refusal> {
    let encrypted = match url.scheme() {
        "https" => true,
        "http" => false,
        _ => return Err(Refusal::Scheme),
    };
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(Refusal::TooLong);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refusal::UserInfo);
    }
    let port = url.port_or_known_default().ok_or(Refusal::Port)?;
    match url.host() {
        None => Err(Refusal::HostName),
        Some(Host::Ipv4(v4)) => check_socket(SocketAddr::new(v4.into(), port), encrypted, reach),
        Some(Host::Ipv6(v6)) => check_socket(SocketAddr::new(v6.into(), port), encrypted, reach),
        Some(Host::Domain(name)) => {
            check_name(name, reach)?;
            check_port(port, reach)
        }
    }
}

/// Judges a socket address; the connector dials no address that this has not accepted for this very dial.
pub(crate) fn check_socket(to: SocketAddr, encrypted: bool, reach: &Reach) -> Result<(), Refusal> {
    let address: IpAddr = to.ip();
    if is_metadata(address) {
        return Err(Refusal::Metadata);
    }
    check_port(to.port(), reach)?;
    match reach {
        Reach::Public if is_global_unicast(address) => Ok(()),
        Reach::Public => Err(Refusal::NotPublic),
        Reach::Operator if is_private(address) => Ok(()),
        Reach::Operator if !is_global_unicast(address) => Err(Refusal::NotPublic),
        Reach::Operator if !encrypted => Err(Refusal::PlainHttp),
        Reach::Operator => Ok(()),
        Reach::Exact(only) if *only == to => Ok(()),
        Reach::Exact(_) => Err(Refusal::NotTheSocket),
    }
}

/// Judges a host name's shape. It says nothing about where the name leads.
pub(crate) fn check_name(name: &str, reach: &Reach) -> Result<(), Refusal> {
    if matches!(reach, Reach::Exact(_)) {
        return Err(Refusal::NotTheSocket);
    }
    // A trailing dot would make a second spelling of each host, for pools, origins and certificates alike;
    // it shows as an empty label. The characters are those of DNS names after the parser's IDNA step.
    let well_formed = name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        });
    if !well_formed {
        return Err(Refusal::HostName);
    }
    let local = || {
        // A name of one label is completed by the resolver's search list: it is a neighbour, not a website.
        !name.contains('.')
            || LOCAL_SUFFIXES.iter().any(|suffix| {
                name.len() > suffix.len()
                    && name.as_bytes()[name.len() - suffix.len() - 1] == b'.'
                    && name[name.len() - suffix.len()..].eq_ignore_ascii_case(suffix)
            })
    };
    if matches!(reach, Reach::Public) && local() {
        return Err(Refusal::LocalName);
    }
    Ok(())
}

fn check_port(port: u16, reach: &Reach) -> Result<(), Refusal> {
    match reach {
        Reach::Public if port == 80 || port == 443 => Ok(()),
        Reach::Public => Err(Refusal::Port),
        Reach::Operator | Reach::Exact(_) if port != 0 => Ok(()),
        Reach::Operator | Reach::Exact(_) => Err(Refusal::Port),
    }
}
