//! When keys that come from outside were seen first.
//!
//! Owns: the table `key_sightings`. It holds keyed hashes, which say nothing about a key to whoever lacks the hash's key.
//! Never sees one.

use crate::statement::{Statement, execute, value};
use crate::store::Store;
use chatward_types::{Result, Timestamp};

const INSERT_SIGHTING: Statement = Statement::both(
    "INSERT INTO key_sightings (fingerprint, first_seen_at) VALUES ($1, $2) ON CONFLICT (fingerprint) DO NOTHING",
);
const FIRST_SEEN: Statement = Statement::both("SELECT first_seen_at FROM key_sightings WHERE fingerprint = $1");

impl Store {
    /// When a fingerprint was seen first; now, if it never was.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sight_key(&self, fingerprint: &str, now: Timestamp) -> Result<Timestamp> {
        let mut tx = self.read_global().await?;
        let known = value!(i64, tx, FIRST_SEEN, fingerprint)?;
        tx.commit().await?;
        if let Some(known) = known {
            return Ok(known);
        }
        let mut tx = self.write_global().await?;
        execute!(tx, INSERT_SIGHTING, fingerprint, now)?;
        let first = value!(i64, tx, FIRST_SEEN, fingerprint)?.unwrap_or(now);
        tx.commit().await?;
        Ok(first)
    }
}
