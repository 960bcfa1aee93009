//! Publishable keys: rotated with an overlap in which a site answers to both, and revoked at once.
//!
//! Owns: what becomes of a site's keys. A visitor who is in already has a token of their own and stays in: a
//! publishable key is no secret and opens nothing but the door. Never makes a site's first key; `sites::add` does.

use crate::app::App;
use crate::ops::trail::{self, Actor};
use crate::ops::{issued_keys, sites};
use chatward_store::{SiteRow, Store, TrailEntry};
use chatward_types::{Error, EventName, Kind, Outcome, OwnerId, Result, Scope, Severity, SiteId, Timestamp};
use chatward_vault::PublishableKey;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

/// The most keys that a site answers to at once.
const MOST: usize = 10;

/// Gives a site another publishable key; the one before is honoured for `overlap` microseconds more, or not at all. A site
/// whose key was revoked gets one again.
///
/// # Errors
/// [`Kind::Conflict`] when somebody else rotated it meanwhile; [`Kind::Invalid`] for an overlap out of bounds or a site
/// that answers to ten keys already.
pub async fn rotate(app: &App, scope: &Scope, site: &SiteRow, overlap: Timestamp, by: &Actor) -> Result<SiteRow> {
    let until = issued_keys::overlap_end(app, overlap)?;
    let now = app.clock.now();
    let keys = app.store.site_keys(scope, site.id).await?;
    if keys.iter().filter(|key| key.honoured_until.is_none_or(|end| end > now)).count() >= MOST {
        return Err(Error::invalid("This site answers to 10 keys already. Wait until one ends, or cut them off."));
    }
    let new = PublishableKey::generate(app.config.environment, app.entropy.as_ref())?.to_string();
    let detail = json!({ "what": "publishable key rotated", "key": site.publishable_key, "honoured_until": until });
    let store = trail::audited(app, record(app, scope, &site.id.to_string(), by, &detail)?);
    if !store.rotate_site_key(scope, site.id, &site.publishable_key, &new, until, now).await? {
        return Err(Error::new(
            Kind::Conflict,
            "key_rotated",
            "This key is not its site's current one any more: it was rotated before.",
        ));
    }
    app.sites.forget(site.id);
    tell(app, scope, site.id, format!("the publishable key was rotated by {}", by.text()));
    app.store.get_site(scope, site.id).await?.ok_or_else(Error::not_found)
}

/// Ends a publishable key at once, on every node; returns its site.
///
/// # Errors
/// [`Kind::NotFound`] when there is no such key that is honoured.
pub async fn revoke(app: &App, owner: OwnerId, key: &str, by: &Actor) -> Result<SiteId> {
    let scope = Scope::of(owner);
    let sites = end(app, &scope, Some(key), by).await?;
    let site = sites.into_iter().next().ok_or_else(|| {
        Error::new(Kind::NotFound, "not_found", "There is no such publishable key that is not revoked already.")
    })?;
    tell(app, &scope, site, format!("a publishable key was revoked by {}", by.text()));
    Ok(site)
}

/// Ends every publishable key of an owner at once; returns the sites, which answer to none until they get another.
///
/// # Errors
/// When the store fails.
pub async fn revoke_all(app: &App, scope: &Scope, by: &Actor) -> Result<Vec<SiteId>> {
    let sites = end(app, scope, None, by).await?;
    for site in &sites {
        tell(app, scope, *site, format!("every publishable key was revoked by {}", by.text()));
    }
    Ok(sites)
}

async fn end(app: &App, scope: &Scope, key: Option<&str>, by: &Actor) -> Result<Vec<SiteId>> {
    let detail = json!({ "what": "publishable key revoked" });
    let entry = record(app, scope, key.unwrap_or("*"), by, &detail)?;
    let now = app.clock.now();
    let ended = Mutex::new(Vec::new());
    let revoke = |store: Store| {
        let ended = &ended;
        async move {
            let sites = store.revoke_site_keys(scope, key, now).await?;
            let changed = !sites.is_empty();
            *ended.lock().unwrap_or_else(PoisonError::into_inner) = sites;
            Ok(changed)
        }
    };
    // A revocation acts, whether or not it can be recorded now.
    trail::always(app, entry, revoke).await?;
    let sites = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
    for site in &sites {
        app.sites.forget(*site);
    }
    Ok(sites)
}

/// The site that a publishable key names, whether or not it still holds: for whoever rotates or revokes it.
///
/// # Errors
/// [`Kind::NotFound`] for an unknown key; [`Kind::Conflict`] for one that was rotated before or is revoked.
pub async fn rotatable(app: &App, key: &str) -> Result<(Scope, SiteRow)> {
    let Some((owner, id)) = app.store.find_site_key(key).await? else { return Err(Error::not_found()) };
    let scope = Scope::of(owner);
    let site = app.store.get_site(&scope, id).await?.ok_or_else(Error::not_found)?;
    if site.publishable_key != key {
        return Err(Error::new(
            Kind::Conflict,
            "key_rotated",
            "This key was rotated before. `chatward site list` shows its site's current one.",
        ));
    }
    if !sites::by_id(app, &scope, id).await?.is_some_and(|site| site.honours(key, app.clock.now())) {
        return Err(Error::new(
            Kind::Conflict,
            "key_revoked",
            "This key is revoked. Name its site instead, and the site gets another key.",
        ));
    }
    Ok((scope, site))
}

fn record(app: &App, scope: &Scope, subject: &str, by: &Actor, detail: &Value) -> Result<Arc<TrailEntry>> {
    trail::entry(app, EventName::IssuedKeyChanged, by, Some(scope.owner()), subject, detail)
}

fn tell(app: &App, scope: &Scope, site: SiteId, what: String) {
    let event = app.event(EventName::IssuedKeyChanged, Severity::Info, Outcome::Success);
    event.site(scope.owner(), site).detail(what).emit();
}
