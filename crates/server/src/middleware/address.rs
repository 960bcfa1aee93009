//! The client's address: the socket's peer, or what exactly one configured header says when the peer is a
//! trusted proxy. Any other header is ignored; a header from an untrusted peer is ignored as well.

use crate::config::{ClientAddressHeader, Server};
use crate::listen::PeerAddress;
use axum::extract::Request;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// A header with more hops than this is nobody's honest chain.
const MOST_HOPS: usize = 32;

/// The address that limits and events use.
pub fn of(server: &Server, request: &Request) -> IpAddr {
    let peer = request
        .extensions()
        .get::<PeerAddress>()
        .map_or(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), |peer| peer.0)
        .ip()
        .to_canonical();
    let trusted = |address: IpAddr| server.trusted_proxies.iter().any(|net| net.contains(&address));
    let Some(header) = server.client_address_header.filter(|_| trusted(peer)) else {
        return peer;
    };
    let values = request.headers().get_all(header.as_str());
    match header {
        ClientAddressHeader::XForwardedFor | ClientAddressHeader::Forwarded => {
            // Right to left: each hop that we trust vouches for the one before it, the first we do not is the client.
            let mut client = peer;
            let mut hops = 0;
            for value in values.iter().rev() {
                let Ok(text) = value.to_str() else { return client };
                for part in text.rsplit(',') {
                    hops += 1;
                    let hop = match header {
                        ClientAddressHeader::Forwarded => forwarded_for(part).and_then(parse),
                        _ => parse(part),
                    };
                    let Some(address) = hop.filter(|_| hops <= MOST_HOPS) else { return client };
                    client = address;
                    if !trusted(address) {
                        return client;
                    }
                }
            }
            client
        }
        ClientAddressHeader::XRealIp | ClientAddressHeader::CfConnectingIp => {
            // A single-valued header: two of them means that somebody added one, and none can be believed.
            let mut values = values.iter();
            match (values.next(), values.next()) {
                (Some(value), None) => value.to_str().ok().and_then(parse).unwrap_or(peer),
                _ => peer,
            }
        }
    }
}

/// The `for` parameter of one element of a Forwarded field, unquoted.
fn forwarded_for(element: &str) -> Option<&str> {
    let value = element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    })?;
    Some(value.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).unwrap_or(value))
}

/// Reads `1.2.3.4`, `1.2.3.4:80`, `2001:db8::1` or `[2001:db8::1]:80`.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    text.parse::<IpAddr>()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::{forwarded_for, parse};

    #[test]
    fn reads_the_for_parameter_of_a_forwarded_element() {
        assert_eq!(forwarded_for(" for=192.0.2.60;proto=http;by=203.0.113.43"), Some("192.0.2.60"));
        assert_eq!(forwarded_for("proto=https; For=\"[2001:db8::1]:4711\""), Some("[2001:db8::1]:4711"));
        assert_eq!(forwarded_for("proto=https"), None);
    }

    #[test]
    fn reads_the_common_spellings_of_an_address() {
        for (text, expected) in [
            ("203.0.113.7", "203.0.113.7"),
            (" 203.0.113.7:4711", "203.0.113.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]:80", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(parse(text).map(|a| a.to_string()).as_deref(), Some(expected), "{text}");
        }
        for bad in ["unknown", "", "1.2.3", "203.0.113.7, 1.1.1.1", "_hidden"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
