//! The running servers, by their heartbeats.
//!
//! Owns: the table `nodes`, with the names of the master keys that each one holds. Never decides what a dead node's work
//! becomes; the jobs' leases do.

use crate::statement::{Statement, execute, row, rows};
use crate::store::Store;
use chatward_types::{NodeId, Result, SECOND, Timestamp};

/// A node that was silent for longer is not live, in microseconds.
pub const NODE_SILENCE: Timestamp = 15 * SECOND;

const REGISTER_NODE: Statement = Statement::both(
    "INSERT INTO nodes (id, registered_at, seen_at) VALUES ($1, $2, $2)
     ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
);
const HEARTBEAT_NODE: Statement = Statement::both("UPDATE nodes SET seen_at = $2 WHERE id = $1");
const SET_MASTER_KEYS: Statement = Statement::both("UPDATE nodes SET master_keys = $2 WHERE id = $1");
const LIVE_NODES: Statement =
    Statement::both("SELECT id, master_keys FROM nodes WHERE seen_at >= $1 ORDER BY registered_at, id LIMIT 1000");
const REMOVE_NODE: Statement = Statement::both("DELETE FROM nodes WHERE id = $1");
const REMOVE_SILENT: Statement = Statement::both("DELETE FROM nodes WHERE seen_at < $1");

struct NodeRow {
    id: NodeId,
    master_keys: String,
}
row!(NodeRow { id, master_keys });

impl Store {
    /// Says that a node runs.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn register_node(&self, node: NodeId, now: Timestamp) -> Result<()> {
        let mut tx = self.write_global().await?;
        execute!(tx, REGISTER_NODE, node, now)?;
        tx.commit().await
    }

    /// Says that a node still runs. `false` when it was forgotten meanwhile and must register again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn heartbeat_node(&self, node: NodeId, now: Timestamp) -> Result<bool> {
        let mut tx = self.write_global().await?;
        let known = execute!(tx, HEARTBEAT_NODE, node, now)?;
        tx.commit().await?;
        Ok(known == 1)
    }

    /// The nodes heard of within [`NODE_SILENCE`], oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn live_nodes(&self, now: Timestamp) -> Result<Vec<NodeId>> {
        let mut tx = self.read_global().await?;
        let nodes = rows!(NodeRow, tx, LIVE_NODES, now - NODE_SILENCE)?;
        tx.commit().await?;
        Ok(nodes.into_iter().map(|node| node.id).collect())
    }

    /// Says which master keys a node holds, by their names; nothing where the node is not registered.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_node_master_keys(&self, node: NodeId, names: &[&str]) -> Result<()> {
        let mut tx = self.write_global().await?;
        execute!(tx, SET_MASTER_KEYS, node, names.join(" "))?;
        tx.commit().await
    }

    /// The live nodes that have not said that they hold the master key of this name, oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn live_nodes_without(&self, master_key: &str, now: Timestamp) -> Result<Vec<NodeId>> {
        let mut tx = self.read_global().await?;
        let nodes = rows!(NodeRow, tx, LIVE_NODES, now - NODE_SILENCE)?;
        tx.commit().await?;
        let lacks = |node: &NodeRow| !node.master_keys.split(' ').any(|name| name == master_key);
        Ok(nodes.into_iter().filter(lacks).map(|node| node.id).collect())
    }

    /// Says that a node has stopped.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove_node(&self, node: NodeId) -> Result<()> {
        let mut tx = self.write_global().await?;
        execute!(tx, REMOVE_NODE, node)?;
        tx.commit().await
    }

    /// Forgets nodes that were last seen before `before` (they died without a word). Returns how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn prune_nodes(&self, before: Timestamp) -> Result<u64> {
        let mut tx = self.write_global().await?;
        let pruned = execute!(tx, REMOVE_SILENT, before)?;
        tx.commit().await?;
        Ok(pruned)
    }
}
