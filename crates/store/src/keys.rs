//! The rings of signing keys.
//!
//! Owns: the table `signing_keys`, and the rotation: a new key, its place as the one that signs, the end of the others and
//! the news of it are one transaction, and two rotations at once follow one another. The keys are sealed by the vault for
//! the installation. Never opens one, nor decides how long one goes on checking.

use crate::changes::{change, record_change};
use crate::engine_sql::LOCK_USERS;
use crate::statement::{Statement, execute, row, rows, value};
use crate::store::{Store, set_owner};
use crate::tx::Tx;
use crate::{invitations, logins, recoveries, settings};
use chatward_types::{Result, Timestamp};

const INSERT_KEY: Statement = Statement::both(
    "INSERT INTO signing_keys (kid, purpose, algorithm, state, sealed, created_at, until_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (kid) DO NOTHING",
);
/// The one that signs is named by a setting, and comes first.
const SIGNING_KEYS: Statement = Statement::both(
    "SELECT kid, purpose, algorithm, state, sealed, created_at, until_at FROM signing_keys
     LEFT JOIN settings ON settings.name = $2 AND settings.value = signing_keys.kid
     WHERE purpose = $1 ORDER BY CASE WHEN settings.value IS NULL THEN 1 ELSE 0 END, created_at, kid LIMIT 1000",
);
const EVERY_KEY: Statement = Statement::both(
    "SELECT kid, purpose, algorithm, state, sealed, created_at, until_at FROM signing_keys
     ORDER BY purpose, created_at DESC, kid LIMIT 10000",
);
const RETIRE_KEYS: Statement = Statement::both(
    "UPDATE signing_keys SET state = 'checking', until_at = $3 WHERE purpose = $1 AND kid <> $2 AND until_at IS NULL",
);
const CUT_KEYS: Statement = Statement::both("DELETE FROM signing_keys WHERE purpose = $1 AND kid <> $2");
const DELETE_ENDED: Statement = Statement::both("DELETE FROM signing_keys WHERE until_at <= $1");

/// Owners that are looked at together.
const OWNERS_AT_ONCE: u32 = 500;

/// A signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKeyRow {
    /// The key's public name, in every token that it signed.
    pub kid: String,
    /// What it signs: `visitor`, …
    pub purpose: String,
    /// What it signs by: `HS256` or `EdDSA`.
    pub algorithm: String,
    /// Where it is in its life: `active`, or `checking` after a rotation.
    pub state: String,
    /// The key, sealed by the vault.
    pub sealed: Vec<u8>,
    /// When it was made, in microseconds.
    pub created_at: Timestamp,
    /// Until when its signatures hold, in microseconds; open while it is the one that signs, and for what is kept for ever.
    pub until_at: Option<Timestamp>,
}
row!(SigningKeyRow { kid, purpose, algorithm, state, sealed, created_at, until_at });

/// What becomes of the keys before the new one.
#[derive(Debug, Clone, Copy)]
pub enum KeyEnd {
    /// They check until then; `None` for ever.
    Checks(Option<Timestamp>),
    /// They are gone, and with them whatever they signed.
    Cut {
        /// Whether every login, invitation and recovery of every owner goes too.
        people: bool,
    },
}

/// The setting that names the key that signs for a purpose.
pub fn signer_setting(purpose: &str) -> String {
    format!("signing.{purpose}")
}

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
            &key.algorithm,
            &key.state,
            key.sealed.as_slice(),
            key.created_at,
            key.until_at,
        )?;
        tx.commit().await?;
        Ok(inserted == 1)
    }

    /// All keys of a purpose: the one that signs first (the setting [`signer_setting`] names it), the others oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn signing_keys(&self, purpose: &str) -> Result<Vec<SigningKeyRow>> {
        let mut tx = self.read_global().await?;
        let keys = rows!(SigningKeyRow, tx, SIGNING_KEYS, purpose, signer_setting(purpose))?;
        tx.commit().await?;
        Ok(keys)
    }

    /// The keys of every purpose, by purpose, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn all_signing_keys(&self) -> Result<Vec<SigningKeyRow>> {
        let mut tx = self.read_global().await?;
        let keys = rows!(SigningKeyRow, tx, EVERY_KEY)?;
        tx.commit().await?;
        Ok(keys)
    }

    /// Puts a new key in the place of the one that signs, on every node. Returns how many logins were ended.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn rotate_signing_key(&self, key: &SigningKeyRow, end: KeyEnd, now: Timestamp) -> Result<u64> {
        let mut tx = self.write_global().await?;
        // First: whoever rotates the same ring waits here, and then sees the key that this one makes.
        settings::replace(&mut tx, &signer_setting(&key.purpose), &key.kid).await?;
        execute!(
            tx,
            INSERT_KEY,
            &key.kid,
            &key.purpose,
            &key.algorithm,
            &key.state,
            key.sealed.as_slice(),
            key.created_at,
            key.until_at,
        )?;
        let mut ended = 0;
        match end {
            KeyEnd::Checks(until) => {
                execute!(tx, RETIRE_KEYS, &key.purpose, &key.kid, until)?;
            }
            KeyEnd::Cut { people } => {
                execute!(tx, CUT_KEYS, &key.purpose, &key.kid)?;
                if people {
                    ended = self.end_people(&mut tx, now).await?;
                }
            }
        }
        record_change(&mut tx, change::SIGNING_CHANGED, None, &[&key.purpose], now).await?;
        tx.commit().await?;
        Ok(ended)
    }

    /// Ends every login, invitation and recovery of every owner, some owners at a time. Returns how many logins.
    async fn end_people(&self, tx: &mut Tx, now: Timestamp) -> Result<u64> {
        value!(String, tx, LOCK_USERS)?;
        let (mut ended, mut after) = (0, None);
        loop {
            // Read beside the transaction: an owner is set in it, and sees itself alone.
            let owners = self.admin_owners(after, OWNERS_AT_ONCE).await?;
            let Some(last) = owners.last() else { return Ok(ended) };
            after = Some(*last);
            for owner in owners {
                set_owner(tx, owner).await?;
                ended += logins::end_every(tx, owner, now).await?;
                invitations::end_every(tx, owner).await?;
                recoveries::end_every(tx, owner).await?;
            }
        }
    }

    /// Removes keys whose signatures hold no more. Returns how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_signing_keys(&self, now: Timestamp) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let pruned = execute!(tx, DELETE_ENDED, now)?;
        tx.commit().await?;
        Ok(pruned)
    }
}
