//! Devices: programs of an owner that prove themselves by a token of their own.
//!
//! Owns: the table `devices`, the list of those allowed. A revoked one stays on record for a while and is never allowed
//! again; its name is free for another. Each change that takes a right away tells every node through `changes`, so that
//! open sockets end. Never sees a token.

use crate::changes::{change, record_change};
use crate::statement::{Statement, execute, first, row, rows, value};
use crate::store::Store;
use chatward_types::{DeviceId, Result, Scope, Timestamp};

const INSERT_DEVICE: Statement = Statement::both(
    "INSERT INTO devices (owner_id, id, name, feeds, created_at, seen_at, expires_at, revoked_at)
     VALUES ($1, $2, $3, $4, $5, NULL, $6, NULL)",
);
const GET_DEVICE: Statement = Statement::both(
    "SELECT id, name, feeds, created_at, seen_at, expires_at, revoked_at FROM devices WHERE owner_id = $1 AND id = $2",
);
const FIND_DEVICE: Statement = Statement::both(
    "SELECT id, name, feeds, created_at, seen_at, expires_at, revoked_at FROM devices
     WHERE owner_id = $1 AND name = $2 AND revoked_at IS NULL",
);
const LIST_DEVICES: Statement = Statement::both(
    "SELECT id, name, feeds, created_at, seen_at, expires_at, revoked_at FROM devices
     WHERE owner_id = $1 ORDER BY created_at, id LIMIT 1000",
);
const COUNT_DEVICES: Statement = Statement::both("SELECT CAST(COUNT(*) AS BIGINT) FROM devices WHERE owner_id = $1");
const FORGET_REVOKED: Statement =
    Statement::both("DELETE FROM devices WHERE owner_id = $1 AND revoked_at IS NOT NULL AND revoked_at < $2");
const SEE_DEVICE: Statement = Statement::both(
    "UPDATE devices SET seen_at = $3 WHERE owner_id = $1 AND id = $2 AND (seen_at IS NULL OR seen_at < $4)",
);
const REVOKE_DEVICE: Statement =
    Statement::both("UPDATE devices SET revoked_at = $3 WHERE owner_id = $1 AND id = $2 AND revoked_at IS NULL");

/// A device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRow {
    /// The id.
    pub id: DeviceId,
    /// What it calls itself.
    pub name: String,
    /// The feeds that it may publish to.
    pub feeds: Vec<String>,
    /// When it was added, in microseconds.
    pub created_at: Timestamp,
    /// When it was last seen, to the minute, in microseconds.
    pub seen_at: Option<Timestamp>,
    /// When it ends, in microseconds; open where it does not.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked, in microseconds.
    pub revoked_at: Option<Timestamp>,
}
row!(DeviceRow { id, name, feeds, created_at, seen_at, expires_at, revoked_at });

impl Store {
    /// Adds a device and forgets those that were revoked before `forget`. `false` when there are `most` already.
    /// `seen_at` and `revoked_at` of the row do not count.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Conflict`] when a device that is not revoked has the name.
    pub async fn insert_device(&self, scope: &Scope, device: &DeviceRow, forget: Timestamp, most: u32) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        execute!(tx, FORGET_REVOKED, scope.owner(), forget)?;
        if value!(i64, tx, COUNT_DEVICES, scope.owner())?.unwrap_or(0) >= i64::from(most) {
            return Ok(false);
        }
        let feeds = serde_json::to_string(&device.feeds).map_err(chatward_types::Error::internal)?;
        execute!(
            tx,
            INSERT_DEVICE,
            scope.owner(),
            device.id,
            &device.name,
            feeds,
            device.created_at,
            device.expires_at,
        )?;
        tx.commit().await?;
        Ok(true)
    }

    /// One device of the owner, revoked ones among them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_device(&self, scope: &Scope, id: DeviceId) -> Result<Option<DeviceRow>> {
        let mut tx = self.read(scope).await?;
        let device = first!(DeviceRow, tx, GET_DEVICE, scope.owner(), id)?;
        tx.commit().await?;
        Ok(device)
    }

    /// The device of this name that is not revoked.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_device(&self, scope: &Scope, name: &str) -> Result<Option<DeviceRow>> {
        let mut tx = self.read(scope).await?;
        let device = first!(DeviceRow, tx, FIND_DEVICE, scope.owner(), name)?;
        tx.commit().await?;
        Ok(device)
    }

    /// The owner's devices, oldest first, revoked ones among them; at most 1000.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list_devices(&self, scope: &Scope) -> Result<Vec<DeviceRow>> {
        let mut tx = self.read(scope).await?;
        let devices = rows!(DeviceRow, tx, LIST_DEVICES, scope.owner())?;
        tx.commit().await?;
        Ok(devices)
    }

    /// Notes that a device was there, if the last note is from before `before`. Says whether it did.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn see_device(&self, scope: &Scope, id: DeviceId, now: Timestamp, before: Timestamp) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        let seen = execute!(tx, SEE_DEVICE, scope.owner(), id, now, before)?;
        tx.commit().await?;
        Ok(seen == 1)
    }

    /// Revokes a device for good. `false` when there is none, or it was revoked before.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revoke_device(&self, scope: &Scope, id: DeviceId, now: Timestamp) -> Result<bool> {
        let mut tx = self.write(scope).await?;
        if execute!(tx, REVOKE_DEVICE, scope.owner(), id, now)? == 0 {
            return Ok(false);
        }
        record_change(&mut tx, change::DEVICE_REVOKED, Some(scope.owner()), &[&id.to_string()], now).await?;
        tx.commit().await?;
        Ok(true)
    }
}
