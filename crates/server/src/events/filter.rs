//! Which events somebody asks for: by name, time, address, key and session. The same for the command line and the API.
//!
//! Owns: what a filter takes, and what it says of one that could never match. Looks at lines as they were read back, of
//! the security log and the audit trail alike. Never reads a file.

use super::time::parse;
use crate::limits::parse_network;
use chatward_types::{Error, Result, Timestamp};
use chatward_vault::SecretKey;
use ipnet::IpNet;
use serde_json::{Value, json};
use std::net::IpAddr;

/// Characters of a session's id that the log keeps.
const SESSION: usize = 16;
/// Characters of a name, key or session that are looked for.
const LONGEST: usize = 200;

/// What somebody wrote. Times are microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// A part of the name.
    pub name: Option<&'a str>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// An address or a network.
    pub address: Option<&'a str>,
    /// An issued key, by its public id or whole.
    pub key: Option<&'a str>,
    /// A session, whole or as the log writes it.
    pub session: Option<&'a str>,
}

/// A checked filter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    name: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    network: Option<IpNet>,
    key: Option<String>,
    session: Option<String>,
}

impl Filter {
    /// Checks what somebody wrote.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`], naming the part and what it takes.
    pub fn of(wanted: Wanted<'_>) -> Result<Self> {
        let word = |text: &str| {
            (1..=LONGEST).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        if wanted.name.is_some_and(|name| !word(name)) {
            return Err(Error::invalid("The name takes letters and _, a part of one such as LIMIT or LOGIN_FAILED."));
        }
        if let (Some(since), Some(until)) = (wanted.since, wanted.until)
            && since >= until
        {
            return Err(Error::invalid("The time until must come after the time since."));
        }
        let network = match wanted.address {
            Some(text) => Some(parse_network(text).ok_or_else(|| {
                Error::invalid("The address takes an address or a network, such as 192.0.2.7 or 192.0.2.0/24.")
            })?),
            None => None,
        };
        let key =
            wanted.key.map(|text| SecretKey::parse(text).map_or_else(|| text.to_owned(), |key| key.id().to_owned()));
        // A whole key that is mistyped would be looked for in the log, and so stand on a screen for nothing.
        if key.as_deref().is_some_and(|key| !word(key) || SecretKey::is_like(key)) {
            return Err(Error::invalid("The key takes the public id of an issued key, or a whole key that is one."));
        }
        if wanted.session.is_some_and(|session| !word(session)) {
            return Err(Error::invalid(
                "The session takes a session's id, whole or its beginning as the log writes it.",
            ));
        }
        Ok(Self {
            name: wanted.name.map(str::to_ascii_uppercase),
            since: wanted.since,
            until: wanted.until,
            network,
            key,
            session: wanted.session.map(|text| text.chars().take(SESSION).collect()),
        })
    }

    /// The earliest time that is wanted.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// The time before which events are wanted.
    pub fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Whether an event is wanted.
    pub fn takes(&self, event: &Value) -> bool {
        let text = |name: &str| event[name].as_str().unwrap_or_default();
        let holds = |part: &str| ["detail", "subject", "actor"].into_iter().any(|name| text(name).contains(part));
        let inside = |network: &IpNet| {
            ["address", "subject"].into_iter().any(|name| {
                let address = text(name).parse::<IpAddr>().map(|address| address.to_canonical());
                address.is_ok_and(|address| network.contains(&address))
                    || text(name)
                        .parse::<IpNet>()
                        .is_ok_and(|other| network.contains(&other) || other.contains(network))
            })
        };
        let in_time = || {
            let at = parse(text("time"));
            self.since.is_none_or(|since| at.is_some_and(|at| at >= since))
                && self.until.is_none_or(|until| at.is_some_and(|at| at < until))
        };
        self.name.as_ref().is_none_or(|name| text("event").contains(name.as_str()))
            && in_time()
            && self.network.as_ref().is_none_or(inside)
            && self.key.as_ref().is_none_or(|key| holds(key))
            && self.session.as_ref().is_none_or(|session| text("session") == session)
    }
}

/// A line of the log; one that is no JSON is shown as it is.
pub fn read_line(line: &str) -> Value {
    serde_json::from_str::<Value>(line)
        .ok()
        .filter(Value::is_object)
        .unwrap_or_else(|| json!({ "event": "UNREADABLE", "detail": line }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_could_never_match_is_refused_with_what_it_takes() {
        let refused = |wanted: Wanted<'_>| Filter::of(wanted).expect_err("refused").public().to_owned();
        for name in ["", "LIMIT EXCEEDED", "a\"b", &"x".repeat(201)] {
            assert!(refused(Wanted { name: Some(name), ..Wanted::default() }).contains("name"), "{name}");
        }
        for address in ["nowhere", "192.0.2.0/33", ""] {
            assert!(refused(Wanted { address: Some(address), ..Wanted::default() }).contains("address"), "{address}");
        }
        for key in ["", "two words", "cw_sk_dev_x"] {
            assert!(refused(Wanted { key: Some(key), ..Wanted::default() }).contains("key"), "{key}");
        }
        assert!(refused(Wanted { session: Some("a b"), ..Wanted::default() }).contains("session"));
        for until in [4, 5] {
            let wanted = Wanted { since: Some(5), until: Some(until), ..Wanted::default() };
            assert!(refused(wanted).contains("until"));
        }
    }

    #[test]
    fn each_part_narrows() {
        let event = json!({
            "time": "1970-01-01T00:00:01.000000Z", "event": "RATE_LIMIT_EXCEEDED", "address": "192.0.2.7",
            "session": "session_12345678", "detail": "key abc was used",
        });
        let takes = |wanted: Wanted<'_>| Filter::of(wanted).expect("a filter").takes(&event);
        let any = Wanted::default();
        assert!(
            takes(any) && takes(Wanted { name: Some("limit"), ..any }) && !takes(Wanted { name: Some("LOGIN"), ..any })
        );
        assert!(takes(Wanted { since: Some(1_000_000), ..any }) && !takes(Wanted { since: Some(1_000_001), ..any }));
        assert!(takes(Wanted { until: Some(1_000_001), ..any }) && !takes(Wanted { until: Some(1_000_000), ..any }));
        assert!(
            takes(Wanted { address: Some("192.0.2.0/24"), ..any })
                && !takes(Wanted { address: Some("192.0.2.8"), ..any })
        );
        assert!(takes(Wanted { key: Some("abc"), ..any }) && !takes(Wanted { key: Some("abd"), ..any }));
        assert!(takes(Wanted { session: Some("session_1234567890abcdef"), ..any }));
        assert!(!takes(Wanted { session: Some("session_2"), ..any }));
    }
}
