//! Who changes an owner's things: a program with a secret key, or a user.
//!
//! Owns the one word that both fronts hand on, so that an operation and its event need not know which it was.

use crate::app::App;
use crate::ops::trail::Actor;
use chatward_store::SiteRow;
use chatward_types::{Error, OwnerId, Result, Scope, SiteId, UserId};
use std::sync::Arc;

/// Whether this owner is the installation's own, whose administrators look after everybody: after blocks, the lockdown and
/// the events of no owner.
///
/// # Errors
/// [`chatward_types::Kind::NotFound`] for every other owner.
pub fn of_installation(app: &App, owner: OwnerId) -> Result<()> {
    if owner == app.owner { Ok(()) } else { Err(Error::not_found()) }
}

/// On whose behalf a request acts; a request extension.
#[derive(Debug, Clone)]
pub struct Acting {
    /// Whose things it may touch.
    pub owner: OwnerId,
    /// With what it proved that, for the event: `with key …` or `by user …`.
    pub how: String,
    /// The same, for the audit trail.
    pub actor: Actor,
    /// The sites that a key is for; all where there is none.
    sites: Arc<[SiteId]>,
}

impl Acting {
    /// A program.
    pub fn with_key(owner: OwnerId, id: &str, sites: Arc<[SiteId]>) -> Self {
        Self { owner, how: format!("with key {id}"), actor: Actor::Key(id.into()), sites }
    }

    /// A user.
    pub fn by_user(owner: OwnerId, id: UserId) -> Self {
        Self { owner, how: format!("by user {id}"), actor: Actor::User(id), sites: Arc::from([]) }
    }

    /// Whether it reaches every site of the owner.
    pub fn reaches_all(&self) -> bool {
        self.sites.is_empty()
    }

    /// Whether it reaches this site, where the owner has it.
    pub fn reaches(&self, site: SiteId) -> bool {
        self.reaches_all() || self.sites.contains(&site)
    }
}

/// Up to `limit` sites that it reaches, in the order of their ids, those after `after` alone.
///
/// # Errors
/// When the store fails.
pub async fn sites_after(app: &App, acting: &Acting, after: Option<SiteId>, limit: u32) -> Result<Vec<SiteRow>> {
    let scope = Scope::of(acting.owner);
    if acting.reaches_all() {
        return app.store.list_sites_after(&scope, after, limit).await;
    }
    let mut ids: Vec<SiteId> = acting.sites.to_vec();
    ids.retain(|id| after.is_none_or(|after| id.as_bytes() > after.as_bytes()));
    ids.sort_by_key(|id| *id.as_bytes());
    ids.dedup();
    let mut rows = Vec::new();
    for id in ids {
        if rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX) {
            break;
        }
        // One that was removed since is still on the key's list.
        rows.extend(app.store.get_site(&scope, id).await?);
    }
    Ok(rows)
}
