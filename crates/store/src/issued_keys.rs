//! Secret keys that owners have: hashes only.
//!
//! Owns: the tables `issued_keys` and `issued_key_directory`, always changed together. The directory is global, because a
//! key is looked up before its owner is known; it leads from the public id to the owner and holds nothing else.
//! What ends or changes a key stands in `changes` with it. Making, rotating and revoking all of them wait for one another,
//! so that none slips through. Never sees a key, never compares one, never decides whether one holds.

use crate::changes::{change, record_change};
use crate::engine_sql::LOCK_KEYS;
use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use crate::tx::Tx;
use chatward_types::{Environment, Error, KeyScope, KeyScopes, OwnerId, Result, Scope, SiteId, Timestamp};

const INSERT_ISSUED_KEY: Statement = Statement::both(
    "INSERT INTO issued_keys (owner_id, id, name, scopes, models, sites, per_minute, per_hour, daily_micro_usd,
                              total_micro_usd, environment, hash, created_at, expires_at, lineage)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
);
const INSERT_KEY_DIRECTORY: Statement =
    Statement::both("INSERT INTO issued_key_directory (id, owner_id) VALUES ($1, $2)");
const FIND_KEY_OWNER: Statement = Statement::both("SELECT owner_id FROM issued_key_directory WHERE id = $1");
const GET_ISSUED_KEY: Statement = Statement::both(
    "SELECT id, name, scopes, models, sites, per_minute, per_hour, daily_micro_usd, total_micro_usd, environment, hash,
            created_at, expires_at, revoked_at, last_used_at, successor, honoured_until, COALESCE(lineage, id) AS lineage
     FROM issued_keys WHERE owner_id = $1 AND id = $2",
);
/// The newest ones, where there are more than a list returns.
const LIST_ISSUED_KEYS: Statement = Statement::both(
    "SELECT id, name, scopes, models, sites, per_minute, per_hour, daily_micro_usd, total_micro_usd, environment, hash,
            created_at, expires_at, revoked_at, last_used_at, successor, honoured_until, COALESCE(lineage, id) AS lineage
     FROM issued_keys WHERE owner_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1000",
);
/// Those that hold; what has ended takes no room.
const COUNT_ISSUED_KEYS: Statement = Statement::both(
    "SELECT CAST(COUNT(*) AS BIGINT) FROM issued_keys
     WHERE owner_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
       AND (honoured_until IS NULL OR honoured_until > $2)",
);
/// Of two at once, the second finds a successor there.
const MARK_ROTATED: Statement = Statement::both(
    "UPDATE issued_keys SET successor = $3, honoured_until = $4
     WHERE owner_id = $1 AND id = $2 AND successor IS NULL AND revoked_at IS NULL
       AND (expires_at IS NULL OR expires_at > $5)",
);
/// What is absent of a change stays: each value is taken where the flag before it is 1.
const UPDATE_ISSUED_KEY: Statement = Statement::both(
    "UPDATE issued_keys SET
       name = CASE WHEN $3 = 1 THEN $4 ELSE name END,
       per_minute = CASE WHEN $5 = 1 THEN $6 ELSE per_minute END,
       per_hour = CASE WHEN $7 = 1 THEN $8 ELSE per_hour END,
       daily_micro_usd = CASE WHEN $9 = 1 THEN $10 ELSE daily_micro_usd END,
       total_micro_usd = CASE WHEN $11 = 1 THEN $12 ELSE total_micro_usd END
     WHERE owner_id = $1 AND id = $2",
);
const REVOKE_ISSUED_KEY: Statement =
    Statement::both("UPDATE issued_keys SET revoked_at = $3 WHERE owner_id = $1 AND id = $2 AND revoked_at IS NULL");
/// With one scope, or with any where $3 is empty.
const REVOKE_ISSUED_KEYS: Statement = Statement::both(
    "UPDATE issued_keys SET revoked_at = $2
     WHERE owner_id = $1 AND revoked_at IS NULL AND ($3 = '' OR (';' || scopes) LIKE ('%;' || $3 || ';%'))
     RETURNING id",
);
const TOUCH_ISSUED_KEY: Statement = Statement::both(
    "UPDATE issued_keys SET last_used_at = $3
     WHERE owner_id = $1 AND id = $2 AND (last_used_at IS NULL OR last_used_at <= $4)",
);

