//! Logins: a user's stays, one row a device, each with the hash of the one token that continues it.
//!
//! Owns: the table `logins`, bounded by the user. A rotation succeeds once for each token, on all nodes together, because
//! it names the hash that it replaces. Never sees a token.

use crate::changes::{change, record_change};
use crate::engine_sql::LOCK_USERS;
use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use crate::tx::Tx;
use crate::users::announce;
use chatward_types::{LoginId, OwnerId, Result, Scope, Timestamp, UserId};

const INSERT_LOGIN: Statement = Statement::both(
    "INSERT INTO logins (owner_id, id, user_id, hash, user_agent, network, created_at, last_used_at, expires_at, ended_at,
       proven_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, NULL, $9)",
);
const STANDS: Statement = Statement::both(
    "SELECT CAST(COUNT(*) AS BIGINT) FROM users
     WHERE owner_id = $1 AND id = $2 AND password = $3 AND state = 'active' AND COALESCE((
       SELECT confirmed_at FROM second_factors WHERE owner_id = $1 AND user_id = $2), 0) = $4",
);
const DELETE_OLDEST: Statement = Statement::both(
    "DELETE FROM logins WHERE owner_id = $1 AND user_id = $2 AND id <> $3 AND id NOT IN
       (SELECT id FROM logins WHERE owner_id = $1 AND user_id = $2 AND id <> $3
        ORDER BY created_at DESC, id DESC LIMIT $4)",
);
const GET_LOGIN: Statement = Statement::both(
    "SELECT id, user_id, hash, user_agent, network, created_at, last_used_at, expires_at, ended_at, proven_at, spent,
       (SELECT confirmed_at FROM second_factors f WHERE f.owner_id = $1 AND f.user_id = logins.user_id) AS factor_since
     FROM logins
     WHERE owner_id = $1 AND id = $2",
);
const LIST_LOGINS: Statement = Statement::both(
    "SELECT id, user_id, hash, user_agent, network, created_at, last_used_at, expires_at, ended_at, proven_at, spent,
       (SELECT confirmed_at FROM second_factors f WHERE f.owner_id = $1 AND f.user_id = logins.user_id) AS factor_since
     FROM logins
     WHERE owner_id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > $3
     ORDER BY last_used_at DESC, id DESC LIMIT 1000",
);
const ROTATE_LOGIN: Statement = Statement::both(
    "UPDATE logins SET hash = $4, network = $5, last_used_at = $6, expires_at = $7, spent = $8
     WHERE owner_id = $1 AND id = $2 AND hash = $3 AND ended_at IS NULL AND expires_at > $6",
);
const END_LOGIN: Statement =
    Statement::both("UPDATE logins SET ended_at = $3 WHERE owner_id = $1 AND id = $2 AND ended_at IS NULL");
const END_LOGINS: Statement =
    Statement::both("UPDATE logins SET ended_at = $3 WHERE owner_id = $1 AND user_id = $2 AND ended_at IS NULL");
const END_EVERY_LOGIN: Statement =
    Statement::both("UPDATE logins SET ended_at = $2 WHERE owner_id = $1 AND ended_at IS NULL");
const END_OTHER_LOGINS: Statement = Statement::both(
    "UPDATE logins SET ended_at = $4 WHERE owner_id = $1 AND user_id = $2 AND id <> $3 AND ended_at IS NULL",
);
const PROVE_LOGIN: Statement = Statement::both(
    "UPDATE logins SET proven_at = $4
     WHERE owner_id = $1 AND user_id = $2 AND id = $3 AND ended_at IS NULL AND expires_at > $4",
);
const UNPROVE_LOGINS: Statement =
    Statement::both("UPDATE logins SET proven_at = NULL WHERE owner_id = $1 AND user_id = $2");

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginRow {
    /// The id.
    pub id: LoginId,
    /// Whose it is.
    pub user: UserId,
    /// SHA-256 of the token that continues it.
    pub hash: Vec<u8>,
    /// What the device calls itself.
    pub user_agent: String,
    /// The network that it was last used from.
    pub network: String,
    /// When it began, in microseconds.
    pub created_at: Timestamp,
    /// When it was last continued, in microseconds.
    pub last_used_at: Timestamp,
    /// When it ends unless it is continued, in microseconds.
    pub expires_at: Timestamp,
    /// When it was ended, in microseconds.
    pub ended_at: Option<Timestamp>,
    /// When its user proved their second factor in it, in microseconds.
    pub proven_at: Option<Timestamp>,
    /// A digest of the token that was traded last, at `last_used_at`, and of who traded it.
    pub spent: Option<Vec<u8>>,
    /// Since when its user has a second factor, in microseconds, as it is while this is read.
    pub factor_since: Option<Timestamp>,
}
row!(LoginRow {
    id,
    user = "user_id",
    hash,
    user_agent,
    network,
    created_at,
    last_used_at,
    expires_at,
    ended_at,
    proven_at,
    spent,
    factor_since
});

