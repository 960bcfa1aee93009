//! Daily budgets, as numbers under a name; the unit is the caller's (millionths of a US dollar).
//!
//! Owns: the table `budget_days` and the one statement that can never take beyond the cap, however many nodes ask at
//! once. Never knows a price, an owner's rows or what day it is.

use crate::statement::{Statement, execute, value};
use crate::store::Store;
use chatward_types::{Error, Result};

// A first taking inserts; the caller has checked it against the cap. Later ones add only where the sum stays within it.
const TAKE_BUDGET: Statement = Statement::both(
    "INSERT INTO budget_days (name, day, taken) VALUES ($1, $2, $3)
     ON CONFLICT (name, day) DO UPDATE SET taken = budget_days.taken + $3 WHERE budget_days.taken + $3 <= $4",
);
const RETURN_BUDGET: Statement = Statement::both(
    "UPDATE budget_days SET taken = CASE WHEN taken > $3 THEN taken - $3 ELSE 0 END WHERE name = $1 AND day = $2",
);
const BUDGET_TAKEN: Statement = Statement::both("SELECT taken FROM budget_days WHERE name = $1 AND day = $2");
const PRUNE_BUDGETS: Statement = Statement::both("DELETE FROM budget_days WHERE day < $1");

impl Store {
    /// Takes `amount` from the budget `name` of `day` (a number of days, the caller's) unless that would pass `cap`.
    /// Returns what was granted: all of it or 0.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`] for a negative amount.
    pub async fn take_budget(&self, name: &str, day: i64, amount: i64, cap: i64) -> Result<i64> {
        if amount < 0 {
            return Err(Error::invalid("A budget cannot grant a negative amount."));
        }
        if amount > cap {
            return Ok(0);
        }
        let mut tx = self.write_global().await?;
        let granted = execute!(tx, TAKE_BUDGET, name, day, amount, cap)?;
        tx.commit().await?;
        Ok(if granted == 1 { amount } else { 0 })
    }

    /// Gives back what was taken and not used. Never below nothing.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`] for a negative amount.
    pub async fn return_budget(&self, name: &str, day: i64, amount: i64) -> Result<()> {
        if amount < 0 {
            return Err(Error::invalid("A budget cannot take back a negative amount."));
        }
        let mut tx = self.write_global().await?;
        execute!(tx, RETURN_BUDGET, name, day, amount)?;
        tx.commit().await
    }

    /// What is taken of a day's budget.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn budget_taken(&self, name: &str, day: i64) -> Result<i64> {
        let mut tx = self.read_global().await?;
        let taken = value!(i64, tx, BUDGET_TAKEN, name, day)?.unwrap_or(0);
        tx.commit().await?;
        Ok(taken)
    }

    /// Removes the budgets of days before `day`. Returns how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_budgets(&self, day: i64) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let pruned = execute!(tx, PRUNE_BUDGETS, day)?;
        tx.commit().await?;
        Ok(pruned)
    }
}
