//! Who a visitor is by the word of the site's owner, and the secret that the owner signs that word with.
//!
//! Owns: the columns `sites.identity_secret` and `sessions.identity`, both sealed by the vault. They end with their site
//! and session. Never opens either.

use crate::statement::{Statement, execute, value};
use crate::store::Store;
use chatward_types::{Result, Scope, SessionId, SiteId};

const SET_IDENTITY_SECRET: Statement =
    Statement::both("UPDATE sites SET identity_secret = $3 WHERE owner_id = $1 AND id = $2");
const IDENTITY_SECRET: Statement = Statement::both(
    "SELECT identity_secret FROM sites WHERE owner_id = $1 AND id = $2 AND identity_secret IS NOT NULL",
);
const SET_SESSION_IDENTITY: Statement =
    Statement::both("UPDATE sessions SET identity = $3 WHERE owner_id = $1 AND id = $2");
const SESSION_IDENTITY: Statement =
    Statement::both("SELECT identity FROM sessions WHERE owner_id = $1 AND id = $2 AND identity IS NOT NULL");

impl Store {
    /// Sets the sealed secret of a site; what was signed with the one before no longer holds. `false` without a site.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_identity_secret(&self, scope: &Scope, site: SiteId, sealed: &[u8]) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        if execute!(tx, SET_IDENTITY_SECRET, scope.owner(), site, sealed)? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// The sealed secret of a site, where it has one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn identity_secret(&self, scope: &Scope, site: SiteId) -> Result<Option<Vec<u8>>> {
        let mut tx = self.read(scope).await?;
        let sealed = value!(Vec<u8>, tx, IDENTITY_SECRET, scope.owner(), site)?;
        tx.commit().await?;
        Ok(sealed)
    }

    /// Sets the sealed identity of a session's visitor. `false` without a session.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_session_identity(&self, scope: &Scope, session: &SessionId, sealed: &[u8]) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        let set = execute!(tx, SET_SESSION_IDENTITY, scope.owner(), session, sealed)?;
        tx.commit().await?;
        Ok(set == 1)
    }

    /// The sealed identity of a session's visitor, where it has one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn session_identity(&self, scope: &Scope, session: &SessionId) -> Result<Option<Vec<u8>>> {
        let mut tx = self.read(scope).await?;
        let sealed = value!(Vec<u8>, tx, SESSION_IDENTITY, scope.owner(), session)?;
        tx.commit().await?;
        Ok(sealed)
    }
}
