//! Attempts to log in, by the keyed hash of the address that was tried.
//!
//! Owns: the table `login_attempts`, global because an address is tried before an owner is known, and the same for
//! addresses with and without an account. An attempt is counted before it is judged, so that many at once are not one.
//! Never knows an address, nor how an attempt ended but by being told to forget.

use crate::statement::{Statement, execute, value};
use crate::store::Store;
use chatward_types::{Error, Result, Timestamp};

const COUNT_ATTEMPT: Statement = Statement::both(
    "INSERT INTO login_attempts (lookup, attempts, held_until, last_at) VALUES ($1, 1, 0, $2)
     ON CONFLICT (lookup) DO UPDATE SET attempts = login_attempts.attempts + 1, last_at = $2
       WHERE login_attempts.held_until <= $2",
);
const ATTEMPTS: Statement = Statement::both("SELECT attempts FROM login_attempts WHERE lookup = $1");
const HELD_UNTIL: Statement = Statement::both("SELECT held_until FROM login_attempts WHERE lookup = $1");
const HOLD: Statement = Statement::both("UPDATE login_attempts SET held_until = $2 WHERE lookup = $1");
const FORGET: Statement = Statement::both("DELETE FROM login_attempts WHERE lookup = $1");
const PRUNE: Statement = Statement::both("DELETE FROM login_attempts WHERE last_at < $1");
const PRUNE_BEYOND: Statement = Statement::both(
    "DELETE FROM login_attempts WHERE lookup IN
       (SELECT lookup FROM login_attempts ORDER BY last_at DESC, lookup LIMIT 1000000000 OFFSET $1)",
);

/// Whether an attempt may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It may, and is counted: so many since the last that succeeded.
    Counted(i64),
    /// Not before this time, in microseconds; it is not counted.
    Held(Timestamp),
}

impl Store {
    /// Counts an attempt, unless the address is held. After it the address is held for as long as `hold` says of its
    /// number, in microseconds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_login_attempt(
        &self,
        lookup: &str,
        now: Timestamp,
        hold: impl Fn(i64) -> Timestamp + Send,
    ) -> Result<Attempt> {
        let missing = || Error::internal("an attempt vanished while it was counted");
        let mut tx = self.write_global().await?;
        if execute!(tx, COUNT_ATTEMPT, lookup, now)? == 0 {
            return value!(i64, tx, HELD_UNTIL, lookup)?.map(Attempt::Held).ok_or_else(missing);
        }
        let number = value!(i64, tx, ATTEMPTS, lookup)?.ok_or_else(missing)?;
        execute!(tx, HOLD, lookup, now.saturating_add(hold(number)))?;
        tx.commit().await?;
        Ok(Attempt::Counted(number))
    }

    /// Forgets the attempts of an address. `false` when there were none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn forget_login_attempts(&self, lookup: &str) -> Result<bool> {
        let mut tx = self.write_global().await?;
        if execute!(tx, FORGET, lookup)? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Forgets addresses that were last tried before `before`, and the least recent beyond `most`. Returns how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_login_attempts(&self, before: Timestamp, most: u32) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let old = execute!(tx, PRUNE, before)?;
        let beyond = execute!(tx, PRUNE_BEYOND, most)?;
        tx.commit().await?;
        Ok(old + beyond)
    }
}
