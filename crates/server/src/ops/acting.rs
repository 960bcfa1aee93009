//! Who changes an owner's things: a program with a secret key, or a user.
//!
//! Owns the one word that both fronts hand on, so that an operation and its event need not know which it was.

use crate::ops::trail::Actor;
use chatward_types::{OwnerId, SiteId, UserId};
use std::sync::Arc;

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
