//! Secret keys of owners: made, changed, rotated, revoked and listed.
//!
//! Owns what a key may be given, that a rotation leaves one successor with the same rights, and that a revocation acts
//! whether or not it can be recorded. The text of a key leaves here once, when it is made. `key_lookup` recognises one.

use crate::app::App;
use crate::ops::key_lookup;
use crate::ops::trail::{self, Actor};
use chatward_store::{IssuedKeyChange, IssuedKeyRow, Store, TrailEntry};
use chatward_types::{
    DAY, Error, EventName, KeyScope, KeyScopes, Kind, Outcome, Result, Role, Scope, Secret, Severity, SiteId, Timestamp,
};
use chatward_vault::SecretKey;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// The most keys of an owner that hold at once.
const MOST: u64 = 200;
/// The most sites and models that a key may list.
const MOST_LISTED: usize = 100;
/// The longest that a rotated key may be honoured beside its successor.
const LONGEST_OVERLAP: Timestamp = 30 * DAY;
/// How long it is where nothing else is said.
pub const OVERLAP: Timestamp = DAY;
/// The highest bound: a million dollars, or a billion requests.
const HIGHEST: (i64, i64) = (1_000_000_000_000, 1_000_000_000);

/// A key to be made.
#[derive(Debug, Clone, Default)]
pub struct NewKey {
    /// What its owner calls it.
    pub name: String,
    /// What it may do; at least one thing.
    pub scopes: KeyScopes,
    /// The sites that it reaches; all of the owner's where there is none.
    pub sites: Vec<SiteId>,
    /// The models that it may ask; all where there is none.
    pub models: Vec<String>,
    /// Days until it ends.
    pub expires_days: Option<u32>,
    /// Its bounds; the name in it does not count.
    pub bounds: IssuedKeyChange,
}

/// A new key; the text is told this once.
#[derive(Debug)]
pub struct Created {
    /// What is stored.
    pub row: IssuedKeyRow,
    /// The key.
    pub text: Secret<String>,
}

/// What a key is worth now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It holds.
    Holds,
    /// It has a successor and is honoured for a while yet.
    Rotated,
    /// It had a successor, and its time beside that one is over.
    Replaced,
    /// It has run out.
    Expired,
    /// It was revoked.
    Revoked,
}

impl KeyState {
    /// What a key is at this moment.
    pub fn of(row: &IssuedKeyRow, now: Timestamp) -> Self {
        match (row.revoked_at, row.expires_at, row.honoured_until) {
            (Some(_), _, _) => Self::Revoked,
            (None, Some(end), _) if end <= now => Self::Expired,
            (None, _, Some(end)) if end <= now => Self::Replaced,
            (None, _, Some(_)) => Self::Rotated,
            (None, _, None) => Self::Holds,
        }
    }

    /// The word in lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Rotated => "rotated",
            Self::Replaced => "replaced",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }

    /// Whether it still opens anything.
    pub fn is_honoured(self) -> bool {
        matches!(self, Self::Holds | Self::Rotated)
    }
}

/// Makes a key with one right and no bounds, by the operator.
///
/// # Errors
/// As [`create_by`].
pub async fn create(
    app: &App,
    scope: &Scope,
    right: KeyScope,
    name: &str,
    expires_days: Option<u32>,
) -> Result<Created> {
    let new = NewKey { name: name.to_owned(), scopes: right.into(), expires_days, ..NewKey::default() };
    create_by(app, scope, &new, &Actor::Operator).await
}

/// Makes a key.
///
/// # Errors
/// [`Kind::Invalid`] for what a key cannot be given, or too many keys; else when the store fails.
pub async fn create_by(app: &App, scope: &Scope, new: &NewKey, by: &Actor) -> Result<Created> {
    check(app, scope, new).await?;
    let now = app.clock.now();
    if app.store.count_issued_keys(scope, now).await? >= MOST {
        return Err(Error::invalid("There are 200 keys that hold already; revoke one before making another."));
    }
    let key = SecretKey::generate(app.config.environment, app.entropy.as_ref())?;
    let bounds = &new.bounds;
    let row = IssuedKeyRow {
        id: key.id().to_owned(),
        name: new.name.clone(),
        scopes: new.scopes,
        models: new.models.clone(),
        sites: new.sites.clone(),
        per_minute: bounds.per_minute.flatten(),
        per_hour: bounds.per_hour.flatten(),
        daily_micro_usd: bounds.daily_micro_usd.flatten(),
        total_micro_usd: bounds.total_micro_usd.flatten(),
        environment: Some(app.config.environment),
        hash: key.hash().to_vec(),
        created_at: now,
        expires_at: expiry(new.expires_days, now)?,
        revoked_at: None,
        last_used_at: None,
        successor: None,
        honoured_until: None,
        lineage: key.id().to_owned(),
    };
    let detail = json!({ "what": "key made", "name": row.name, "scopes": row.scopes.to_string(), "sites": row.sites });
    trail::audited(app, record(app, scope, &row.id, by, &detail)?).insert_issued_key(scope, &row).await?;
    tell(app, scope, format!("key {} was made by {}", row.id, by.text()));
    Ok(Created { row, text: key.reveal().clone() })
}

