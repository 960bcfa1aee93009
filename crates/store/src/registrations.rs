//! Registrations: somebody from outside becomes an owner, a tenant of their own.
//!
//! Owns: the table `registrations`, a number a day. A place of the day is taken before anything is known of whoever
//! registers, so that known and unknown addresses cost the same one. Never adds a user to an owner that is there already.

use crate::owners;
use crate::statement::{Statement, execute};
use crate::store::Store;
use crate::users::{UserRow, insert};
use chatward_types::{OwnerId, Result, Scope, Timestamp};

const FORGET_DAYS: Statement = Statement::both("DELETE FROM registrations WHERE day < $1");
const CLAIM_PLACE: Statement = Statement::both(
    "INSERT INTO registrations (day, number) VALUES ($1, 1)
     ON CONFLICT (day) DO UPDATE SET number = registrations.number + 1 WHERE registrations.number < $2",
);

impl Store {
    /// Takes one of the `most` places of a day, which is a number of days since 1970. `false` when all are taken.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn claim_registration(&self, day: i64, most: u32) -> Result<bool> {
        let mut tx = self.write_global().await?;
        execute!(tx, FORGET_DAYS, day - 1)?;
        let claimed = execute!(tx, CLAIM_PLACE, day, most)?;
        tx.commit().await?;
        Ok(claimed == 1)
    }

    /// Adds an owner with its first user and the way to them.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the address has an account, with whatever owner; nothing is added then.
    pub async fn register_owner(
        &self,
        owner: OwnerId,
        name: &str,
        user: &UserRow,
        lookup: &str,
        now: Timestamp,
    ) -> Result<()> {
        let scope = Scope::of(owner);
        let mut tx = self.write(&scope).await?;
        owners::insert(&mut tx, owner, name, now).await?;
        insert(&mut tx, &scope, user, lookup).await?;
        tx.commit().await
    }
}
