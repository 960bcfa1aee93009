//! Installation settings that no file holds: values that the program makes once and all nodes share.
//!
//! Owns: the table `settings`. The first to set a name wins, but for a
//! set-up token, whose hash is replaced until it is used. Never holds a secret that is not sealed.

use crate::statement::{Statement, execute, row, rows, value};
use crate::store::Store;
use crate::tx::Tx;
use chatward_types::{Error, Result};

const GET_SETTING: Statement = Statement::both("SELECT value FROM settings WHERE name = $1");
const SET_SETTING: Statement =
    Statement::both("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
const REPLACE_SETTING: Statement =
    Statement::both("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = $2");
const ADVANCE_SETTING: Statement = Statement::both(
    "INSERT INTO settings (name, value) VALUES ($1, $2)
     ON CONFLICT (name) DO UPDATE SET value = $2 WHERE settings.value <> $2",
);
const SWAP_SETTING: Statement = Statement::both("UPDATE settings SET value = $3 WHERE name = $1 AND value = $2");
/// A bounded list: there are as many of a kind as the configuration has entries of it.
const SETTINGS_OF: Statement =
    Statement::both("SELECT name, value FROM settings WHERE substr(name, 1, length($1)) = $1 ORDER BY name LIMIT 1000");
const REMOVE_SETTING: Statement = Statement::both("DELETE FROM settings WHERE name = $1");
const CLAIM_SETTING: Statement = Statement::both("DELETE FROM settings WHERE name = $1 AND value = $2");

struct SettingRow {
    name: String,
    value: String,
}
row!(SettingRow { name, value });

/// Sets a setting in the transaction of what it belongs to; others who set it wait until that has ended.
pub(crate) async fn replace(tx: &mut Tx, name: &str, value: &str) -> Result<()> {
    execute!(tx, REPLACE_SETTING, name, value)?;
    Ok(())
}

/// Sets a setting that has this value to another. `false` when it has not.
pub(crate) async fn swap(tx: &mut Tx, name: &str, from: &str, to: &str) -> Result<bool> {
    Ok(execute!(tx, SWAP_SETTING, name, from, to)? == 1)
}

/// Sets a setting unless it is set. `false` when it is.
pub(crate) async fn set(tx: &mut Tx, name: &str, value: &str) -> Result<bool> {
    Ok(execute!(tx, SET_SETTING, name, value)? == 1)
}

/// Removes a setting. `false` when it is not set.
pub(crate) async fn remove(tx: &mut Tx, name: &str) -> Result<bool> {
    Ok(execute!(tx, REMOVE_SETTING, name)? == 1)
}

/// Removes a setting that has this value. `false` when it has not: somebody was faster.
pub(crate) async fn claim(tx: &mut Tx, name: &str, value: &str) -> Result<bool> {
    Ok(execute!(tx, CLAIM_SETTING, name, value)? == 1)
}

impl Store {
    /// Sets a setting, whatever it was.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn replace_setting(&self, name: &str, value: &str) -> Result<()> {
        let mut tx = self.write_global().await?;
        execute!(tx, REPLACE_SETTING, name, value)?;
        tx.commit().await
    }

    /// Sets a setting to a value that it does not have yet. `false` when it has: of several nodes one is told `true`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn advance_setting(&self, name: &str, value: &str) -> Result<bool> {
        let mut tx = self.write_global().await?;
        let advanced = execute!(tx, ADVANCE_SETTING, name, value)?;
        tx.commit().await?;
        Ok(advanced == 1)
    }

    /// Sets a setting that has this value to another. `false` when it has not: somebody was faster.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn swap_setting(&self, name: &str, from: &str, to: &str) -> Result<bool> {
        let mut tx = self.write_global().await?;
        let swapped = execute!(tx, SWAP_SETTING, name, from, to)? == 1;
        tx.commit().await?;
        Ok(swapped)
    }

    /// The settings whose names begin with this.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn settings_of(&self, prefix: &str) -> Result<Vec<(String, String)>> {
        let mut tx = self.read_global().await?;
        let settings = rows!(SettingRow, tx, SETTINGS_OF, prefix)?;
        tx.commit().await?;
        Ok(settings.into_iter().map(|setting| (setting.name, setting.value)).collect())
    }

    /// A setting's value.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn get_setting(&self, name: &str) -> Result<Option<String>> {
        let mut tx = self.read_global().await?;
        let value = value!(String, tx, GET_SETTING, name)?;
        tx.commit().await?;
        Ok(value)
    }

    /// Sets a setting unless it is set, and returns the value that holds: ours, or that of whoever came first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn set_setting_if_absent(&self, name: &str, value: &str) -> Result<String> {
        let mut tx = self.write_global().await?;
        execute!(tx, SET_SETTING, name, value)?;
        let winner = value!(String, tx, GET_SETTING, name)?;
        tx.commit().await?;
        winner.ok_or_else(|| Error::internal("a setting vanished while it was set"))
    }
}
