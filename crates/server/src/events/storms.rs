//! Gathers storms: after ten events of one name from one address in a minute, the rest become one line with a count.
//!
//! Owns: the bounded table of who is storming. Never does: drop a count; what finds no place is counted under its
//! event's name alone.

use chatward_types::{Event, EventName, MINUTE, Outcome, OwnerId, Timestamp};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Lines an event and address may write in a minute.
const LISTED: u64 = 10;
/// Addresses watched at the same time.
const WATCHED: usize = 4096;

/// What to do with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Write it.
    List,
    /// It is counted and comes out as part of a [`Gathered`].
    Gather,
}

/// Events that were counted instead of written.
#[derive(Debug)]
pub(super) struct Gathered {
    /// The first of them.
    pub(super) first: Event,
    /// Their address; `None` when too many addresses stormed to tell them apart.
    pub(super) address: Option<IpAddr>,
    /// How many.
    pub(super) count: u64,
}

#[derive(Debug, Default)]
pub(super) struct Storms {
    /// By outcome too, so that a flood of successes never hides a refusal, and by owner, so that a count is one owner's.
    watched: HashMap<(EventName, Outcome, Option<IpAddr>, Option<OwnerId>), Storm>,
}

#[derive(Debug)]
struct Storm {
    since: Timestamp,
    seen: u64,
    first: Option<Event>,
    gathered: u64,
}

impl Storms {
    /// Counts an event that [`gathers`].
    pub(super) fn judge(&mut self, event: &Event, now: Timestamp) -> Verdict {
        let mut key = (event.name, event.outcome, event.address.map(network), event.owner);
        if !self.watched.contains_key(&key) && self.watched.len() >= WATCHED {
            key.2 = None;
            // Whose they were is told no more than where they came from: one count for all.
            key.3 = None;
        }
        let storm = self.watched.entry(key).or_insert_with(|| Storm { since: now, seen: 0, first: None, gathered: 0 });
        // A window whose gathered events are still to be written stays until the writer has taken them.
        if now - storm.since >= MINUTE && storm.gathered == 0 {
            *storm = Storm { since: now, seen: 0, first: None, gathered: 0 };
        }
        storm.seen += 1;
        if storm.seen <= LISTED {
            return Verdict::List;
        }
        storm.gathered += 1;
        // Of a count for all nobody is told that it is of one owner's site.
        let site = event.site.filter(|_| key.3.is_some());
        storm.first.get_or_insert_with(|| Event { owner: key.3, site, ..event.clone() });
        Verdict::Gather
    }

    /// What the windows that have ended gathered (`all`: also those that run), and forgets the ended ones.
    pub(super) fn take(&mut self, now: Timestamp, all: bool) -> Vec<Gathered> {
        let mut taken = Vec::new();
        self.watched.retain(|(_, _, address, _), storm| {
            let ended = now - storm.since >= MINUTE;
            if (ended || all)
                && let Some(first) = storm.first.take()
            {
                taken.push(Gathered { first, address: *address, count: storm.gathered });
                storm.gathered = 0;
            }
            !ended
        });
        taken
    }
}

/// Whether a stranger can cause this event as often as they like.
pub(super) fn gathers(name: EventName) -> bool {
    matches!(
        name,
        EventName::RateLimitExceeded
            | EventName::CorsBlocked
            | EventName::HostRefused
            | EventName::InvalidSessionId
            | EventName::SessionAddressChanged
            | EventName::ApiKeyValidation
            | EventName::AddressBlocked
            | EventName::CredentialMissing
            | EventName::TokenRefused
            | EventName::TicketRefused
            | EventName::IdentityRefused
            | EventName::HistoryTrimmed
            | EventName::DeviceAuthentication
            | EventName::WebSocketOpened
            | EventName::WebSocketClosed
    )
}

/// An IPv6 user has a /64 to choose addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chatward_types::Severity;

    fn event(name: EventName, address: &str) -> Event {
        Event {
            address: Some(address.parse().expect("an address")),
            ..Event::new(0, name, Severity::Warning, Outcome::Refused)
        }
    }

    #[test]
    fn ten_are_listed_and_the_rest_of_the_minute_is_one_count() {
        let mut storms = Storms::default();
        let storm = event(EventName::RateLimitExceeded, "192.0.2.1");
        let listed = (0..1000).filter(|_| storms.judge(&storm, 5) == Verdict::List).count();
        assert_eq!(listed, 10);
        assert_eq!(storms.judge(&event(EventName::RateLimitExceeded, "192.0.2.2"), 5), Verdict::List);
        assert_eq!(storms.judge(&event(EventName::CorsBlocked, "192.0.2.1"), 5), Verdict::List);
        assert!(storms.take(5 + MINUTE - 1, false).is_empty(), "the minute still runs");
        let taken = storms.take(5 + MINUTE, false);
        assert_eq!(taken.iter().map(|gathered| gathered.count).collect::<Vec<_>>(), [990]);
        assert_eq!(storms.judge(&storm, 6 + MINUTE), Verdict::List, "a new minute lists again");
    }

    #[test]
    fn a_flood_of_addresses_is_bounded_and_no_count_is_lost() {
        let mut storms = Storms::default();
        let mut listed = 0;
        for number in 0..100_000_u32 {
            let address = std::net::Ipv4Addr::from(0x0b00_0000 + number).to_string();
            if storms.judge(&event(EventName::RateLimitExceeded, &address), 0) == Verdict::List {
                listed += 1;
            }
        }
        assert!(storms.watched.len() <= WATCHED + 1);
        let gathered: u64 = storms.take(MINUTE, false).iter().map(|gathered| gathered.count).sum();
        assert_eq!(listed + gathered, 100_000);
        assert!(listed <= WATCHED as u64 + LISTED);
        assert!(storms.watched.is_empty());
    }

    #[test]
    fn a_flood_of_successes_hides_no_refusal() {
        let mut storms = Storms::default();
        let refusal = event(EventName::ApiKeyValidation, "192.0.2.1");
        let success = Event { outcome: Outcome::Success, ..refusal.clone() };
        for _ in 0..100 {
            storms.judge(&success, 0);
        }
        assert_eq!(storms.judge(&refusal, 0), Verdict::List);
    }

    #[test]
    fn a_v6_network_storms_as_one() {
        let mut storms = Storms::default();
        let listed = (0..100)
            .filter(|host| {
                let event = event(EventName::HostRefused, &format!("2001:db8:1:2::{host:x}"));
                storms.judge(&event, 0) == Verdict::List
            })
            .count();
        assert_eq!(listed, 10);
    }
}
