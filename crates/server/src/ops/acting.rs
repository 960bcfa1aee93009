//! Who changes an owner's things: a program with a secret key, or a user.
//!
//! Owns the one word that both fronts hand on, so that an operation and its event need not know which it was.

use crate::app::App;
use crate::ops::trail::Actor;
use chatward_types::{Error, OwnerId, Result, UserId};

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
}

impl Acting {
    /// A program.
    pub fn with_key(owner: OwnerId, id: &str) -> Self {
        Self { owner, how: format!("with key {id}"), actor: Actor::Key(id.into()) }
    }

    /// A user.
    pub fn by_user(owner: OwnerId, id: UserId) -> Self {
        Self { owner, how: format!("by user {id}"), actor: Actor::User(id) }
    }
}
