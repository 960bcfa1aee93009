//! Secret keys of owners: made, listed, revoked, and recognised when a program sends one.
//!
//! A key is read for its shape first, found by its public id, and compared as a hash in constant time. Whether it is
//! unknown, revoked, run out or of another environment, the caller is told one thing. Owns that order; the text of a key
//! leaves here once, when it is made.

use crate::app::App;
use crate::ops::trail::{self, Actor};
use chatward_store::{IssuedKeyRow, Store, TrailEntry};
use chatward_types::{DAY, Error, EventName, KeyScope, Kind, Outcome, OwnerId, Result, Scope, Secret, Severity};
use chatward_vault::SecretKey;
use serde_json::{Value, json};
use std::sync::Arc;

/// The most keys that an owner may have made, revoked ones among them.
const MOST: u64 = 200;

/// Who a key speaks for; a request extension.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The owner.
    pub owner: OwnerId,
    /// The key's public id.
    pub id: Box<str>,
    /// What the key may do.
    pub scope: KeyScope,
}

/// A new key; the text is told this once.
#[derive(Debug)]
pub struct Created {
    /// What is stored.
    pub row: IssuedKeyRow,
    /// The key.
    pub text: Secret<String>,
}

/// Makes a key.
///
/// # Errors
/// [`Kind::Invalid`] for a name or a life out of bounds or too many keys; else when the store fails.
pub async fn create(
    app: &App,
    scope: &Scope,
    rights: KeyScope,
    name: &str,
    expires_days: Option<u32>,
) -> Result<Created> {
    if name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Error::invalid("A key's name takes at most 100 characters on one line."));
    }
    if expires_days.is_some_and(|days| !(1..=3650).contains(&days)) {
        return Err(Error::invalid("A key lives 1 to 3650 days, or without an end."));
    }
    let now = app.clock.now();
    if app.store.count_issued_keys(scope, now).await? >= MOST {
        return Err(Error::invalid("There are 200 keys that hold already; revoke one before making another."));
    }
    let key = SecretKey::generate(app.config.environment, app.entropy.as_ref())?;
    let row = IssuedKeyRow {
        id: key.id().to_owned(),
        name: name.to_owned(),
        scope: rights,
        hash: key.hash().to_vec(),
        created_at: now,
        expires_at: expires_days.map(|days| now + i64::from(days) * DAY),
        revoked_at: None,
    };
    let detail = json!({ "what": "key made", "name": row.name, "scope": rights.as_str() });
    trail::audited(app, record(app, scope, &row.id, &detail)?).insert_issued_key(scope, &row).await?;
    tell(app, scope, format!("key {} was made", row.id));
    Ok(Created { row, text: key.reveal().clone() })
}

/// Revokes a key, named by its public id or by its whole text, for good and at once.
///
/// # Errors
/// [`Kind::NotFound`] when the owner has no such key or it was revoked before.
pub async fn revoke(app: &App, scope: &Scope, named: &str) -> Result<String> {
    let id = SecretKey::parse(named).map_or_else(|| named.to_owned(), |key| key.id().to_owned());
    let entry = record(app, scope, &id, &json!({ "what": "key revoked" }))?;
    let now = app.clock.now();
    let revoke = |store: Store| {
        let id = id.as_str();
        async move { store.revoke_issued_key(scope, id, now).await }
    };
    // A leaked key ends, whether or not that can be recorded now.
    if !trail::always(app, entry, revoke).await? {
        return Err(Error::new(Kind::NotFound, "not_found", "There is no such key that is not revoked already."));
    }
    tell(app, scope, format!("key {id} was revoked"));
    Ok(id)
}

/// Whom a key speaks for, or nothing for one that is unknown, revoked, run out or of another environment.
///
/// # Errors
/// When the store fails.
pub async fn recognise(app: &App, text: &str) -> Result<Option<Holder>> {
    let Some(key) = SecretKey::parse(text).filter(|key| key.environment() == app.config.environment) else {
        return Ok(None);
    };
    let Some(owner) = app.store.find_key_owner(key.id()).await? else { return Ok(None) };
    let Some(row) = app.store.get_issued_key(&Scope::of(owner), key.id()).await? else { return Ok(None) };
    let ended = row.revoked_at.is_some() || row.expires_at.is_some_and(|end| end <= app.clock.now());
    let holds = key.is_of(&row.hash) && !ended;
    Ok(holds.then(|| Holder { owner, id: row.id.into(), scope: row.scope }))
}

fn record(app: &App, scope: &Scope, id: &str, detail: &Value) -> Result<Arc<TrailEntry>> {
    trail::entry(app, EventName::IssuedKeyChanged, &Actor::Operator, Some(scope.owner()), id, detail)
}

fn tell(app: &App, scope: &Scope, what: String) {
    let event = app.event(EventName::IssuedKeyChanged, Severity::Info, Outcome::Success);
    event.owner(scope.owner()).detail(what).emit();
}
