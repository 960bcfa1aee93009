//! Second factors: sealed secrets, and the hashes of the recovery codes beside them.
//!
//! Owns: the tables `second_factors` and `recovery_codes`. A code is taken once, on all nodes together: the step of a
//! code must be later than the last one that was taken, and a recovery code goes with its use. Whatever begins or ends a
//! factor holds the lock under which logins are made, so that none is made past it. Never sees a secret or a code.

use crate::engine_sql::LOCK_USERS;
use crate::logins;
use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use crate::tx::Tx;
use chatward_types::{LoginId, Result, Scope, Timestamp, UserId};

const BEGIN_FACTOR: Statement = Statement::both(
    "INSERT INTO second_factors (owner_id, user_id, sealed, begun_by, begun_at, confirmed_at, last_step)
     VALUES ($1, $2, $3, $4, $5, NULL, 0)
     ON CONFLICT (owner_id, user_id) DO UPDATE SET sealed = $3, begun_by = $4, begun_at = $5, last_step = 0
       WHERE second_factors.confirmed_at IS NULL",
);
const GET_FACTOR: Statement = Statement::both(
    "SELECT user_id, sealed, begun_by, begun_at, confirmed_at FROM second_factors WHERE owner_id = $1 AND user_id = $2",
);
const LIST_FACTORS: Statement = Statement::both(
    "SELECT user_id, sealed, begun_by, begun_at, confirmed_at FROM second_factors
     WHERE owner_id = $1 AND confirmed_at IS NOT NULL ORDER BY user_id LIMIT 1000",
);
const CONFIRM_FACTOR: Statement = Statement::both(
    "UPDATE second_factors SET confirmed_at = $5, last_step = $6
     WHERE owner_id = $1 AND user_id = $2 AND begun_by = $3 AND sealed = $4 AND confirmed_at IS NULL",
);
const TAKE_STEP: Statement = Statement::both(
    "UPDATE second_factors SET last_step = $4
     WHERE owner_id = $1 AND user_id = $2 AND confirmed_at = $3 AND last_step < $4",
);
const DELETE_FACTOR: Statement =
    Statement::both("DELETE FROM second_factors WHERE owner_id = $1 AND user_id = $2 AND confirmed_at = $3");
const DELETE_ANY_FACTOR: Statement = Statement::both("DELETE FROM second_factors WHERE owner_id = $1 AND user_id = $2");
const IS_FACTOR: Statement = Statement::both(
    "SELECT CAST(COUNT(*) AS BIGINT) FROM second_factors WHERE owner_id = $1 AND user_id = $2 AND confirmed_at = $3",
);
const INSERT_CODE: Statement =
    Statement::both("INSERT INTO recovery_codes (owner_id, user_id, hash) VALUES ($1, $2, $3)");
const TAKE_CODE: Statement =
    Statement::both("DELETE FROM recovery_codes WHERE owner_id = $1 AND user_id = $2 AND hash = $3");
const DELETE_CODES: Statement = Statement::both("DELETE FROM recovery_codes WHERE owner_id = $1 AND user_id = $2");
const COUNT_CODES: Statement =
    Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM recovery_codes WHERE owner_id = $1 AND user_id = $2");

/// A user's second factor, begun or active.
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactorRow {
    /// Whose it is.
    pub user: UserId,
    /// The sealed secret.
    pub sealed: Vec<u8>,
    /// The login that began it, and that alone may confirm it.
    pub begun_by: LoginId,
    /// When it was begun, in microseconds.
    pub begun_at: Timestamp,
    /// Since when it is asked for, in microseconds; nothing while it is only begun.
    pub confirmed_at: Option<Timestamp>,
}
row!(SecondFactorRow { user = "user_id", sealed, begun_by, begun_at, confirmed_at });

impl std::fmt::Debug for SecondFactorRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactorRow").field("user", &self.user).finish_non_exhaustive()
    }
}

/// What makes a factor that was begun an active one.
#[derive(Debug, Clone, Copy)]
pub struct Activation<'a> {
    /// The login that began it.
    pub login: LoginId,
    /// The sealed secret whose code was right.
    pub sealed: &'a [u8],
    /// The step of that code, which is taken by it.
    pub step: i64,
    /// The hashes of the recovery codes.
    pub codes: &'a [[u8; 32]],
    /// When, in microseconds.
    pub now: Timestamp,
}