/// A key, without what would let anybody use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedKeyRow {
    /// The public part of the key.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it may do.
    pub scopes: KeyScopes,
    /// The models that it may ask; all where there is none.
    pub models: Vec<String>,
    /// The sites that it reaches; all of the owner's where there is none. Some may be gone.
    pub sites: Vec<SiteId>,
    /// Requests in a minute.
    pub per_minute: Option<i64>,
    /// Requests in an hour.
    pub per_hour: Option<i64>,
    /// Micro-dollars in a day (UTC).
    pub daily_micro_usd: Option<i64>,
    /// Micro-dollars in all.
    pub total_micro_usd: Option<i64>,
    /// The environment that it is made for; absent for keys from before this was stored.
    pub environment: Option<Environment>,
    /// SHA-256 of the whole key.
    pub hash: Vec<u8>,
    /// When it was made, in microseconds.
    pub created_at: Timestamp,
    /// When it ends, in microseconds; open where it does not.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, in microseconds.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, in microseconds, to about a minute.
    pub last_used_at: Option<Timestamp>,
    /// The key that took its place.
    pub successor: Option<String>,
    /// Until when it is honoured beside its successor, in microseconds.
    pub honoured_until: Option<Timestamp>,
    /// The first key of its chain of rotations.
    pub lineage: String,
}
row!(IssuedKeyRow {
    id,
    name,
    scopes,
    models,
    sites,
    per_minute,
    per_hour,
    daily_micro_usd,
    total_micro_usd,
    environment,
    hash,
    created_at,
    expires_at,
    revoked_at,
    last_used_at,
    successor,
    honoured_until,
    lineage,
});

/// A partial change of a key: what is absent stays, an inner `None` takes a bound away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuedKeyChange {
    /// Another name.
    pub name: Option<String>,
    /// Requests in a minute.
    pub per_minute: Option<Option<i64>>,
    /// Requests in an hour.
    pub per_hour: Option<Option<i64>>,
    /// Micro-dollars in a day.
    pub daily_micro_usd: Option<Option<i64>>,
    /// Micro-dollars in all.
    pub total_micro_usd: Option<Option<i64>>,
}

struct Named {
    id: String,
}
row!(Named { id });

