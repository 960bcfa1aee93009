//! Tickets that were traded.
//!
//! Owns: the table `spent_tickets`, where a second trade of the same ticket conflicts with the first, on whatever node it
//! is tried. Never knows what a ticket gives, and keeps none beyond its own end.

use crate::statement::{Statement, execute};
use crate::store::Store;
use chatward_types::{Result, Timestamp};

const SPEND_TICKET: Statement =
    Statement::both("INSERT INTO spent_tickets (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING");
const PRUNE_TICKETS: Statement = Statement::both("DELETE FROM spent_tickets WHERE expires_at < $1");

impl Store {
    /// Spends a ticket, durably. `false` when it was spent before: then it is worth nothing.
    ///
    /// # Errors
    /// When the database does not answer; it may be spent then, or not.
    pub async fn spend_ticket(&self, id: &str, expires_at: Timestamp) -> Result<bool> {
        let mut tx = self.write_global().await?;
        let inserted = execute!(tx, SPEND_TICKET, id, expires_at)?;
        tx.commit().await?;
        Ok(inserted == 1)
    }

    /// Forgets tickets that ran out before `before`. Returns how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_tickets(&self, before: Timestamp) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let removed = execute!(tx, PRUNE_TICKETS, before)?;
        tx.commit().await?;
        Ok(removed)
    }
}
