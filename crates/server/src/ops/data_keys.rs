//! The data keys of owners: made on first use, opened once and kept in a bounded cache.
//!
//! A message body is sealed under its owner's newest key and opened under the key that it names.

use crate::app::App;
use crate::ops::master_key_files;
use chatward_store::MASTER_KEY_MOVED;
use chatward_types::{Error, OwnerId, Result, Scope};
use chatward_vault::DataKey;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// How many owners' keys stay open at once.
const KEPT: usize = 4096;

/// The open keys of one owner, newest first.
#[derive(Debug, Clone)]
pub struct OwnerKeys(Arc<[DataKey]>);

/// The bounded cache of open keys.
pub struct DataKeys(Cache<OwnerId, OwnerKeys>);

impl std::fmt::Debug for DataKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataKeys").field("open", &self.0.len()).finish()
    }
}

impl Default for DataKeys {
    fn default() -> Self {
        Self(Cache::new(KEPT))
    }
}

impl OwnerKeys {
    /// Seals `plain` as the content of the row named `record`.
    ///
    /// # Errors
    /// When the entropy source fails.
    pub fn seal(&self, record: &str, plain: &[u8]) -> Result<Vec<u8>> {
        self.newest()?.seal(record, plain)
    }

    /// Opens what was sealed as the content of the row named `record`.
    ///
    /// # Errors
    /// When the bytes were changed, moved to another row, or sealed under a key that is gone.
    pub fn open(&self, record: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let version = chatward_vault::sealed_key_version(sealed);
        self.0
            .iter()
            .find(|key| Some(key.version()) == version)
            .ok_or_else(|| Error::internal("the data key that sealed this row is gone"))?
            .open(record, sealed)
    }

    fn newest(&self) -> Result<&DataKey> {
        self.0.first().ok_or_else(|| Error::internal("an owner without a data key"))
    }
}

/// The keys of the owner of `scope`.
///
/// # Errors
/// When the store fails, or the vault cannot open a key (another master key).
pub async fn of(app: &App, scope: &Scope) -> Result<OwnerKeys> {
    let owner = scope.owner();
    if let Some(keys) = app.data_keys.0.get(&owner) {
        return Ok(keys);
    }
    let mut rows = app.store.data_keys(scope).await?;
    if rows.is_empty() {
        // Another node may have been first; what stands in the table afterwards counts.
        match make(app, scope).await {
            Err(error) if error.code() == MASTER_KEY_MOVED => {
                master_key_files::read_again(app).await?;
                make(app, scope).await?;
            }
            made => made?,
        }
        rows = app.store.data_keys(scope).await?;
    }
    if rows.iter().any(|(_, wrapped)| !is_openable(app, wrapped)) {
        master_key_files::look_again(app).await;
    }
    rows.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let keys = rows
        .iter()
        .map(|(version, wrapped)| app.vault.open_data_key(&owner, *version, wrapped))
        .collect::<Result<Vec<_>>>()?;
    let keys = OwnerKeys(keys.into());
    app.data_keys.0.insert(owner, keys.clone());
    Ok(keys)
}

async fn make(app: &App, scope: &Scope) -> Result<()> {
    let wrapped = app.vault.new_data_key(&scope.owner(), 1)?;
    let store = app.store.sealed_under(&app.vault.wrapper_of_data_key(&wrapped)?);
    store.insert_data_key(scope, 1, &wrapped).await.map(|_| ())
}

fn is_openable(app: &App, wrapped: &[u8]) -> bool {
    app.vault.wrapper_of_data_key(wrapped).is_ok_and(|id| app.vault.ring().holds(&id))
}
