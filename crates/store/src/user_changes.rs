//! Changes of users: role, state, name, password, and the end of an account.
//!
//! Holds what only a transaction can: an owner is never left without a user who may do everything, and whoever changes
//! another is judged as both of them are at that moment, however many do so at once. Every change of role, state or
//! password takes open recoveries with it. Never sees a password; what proves one comes in hashed.

use crate::engine_sql::LOCK_USERS;
use crate::statement::{Statement, execute, value};
use crate::store::Store;
use crate::tx::Tx;
use crate::users::{UserRow, UserState, announce, get};
use crate::{logins, recoveries};
use chatward_types::{LoginId, Result, Role, Scope, Timestamp, UserId};

const COUNT_OWNERS: Statement = Statement::both(
    "SELECT CAST(COUNT(*) AS BIGINT) FROM users WHERE owner_id = $1 AND role = 'owner' AND state = 'active'",
);
const CHANGE_USER: Statement = Statement::both(
    "UPDATE users SET name = $3, role = $4, state = $5, updated_at = $6 WHERE owner_id = $1 AND id = $2",
);
const DELETE_USER: Statement = Statement::both("DELETE FROM users WHERE owner_id = $1 AND id = $2");
const SET_PASSWORD: Statement =
    Statement::both("UPDATE users SET password = $3, updated_at = $4 WHERE owner_id = $1 AND id = $2");
const UPGRADE_PASSWORD: Statement = Statement::both(
    "UPDATE users SET password = $4, updated_at = $5 WHERE owner_id = $1 AND id = $2 AND password = $3",
);

/// A partial change of a user; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserChange {
    /// Another full name.
    pub name: Option<String>,
    /// Another role.
    pub role: Option<Role>,
    /// Whether they may log in.
    pub state: Option<UserState>,
}

/// Who changes a user, and the rule by which that is judged inside the transaction. Without one it is the operator.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    /// The user who acts.
    pub by: UserId,
    /// Whether the first may do something to the second, who would have this role then.
    pub may: fn(&UserRow, &UserRow, Role) -> bool,
}

/// What a change of a user came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// It is done.
    Done,
    /// The owner has no such user.
    Missing,
    /// Nobody who may do everything would be left; nothing was changed.
    LastOwner,
    /// Whoever acts may not do this to them; nothing was changed.
    Forbidden,
}

impl Store {
    /// Changes a user. Whoever is shut out or let in loses every login.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn change_user(
        &self,
        scope: &Scope,
        id: UserId,
        change: &UserChange,
        judge: Option<Judge>,
        now: Timestamp,
    ) -> Result<Changed> {
        let mut tx = self.write(scope).await?;
        let before = match judged(&mut tx, scope, id, change.role, judge).await? {
            Ok(before) => before,
            Err(refused) => return Ok(refused),
        };
        let name = change.name.as_ref().unwrap_or(&before.name);
        let (role, state) = (change.role.unwrap_or(before.role), change.state.unwrap_or(before.state));
        execute!(tx, CHANGE_USER, scope.owner(), id, name, role, state, now)?;
        if role != before.role || state != before.state {
            recoveries::forget(&mut tx, scope, id).await?;
        }
        if state != before.state {
            logins::end_all(&mut tx, scope, id, now).await?;
        } else if role != before.role {
            announce(&mut tx, scope, id, now).await?;
        }
        settle(tx, scope, &before).await
    }

    /// Removes a user with their logins, invitations and recoveries, and the way to them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete_user(
        &self,
        scope: &Scope,
        id: UserId,
        judge: Option<Judge>,
        now: Timestamp,
    ) -> Result<Changed> {
        let mut tx = self.write(scope).await?;
        let before = match judged(&mut tx, scope, id, None, judge).await? {
            Ok(before) => before,
            Err(refused) => return Ok(refused),
        };
        execute!(tx, DELETE_USER, scope.owner(), id)?;
        announce(&mut tx, scope, id, now).await?;
        settle(tx, scope, &before).await
    }

    /// Removes a user as [`Store::delete_user`] does, if `proof` still proves their password and they still have the second
    /// factor of `factor_since`, or none; [`Changed::Forbidden`] otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn delete_own_user(
        &self,
        scope: &Scope,
        id: UserId,
        (proof, factor_since): (&str, Option<Timestamp>),
        now: Timestamp,
    ) -> Result<Changed> {
        let mut tx = self.write(scope).await?;
        let before = match judged(&mut tx, scope, id, None, None).await? {
            Ok(before) => before,
            Err(refused) => return Ok(refused),
        };
        if !logins::stands(&mut tx, scope, id, proof, factor_since).await? {
            return Ok(Changed::Forbidden);
        }
        execute!(tx, DELETE_USER, scope.owner(), id)?;
        announce(&mut tx, scope, id, now).await?;
        settle(tx, scope, &before).await
    }

    /// Sets what proves a user's password and ends every login of theirs. `false` without such a user.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reset_user_password(&self, scope: &Scope, id: UserId, password: &str, now: Timestamp) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        if !reset(&mut tx, scope, id, password, now).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Puts another password's proof in the place of one and ends every login but `kept`. `false` when it is not that one
    /// any more: of two at once one succeeds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn change_user_password(
        &self,
        scope: &Scope,
        id: UserId,
        (from, to): (&str, &str),
        kept: LoginId,
        now: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        if execute!(tx, UPGRADE_PASSWORD, scope.owner(), id, from, to, now)? == 0 {
            return Ok(false);
        }
        recoveries::forget(&mut tx, scope, id).await?;
        logins::end_others(&mut tx, scope, id, kept, now).await?;
        tx.commit().await?;
        Ok(true)
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
        if execute!(tx, UPGRADE_PASSWORD, scope.owner(), id, from, to, now)? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Sets what proves a password and ends what the one before had opened. `false` without such a user.
pub(crate) async fn reset(tx: &mut Tx, scope: &Scope, id: UserId, password: &str, now: Timestamp) -> Result<bool> {
    if execute!(tx, SET_PASSWORD, scope.owner(), id, password, now)? == 0 {
        return Ok(false);
    }
    recoveries::forget(tx, scope, id).await?;
    logins::end_all(tx, scope, id, now).await?;
    Ok(true)
}

/// The user as they are, if whoever acts may act on them; from here on other changes of users wait.
pub(crate) async fn judged(
    tx: &mut Tx,
    scope: &Scope,
    id: UserId,
    role: Option<Role>,
    judge: Option<Judge>,
) -> Result<Result<UserRow, Changed>> {
    value!(String, tx, LOCK_USERS)?;
    let Some(target) = get(tx, scope, id).await? else { return Ok(Err(Changed::Missing)) };
    if let Some(Judge { by, may }) = judge {
        let acting = get(tx, scope, by).await?.filter(|acting| acting.state == UserState::Active);
        if !acting.is_some_and(|acting| may(&acting, &target, role.unwrap_or(target.role))) {
            return Ok(Err(Changed::Forbidden));
        }
    }
    Ok(Ok(target))
}

/// Commits a change of a user unless they were the last who may do everything.
async fn settle(mut tx: Tx, scope: &Scope, before: &UserRow) -> Result<Changed> {
    let was_one = before.role == Role::Owner && before.state == UserState::Active;
    if was_one && value!(i64, tx, COUNT_OWNERS, scope.owner())? == Some(0) {
        return Ok(Changed::LastOwner);
    }
    tx.commit().await?;
    Ok(Changed::Done)
}