/// What a rotation writes.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// The hash that must be there.
    pub from: &'a [u8],
    /// The hash in its place.
    pub to: &'a [u8],
    /// A digest of what is replaced and of who replaces it.
    pub spent: &'a [u8],
    /// The network that it came from.
    pub network: &'a str,
    /// When, in microseconds.
    pub now: Timestamp,
    /// When the login ends unless it is continued again, in microseconds.
    pub expires_at: Timestamp,
}

impl Store {
    /// Adds a login of an active user whose password is still proven by `proof`, and who has the second factor of
    /// `factor_since`, or none; of each user's the newest `most` stay. `false` when the user is not there, was shut out, or
    /// got another password or another factor meanwhile. `last_used_at`, `ended_at` and `spent` of the row do not count.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn insert_login(&self, scope: &Scope, login: &LoginRow, proof: &str, most: u32) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        // What ends every login of a user holds the same lock: it sees this one, or this one sees what it did.
        value!(String, tx, LOCK_USERS)?;
        if !stands(&mut tx, scope, login.user, proof, login.factor_since).await? {
            return Ok(false);
        }
        execute!(
            tx,
            INSERT_LOGIN,
            scope.owner(),
            login.id,
            login.user,
            login.hash.as_slice(),
            &login.user_agent,
            &login.network,
            login.created_at,
            login.expires_at,
            login.proven_at,
        )?;
        execute!(tx, DELETE_OLDEST, scope.owner(), login.user, login.id, most.saturating_sub(1))?;
        tx.commit().await?;
        Ok(true)
    }

    /// One login of the owner's users, ended ones among them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_login(&self, scope: &Scope, id: LoginId) -> Result<Option<LoginRow>> {
        let mut tx = self.read(scope).await?;
        let login = first!(LoginRow, tx, GET_LOGIN, scope.owner(), id)?;
        tx.commit().await?;
        Ok(login)
    }

    /// A user's logins that hold, the last used first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_logins(&self, scope: &Scope, user: UserId, now: Timestamp) -> Result<Vec<LoginRow>> {
        let mut tx = self.read(scope).await?;
        let logins = rows!(LoginRow, tx, LIST_LOGINS, scope.owner(), user, now)?;
        tx.commit().await?;
        Ok(logins)
    }

    /// Puts a new token in the place of one. `false` when that one does not continue the login, or nothing does.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rotate_login(&self, scope: &Scope, id: LoginId, rotation: Rotation<'_>) -> Result<bool> {
        let Rotation { from, to, spent, network, now, expires_at } = rotation;
        let mut tx = self.write(scope).await?;
        let rotated = execute!(tx, ROTATE_LOGIN, scope.owner(), id, from, to, network, now, expires_at, spent)?;
        tx.commit().await?;
        Ok(rotated == 1)
    }

    /// Ends a login for good. `false` when there is none that holds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_login(&self, scope: &Scope, id: LoginId, now: Timestamp) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        if execute!(tx, END_LOGIN, scope.owner(), id, now)? == 0 {
            return Ok(false);
        }
        // Requests read the row; open sockets have to hear of it.
        record_change(&mut tx, change::LOGIN_ENDED, Some(scope.owner()), &[&id.to_string()], now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Whether a user is active, has the password that `proof` proves, and the second factor of `factor_since`, or none; for a
/// transaction that holds [`LOCK_USERS`].
pub(crate) async fn stands(
    tx: &mut Tx,
    scope: &Scope,
    user: UserId,
    proof: &str,
    factor_since: Option<Timestamp>,
) -> Result<bool> {
    Ok(value!(i64, tx, STANDS, scope.owner(), user, proof, factor_since.unwrap_or(0))? == Some(1))
}

/// Ends every login of a user, in the transaction that is the reason.
pub(crate) async fn end_all(tx: &mut Tx, scope: &Scope, user: UserId, now: Timestamp) -> Result<()> {
    execute!(tx, END_LOGINS, scope.owner(), user, now)?;
    announce(tx, scope, user, now).await
}

/// Ends every login of an owner, in the transaction that is the reason, which holds [`LOCK_USERS`].
pub(crate) async fn end_every(tx: &mut Tx, owner: OwnerId, now: Timestamp) -> Result<u64> {
    execute!(tx, END_EVERY_LOGIN, owner, now)
}

/// Ends every login of a user but one, in the transaction that is the reason.
pub(crate) async fn end_others(tx: &mut Tx, scope: &Scope, user: UserId, stays: LoginId, now: Timestamp) -> Result<()> {
    execute!(tx, END_OTHER_LOGINS, scope.owner(), user, stays, now)?;
    announce(tx, scope, user, now).await
}

/// Notes that a login's user has proved their second factor in it. `false` when it does not hold.
pub(crate) async fn prove(tx: &mut Tx, scope: &Scope, user: UserId, id: LoginId, now: Timestamp) -> Result<bool> {
    Ok(execute!(tx, PROVE_LOGIN, scope.owner(), user, id, now)? == 1)
}

/// Forgets of every login of a user that a second factor was proven: it is gone.
pub(crate) async fn unprove_all(tx: &mut Tx, scope: &Scope, user: UserId) -> Result<()> {
    execute!(tx, UNPROVE_LOGINS, scope.owner(), user)?;
    Ok(())
}
