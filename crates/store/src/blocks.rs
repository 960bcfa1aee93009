//! Blocked networks, and the lockdown.
//!
//! Owns: the tables `blocks` and `lockdown`; each change of them tells every node through `changes`. A bound on the
//! number of blocks holds by forgetting the automatic one that ends first. Never reads an address: a network is a text
//! that the caller has made canonical.

use crate::changes::{change, record_change};
use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use chatward_types::{Error, Result, Timestamp};

/// The most blocks that are kept and read.
pub const MOST_BLOCKS: u32 = 10_000;

const PUT_BLOCK: Statement = Statement::both(
    "INSERT INTO blocks (network, until_at, reason, created_by, created_at, strikes, forced)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (network) DO UPDATE SET until_at = excluded.until_at, reason = excluded.reason,
       created_by = excluded.created_by, created_at = excluded.created_at, strikes = excluded.strikes,
       forced = excluded.forced",
);
const COUNT_BLOCKS: Statement = Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM blocks");
/// Room for one: the block with an end that ends first.
const DROP_SOONEST: Statement = Statement::both(
    "DELETE FROM blocks WHERE network =
       (SELECT network FROM blocks WHERE until_at IS NOT NULL ORDER BY until_at, network LIMIT 1)",
);
const GET_BLOCK: Statement = Statement::both(
    "SELECT network, until_at, reason, created_by, created_at, strikes, forced FROM blocks WHERE network = $1",
);
const LIST_BLOCKS: Statement = Statement::both(
    "SELECT network, until_at, reason, created_by, created_at, strikes, forced FROM blocks
     WHERE until_at IS NULL OR until_at > $1 ORDER BY created_at, network LIMIT $2",
);
const LIST_BLOCKS_AFTER: Statement = Statement::both(
    "SELECT network, until_at, reason, created_by, created_at, strikes, forced FROM blocks
     WHERE (until_at IS NULL OR until_at > $1) AND network > $2 ORDER BY network LIMIT $3",
);
const DELETE_BLOCK: Statement = Statement::both("DELETE FROM blocks WHERE network = $1");
const PRUNE_BLOCKS: Statement = Statement::both("DELETE FROM blocks WHERE until_at IS NOT NULL AND until_at < $1");

const LOCKDOWN: &str = "lockdown";
const GET_LOCKDOWN: Statement =
    Statement::both("SELECT reason, created_by, created_at, allow_sign_in FROM lockdown WHERE name = $1");
const SET_LOCKDOWN: Statement = Statement::both(
    "INSERT INTO lockdown (name, reason, created_by, created_at, allow_sign_in) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (name) DO NOTHING",
);
const CHANGE_LOCKDOWN: Statement = Statement::both(
    "UPDATE lockdown SET reason = $2, created_by = $3, created_at = $4, allow_sign_in = $5
     WHERE name = $1 AND allow_sign_in <> $5",
);
const LIFT_LOCKDOWN: Statement = Statement::both("DELETE FROM lockdown WHERE name = $1");

/// A blocked network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    /// The network in canonical text, such as `192.0.2.0/24`.
    pub network: String,
    /// When it ends, in microseconds; open where it does not.
    pub until: Option<Timestamp>,
    /// Why, in the operator's or our words.
    pub reason: String,
    /// Who made it.
    pub created_by: String,
    /// When, in microseconds.
    pub created_at: Timestamp,
    /// How often it was blocked automatically; each time for longer.
    pub strikes: u32,
    /// Whether it holds for networks that are otherwise never blocked.
    pub forced: bool,
}
row!(BlockRow { network, until = "until_at", reason, created_by, created_at, strikes, forced });

/// The lockdown while it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockdownRow {
    /// Why, in the operator's words.
    pub reason: String,
    /// Who switched it on.
    pub created_by: String,
    /// When, in microseconds.
    pub created_at: Timestamp,
    /// Whether people may log in meanwhile.
    pub allow_sign_in: bool,
}
row!(LockdownRow { reason, created_by, created_at, allow_sign_in });