impl Store {
    /// Adds a key and its entry in the directory. What only happens later (use, rotation, revocation) does not count.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the id is taken, [`chatward_types::Kind::NotFound`] when the owner does
    /// not exist.
    pub async fn insert_issued_key(&self, scope: &Scope, key: &IssuedKeyRow) -> Result<()> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_KEYS)?;
        insert(&mut tx, scope, key).await?;
        tx.commit().await
    }

    /// Puts `new` in the place of the key `id`, which is honoured until `until`. `false` when that one is not there, has a
    /// successor already, or has ended.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when the new id is taken.
    pub async fn rotate_issued_key(
        &self,
        scope: &Scope,
        id: &str,
        new: &IssuedKeyRow,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_KEYS)?;
        if execute!(tx, MARK_ROTATED, scope.owner(), id, &new.id, until, now)? == 0 {
            return Ok(false);
        }
        insert(&mut tx, scope, new).await?;
        record_change(&mut tx, change::ISSUED_KEY_CHANGED, Some(scope.owner()), &[id], now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Whose key a public id belongs to. Global: it is asked before an owner is known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_key_owner(&self, id: &str) -> Result<Option<OwnerId>> {
        let mut tx = self.read_global().await?;
        let owner = value!(String, tx, FIND_KEY_OWNER, id)?;
        tx.commit().await?;
        owner.map(|owner| owner.parse().map_err(Error::internal)).transpose()
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

    /// The owner's keys, oldest first, ended ones among them; the newest 1000.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_issued_keys(&self, scope: &Scope) -> Result<Vec<IssuedKeyRow>> {
        let mut tx = self.read(scope).await?;
        let mut keys = rows!(IssuedKeyRow, tx, LIST_ISSUED_KEYS, scope.owner())?;
        tx.commit().await?;
        keys.reverse();
        Ok(keys)
    }

    /// How many keys of the owner hold.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_issued_keys(&self, scope: &Scope, now: Timestamp) -> Result<u64> {
        let mut tx = self.read(scope).await?;
        let count = value!(i64, tx, COUNT_ISSUED_KEYS, scope.owner(), now)?.unwrap_or(0);
        tx.commit().await?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Makes a partial change and returns the key as it is then; nothing when there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn update_issued_key(
        &self,
        scope: &Scope,
        id: &str,
        change: &IssuedKeyChange,
        now: Timestamp,
    ) -> Result<Option<IssuedKeyRow>> {
        let owner = scope.owner();
        let flag = |there: bool| i64::from(there);
        let mut tx = self.write(scope).await?;
        let changed = execute!(
            tx,
            UPDATE_ISSUED_KEY,
            owner,
            id,
            flag(change.name.is_some()),
            change.name.as_deref().unwrap_or_default(),
            flag(change.per_minute.is_some()),
            change.per_minute.flatten(),
            flag(change.per_hour.is_some()),
            change.per_hour.flatten(),
            flag(change.daily_micro_usd.is_some()),
            change.daily_micro_usd.flatten(),
            flag(change.total_micro_usd.is_some()),
            change.total_micro_usd.flatten(),
        )?;
        if changed == 0 {
            return Ok(None);
        }
        let row = first!(IssuedKeyRow, tx, GET_ISSUED_KEY, owner, id)?;
        record_change(&mut tx, change::ISSUED_KEY_CHANGED, Some(owner), &[id], now).await?;
        tx.commit().await?;
        Ok(row)
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
        record_change(&mut tx, change::ISSUED_KEY_CHANGED, Some(scope.owner()), &[id], now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Revokes every key of the owner that is not revoked yet, or only those that may do one thing; returns their ids.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revoke_issued_keys(
        &self,
        scope: &Scope,
        having: Option<KeyScope>,
        now: Timestamp,
    ) -> Result<Vec<String>> {
        let owner = scope.owner();
        let mut tx = self.write(scope).await?;
        value!(String, tx, LOCK_KEYS)?;
        let revoked = rows!(Named, tx, REVOKE_ISSUED_KEYS, owner, now, having.map_or("", KeyScope::as_str))?;
        if revoked.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = revoked.iter().map(|key| key.id.as_str()).collect();
        record_change(&mut tx, change::ISSUED_KEY_CHANGED, Some(owner), &ids, now).await?;
        tx.commit().await?;
        Ok(revoked.into_iter().map(|key| key.id).collect())
    }

    /// Notes when keys were used, each unless that was noted less than `quiet` microseconds before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn touch_issued_keys(&self, scope: &Scope, used: &[(String, Timestamp)], quiet: Timestamp) -> Result<()> {
        let mut tx = self.write(scope).await?;
        for (id, at) in used {
            execute!(tx, TOUCH_ISSUED_KEY, scope.owner(), id, *at, at.saturating_sub(quiet))?;
        }
        tx.commit().await
    }
}

async fn insert(tx: &mut Tx, scope: &Scope, key: &IssuedKeyRow) -> Result<()> {
    let owner = scope.owner();
    let models = serde_json::to_string(&key.models).map_err(Error::internal)?;
    let sites = serde_json::to_string(&key.sites).map_err(Error::internal)?;
    execute!(
        tx,
        INSERT_ISSUED_KEY,
        owner,
        &key.id,
        &key.name,
        key.scopes,
        &models,
        &sites,
        key.per_minute,
        key.per_hour,
        key.daily_micro_usd,
        key.total_micro_usd,
        key.environment,
        key.hash.as_slice(),
        key.created_at,
        key.expires_at,
        &key.lineage,
    )?;
    execute!(tx, INSERT_KEY_DIRECTORY, &key.id, owner)?;
    Ok(())
}