impl Store {
    /// Begins a second factor in the place of one that was only begun. `false` when the user has an active one.
    /// `confirmed_at` of the row does not count.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin_second_factor(&self, scope: &Scope, factor: &SecondFactorRow) -> Result<bool> {
        let SecondFactorRow { user, sealed, begun_by, begun_at, .. } = factor;
        let mut tx = self.write(scope).await?;
        let begun = execute!(tx, BEGIN_FACTOR, scope.owner(), *user, sealed.as_slice(), *begun_by, *begun_at)?;
        tx.commit().await?;
        Ok(begun == 1)
    }

    /// A user's second factor, active or begun.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_second_factor(&self, scope: &Scope, user: UserId) -> Result<Option<SecondFactorRow>> {
        let mut tx = self.read(scope).await?;
        let factor = first!(SecondFactorRow, tx, GET_FACTOR, scope.owner(), user)?;
        tx.commit().await?;
        Ok(factor)
    }

    /// The owner's active second factors, at most 1000.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_second_factors(&self, scope: &Scope) -> Result<Vec<SecondFactorRow>> {
        let mut tx = self.read(scope).await?;
        let factors = rows!(SecondFactorRow, tx, LIST_FACTORS, scope.owner())?;
        tx.commit().await?;
        Ok(factors)
    }

    /// Makes the factor that was begun an active one: its recovery codes are those of `activation`, its login counts as
    /// proven, and every other login of the user ends. `false` when the factor was begun anew or confirmed meanwhile, or the
    /// login does not hold; then nothing is changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn activate_second_factor(
        &self,
        scope: &Scope,
        user: UserId,
        activation: Activation<'_>,
    ) -> Result<bool> {
        let Activation { login, sealed, step, codes, now } = activation;
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        let confirmed = execute!(tx, CONFIRM_FACTOR, scope.owner(), user, login, sealed, now, step)?;
        if confirmed != 1 || !logins::prove(&mut tx, scope, user, login, now).await? {
            return Ok(false);
        }
        replace_codes(&mut tx, scope, user, codes).await?;
        logins::end_others(&mut tx, scope, user, login, now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes the code of a step of the factor that is active since `since`. `false` when that is not the user's factor, or
    /// this step or a later one was taken before.
    ///
    /// # Errors
    /// When the database does not answer; the step may be taken then, or not.
    pub async fn take_second_factor_step(
        &self,
        scope: &Scope,
        user: UserId,
        since: Timestamp,
        step: i64,
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        let taken = execute!(tx, TAKE_STEP, scope.owner(), user, since, step)?;
        tx.commit().await?;
        Ok(taken == 1)
    }

    /// Takes a recovery code of a user. `false`, and nothing is written, when there is none with this hash.
    ///
    /// # Errors
    /// When the database does not answer; the code may be taken then, or not.
    pub async fn take_recovery_code(&self, scope: &Scope, user: UserId, hash: &[u8; 32]) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        if execute!(tx, TAKE_CODE, scope.owner(), user, hash.as_slice())? != 1 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// How many recovery codes a user has left.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_recovery_codes(&self, scope: &Scope, user: UserId) -> Result<u64> {
        let mut tx = self.read(scope).await?;
        let count = value!(i64, tx, COUNT_CODES, scope.owner(), user)?.unwrap_or(0);
        tx.commit().await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Puts other recovery codes in the place of all that the factor has which is active since `since`. `false` when that
    /// is not the user's factor any more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replace_recovery_codes(
        &self,
        scope: &Scope,
        user: UserId,
        since: Timestamp,
        codes: &[[u8; 32]],
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        if value!(i64, tx, IS_FACTOR, scope.owner(), user, since)? != Some(1) {
            return Ok(false);
        }
        replace_codes(&mut tx, scope, user, codes).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes the factor that is active since `since`, with its recovery codes; the user's logins stay, and none counts as
    /// proven. `false` when that is not the user's factor any more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove_second_factor(&self, scope: &Scope, user: UserId, since: Timestamp) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        if execute!(tx, DELETE_FACTOR, scope.owner(), user, since)? != 1 {
            return Ok(false);
        }
        execute!(tx, DELETE_CODES, scope.owner(), user)?;
        logins::unprove_all(&mut tx, scope, user).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Removes whatever second factor a user has, active or begun, and ends every login of theirs. `false` when they have
    /// none; then nothing is changed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reset_second_factor(&self, scope: &Scope, user: UserId, now: Timestamp) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_USERS)?;
        if execute!(tx, DELETE_ANY_FACTOR, scope.owner(), user)? != 1 {
            return Ok(false);
        }
        execute!(tx, DELETE_CODES, scope.owner(), user)?;
        logins::end_all(&mut tx, scope, user, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

async fn replace_codes(tx: &mut Tx, scope: &Scope, user: UserId, codes: &[[u8; 32]]) -> Result<()> {
    execute!(tx, DELETE_CODES, scope.owner(), user)?;
    for hash in codes {
        execute!(tx, INSERT_CODE, scope.owner(), user, hash.as_slice())?;
    }
    Ok(())
}
