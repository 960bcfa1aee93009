//! The audit trail: records numbered without gaps, each chained to the one before.
//!
//! Owns: the table `audit_trail`, and that a change made through [`Store::audited`] and its record are one transaction:
//! where the record cannot be written, the change is not made. Writers wait for one another here, last in their
//! transactions. Never holds the key: whoever asks for a record brings the function that signs it.

use crate::engine_sql::LOCK_TRAIL;
use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use crate::tx::Tx;
use chatward_types::{Error, OwnerId, Result, Scope, Timestamp};
use std::fmt;
use std::sync::Arc;

const TRAIL_HEAD: Statement = Statement::both(
    "SELECT seq, name, at, owner_id, actor, subject, detail, key_id, previous, hash FROM audit_trail
     ORDER BY seq DESC LIMIT 1",
);
const TRAIL_RECORD: Statement = Statement::both(
    "SELECT seq, name, at, owner_id, actor, subject, detail, key_id, previous, hash FROM audit_trail WHERE seq = $1",
);
const TRAIL_PAGE: Statement = Statement::both(
    "SELECT seq, name, at, owner_id, actor, subject, detail, key_id, previous, hash FROM audit_trail
     WHERE seq > $1 AND at >= $2 ORDER BY seq LIMIT $3",
);
const TRAIL_OF_OWNER: Statement = Statement::both(
    "SELECT seq, name, at, owner_id, actor, subject, detail, key_id, previous, hash FROM audit_trail
     WHERE seq < $1 AND at >= $2 AND at <= $3 AND owner_id = $4 ORDER BY seq DESC LIMIT $5",
);
const TRAIL_OF_INSTALLATION: Statement = Statement::both(
    "SELECT seq, name, at, owner_id, actor, subject, detail, key_id, previous, hash FROM audit_trail
     WHERE seq < $1 AND at >= $2 AND at <= $3 AND (owner_id = $4 OR owner_id IS NULL) ORDER BY seq DESC LIMIT $5",
);
const APPEND_RECORD: Statement = Statement::both(
    "INSERT INTO audit_trail (seq, name, at, owner_id, actor, subject, detail, key_id, previous, hash)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
);
/// The last of the records that are all older than $1, from the beginning on.
const TRAIL_BOUNDARY: Statement = Statement::both(
    "SELECT CAST(COALESCE((SELECT MIN(seq) - 1 FROM audit_trail WHERE at >= $1),
                          (SELECT MAX(seq) FROM audit_trail), 0) AS BIGINT)",
);
const PRUNE_TRAIL: Statement = Statement::both("DELETE FROM audit_trail WHERE seq <= $1");

/// The `previous` of the first record.
pub const TRAIL_GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Signs the text of a record; the result is stored as it is.
pub type TrailSigner = Arc<dyn Fn(&str) -> String + Send + Sync>;

/// A record to be written; its number and its place in the chain are found in the transaction.
#[derive(Clone)]
pub struct TrailEntry {
    /// What happened, as in the security log.
    pub name: &'static str,
    /// When.
    pub at: Timestamp,
    /// Whose row it was, unless it was the installation's.
    pub owner: Option<OwnerId>,
    /// Who did it.
    pub actor: String,
    /// What it was done to.
    pub subject: String,
    /// More, as JSON.
    pub detail: String,
    /// The key that signs.
    pub key_id: String,
    /// Signs with that key.
    pub sign: TrailSigner,
}

impl fmt::Debug for TrailEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrailEntry").field("name", &self.name).field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// A record as it is stored. Nothing of it may be believed before its hash is checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrailRow {
    /// Its number, from 1.
    pub seq: i64,
    /// What happened.
    pub name: String,
    /// When, in microseconds.
    pub at: Timestamp,
    /// Whose row it was.
    pub owner: Option<String>,
    /// Who did it.
    pub actor: String,
    /// What it was done to.
    pub subject: String,
    /// More, as JSON.
    pub detail: String,
    /// The key that signed it.
    pub key_id: String,
    /// The hash of the record before.
    pub previous: String,
    /// The keyed hash of [`TrailRow::signed_text`].
    pub hash: String,
}
row!(TrailRow { seq, name, at, owner = "owner_id", actor, subject, detail, key_id, previous, hash });

