//! The transaction, on either engine.
//!
//! Owns: `Tx` (begun by `Store::read`, `write`, `read_global`, `write_global` and `admin`, which alone decide the pool,
//! the owner and whether it may write) and the deadline around every wait for the database. A `Tx` that is dropped
//! without `commit` is rolled back. Never waits for anything but the database: no network call inside a transaction.

use crate::error;
use crate::sqlite::Lease;
use crate::statement::STATEMENT_DEADLINE;
use crate::trail::{self, TrailEntry};
use chatward_types::{Error, Kind, Result};
use sqlx::pool::MaybePoolConnection;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{PgPool, Postgres, SqlSafeStr as _, Transaction};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A transaction, or for plain reads on SQLite a reader's connection, whose single statements are consistent by themselves.
pub(crate) enum Tx {
    Sqlite(Lease),
    Postgres(Transaction<'static, Postgres>),
    /// One that commits with a record of the audit trail, or not at all; the record is taken when it is written.
    Audited(Box<Tx>, Option<Arc<TrailEntry>>),
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
            Self::Audited(inner, _) => inner.connection(),
        }
    }

    /// Makes it durable. Only after this returns may anything be acknowledged.
    pub(crate) async fn commit(mut self) -> Result<()> {
        self.record().await?;
        let plain = match self {
            Self::Audited(inner, _) => *inner,
            plain => plain,
        };
        match plain {
            Self::Sqlite(lease) => lease.commit().await,
            Self::Postgres(transaction) => within_deadline(transaction.commit()).await,
            Self::Audited(..) => Err(Error::internal("a transaction with two records")),
        }
    }

    /// Writes the record of the audit trail, if one is due; `commit` does, where nothing has to come after it.
    /// Says whether it did.
    pub(crate) async fn record(&mut self) -> Result<bool> {
        if let Self::Audited(inner, due) = self
            && let Some(entry) = due.take()
        {
            trail::append(inner, &entry).await?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Looks at a statement's outcome before it goes on to the caller.
    pub(crate) fn watched<T>(&mut self, outcome: Result<T>) -> Result<T> {
        if let Self::Audited(inner, _) = self {
            return inner.watched(outcome);
        }
        if let (Self::Sqlite(lease), Err(error)) = (self, &outcome)
            && error.kind() == Kind::Unavailable
        {
            lease.doubt();
        }
        outcome
    }
}

/// Begins a transaction on a connection of a pool.
///
/// A caller may leave at any moment, as the client of a request does. sqlx rolls back what has begun, but nothing is known
/// to have begun until PostgreSQL says so: left in between, the connection would go back into the pool inside of a
/// transaction, and the next one's writes would fail in it, or join it. So what was sent is waited for by somebody else.
pub(crate) async fn begin(pool: &PgPool, statement: &'static str) -> Result<Transaction<'static, Postgres>> {
    let connection = within_deadline(pool.acquire()).await?;
    let connection = MaybePoolConnection::PoolConnection(connection);
    let begin = Transaction::begin(connection, Some(statement.into_sql_str()));
    within_deadline(Finished(Some(begin))).await
}

type Beginning = Pin<Box<dyn Future<Output = sqlx::Result<Transaction<'static, Postgres>>> + Send>>;

/// Goes on in a task of its own when it is dropped before its end, for as long as PostgreSQL says nothing and its connection
/// is there: given up, the connection would be handed on in the middle after all. Each holds one of the pool's connections,
/// so there are no more of them than those, and nobody waits for one.
struct Finished(Option<Beginning>);

impl Future for Finished {
    type Output = sqlx::Result<Transaction<'static, Postgres>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(begin) = &mut self.0 else { return Poll::Pending };
        let outcome = ready!(begin.as_mut().poll(context));
        self.0 = None;
        Poll::Ready(outcome)
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        if let Some(begin) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // What comes of it is dropped, and with that rolled back.
            runtime.spawn(begin);
        }
    }
}

/// Waits for the database, but not for ever; the error is already one that a caller may see.
pub(crate) async fn within_deadline<T>(work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
    match tokio::time::timeout(STATEMENT_DEADLINE, work).await {
        Ok(outcome) => outcome.map_err(error::from_database),
        Err(_) => Err(Error::unavailable("the database did not answer in time")),
    }
}
