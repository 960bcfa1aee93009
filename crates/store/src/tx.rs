//! The transaction, on either engine.
//!
//! Owns: `Tx` (begun by `Store::read`, `write`, `read_global`, `write_global` and `admin`, which alone decide the pool,
//! the owner and whether it may write) and the deadline around every wait for the database. A `Tx` that is dropped
//! without `commit` is rolled back. Never waits for anything but the database: no network call inside a transaction.

use crate::error;
use crate::sqlite::Lease;
use crate::statement::STATEMENT_DEADLINE;
use chatward_types::{Error, Kind, Result};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Postgres, Transaction};
use std::future::Future;

/// A transaction, or for plain reads on SQLite a reader's connection, whose single statements are consistent by themselves.
pub(crate) enum Tx {
    Sqlite(Lease),
    Postgres(Transaction<'static, Postgres>),
}

/// What the macros of `statement.rs` run on.
pub(crate) enum Connection<'t> {
    Sqlite(&'t mut SqliteConnection),
    Postgres(&'t mut PgConnection),
}

impl Tx {
    pub(crate) fn connection(&mut self) -> Result<Connection<'_>> {
        match self {
            Self::Sqlite(lease) => lease.connection().map(Connection::Sqlite),
            Self::Postgres(transaction) => Ok(Connection::Postgres(transaction)),
        }
    }

    /// Makes it durable. Only after this returns may anything be acknowledged.
    pub(crate) async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(lease) => lease.commit().await,
            Self::Postgres(transaction) => within_deadline(transaction.commit()).await,
        }
    }

    /// Looks at a statement's outcome before it goes on to the caller.
    pub(crate) fn watched<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let (Self::Sqlite(lease), Err(error)) = (self, &outcome)
            && error.kind() == Kind::Unavailable
        {
            lease.doubt();
        }
        outcome
    }
}

/// Waits for the database, but not for ever; the error is already one that a caller may see.
pub(crate) async fn within_deadline<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    match tokio::time::timeout(STATEMENT_DEADLINE, work).await {
        Ok(outcome) => outcome.map_err(error::from_database),
        Err(_) => Err(Error::unavailable("the database did not answer in time")),
    }
}
