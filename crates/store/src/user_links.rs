//! Links: which user an outside issuer means by a subject.
//!
//! Owns: the tables `user_links` and `user_link_directory`, always changed together. The directory is global, because a
//! token is looked up before its owner is known; it leads from a keyed hash of issuer and subject to the user. A subject of
//! an issuer is one user; a user has a few links at most. Never sees a token.

use crate::engine_sql::LOCK_USERS;
use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use crate::tx::Tx;
use crate::users::{self, UserRow};
use chatward_types::{OwnerId, Result, Scope, Timestamp, UserId};

const INSERT_LINK: Statement = Statement::both(
    "INSERT INTO user_links (owner_id, lookup, user_id, issuer, subject, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
);
const INSERT_DIRECTORY: Statement =
    Statement::both("INSERT INTO user_link_directory (owner_id, lookup, user_id) VALUES ($1, $2, $3)");
const FIND_LINK: Statement = Statement::both("SELECT owner_id, user_id FROM user_link_directory WHERE lookup = $1");
const LIST_LINKS: Statement = Statement::both(
    "SELECT lookup, user_id, issuer, subject, created_at FROM user_links
     WHERE owner_id = $1 AND user_id = $2 ORDER BY created_at, lookup LIMIT 100",
);
const COUNT_LINKS: Statement =
    Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM user_links WHERE owner_id = $1 AND user_id = $2");
const COUNT_USERS: Statement = Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM users WHERE owner_id = $1");
const DELETE_LINK: Statement =
    Statement::both("DELETE FROM user_links WHERE owner_id = $1 AND lookup = $2 AND user_id = $3");

/// Links of one user.
pub const MOST_LINKS: i64 = 16;

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserLinkRow {
    /// The keyed hash of issuer and subject.
    pub lookup: String,
    /// The user.
    pub user: UserId,
    /// The issuer's own name, the `iss` of its tokens.
    pub issuer: String,
    /// Its word for the user, the `sub` of its tokens.
    pub subject: String,
    /// When it was made, in microseconds.
    pub created_at: Timestamp,
}
row!(UserLinkRow { lookup, user = "user_id", issuer, subject, created_at });

struct Entry {
    owner: OwnerId,
    user: UserId,
}
row!(Entry { owner = "owner_id", user = "user_id" });

impl Store {
    /// Adds a link of a user. `false` when the user has [`MOST_LINKS`] already.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the subject is somebody's already, with whatever owner;
    /// [`chatward_types::Kind::NotFound`] without such a user.
    pub async fn insert_user_link(&self, scope: &Scope, link: &UserLinkRow) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        if value!(i64, tx, COUNT_LINKS, scope.owner(), link.user)?.unwrap_or(0) >= MOST_LINKS {
            return Ok(false);
        }
        insert(&mut tx, scope, link).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Adds a user together with the link that they come by. `false` when the owner has `most` users already.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the address has an account, or the subject is somebody's, with whatever owner;
    /// nothing is added then.
    pub async fn insert_linked_user(
        &self,
        scope: &Scope,
        user: &UserRow,
        user_lookup: &str,
        link: &UserLinkRow,
        most: u32,
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        if value!(i64, tx, COUNT_USERS, scope.owner())?.unwrap_or(0) >= i64::from(most) {
            return Ok(false);
        }
        users::insert(&mut tx, scope, user, user_lookup).await?;
        insert(&mut tx, scope, link).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whom a subject of an issuer is. Global: it is asked before an owner is known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_user_link(&self, lookup: &str) -> Result<Option<(OwnerId, UserId)>> {
        let mut tx = self.read_global().await?;
        let entry = first!(Entry, tx, FIND_LINK, lookup)?;
        tx.commit().await?;
        Ok(entry.map(|entry| (entry.owner, entry.user)))
    }

    /// A user's links, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_user_links(&self, scope: &Scope, user: UserId) -> Result<Vec<UserLinkRow>> {
        let mut tx = self.read(scope).await?;
        let links = rows!(UserLinkRow, tx, LIST_LINKS, scope.owner(), user)?;
        tx.commit().await?;
        Ok(links)
    }

    /// Removes a link of a user, with the way to it. `false` when the user has no such link.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete_user_link(&self, scope: &Scope, user: UserId, lookup: &str) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        let deleted = execute!(tx, DELETE_LINK, scope.owner(), lookup, user)?;
        if deleted == 1 {
            tx.commit().await?;
        }
        Ok(deleted == 1)
    }
}

async fn insert(tx: &mut Tx, scope: &Scope, link: &UserLinkRow) -> Result<()> {
    let owner = scope.owner();
    execute!(tx, INSERT_LINK, owner, &link.lookup, link.user, &link.issuer, &link.subject, link.created_at)?;
    execute!(tx, INSERT_DIRECTORY, owner, &link.lookup, link.user)?;
    Ok(())
}
