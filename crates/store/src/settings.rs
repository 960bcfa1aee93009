//! Installation settings that no file holds: values that the program makes once and all nodes share.
//!
//! Owns: the table `settings`. The first to set a name wins. Never holds a secret that is not sealed.

use crate::statement::{Statement, execute, value};
use crate::store::Store;
use chatward_types::{Error, Result};

const GET_SETTING: Statement = Statement::both("SELECT value FROM settings WHERE name = $1");
const SET_SETTING: Statement =
    Statement::both("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");

impl Store {
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
