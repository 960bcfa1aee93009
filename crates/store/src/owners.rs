//! Owners (the tenants) and their data keys.
//!
//! Owns: the tables `owners` and `data_keys`. The keys are wrapped by the vault; this file sees bytes.
//! Never opens a key and never deletes one: what it sealed would be lost.

use crate::statement::{Statement, execute, first, row, rows};
use crate::store::Store;
use crate::tx::Tx;
use chatward_types::{OwnerId, Result, Scope, Timestamp};

const INSERT_OWNER: Statement = Statement::both("INSERT INTO owners (owner_id, name, created_at) VALUES ($1, $2, $3)");
const ADMIN_FIRST_OWNER: Statement =
    Statement::both("SELECT owner_id FROM owners ORDER BY created_at, owner_id LIMIT 1");
const ADMIN_OWNERS: Statement =
    Statement::both("SELECT owner_id FROM owners WHERE owner_id > $1 ORDER BY owner_id LIMIT $2");
const INSERT_DATA_KEY: Statement = Statement::both(
    "INSERT INTO data_keys (owner_id, version, wrapped) VALUES ($1, $2, $3) ON CONFLICT (owner_id, version) DO NOTHING",
);
const DATA_KEYS: Statement =
    Statement::both("SELECT version, wrapped FROM data_keys WHERE owner_id = $1 ORDER BY version");

struct OwnerEntry {
    id: OwnerId,
}
row!(OwnerEntry { id = "owner_id" });

struct DataKeyRow {
    version: u32,
    wrapped: Vec<u8>,
}
row!(DataKeyRow { version, wrapped });

impl Store {
    /// Adds a tenant.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the id is taken.
    pub async fn insert_owner(&self, id: OwnerId, name: &str, now: Timestamp) -> Result<()> {
        let mut tx = self.write(&Scope::of(id)).await?;
        insert(&mut tx, id, name, now).await?;
        tx.commit().await
    }

    /// The oldest tenant: the one that an installation for one owner is for.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_first_owner(&self) -> Result<Option<OwnerId>> {
        let mut tx = self.admin("admin_first_owner").await?;
        let owner = first!(OwnerEntry, tx, ADMIN_FIRST_OWNER)?;
        tx.commit().await?;
        Ok(owner.map(|owner| owner.id))
    }

    /// Up to `limit` tenants in the order of their ids, those behind `after`; none when there are no more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn admin_owners(&self, after: Option<OwnerId>, limit: u32) -> Result<Vec<OwnerId>> {
        let after = after.map_or_else(String::new, |id| id.to_string());
        let mut tx = self.admin("admin_owners").await?;
        let owners = rows!(OwnerEntry, tx, ADMIN_OWNERS, after, limit)?;
        tx.commit().await?;
        Ok(owners.into_iter().map(|owner| owner.id).collect())
    }

    /// Adds a wrapped data key. `false` when that version is there already (another node was faster: read it back).
    ///
    /// # Errors
    /// [`chatward_types::Kind::NotFound`] when the owner does not exist.
    pub async fn insert_data_key(&self, scope: &Scope, version: u32, wrapped: &[u8]) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        let inserted = execute!(tx, INSERT_DATA_KEY, scope.owner(), version, wrapped)?;
        tx.commit().await?;
        Ok(inserted == 1)
    }

    /// The owner's wrapped data keys by version, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn data_keys(&self, scope: &Scope) -> Result<Vec<(u32, Vec<u8>)>> {
        let mut tx = self.read(scope).await?;
        let keys = rows!(DataKeyRow, tx, DATA_KEYS, scope.owner())?;
        tx.commit().await?;
        Ok(keys.into_iter().map(|key| (key.version, key.wrapped)).collect())
    }
}

/// Adds a tenant, in a transaction of its own that goes on.
pub(crate) async fn insert(tx: &mut Tx, id: OwnerId, name: &str, now: Timestamp) -> Result<()> {
    execute!(tx, INSERT_OWNER, id, name, now)?;
    Ok(())
}
