//! The `changes` table: what every node must hear of, written in the transaction that changed it.
//!
//! Owns: the kinds of changes and their order. Numbers are seen in order: whoever reads N has seen all that come before.
//! Never holds content: a kind, an owner, an id.

use crate::engine_sql::{LOCK_CHANGES, RECORD_CHANGES};
use crate::statement::{Statement, execute, row, rows, value};
use crate::store::Store;
use crate::tx::Tx;
use chatward_types::{Error, OwnerId, Result, Timestamp};

const CHANGES_AFTER: Statement =
    Statement::both("SELECT seq, kind, owner_id, subject, at FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2");
const LATEST_CHANGE: Statement = Statement::both("SELECT CAST(COALESCE(MAX(seq), 0) AS BIGINT) FROM changes");
const PRUNE_CHANGES: Statement = Statement::both("DELETE FROM changes WHERE at < $1");

/// The kinds of changes.
pub mod change {
    /// A site was added; the subject is its id.
    pub const SITE_ADDED: &str = "site_added";
    /// A site's address, name, origins or settings changed; the subject is its id.
    pub const SITE_CHANGED: &str = "site_changed";
    /// A site was removed with everything of it; the subject is its id.
    pub const SITE_REMOVED: &str = "site_removed";
    /// A site answers from another index generation; the subject is its id.
    pub const INDEX_SWAPPED: &str = "index_swapped";
    /// A session was erased with its conversation; the subject is its id.
    pub const SESSION_ERASED: &str = "session_erased";
    /// A secret key was changed, rotated or revoked; the subject is its public id.
    pub const ISSUED_KEY_CHANGED: &str = "issued_key_changed";
    /// The providers' keys are to be read again, from their files and from the store; the subject is empty.
    pub const PROVIDER_KEYS_CHANGED: &str = "provider_keys_changed";
    /// The master keys' file is to be read again, and the name of the one that wraps; the subject is empty.
    pub const MASTER_KEYS_CHANGED: &str = "master_keys_changed";
    /// A block was made, changed or lifted; the subject is its network.
    pub const BLOCKS_CHANGED: &str = "blocks_changed";
    /// A ring of signing keys was rotated; the subject is its purpose.
    pub const SIGNING_CHANGED: &str = "signing_changed";
    /// The lockdown was switched; the subject is `on` or `off`.
    pub const LOCKDOWN_CHANGED: &str = "lockdown_changed";
    /// A device was revoked; the subject is its id.
    pub const DEVICE_REVOKED: &str = "device_revoked";
    /// A login was ended; the subject is its id.
    pub const LOGIN_ENDED: &str = "login_ended";
    /// A user's role, state or password was changed; the subject is their id.
    pub const USER_CHANGED: &str = "user_changed";
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number; later ones are higher, with gaps.
    pub seq: i64,
    /// One of [`change`]'s words, or one that a newer program knows.
    pub kind: String,
    /// Whose row it was, unless it was a global one.
    pub owner: Option<OwnerId>,
    /// The id of what changed.
    pub subject: String,
    /// When, in microseconds.
    pub at: Timestamp,
}
row!(Change { seq, kind, owner = "owner_id", subject, at });

impl Store {
    /// Up to `limit` changes with a number above `seq`, in order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn changes_after(&self, seq: i64, limit: u32) -> Result<Vec<Change>> {
        let mut tx = self.read_global().await?;
        let changes = rows!(Change, tx, CHANGES_AFTER, seq, limit)?;
        tx.commit().await?;
        Ok(changes)
    }

    /// The highest number, 0 when there is none. A node that starts reads it first and its caches after.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn latest_change(&self) -> Result<i64> {
        let mut tx = self.read_global().await?;
        let seq = value!(i64, tx, LATEST_CHANGE)?.unwrap_or(0);
        tx.commit().await?;
        Ok(seq)
    }

    /// Records a change of something that is not in the store, in a transaction of its own.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn announce_change(
        &self,
        kind: &str,
        owner: Option<OwnerId>,
        subject: &str,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.write_global().await?;
        record_change(&mut tx, kind, owner, &[subject], now).await?;
        tx.commit().await
    }

    /// Removes changes from before `before`; every node must have read them. Returns how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_changes(&self, before: Timestamp) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let pruned = execute!(tx, PRUNE_CHANGES, before)?;
        tx.commit().await?;
        Ok(pruned)
    }
}

/// Records one change a subject. Called last in a transaction, since it makes other writers of changes wait.
pub(crate) async fn record_change(
    tx: &mut Tx,
    kind: &str,
    owner: Option<OwnerId>,
    subjects: &[&str],
    at: Timestamp,
) -> Result<()> {
    let list: Vec<[&str; 1]> = subjects.iter().map(|subject| [*subject]).collect();
    let list = serde_json::to_string(&list).map_err(Error::internal)?;
    value!(String, tx, LOCK_CHANGES)?;
    execute!(tx, RECORD_CHANGES, kind, owner, at, list)?;
    Ok(())
}
