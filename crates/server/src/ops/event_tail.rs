//! The live view of an owner's security events: which of them are theirs, and which of those are asked for.
//!
//! An event that names a tenant is that tenant's alone, and whatever is about a site names its tenant. What is nobody's (a
//! refused host name, a limit, a start) is the installation's, and shown to the tenant that runs it. Owns those two
//! judgements; never keeps an event.

use crate::app::App;
use crate::limits;
use chatward_types::{Error, Event, OwnerId, Result};
use chatward_vault::SecretKey;
use ipnet::IpNet;
use serde::Deserialize;

/// The longest text of a filter.
const LONGEST: usize = 256;
/// Characters of a session's id that the log keeps.
const SESSION: usize = 16;

/// What a client asks for; what is absent does not matter. The same words as `chatward events`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// The beginning of no word in particular: the event's name holds it.
    pub name: Option<String>,
    /// An address or a network.
    pub address: Option<String>,
    /// An issued key, by its public id or the whole key.
    pub key: Option<String>,
    /// A session.
    pub session: Option<String>,
}

/// A filter that was checked.
#[derive(Debug, Default)]
pub struct Filter {
    name: Option<String>,
    network: Option<IpNet>,
    key: Option<String>,
    session: Option<String>,
}

impl Filter {
    /// Checks what was asked for.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`] for a text that is too long, and for what is no address.
    pub fn of(asked: Asked) -> Result<Self> {
        if [&asked.name, &asked.address, &asked.key, &asked.session]
            .into_iter()
            .flatten()
            .any(|text| text.len() > LONGEST)
        {
            return Err(Error::invalid("A filter's texts have at most 256 bytes."));
        }
        let network = match &asked.address {
            Some(text) => Some(limits::parse_network(text).ok_or_else(|| {
                Error::invalid("Field `address` takes an address or a network, such as 192.0.2.7 or 192.0.2.0/24.")
            })?),
            None => None,
        };
        Ok(Self {
            name: asked.name.map(|name| name.to_ascii_uppercase()),
            network,
            key: asked.key.map(|text| SecretKey::parse(&text).map_or(text, |key| key.id().to_owned())),
            session: asked.session.map(|text| text.chars().take(SESSION).collect()),
        })
    }

    /// Whether an event is asked for.
    pub fn takes(&self, event: &Event) -> bool {
        let session = event.session.as_ref().map(|session| session.as_str());
        self.name.as_ref().is_none_or(|name| event.name.as_str().contains(name.as_str()))
            && self
                .network
                .is_none_or(|network| event.address.is_some_and(|address| network.contains(&address.to_canonical())))
            && self
                .key
                .as_ref()
                .is_none_or(|key| event.detail.as_ref().is_some_and(|detail| detail.contains(key.as_str())))
            && self.session.as_ref().is_none_or(|wanted| session.is_some_and(|session| session.starts_with(wanted)))
    }
}

/// Whether an event is this owner's.
pub fn is_of(app: &App, owner: OwnerId, event: &Event) -> bool {
    match (event.owner, event.site) {
        (Some(named), _) => named == owner,
        // Of some site, and nobody says whose.
        (None, Some(_)) => false,
        (None, None) => owner == app.owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatward_types::{EventName, Outcome, Severity};

    #[test]
    fn every_word_of_a_filter_must_fit() {
        let event = Event {
            address: Some("192.0.2.7".parse().expect("an address")),
            detail: Some("key abc was made".into()),
            ..Event::new(0, EventName::RateLimitExceeded, Severity::Warning, Outcome::Refused)
        };
        let text = |text: &str| Some(text.to_owned());
        let takes = |asked: Asked| Filter::of(asked).expect("a filter").takes(&event);
        assert!(takes(Asked::default()));
        assert!(takes(Asked { name: text("limit"), address: text("192.0.2.0/24"), key: text("abc"), session: None }));
        assert!(!takes(Asked { name: text("LOGIN"), ..Asked::default() }));
        assert!(!takes(Asked { address: text("192.0.3.0/24"), ..Asked::default() }));
        assert!(!takes(Asked { key: text("abd"), ..Asked::default() }));
        assert!(!takes(Asked { session: text("session_x"), ..Asked::default() }));
        assert!(Filter::of(Asked { address: text("nowhere"), ..Asked::default() }).is_err());
        assert!(Filter::of(Asked { name: Some("x".repeat(257)), ..Asked::default() }).is_err());
    }
}
