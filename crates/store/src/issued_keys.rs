//! Secret keys that owners have: hashes only.
//!
//! Owns: the tables `issued_keys` and `issued_key_directory`, always changed together. The directory is global, because a
//! key is looked up before its owner is known; it leads from the public id to the owner and holds nothing else.
//! Never sees a key, never compares one, never decides whether one holds.

use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use chatward_types::{KeyScope, OwnerId, Result, Scope, Timestamp};

const INSERT_ISSUED_KEY: Statement = Statement::both(
    "INSERT INTO issued_keys (owner_id, id, name, scope, hash, created_at, expires_at, revoked_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)",
);
const INSERT_KEY_DIRECTORY: Statement =
    Statement::both("INSERT INTO issued_key_directory (id, owner_id) VALUES ($1, $2)");
const FIND_KEY_OWNER: Statement = Statement::both("SELECT owner_id FROM issued_key_directory WHERE id = $1");
const GET_ISSUED_KEY: Statement = Statement::both(
    "SELECT id, name, scope, hash, created_at, expires_at, revoked_at FROM issued_keys
     WHERE owner_id = $1 AND id = $2",
);
const LIST_ISSUED_KEYS: Statement = Statement::both(
    "SELECT id, name, scope, hash, created_at, expires_at, revoked_at FROM issued_keys
     WHERE owner_id = $1 ORDER BY created_at, id LIMIT 1000",
);
/// Those that hold; what has ended takes no room.
const COUNT_ISSUED_KEYS: Statement = Statement::both(
    "SELECT CAST(COUNT(*) AS BIGINT) FROM issued_keys
     WHERE owner_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
);
const REVOKE_ISSUED_KEY: Statement =
    Statement::both("UPDATE issued_keys SET revoked_at = $3 WHERE owner_id = $1 AND id = $2 AND revoked_at IS NULL");

/// A key, without what would let anybody use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedKeyRow {
    /// The public part of the key.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scope: KeyScope,
    /// SHA-256 of the whole key.
    pub hash: Vec<u8>,
    /// When it was made, in microseconds.
    pub created_at: Timestamp,
    /// When it ends, in microseconds; open where it does not.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, in microseconds.
    pub revoked_at: Option<Timestamp>,
}
row!(IssuedKeyRow { id, name, scope, hash, created_at, expires_at, revoked_at });

impl Store {
    /// Adds a key and its entry in the directory. `revoked_at` of the row does not count.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the id is taken, [`chatward_types::Kind::NotFound`] when the owner does
    /// not exist.
    pub async fn insert_issued_key(&self, scope: &Scope, key: &IssuedKeyRow) -> Result<()> {
        let owner = scope.owner();
        let mut tx = self.write(scope).await?;
        execute!(
            tx,
            INSERT_ISSUED_KEY,
            owner,
            &key.id,
            &key.name,
            key.scope,
            key.hash.as_slice(),
            key.created_at,
            key.expires_at,
        )?;
        execute!(tx, INSERT_KEY_DIRECTORY, &key.id, owner)?;
        tx.commit().await
    }

    /// Whose key a public id belongs to. Global: it is asked before an owner is known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_key_owner(&self, id: &str) -> Result<Option<OwnerId>> {
        let mut tx = self.read_global().await?;
        let owner = value!(String, tx, FIND_KEY_OWNER, id)?;
        tx.commit().await?;
        owner.map(|owner| owner.parse().map_err(chatward_types::Error::internal)).transpose()
    }

    /// One key of the owner.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_issued_key(&self, scope: &Scope, id: &str) -> Result<Option<IssuedKeyRow>> {
        let mut tx = self.read(scope).await?;
        let key = first!(IssuedKeyRow, tx, GET_ISSUED_KEY, scope.owner(), id)?;
        tx.commit().await?;
        Ok(key)
    }

    /// The owner's keys, oldest first, revoked ones among them; at most 1000.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_issued_keys(&self, scope: &Scope) -> Result<Vec<IssuedKeyRow>> {
        let mut tx = self.read(scope).await?;
        let keys = rows!(IssuedKeyRow, tx, LIST_ISSUED_KEYS, scope.owner())?;
        tx.commit().await?;
        Ok(keys)
    }

    /// How many keys the owner has, revoked ones among them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_issued_keys(&self, scope: &Scope, now: Timestamp) -> Result<u64> {
        let mut tx = self.read(scope).await?;
        let count = value!(i64, tx, COUNT_ISSUED_KEYS, scope.owner(), now)?.unwrap_or(0);
        tx.commit().await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Revokes a key for good. `false` when there is none, or it was revoked before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revoke_issued_key(&self, scope: &Scope, id: &str, now: Timestamp) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        if execute!(tx, REVOKE_ISSUED_KEY, scope.owner(), id, now)? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}
