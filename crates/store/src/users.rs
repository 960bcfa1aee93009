//! Users: people's accounts with an owner.
//!
//! Owns: the tables `users` and `user_directory`, always changed together. The directory is global, because an account is
//! looked up before its owner is known; it leads from the keyed hash of an address to the account and holds nothing else.
//! How a user is changed is `user_changes`. Never sees a password; what proves one comes in hashed.

use crate::changes::{change, record_change};
use crate::engine_sql::LOCK_USERS;
use crate::invitations::{self, InvitationRow};
use crate::settings;
use crate::statement::{Statement, execute, first, row, rows, value, words};
use crate::store::Store;
use crate::tx::Tx;
use chatward_types::{InvitationId, OwnerId, Result, Role, Scope, Timestamp, UserId};

const INSERT_USER: Statement = Statement::both(
    "INSERT INTO users (owner_id, id, email, name, role, password, state, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
);
const INSERT_DIRECTORY: Statement =
    Statement::both("INSERT INTO user_directory (owner_id, lookup, user_id) VALUES ($1, $2, $3)");
const FIND_USER: Statement = Statement::both("SELECT owner_id, user_id FROM user_directory WHERE lookup = $1");
const GET_USER: Statement = Statement::both(
    "SELECT id, email, name, role, password, state, created_at, updated_at FROM users
     WHERE owner_id = $1 AND id = $2",
);
const LIST_USERS: Statement = Statement::both(
    "SELECT id, email, name, role, password, state, created_at, updated_at FROM users
     WHERE owner_id = $1 ORDER BY created_at, id LIMIT 1000",
);
const PAGE_USERS: Statement = Statement::both(
    "SELECT id, email, name, role, password, state, created_at, updated_at FROM users
     WHERE owner_id = $1 AND id > $2 ORDER BY id LIMIT $3",
);
const COUNT_USERS: Statement = Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM users WHERE owner_id = $1");

/// Whether a user may log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserState {
    /// May.
    Active,
    /// May not, and no token of theirs holds.
    Disabled,
}
words!(UserState { Active = "active", Disabled = "disabled" });

/// A user.
#[derive(Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The id.
    pub id: UserId,
    /// The e-mail address in the form in which it is compared.
    pub email: String,
    /// The full name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// What proves their password.
    pub password: String,
    /// Whether they may log in.
    pub state: UserState,
    /// When the account was made, in microseconds.
    pub created_at: Timestamp,
    /// When it was last changed, in microseconds.
    pub updated_at: Timestamp,
}
row!(UserRow { id, email, name, role, password, state, created_at, updated_at });

impl std::fmt::Debug for UserRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The hash of a password is worth guessing at.
        f.debug_struct("UserRow").field("id", &self.id).field("role", &self.role).finish_non_exhaustive()
    }
}

struct Entry {
    owner: OwnerId,
    user: UserId,
}
row!(Entry { owner = "owner_id", user = "user_id" });

impl Store {
    /// Adds a user and the way to them. `updated_at` of the row does not count.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the address has an account, with whatever owner.
    pub async fn insert_user(&self, scope: &Scope, user: &UserRow, lookup: &str) -> Result<()> {
        let mut tx = self.write(scope).await?;
        insert(&mut tx, scope, user, lookup).await?;
        tx.commit().await
    }

    /// Adds the first user, if the owner has none and the setting still has this value, which is used up by it. `false`
    /// when either is not so; of several at once one succeeds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn insert_first_user(
        &self,
        scope: &Scope,
        user: &UserRow,
        lookup: &str,
        setting: &str,
        proof: &str,
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        let none_yet = value!(i64, tx, COUNT_USERS, scope.owner())? == Some(0);
        if !settings::claim(&mut tx, setting, proof).await? || !none_yet {
            return Ok(false);
        }
        insert(&mut tx, scope, user, lookup).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Adds a user for an invitation, which is used up by it, if `stands` says so of whoever sent it, as they are now.
    /// `false` when the invitation is not there any more or does not stand.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the address has an account meanwhile; the invitation stays.
    pub async fn insert_invited_user(
        &self,
        scope: &Scope,
        user: &UserRow,
        lookup: &str,
        invitation: InvitationId,
        stands: fn(&UserRow, &InvitationRow) -> bool,
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        // A change of the sender holds the same lock: it sees this user, or this sees the change.
        value!(String, tx, LOCK_USERS)?;
        let Some(row) = invitations::get(&mut tx, scope, invitation).await? else { return Ok(false) };
        let sender = get(&mut tx, scope, row.invited_by).await?;
        if !sender.is_some_and(|sender| stands(&sender, &row))
            || !invitations::claim(&mut tx, scope, invitation).await?
        {
            return Ok(false);
        }
        insert(&mut tx, scope, user, lookup).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whose account an address is. Global: it is asked before an owner is known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_user(&self, lookup: &str) -> Result<Option<(OwnerId, UserId)>> {
        let mut tx = self.read_global().await?;
        let entry = first!(Entry, tx, FIND_USER, lookup)?;
        tx.commit().await?;
        Ok(entry.map(|entry| (entry.owner, entry.user)))
    }

    /// One user of the owner.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_user(&self, scope: &Scope, id: UserId) -> Result<Option<UserRow>> {
        let mut tx = self.read(scope).await?;
        let user = get(&mut tx, scope, id).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Up to `limit` of the owner's users in the order of their ids, those after `after`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn page_users(&self, scope: &Scope, after: Option<UserId>, limit: u32) -> Result<Vec<UserRow>> {
        let after = after.map_or_else(String::new, |id| id.to_string());
        let mut tx = self.read(scope).await?;
        let users = rows!(UserRow, tx, PAGE_USERS, scope.owner(), after, limit)?;
        tx.commit().await?;
        Ok(users)
    }

    /// The owner's users, oldest first; at most 1000.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_users(&self, scope: &Scope) -> Result<Vec<UserRow>> {
        let mut tx = self.read(scope).await?;
        let users = rows!(UserRow, tx, LIST_USERS, scope.owner())?;
        tx.commit().await?;
        Ok(users)
    }

    /// How many users the owner has, disabled ones among them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_users(&self, scope: &Scope) -> Result<u64> {
        let mut tx = self.read(scope).await?;
        let count = value!(i64, tx, COUNT_USERS, scope.owner())?.unwrap_or(0);
        tx.commit().await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

/// One user of the owner, in a transaction that goes on.
pub(crate) async fn get(tx: &mut Tx, scope: &Scope, id: UserId) -> Result<Option<UserRow>> {
    first!(UserRow, tx, GET_USER, scope.owner(), id)
}

/// Adds a user and the way to them, in a transaction that goes on.
pub(crate) async fn insert(tx: &mut Tx, scope: &Scope, user: &UserRow, lookup: &str) -> Result<()> {
    let owner = scope.owner();
    execute!(
        tx,
        INSERT_USER,
        owner,
        user.id,
        &user.email,
        &user.name,
        user.role,
        &user.password,
        user.state,
        user.created_at,
    )?;
    execute!(tx, INSERT_DIRECTORY, owner, lookup, user.id)?;
    Ok(())
}

/// Requests read a user's row; open sockets have to hear that it changed.
pub(crate) async fn announce(tx: &mut Tx, scope: &Scope, id: UserId, now: Timestamp) -> Result<()> {
    record_change(tx, change::USER_CHANGED, Some(scope.owner()), &[&id.to_string()], now).await
}
