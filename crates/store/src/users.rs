//! Users: people's accounts with an owner.
//!
//! Owns: the tables `users` and `user_directory`, always changed together. The directory is global, because an account is
//! looked up before its owner is known; it leads from the keyed hash of an address to the account and holds nothing else.
//! Holds the one rule that only a transaction can: an owner is never left without a user who may do everything.
//! Never sees a password; what proves one comes in hashed.

use crate::engine_sql::LOCK_USERS;
use crate::statement::{Statement, execute, first, row, rows, value, words};
use crate::store::Store;
use crate::tx::Tx;
use crate::{invitations, logins, settings};
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
const COUNT_USERS: Statement = Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM users WHERE owner_id = $1");
const COUNT_OWNERS: Statement = Statement::both(
    "SELECT CAST(COUNT(*) AS BIGINT) FROM users WHERE owner_id = $1 AND role = 'owner' AND state = 'active'",
);
const SET_STATE: Statement =
    Statement::both("UPDATE users SET state = $3, updated_at = $4 WHERE owner_id = $1 AND id = $2");
const SET_ROLE: Statement =
    Statement::both("UPDATE users SET role = $3, updated_at = $4 WHERE owner_id = $1 AND id = $2");
const SET_PASSWORD: Statement =
    Statement::both("UPDATE users SET password = $3, updated_at = $4 WHERE owner_id = $1 AND id = $2");

const UPGRADE_PASSWORD: Statement = Statement::both(
    "UPDATE users SET password = $4, updated_at = $5 WHERE owner_id = $1 AND id = $2 AND password = $3",
);

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

/// What a change of a user came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done,
    /// The owner has no such user.
    Missing,
    /// Nobody who may do everything would be left; nothing was changed.
    LastOwner,
}

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

    /// Adds a user for an invitation, which is used up by it. `false` when it is not there any more.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the address has an account meanwhile; the invitation stays.
    pub async fn insert_invited_user(
        &self,
        scope: &Scope,
        user: &UserRow,
        lookup: &str,
        invitation: InvitationId,
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        if !invitations::claim(&mut tx, scope, invitation).await? {
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
        let user = first!(UserRow, tx, GET_USER, scope.owner(), id)?;
        tx.commit().await?;
        Ok(user)
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

    /// Lets a user in or shuts them out; either way every login of theirs ends.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_user_state(&self, scope: &Scope, id: UserId, state: UserState, now: Timestamp) -> Result<Changed> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        let touched = execute!(tx, SET_STATE, scope.owner(), id, state, now)?;
        logins::end_all(&mut tx, scope, id, now).await?;
        settle(tx, scope, touched).await
    }

    /// Gives a user another role.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_user_role(&self, scope: &Scope, id: UserId, role: Role, now: Timestamp) -> Result<Changed> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        let touched = execute!(tx, SET_ROLE, scope.owner(), id, role, now)?;
        settle(tx, scope, touched).await
    }

    /// Sets what proves a user's password and ends every login of theirs. `false` without such a user.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reset_user_password(&self, scope: &Scope, id: UserId, password: &str, now: Timestamp) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        let touched = execute!(tx, SET_PASSWORD, scope.owner(), id, password, now)?;
        logins::end_all(&mut tx, scope, id, now).await?;
        tx.commit().await?;
        Ok(touched == 1)
    }

    /// Puts another proof of the same password in the place of one; logins stay. `false` when it is not that one any more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn upgrade_user_password(
        &self,
        scope: &Scope,
        id: UserId,
        from: &str,
        to: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        let touched = execute!(tx, UPGRADE_PASSWORD, scope.owner(), id, from, to, now)?;
        tx.commit().await?;
        Ok(touched == 1)
    }
}

/// Adds a user and the way to them, in a transaction that does more.
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

/// Commits a change of one user unless it leaves nobody who may do everything.
async fn settle(mut tx: Tx, scope: &Scope, touched: u64) -> Result<Changed> {
    if touched == 0 {
        return Ok(Changed::Missing);
    }
    if value!(i64, tx, COUNT_OWNERS, scope.owner())? == Some(0) {
        return Ok(Changed::LastOwner);
    }
    tx.commit().await?;
    Ok(Changed::Done)
}