/// Whether a user of this role may hand a key with these rights out.
///
/// # Errors
/// [`Kind::Forbidden`] when one of them is more than the role has.
pub fn check_role(scopes: KeyScopes, role: Role) -> Result<()> {
    if scopes.iter().all(|scope| role >= scope.least_role()) {
        return Ok(());
    }
    Err(Error::new(Kind::Forbidden, "role_insufficient", "Nobody makes a key that may do more than their own role."))
}

/// Changes a key's name or bounds.
///
/// # Errors
/// [`Kind::Invalid`] for what a key cannot be given; [`Kind::NotFound`] when the owner has no such key.
pub async fn change(app: &App, scope: &Scope, id: &str, change: &IssuedKeyChange, by: &Actor) -> Result<IssuedKeyRow> {
    check_name(change.name.as_deref().unwrap_or_default())?;
    check_bounds(change)?;
    let detail = json!({ "what": "key changed", "name": change.name, "per_minute": change.per_minute,
        "per_hour": change.per_hour, "daily_micro_usd": change.daily_micro_usd,
        "total_micro_usd": change.total_micro_usd });
    let store = trail::audited(app, record(app, scope, id, by, &detail)?);
    let row = store.update_issued_key(scope, id, change, app.clock.now()).await?.ok_or_else(Error::not_found)?;
    heard(app, scope, id).await;
    tell(app, scope, format!("key {id} was changed by {}", by.text()));
    Ok(row)
}

/// Makes a successor with the same rights; the key itself is honoured for `overlap` microseconds more, or not at all. The
/// successor ends when the key would have, unless another life is given.
///
/// # Errors
/// [`Kind::NotFound`] when the owner has no such key; [`Kind::Conflict`] when it was rotated before, revoked or has run
/// out; [`Kind::Invalid`] for an overlap out of bounds.
pub async fn rotate(
    app: &App,
    scope: &Scope,
    id: &str,
    overlap: Timestamp,
    expires_days: Option<u32>,
    by: &Actor,
) -> Result<Created> {
    let until = overlap_end(app, overlap)?;
    let now = app.clock.now();
    let Some(old) = app.store.get_issued_key(scope, id).await? else { return Err(Error::not_found()) };
    refuse_ended(&old, now)?;
    let key = SecretKey::generate(app.config.environment, app.entropy.as_ref())?;
    let row = IssuedKeyRow {
        id: key.id().to_owned(),
        environment: Some(app.config.environment),
        hash: key.hash().to_vec(),
        created_at: now,
        expires_at: expiry(expires_days, now)?.or(old.expires_at),
        last_used_at: None,
        ..old
    };
    let detail = json!({ "what": "key rotated", "successor": row.id, "honoured_until": until });
    let store = trail::audited(app, record(app, scope, id, by, &detail)?);
    if !store.rotate_issued_key(scope, id, &row, until, now).await? {
        // Somebody was faster; what they did is told.
        let now_is = app.store.get_issued_key(scope, id).await?.ok_or_else(Error::not_found)?;
        refuse_ended(&now_is, now)?;
        return Err(Error::internal("a key could not be rotated, and nothing is wrong with it"));
    }
    heard(app, scope, id).await;
    tell(app, scope, format!("key {id} was rotated to {} by {}", row.id, by.text()));
    Ok(Created { row, text: key.reveal().clone() })
}

/// What was changed is changed: where looking at what runs on the key fails, the poll of changes looks again.
async fn heard(app: &App, scope: &Scope, id: &str) {
    if let Err(error) = key_lookup::changed(app, Some(scope.owner()), id).await {
        tracing::warn!(source = error.source_line(), "what runs on a changed key is looked at again in a moment");
    }
}

/// Until when what is rotated now is honoured, in microseconds.
///
/// # Errors
/// [`Kind::Invalid`] for an overlap out of bounds.
pub(super) fn overlap_end(app: &App, overlap: Timestamp) -> Result<Timestamp> {
    if !(0..=LONGEST_OVERLAP).contains(&overlap) {
        return Err(Error::invalid("An overlap is at most 30 days."));
    }
    Ok(app.clock.now().saturating_add(overlap))
}

/// Revokes a key, named by its public id or by its whole text, for good and at once, by the operator.
///
/// # Errors
/// As [`revoke_by`].
pub async fn revoke(app: &App, scope: &Scope, named: &str) -> Result<String> {
    let id = SecretKey::public_part(named).unwrap_or(named);
    revoke_by(app, scope, id, &Actor::Operator).await?;
    Ok(id.to_owned())
}

