//! Registration: somebody from outside becomes an owner of their own, where the operator has opened that.
//!
//! Never makes a user in somebody else's tenant. Whether the address has an account already is told to nobody: the answer,
//! the places of the day, the attempts and the hashing are the same. Bounded by the day, so that nobody fills the disk.

use crate::app::App;
use crate::client::Client;
use crate::config::Registration;
use crate::ops::trail::Actor;
use crate::ops::users::{self, NewUser, audited};
use crate::ops::{backoff, trail};
use chatward_types::{DAY, Error, EventName, Kind, Outcome, OwnerId, Result, SECOND, Scope, Severity};
use serde_json::json;

/// Registers somebody: a new owner with one user, who may do everything there. What comes of it is not told.
///
/// # Errors
/// [`Kind::Forbidden`], `registration_closed`; [`Kind::Invalid`] for an address, a name or a password that is refused;
/// [`Kind::Limited`] after too many attempts or when the day's places are taken; [`Kind::Unavailable`] when too many
/// passwords are hashed.
pub async fn register(app: &App, new: &NewUser, client: &Client) -> Result<()> {
    if app.config.accounts.registration == Registration::Closed {
        return Err(Error::new(
            Kind::Forbidden,
            "registration_closed",
            "Nobody registers here by themselves. Ask for an invitation.",
        ));
    }
    users::check(app, new)?;
    let lookup = app.account_keys.lookup(&users::normal_email(&new.email)?);
    // The attempt stays counted whatever comes of it: taken back for new addresses alone, it would tell them apart.
    backoff::count(app, &lookup, client).await?;
    let now = app.clock.now();
    if !app.store.claim_registration(now.div_euclid(DAY), app.config.accounts.registrations_per_day).await? {
        let event = app.event(EventName::RateLimitExceeded, Severity::Warning, Outcome::Refused).of(client);
        event.detail("the day's registrations").emit();
        let rest = u32::try_from((DAY - now.rem_euclid(DAY)) / SECOND + 1).unwrap_or(u32::MAX);
        let full = "Nobody else can register today. Wait as long as Retry-After says, then try again.";
        return Err(Error::new(Kind::Limited, "registrations_full", full).retry_after(rest));
    }
    let row = users::prepare(app, new).await?;
    let owner = OwnerId::generate(app.clock.as_ref(), app.entropy.as_ref())?;
    let scope = Scope::of(owner);
    let by = Actor::User(row.id);
    let store = audited(app, &scope, &by, row.id, &json!({ "what": "owner registered", "role": row.role.as_str() }))?;
    match store.register_owner(owner, &row.name, &row, &lookup, now).await {
        Ok(()) => users::tell(app, &scope, Some(client), format!("user {} registered as owner {owner}", row.id)),
        Err(error) if error.kind() == Kind::Conflict => {
            // As much is written for an address that has an account: one record.
            let detail = json!({ "what": "registration refused", "why": "the address has an account" });
            let entry = trail::entry(app, EventName::UserChanged, &Actor::Server, None, "registration", &detail)?;
            app.store.append_trail(entry).await?;
            let event = app.event(EventName::LoginFailed, Severity::Warning, Outcome::Refused).of(client);
            event.detail("a registration for an address that has an account").emit();
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
