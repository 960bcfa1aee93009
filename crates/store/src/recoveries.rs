//! Recoveries: links by which a user sets a password anew.
//!
//! Owns: the table `recoveries`, one row a user at most, there as long as its link holds. Whoever claims it removes it in
//! the transaction that sets the password, so that of two who try at once one succeeds. Never sees a link's secret, only
//! its hash.

use crate::engine_sql::LOCK_USERS;
use crate::statement::{Statement, execute, first, row, value};
use crate::store::Store;
use crate::tx::Tx;
use crate::user_changes::{self, Changed, Judge};
use crate::users::{UserRow, UserState};
use chatward_types::{OwnerId, Result, Role, Scope, Timestamp, UserId};

const INSERT_RECOVERY: Statement = Statement::both(
    "INSERT INTO recoveries (owner_id, user_id, hash, made_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
);
const GET_RECOVERY: Statement = Statement::both(
    "SELECT user_id, hash, made_by, created_at, expires_at FROM recoveries WHERE owner_id = $1 AND user_id = $2",
);
const END_RECOVERIES: Statement = Statement::both("DELETE FROM recoveries WHERE owner_id = $1");
const FORGET_RECOVERY: Statement = Statement::both("DELETE FROM recoveries WHERE owner_id = $1 AND user_id = $2");
const CLAIM_RECOVERY: Statement =
    Statement::both("DELETE FROM recoveries WHERE owner_id = $1 AND user_id = $2 AND hash = $3 AND expires_at > $4");

/// A link by which a user sets a password anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryRow {
    /// Whose password.
    pub user: UserId,
    /// SHA-256 of the link's token.
    pub hash: Vec<u8>,
    /// Who made it; nothing for the operator.
    pub made_by: Option<UserId>,
    /// When, in microseconds.
    pub created_at: Timestamp,
    /// When it ends, in microseconds.
    pub expires_at: Timestamp,
}
row!(RecoveryRow { user = "user_id", hash, made_by, created_at, expires_at });

impl Store {
    /// Adds a recovery in the place of the one before, if `judge` lets whoever makes it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn insert_recovery(&self, scope: &Scope, row: &RecoveryRow, judge: Option<Judge>) -> Result<Changed> {
        let mut tx = self.write(scope).await?;
        if let Err(refused) = user_changes::judged(&mut tx, scope, row.user, None, judge).await? {
            return Ok(refused);
        }
        forget(&mut tx, scope, row.user).await?;
        let (owner, hash) = (scope.owner(), row.hash.as_slice());
        execute!(tx, INSERT_RECOVERY, owner, row.user, hash, row.made_by, row.created_at, row.expires_at)?;
        tx.commit().await?;
        Ok(Changed::Done)
    }

    /// The recovery of a user.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_recovery(&self, scope: &Scope, user: UserId) -> Result<Option<RecoveryRow>> {
        let mut tx = self.read(scope).await?;
        let recovery = first!(RecoveryRow, tx, GET_RECOVERY, scope.owner(), user)?;
        tx.commit().await?;
        Ok(recovery)
    }

    /// Uses a recovery up: sets what proves the password and ends every login. `false` when it does not hold: used, replaced,
    /// run out, of a user who is shut out, or made by somebody whom `may` no longer lets, as they are now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn recover_user(
        &self,
        scope: &Scope,
        (id, hash): (UserId, &[u8]),
        password: &str,
        may: fn(&UserRow, &UserRow, Role) -> bool,
        now: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        let row = first!(RecoveryRow, tx, GET_RECOVERY, scope.owner(), id)?;
        if execute!(tx, CLAIM_RECOVERY, scope.owner(), id, hash, now)? == 0 {
            return Ok(false);
        }
        let judge = row.and_then(|row| row.made_by).map(|by| Judge { by, may });
        let target = user_changes::judged(&mut tx, scope, id, None, judge).await?;
        if !target.is_ok_and(|target| target.state == UserState::Active)
            || !user_changes::reset(&mut tx, scope, id, password, now).await?
        {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Removes a user's recovery, in the transaction that is the reason.
pub(crate) async fn forget(tx: &mut Tx, scope: &Scope, user: UserId) -> Result<()> {
    execute!(tx, FORGET_RECOVERY, scope.owner(), user)?;
    Ok(())
}

/// Ends every open recovery of an owner, in the transaction that is the reason.
pub(crate) async fn end_every(tx: &mut Tx, owner: OwnerId) -> Result<()> {
    execute!(tx, END_RECOVERIES, owner)?;
    Ok(())
}
