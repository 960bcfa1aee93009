//! The ring of signing keys.
//!
//! Owns: the table `signing_keys`. The keys are sealed by the vault for the installation.
//! Never opens one; which of them signs and which only verify is the caller's rule.

use crate::statement::{Statement, execute, row, rows};
use crate::store::Store;
use chatward_types::{Result, Timestamp};

const INSERT_KEY: Statement = Statement::both(
    "INSERT INTO signing_keys (kid, purpose, state, sealed, created_at, until_at) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (kid) DO NOTHING",
);
const SIGNING_KEYS: Statement = Statement::both(
    "SELECT kid, purpose, state, sealed, created_at, until_at FROM signing_keys
     WHERE purpose = $1 ORDER BY created_at, kid LIMIT 1000",
);

/// A signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// The key's public name, in every token that it signed.
    pub kid: String,
    /// What it signs: `visitor`, …
    pub purpose: String,
    /// Where it is in its life: `active`, `retired`, …
    pub state: String,
    /// The key, sealed by the vault.
    pub sealed: Vec<u8>,
    /// When it was made, in microseconds.
    pub created_at: Timestamp,
    /// Until when its signatures hold, in microseconds; open while it is the one that signs.
    pub until_at: Option<Timestamp>,
}
row!(SigningKeyRow { kid, purpose, state, sealed, created_at, until_at });

impl Store {
    /// Adds a key. `false` when that kid is there already (another node was faster: read it back).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn insert_signing_key(&self, key: &SigningKeyRow) -> Result<bool> {
        let mut tx = self.write_global().await?;
        let inserted = execute!(
            tx,
            INSERT_KEY,
            &key.kid,
            &key.purpose,
            &key.state,
            key.sealed.as_slice(),
            key.created_at,
            key.until_at,
        )?;
        tx.commit().await?;
        Ok(inserted == 1)
    }

    /// All keys of a purpose, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn signing_keys(&self, purpose: &str) -> Result<Vec<SigningKeyRow>> {
        let mut tx = self.read_global().await?;
        let keys = rows!(SigningKeyRow, tx, SIGNING_KEYS, purpose)?;
        tx.commit().await?;
        Ok(keys)
    }
}
