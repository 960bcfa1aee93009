//! The master key that wraps, and its replacement by another.
//!
//! Owns: the settings that name the key and the rotation under way, the fence around what is sealed (a value under a key that
//! wraps no more is never committed), and the exchange of wrapped bytes for others, each only where the old ones still stand.
//! A list of what is under a key is found by the bytes that everything of that key begins with. Never opens anything.

use crate::changes::{change, record_change};
use crate::engine_sql::HOLD_SETTING;
use crate::settings;
use crate::statement::{Statement, execute, row, rows, value};
use crate::store::{Store, set_owner};
use crate::tx::Tx;
use chatward_types::{Error, Kind, OwnerId, Result, Timestamp};

/// The setting that names the master key that wraps.
pub const MASTER_KEY_CURRENT: &str = "master_key.current";
/// The code of the refusal of what was sealed under a master key that wraps no more: seal it again.
pub const MASTER_KEY_MOVED: &str = "master_key_moved";
/// The setting that holds the state of a rotation.
const ROTATION: &str = "master_key.rotation";

const ADMIN_DATA_KEYS_UNDER: Statement = Statement::both(
    "SELECT owner_id, version, wrapped FROM data_keys WHERE substr(wrapped, 1, length($1)) = $1
     ORDER BY owner_id, version LIMIT $2",
);
const REPLACE_WRAPPED: Statement =
    Statement::both("UPDATE data_keys SET wrapped = $4 WHERE owner_id = $1 AND version = $2 AND wrapped = $3");
const REPLACE_SEALED: Statement = Statement::both("UPDATE signing_keys SET sealed = $3 WHERE kid = $1 AND sealed = $2");

/// An owner's data key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedRow {
    /// Whose.
    pub owner: OwnerId,
    /// Which of the owner's.
    pub version: u32,
    /// The key, wrapped.
    pub wrapped: Vec<u8>,
}
row!(WrappedRow { owner = "owner_id", version, wrapped });

/// Refuses to go on when another master key wraps than this one, and keeps it from being replaced until the end of the
/// transaction. Called first in a transaction.
pub(crate) async fn expect_current(tx: &mut Tx, id: &str) -> Result<()> {
    match value!(String, tx, HOLD_SETTING, MASTER_KEY_CURRENT)? {
        Some(current) if current != id => {
            Err(Error::new(Kind::Conflict, MASTER_KEY_MOVED, "The master key was replaced at this moment. Try again."))
        }
        _ => Ok(()),
    }
}

impl Store {
    /// The state of the rotation under way, as [`Store::begin_master_key_rotation`] and the others set it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn master_key_rotation(&self) -> Result<Option<String>> {
        self.get_setting(ROTATION).await
    }

    /// Begins a rotation. `false` when there is one, or `from` is not the key that wraps: nothing is written then.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn begin_master_key_rotation(&self, state: &str, from: &str) -> Result<bool> {
        let mut tx = self.write_global().await?;
        let wraps = value!(String, tx, HOLD_SETTING, MASTER_KEY_CURRENT)?;
        if wraps.as_deref() != Some(from) || !settings::set(&mut tx, ROTATION, state).await? {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Sets a rotation that is in state `from` to `to`, and has every node read the keys again. `false` when it is not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn advance_master_key_rotation(&self, from: &str, to: &str, now: Timestamp) -> Result<bool> {
        let mut tx = self.write_global().await?;
        if !settings::swap(&mut tx, ROTATION, from, to).await? {
            return Ok(false);
        }
        record_change(&mut tx, change::MASTER_KEYS_CHANGED, None, &[""], now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Lets another master key wrap from now on, on every node. `keys` are the one before and the new one; `since` is the
    /// setting of the new one's age. `false` when the rotation is not in state `from`, or another key wraps.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replace_master_key(
        &self,
        (from, to): (&str, &str),
        keys: (&str, &str),
        since: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.write_global().await?;
        // First: whoever writes what was sealed under the old key has it locked, and is waited for.
        if !settings::swap(&mut tx, MASTER_KEY_CURRENT, keys.0, keys.1).await?
            || !settings::swap(&mut tx, ROTATION, from, to).await?
        {
            return Ok(false);
        }
        settings::set(&mut tx, since, &now.to_string()).await?;
        record_change(&mut tx, change::MASTER_KEYS_CHANGED, None, &[""], now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Ends a rotation that is in state `from`; `retired` is the setting that says that a key is needed no more. `false` when
    /// it is in another state.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn end_master_key_rotation(&self, from: &str, retired: &str, now: Timestamp) -> Result<bool> {
        let mut tx = self.write_global().await?;
        if !settings::claim(&mut tx, ROTATION, from).await? {
            return Ok(false);
        }
        settings::set(&mut tx, retired, &now.to_string()).await?;
        record_change(&mut tx, change::MASTER_KEYS_CHANGED, None, &[""], now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Up to `limit` data keys that the master key of this mark wrapped, of every owner.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_data_keys_under(&self, mark: &[u8], limit: u32) -> Result<Vec<WrappedRow>> {
        let mut tx = self.admin("admin_data_keys_under").await?;
        let keys = rows!(WrappedRow, tx, ADMIN_DATA_KEYS_UNDER, mark, limit)?;
        tx.commit().await?;
        Ok(keys)
    }

    /// Puts other wrapped bytes in the place of these, in one transaction: a bounded number a call. What was changed
    /// meanwhile is left alone. Returns how many were replaced.
    ///
    /// # Errors
    /// When the database does not answer; [`MASTER_KEY_MOVED`] where the store is fenced.
    pub async fn replace_wrapped(&self, keys: &[(WrappedRow, Vec<u8>)]) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let mut replaced = 0;
        for (row, wrapped) in keys {
            set_owner(&mut tx, row.owner).await?;
            let old = row.wrapped.as_slice();
            replaced += execute!(tx, REPLACE_WRAPPED, row.owner, row.version, old, wrapped.as_slice())?;
        }
        tx.commit().await?;
        Ok(replaced)
    }

    /// The same for signing keys: kid, old bytes, new bytes.
    ///
    /// # Errors
    /// As [`Store::replace_wrapped`].
    pub async fn replace_sealed(&self, keys: &[(String, Vec<u8>, Vec<u8>)]) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let mut replaced = 0;
        for (kid, old, new) in keys {
            replaced += execute!(tx, REPLACE_SEALED, kid, old.as_slice(), new.as_slice())?;
        }
        tx.commit().await?;
        Ok(replaced)
    }

    /// Sets a setting, or removes it, and has every node read the providers' keys again. `false` when there is nothing to
    /// remove.
    ///
    /// # Errors
    /// When the database does not answer; [`MASTER_KEY_MOVED`] where the store is fenced.
    pub async fn put_provider_key(&self, name: &str, value: Option<&str>, now: Timestamp) -> Result<bool> {
        let mut tx = self.write_global().await?;
        match value {
            Some(value) => settings::replace(&mut tx, name, value).await?,
            None if !settings::remove(&mut tx, name).await? => return Ok(false),
            None => {}
        }
        record_change(&mut tx, change::PROVIDER_KEYS_CHANGED, None, &[""], now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