impl Store {
    /// Blocks a network, or changes its block.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when there are [`MOST_BLOCKS`] without an end.
    pub async fn put_block(&self, block: &BlockRow) -> Result<()> {
        let mut tx = self.write_global().await?;
        let known = first!(BlockRow, tx, GET_BLOCK, &block.network)?.is_some();
        let count = value!(i64, tx, COUNT_BLOCKS)?.unwrap_or(0);
        if !known && count >= i64::from(MOST_BLOCKS) && execute!(tx, DROP_SOONEST)? == 0 {
            return Err(Error::new(
                chatward_types::Kind::Conflict,
                "blocks_full",
                "There are 10000 blocks without an end. Lift some, or block a wider network.",
            ));
        }
        execute!(
            tx,
            PUT_BLOCK,
            &block.network,
            block.until,
            &block.reason,
            &block.created_by,
            block.created_at,
            block.strikes,
            block.forced,
        )?;
        record_change(&mut tx, change::BLOCKS_CHANGED, None, &[&block.network], block.created_at).await?;
        tx.commit().await
    }

    /// The block of exactly this network, also one that has ended.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_block(&self, network: &str) -> Result<Option<BlockRow>> {
        let mut tx = self.read_global().await?;
        let block = first!(BlockRow, tx, GET_BLOCK, network)?;
        tx.commit().await?;
        Ok(block)
    }

    /// The blocks that hold at `now`, oldest first; at most [`MOST_BLOCKS`].
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_blocks(&self, now: Timestamp) -> Result<Vec<BlockRow>> {
        let mut tx = self.read_global().await?;
        let blocks = rows!(BlockRow, tx, LIST_BLOCKS, now, MOST_BLOCKS)?;
        tx.commit().await?;
        Ok(blocks)
    }

    /// Up to `limit` blocks that hold at `now`, by network, those after this one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_blocks_after(&self, network: &str, now: Timestamp, limit: u32) -> Result<Vec<BlockRow>> {
        let mut tx = self.read_global().await?;
        let blocks = rows!(BlockRow, tx, LIST_BLOCKS_AFTER, now, network, limit)?;
        tx.commit().await?;
        Ok(blocks)
    }

    /// Lifts the block of exactly this network. `false` when there is none.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove_block(&self, network: &str, now: Timestamp) -> Result<bool> {
        let mut tx = self.write_global().await?;
        if execute!(tx, DELETE_BLOCK, network)? == 0 {
            return Ok(false);
        }
        record_change(&mut tx, change::BLOCKS_CHANGED, None, &[network], now).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Forgets blocks that ended before `before`, and with them how often they were imposed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_blocks(&self, before: Timestamp) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let pruned = execute!(tx, PRUNE_BLOCKS, before)?;
        tx.commit().await?;
        Ok(pruned)
    }

    /// The lockdown, while it is on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_lockdown(&self) -> Result<Option<LockdownRow>> {
        let mut tx = self.read_global().await?;
        let lockdown = first!(LockdownRow, tx, GET_LOCKDOWN, LOCKDOWN)?;
        tx.commit().await?;
        Ok(lockdown)
    }

    /// Switches the lockdown on, or changes whether people may log in during it. `false` when it was so already.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_lockdown(&self, lockdown: &LockdownRow) -> Result<bool> {
        let mut tx = self.write_global().await?;
        let at = lockdown.created_at;
        let (reason, by, sign_in) = (&lockdown.reason, &lockdown.created_by, lockdown.allow_sign_in);
        if execute!(tx, SET_LOCKDOWN, LOCKDOWN, reason, by, at, sign_in)? == 0
            && execute!(tx, CHANGE_LOCKDOWN, LOCKDOWN, reason, by, at, sign_in)? == 0
        {
            return Ok(false);
        }
        record_change(&mut tx, change::LOCKDOWN_CHANGED, None, &["on"], at).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Switches the lockdown off. `false` when it was not on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lift_lockdown(&self, now: Timestamp) -> Result<bool> {
        let mut tx = self.write_global().await?;
        if execute!(tx, LIFT_LOCKDOWN, LOCKDOWN)? == 0 {
            return Ok(false);
        }
        record_change(&mut tx, change::LOCKDOWN_CHANGED, None, &["off"], now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
