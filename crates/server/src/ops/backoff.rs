//! What slows guessing down: waits that double, by account and by network address.
//!
//! An attempt is counted before the password is looked at and taken back when it was right, so that many at once gain
//! nothing. By account it is counted in the store, alike for addresses with and without one; by network address in the
//! bounded memory of this node. Never says which account it was, nor whether there is one.

use crate::app::App;
use crate::client::Client;
use crate::limits::network_of;
use chatward_store::Attempt;
use chatward_types::{DAY, Error, EventName, HOUR, Kind, MINUTE, Outcome, Result, SECOND, Severity, Timestamp};
use quick_cache::unsync::Cache;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// Attempts on an account before the first wait.
const FREE: i64 = 5;
/// Failed attempts of a network address before the first wait: a company's people share one.
const FREE_OF_ADDRESS: i64 = 20;
const LONGEST: Timestamp = 15 * MINUTE;
/// Addresses remembered by a node.
const ADDRESSES: usize = 16_384;
/// Accounts remembered by the store.
const ACCOUNTS: u32 = 100_000;

/// The failures of network addresses.
pub struct AddressBackoff(Mutex<Cache<IpAddr, Failures>>);

#[derive(Clone, Copy, Default)]
struct Failures {
    number: i64,
    held_until: Timestamp,
    last_at: Timestamp,
}

impl fmt::Debug for AddressBackoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressBackoff").finish_non_exhaustive()
    }
}

impl Default for AddressBackoff {
    fn default() -> Self {
        Self(Mutex::new(Cache::new(ADDRESSES)))
    }
}

impl AddressBackoff {
    /// Counts an attempt, or says until when the address must wait.
    fn count(&self, address: IpAddr, now: Timestamp) -> Result<(), Timestamp> {
        let mut addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = addresses.get(&address).copied().filter(|known| now - known.last_at < HOUR).unwrap_or_default();
        if known.held_until > now {
            return Err(known.held_until);
        }
        let number = known.number + 1;
        let held_until = now + wait(number, FREE_OF_ADDRESS);
        addresses.insert(address, Failures { number, held_until, last_at: now });
        Ok(())
    }

    /// Takes one attempt back: it was right. Those before stay, or one good account would cover for a thousand guesses.
    fn take_back(&self, address: IpAddr) {
        let mut addresses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = addresses.get(&address).copied() {
            addresses.insert(address, Failures { number: (known.number - 1).max(0), held_until: 0, ..known });
        }
    }
}

/// How long to wait after this many attempts: a second, then twice as long each time.
fn wait(number: i64, free: i64) -> Timestamp {
    let over = number - free;
    if over < 0 { 0 } else { (SECOND << over.min(20)).min(LONGEST) }
}

/// Counts an attempt on the account that `lookup` stands for.
///
/// # Errors
/// [`Kind::Limited`], `login_held`, when the account or the network address must wait.
pub async fn count(app: &App, lookup: &str, client: &Client) -> Result<()> {
    let now = app.clock.now();
    let held = |until: Timestamp| {
        let seconds = u32::try_from((until - now).max(0) / SECOND + 1).unwrap_or(u32::MAX);
        Error::new(
            Kind::Limited,
            "login_held",
            "There were too many attempts. Wait as long as Retry-After says; each further failure doubles it.",
        )
        .retry_after(seconds)
    };
    let address = network_of(client.address);
    if let Err(until) = app.backoff.count(address, now) {
        tell(app, client, "a network address must wait");
        return Err(held(until));
    }
    match app.store.count_login_attempt(lookup, now, |number| wait(number, FREE)).await? {
        Attempt::Held(until) => {
            tell(app, client, "an account must wait");
            Err(held(until))
        }
        Attempt::Counted(number) => {
            if number == FREE {
                tell(app, client, "an account has to wait from now on: five attempts failed");
            }
            Ok(())
        }
    }
}

/// Forgets the attempts on an account, and this one of the address: it was right.
///
/// # Errors
/// When the store fails.
pub async fn succeed(app: &App, lookup: &str, client: &Client) -> Result<()> {
    app.backoff.take_back(network_of(client.address));
    app.store.forget_login_attempts(lookup).await.map(|_| ())
}

/// Takes the attempt back for the address and not for the account: the password was right, and the code is asked for next.
pub fn spare_address(app: &App, client: &Client) {
    app.backoff.take_back(network_of(client.address));
}

/// Forgets what is older than a day, and what is too much.
///
/// # Errors
/// When the store fails; the next turn does it.
pub async fn sweep(app: &App, now: Timestamp) -> Result<u64> {
    app.store.prune_login_attempts(now - DAY, ACCOUNTS).await
}

fn tell(app: &App, client: &Client, what: &'static str) {
    app.event(EventName::LoginHeld, Severity::Warning, Outcome::Refused).of(client).detail(what).emit();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        assert_eq!((1..=8).map(|number| wait(number, 5) / SECOND).collect::<Vec<_>>(), [0, 0, 0, 0, 1, 2, 4, 8]);
        assert_eq!(wait(i64::MAX, 5), LONGEST);
    }

    #[test]
    fn an_address_waits_after_its_failures_and_a_success_covers_itself_alone() {
        let backoff = AddressBackoff::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for number in 0..19 {
            assert_eq!(backoff.count(address, number), Ok(()));
        }
        assert_eq!(backoff.count(address, 19), Ok(()));
        assert_eq!(backoff.count(address, 20), Err(19 + SECOND));
        backoff.take_back(address);
        assert_eq!(backoff.count(address, 21), Ok(()));
        assert!(backoff.count(address, 22).is_err(), "nineteen failures are still there");
        assert_eq!(backoff.count(IpAddr::from([192, 0, 2, 2]), 22), Ok(()), "another address");
        assert_eq!(backoff.count(address, 22 + HOUR), Ok(()), "an hour later");
    }
}