impl TrailRow {
    /// What is signed: everything but the hash, in one form.
    ///
    /// # Errors
    /// When it cannot be written as JSON, which does not happen.
    pub fn signed_text(&self) -> Result<String> {
        serde_json::to_string(&(
            "chatward-trail-1",
            self.seq,
            &self.name,
            self.at,
            &self.owner,
            &self.actor,
            &self.subject,
            &self.detail,
            &self.key_id,
            &self.previous,
        ))
        .map_err(Error::internal)
    }
}

impl Store {
    /// The same store, for one change: whatever transaction writes through it commits together with this record, or not
    /// at all. A transaction that ends without a commit leaves no record.
    #[must_use]
    pub fn audited(&self, entry: Arc<TrailEntry>) -> Self {
        self.with_entry(entry)
    }

    /// Writes a record by itself, of something that is not a change in the store or was made before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn append_trail(&self, entry: Arc<TrailEntry>) -> Result<()> {
        self.audited(entry).write_global().await?.commit().await
    }

    /// The newest record.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn trail_head(&self) -> Result<Option<TrailRow>> {
        let mut tx = self.read_global().await?;
        let row = first!(TrailRow, tx, TRAIL_HEAD)?;
        tx.commit().await?;
        Ok(row)
    }

    /// One record.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn trail_record(&self, seq: i64) -> Result<Option<TrailRow>> {
        let mut tx = self.read_global().await?;
        let row = first!(TrailRow, tx, TRAIL_RECORD, seq)?;
        tx.commit().await?;
        Ok(row)
    }

    /// Up to `limit` records with a number above `seq` and not older than `since`, in order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn trail_after(&self, seq: i64, since: Timestamp, limit: u32) -> Result<Vec<TrailRow>> {
        let mut tx = self.read_global().await?;
        let rows = rows!(TrailRow, tx, TRAIL_PAGE, seq, since, limit)?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Up to `limit` of an owner's records with a number below `seq`, not older and not later than these times, newest
    /// first; with the installation's own where `global` says so.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn trail_of_owner(
        &self,
        scope: &Scope,
        global: bool,
        seq: i64,
        (since, until): (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<Vec<TrailRow>> {
        let mut tx = self.read_global().await?;
        let rows = if global {
            rows!(TrailRow, tx, TRAIL_OF_INSTALLATION, seq, since, until, scope.owner(), limit)?
        } else {
            rows!(TrailRow, tx, TRAIL_OF_OWNER, seq, since, until, scope.owner(), limit)?
        };
        tx.commit().await?;
        Ok(rows)
    }

    /// The number up to which every record is older than `before`; 0 when there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn trail_boundary(&self, before: Timestamp) -> Result<i64> {
        let mut tx = self.read_global().await?;
        let seq = value!(i64, tx, TRAIL_BOUNDARY, before)?.unwrap_or(0);
        tx.commit().await?;
        Ok(seq)
    }

    /// Removes the records up to this number; called on an [`Store::audited`] store, whose record vouches for it.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Internal`] without a record; else when the database does not answer.
    pub async fn prune_trail(&self, through: i64) -> Result<u64> {
        let mut tx = self.write_global().await?;
        // The record first, while what it follows is there.
        if !tx.record().await? {
            return Err(Error::internal("the trail is pruned by a store that leaves no record"));
        }
        let pruned = execute!(tx, PRUNE_TRAIL, through)?;
        tx.commit().await?;
        Ok(pruned)
    }
}

/// Appends a record, last in its transaction: from here on other writers of the trail wait.
pub(crate) async fn append(tx: &mut Tx, entry: &TrailEntry) -> Result<()> {
    value!(String, tx, LOCK_TRAIL)?;
    let head = first!(TrailRow, tx, TRAIL_HEAD)?;
    let (last, previous) = head.map_or((0, TRAIL_GENESIS.to_owned()), |head| (head.seq, head.hash));
    let mut row = TrailRow {
        seq: last + 1,
        name: entry.name.to_owned(),
        at: entry.at,
        owner: entry.owner.map(|owner| owner.to_string()),
        actor: entry.actor.clone(),
        subject: entry.subject.clone(),
        detail: entry.detail.clone(),
        key_id: entry.key_id.clone(),
        previous,
        hash: String::new(),
    };
    row.hash = (entry.sign)(&row.signed_text()?);
    execute!(
        tx,
        APPEND_RECORD,
        row.seq,
        row.name,
        row.at,
        entry.owner,
        row.actor,
        row.subject,
        row.detail,
        row.key_id,
        row.previous,
        row.hash,
    )?;
    Ok(())
}