/// Revokes a key for good and at once; what runs on it ends.
///
/// # Errors
/// [`Kind::NotFound`] when the owner has no such key or it was revoked before.
pub async fn revoke_by(app: &App, scope: &Scope, id: &str, by: &Actor) -> Result<()> {
    let entry = record(app, scope, id, by, &json!({ "what": "key revoked" }))?;
    let now = app.clock.now();
    let revoke = |store: Store| async move { store.revoke_issued_key(scope, id, now).await };
    // A leaked key ends, whether or not that can be recorded now.
    if !trail::always(app, entry, revoke).await? {
        return Err(Error::new(Kind::NotFound, "not_found", "There is no such key that is not revoked already."));
    }
    app.issued.end(id);
    tell(app, scope, format!("key {id} was revoked by {}", by.text()));
    Ok(())
}

/// Revokes every key of the owner, or every one that may do one thing, at once; returns their ids.
///
/// # Errors
/// When the store fails.
pub async fn revoke_all(app: &App, scope: &Scope, having: Option<KeyScope>, by: &Actor) -> Result<Vec<String>> {
    let detail = json!({ "what": "all keys revoked", "scope": having.map(KeyScope::as_str) });
    let entry = record(app, scope, "*", by, &detail)?;
    let now = app.clock.now();
    let revoked = Mutex::new(Vec::new());
    let revoke = |store: Store| {
        let revoked = &revoked;
        async move {
            let ids = store.revoke_issued_keys(scope, having, now).await?;
            let changed = !ids.is_empty();
            *revoked.lock().unwrap_or_else(PoisonError::into_inner) = ids;
            Ok(changed)
        }
    };
    trail::always(app, entry, revoke).await?;
    let ids = revoked.into_inner().unwrap_or_else(PoisonError::into_inner);
    for id in &ids {
        app.issued.end(id);
    }
    if !ids.is_empty() {
        tell(app, scope, format!("{} keys were revoked together by {}", ids.len(), by.text()));
    }
    Ok(ids)
}

fn refuse_ended(row: &IssuedKeyRow, now: Timestamp) -> Result<()> {
    let (code, text) = match KeyState::of(row, now) {
        KeyState::Revoked => ("key_revoked", "This key is revoked. Make another one in its place."),
        KeyState::Expired => ("key_expired", "This key has run out. Make another one in its place."),
        KeyState::Rotated | KeyState::Replaced => {
            ("key_rotated", "This key was rotated before. Rotate its successor, which the list of keys names.")
        }
        KeyState::Holds => return Ok(()),
    };
    Err(Error::new(Kind::Conflict, code, text))
}

async fn check(app: &App, scope: &Scope, new: &NewKey) -> Result<()> {
    check_name(&new.name)?;
    check_bounds(&new.bounds)?;
    if new.scopes.is_empty() {
        return Err(Error::invalid("scopes: name at least one of chat, gateway, realtime, feed:publish and manage."));
    }
    if new.sites.len() > MOST_LISTED || new.models.len() > MOST_LISTED {
        return Err(Error::invalid("A key lists at most 100 sites and 100 models."));
    }
    if new.models.iter().any(|model| model.is_empty() || model.len() > 200 || model.chars().any(char::is_control)) {
        return Err(Error::invalid("models: a model's name takes 1 to 200 bytes on one line."));
    }
    for site in &new.sites {
        if app.store.get_site(scope, *site).await?.is_none() {
            return Err(Error::invalid("sites: there is no such site. GET /api/v1/sites lists those there are."));
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<()> {
    if name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Error::invalid("A key's name takes at most 100 characters on one line."));
    }
    Ok(())
}

fn check_bounds(bounds: &IssuedKeyChange) -> Result<()> {
    let (money, requests) = HIGHEST;
    let within = |bound: Option<Option<i64>>, least: i64, most: i64| {
        bound.flatten().is_none_or(|bound| (least..=most).contains(&bound))
    };
    if !within(bounds.per_minute, 1, requests) || !within(bounds.per_hour, 1, requests) {
        return Err(Error::invalid(
            "A key's requests a minute and an hour are 1 to 1,000,000,000, or without a bound.",
        ));
    }
    if !within(bounds.daily_micro_usd, 0, money) || !within(bounds.total_micro_usd, 0, money) {
        return Err(Error::invalid("A key's budget is 0 to 1,000,000,000,000 micro-dollars, or without a bound."));
    }
    Ok(())
}

fn expiry(days: Option<u32>, now: Timestamp) -> Result<Option<Timestamp>> {
    match days {
        Some(days) if !(1..=3650).contains(&days) => {
            Err(Error::invalid("A key lives 1 to 3650 days, or without an end."))
        }
        days => Ok(days.map(|days| now + i64::from(days) * DAY)),
    }
}

fn record(app: &App, scope: &Scope, id: &str, by: &Actor, detail: &Value) -> Result<Arc<TrailEntry>> {
    trail::entry(app, EventName::IssuedKeyChanged, by, Some(scope.owner()), id, detail)
}

fn tell(app: &App, scope: &Scope, what: String) {
    let event = app.event(EventName::IssuedKeyChanged, Severity::Info, Outcome::Success);
    event.owner(scope.owner()).detail(what).emit();
}
