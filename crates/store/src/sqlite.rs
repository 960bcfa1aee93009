//! The SQLite file: write-ahead log, synchronous FULL, foreign keys, one writer and several readers.
//!
//! Owns: the connection options, the file's mode (0600; SQLite gives the same to its -wal and -shm) and the two sets of
//! connections. They are our own rather than sqlx pools: those ping each connection when it comes back, which for a
//! local file buys nothing and costs two thread switches a query. Never runs a statement of the product.

use crate::error;
use crate::tx::within_deadline;
use chatward_types::{Error, Result};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a statement waits for another process (the command line beside the server) to finish writing.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What every connection is told; the same for sqlx's and for the batches' own.
pub(crate) const PRAGMAS: &[(&str, &str)] = &[
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    ("foreign_keys", "ON"),
    // The log is cut back to this after a checkpoint, so that one burst does not keep the disk for ever.
    ("journal_size_limit", "67108864"),
    // Thirty-two MiB: what many sessions write again and again is folded in less often.
    ("wal_autocheckpoint", "8000"),
    ("temp_store", "MEMORY"),
    // What is erased is overwritten with zeros, not only unlinked.
    ("secure_delete", "ON"),
    ("trusted_schema", "OFF"),
];
/// What those that write are told besides: sixteen MiB of pages, so that the leaves that the open conversations are in
/// stay at hand.
pub(crate) const WRITER_PRAGMAS: &[(&str, &str)] = &[("cache_size", "-16384")];

/// What those that only read are told besides: half a MiB of pages. Whatever another connection commits makes them read
/// anew, so that more would be held for nothing.
const READER_PRAGMAS: &[(&str, &str)] = &[("query_only", "ON"), ("cache_size", "-512")];

/// Both sets of connections to one file.
#[derive(Debug, Clone)]
pub(crate) struct Sqlite {
    /// The file.
    pub(crate) path: PathBuf,
    /// One connection: SQLite has one writer, and here is where it queues, first come first served.
    pub(crate) writer: Arc<Connections>,
    /// Connections with `query_only`, so that a read path cannot write by mistake.
    pub(crate) readers: Arc<Connections>,
}

/// A bounded set of connections, opened when first needed and kept.
#[derive(Debug)]
pub(crate) struct Connections {
    options: SqliteConnectOptions,
    size: u32,
    permits: Arc<Semaphore>,
    deadline: Duration,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// A connection in use. It goes back when dropped, rolled back if a transaction is open, closed if it is in doubt.
#[derive(Debug)]
pub(crate) struct Lease {
    // Some until dropped.
    connection: Option<SqliteConnection>,
    home: Arc<Connections>,
    in_transaction: bool,
    in_doubt: bool,
    // Some until dropped; whoever waits is let in only when the connection is back.
    permit: Option<OwnedSemaphorePermit>,
}

/// Opens the file, making it if it is not there, and checks that a commit will be durable.
pub(crate) async fn open(path: &Path, readers: u32, deadline: Duration) -> Result<Sqlite> {
    create_private(path)?;
    let options = SqliteConnectOptions::new().filename(path).busy_timeout(BUSY_TIMEOUT).disable_statement_logging();
    let options = with(options, PRAGMAS);
    let sqlite = Sqlite {
        path: path.to_owned(),
        readers: Connections::new(with(options.clone(), READER_PRAGMAS), readers, deadline),
        writer: Connections::new(with(options, WRITER_PRAGMAS), 1, deadline),
    };
    let mut lease = sqlite.writer.lease().await?;
    let (journal, synchronous): (String, i64) =
        sqlx::query_as("SELECT journal_mode, synchronous FROM pragma_journal_mode, pragma_synchronous")
            .fetch_one(lease.connection()?)
            .await
            .map_err(error::from_database)?;
    if journal != "wal" || synchronous != 2 {
        return Err(Error::internal(format!(
            "SQLite runs with journal_mode {journal} and synchronous {synchronous} instead of wal and 2 (FULL)"
        )));
    }
    drop(lease);
    Ok(sqlite)
}

fn with(options: SqliteConnectOptions, pragmas: &[(&'static str, &'static str)]) -> SqliteConnectOptions {
    pragmas.iter().fold(options, |options, (name, value)| options.pragma(*name, *value))
}

impl Connections {
    fn new(options: SqliteConnectOptions, size: u32, deadline: Duration) -> Arc<Self> {
        let size = size.max(1);
        // A u32 always fits into the semaphore's count on the platforms that tokio runs on.
        let permits = Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1)));
        Arc::new(Self { options, size, permits, deadline, idle: Mutex::new(Vec::new()) })
    }

    /// Waits for its turn, without a connection.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        tokio::time::timeout(self.deadline, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| Error::unavailable("no database connection became free in time"))?
            .map_err(|_| Error::unavailable("the store is closed"))
    }

    /// Waits for its turn.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease> {
        let permit = self.permit().await?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => within_deadline(self.options.connect()).await?,
        };
        Ok(Lease {
            connection: Some(connection),
            home: Arc::clone(self),
            in_transaction: false,
            in_doubt: false,
            permit: Some(permit),
        })
    }

    /// Waits until all connections are back, refuses further leases and closes them. The last one out folds the
    /// write-ahead log into the file.
    pub(crate) async fn close(&self) {
        let all_back = self.permits.acquire_many(self.size).await;
        self.permits.close();
        drop(all_back);
        let connections = std::mem::take(&mut *self.idle());
        for connection in connections {
            if let Err(error) = connection.close().await {
                tracing::warn!(%error, "a database connection did not close cleanly");
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        // A panic cannot leave a list of connections half-changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection> {
        self.connection.as_mut().ok_or_else(|| Error::internal("a database connection was used after its return"))
    }

    /// Begins a transaction by `statement`.
    pub(crate) async fn begin(&mut self, statement: &'static str) -> Result<()> {
        // Set first: if this future is dropped on the way, the transaction may have begun.
        self.in_transaction = true;
        self.run(statement).await
    }

    /// Ends the transaction, if one was begun.
    pub(crate) async fn commit(mut self) -> Result<()> {
        if self.in_transaction {
            self.run("COMMIT").await?;
            self.in_transaction = false;
        }
        Ok(())
    }

    /// Runs one statement that returns nothing of interest.
    pub(crate) async fn run(&mut self, statement: &'static str) -> Result<()> {
        let outcome = within_deadline(sqlx::query(statement).execute(self.connection()?)).await;
        if outcome.is_err() {
            // Whether a transaction is open now depends on what went wrong; a new connection has none.
            self.doubt();
        }
        outcome.map(|_| ())
    }

    /// After an error that may have left a statement running: the connection is not used again.
    pub(crate) fn doubt(&mut self) {
        self.in_doubt = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        let home = Arc::clone(&self.home);
        let permit = self.permit.take();
        if self.in_doubt {
            // Dropping the connection ends its thread, which rolls back.
        } else if !self.in_transaction {
            home.idle().push(connection);
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // It fails where a cancelled commit went through after all; such a connection is not used again.
                if within_deadline(sqlx::query("ROLLBACK").execute(&mut connection)).await.is_ok() {
                    home.idle().push(connection);
                }
                drop(permit);
            });
        }
    }
}

/// The file belongs to us alone before a byte is in it. A looser one from elsewhere is tightened, aloud.
fn create_private(path: &Path) -> Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| Error::unavailable(format!("the database file cannot be opened: {source}")))?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        tracing::warn!("the database file was open to others; its mode is now 0600");
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        if std::fs::metadata(&beside).is_ok_and(|file| file.permissions().mode() & 0o077 != 0) {
            std::fs::set_permissions(&beside, Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn file() -> (Sqlite, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let sqlite = open(&folder.path().join("x.db"), 2, Duration::from_millis(200)).await.expect("a file");
        (sqlite, folder)
    }

    async fn run(lease: &mut Lease, text: &'static str) -> sqlx::Result<u64> {
        let connection = lease.connection().expect("a connection");
        sqlx::query(text).execute(connection).await.map(|done| done.rows_affected())
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let (sqlite, _folder) = file().await;
        let mut reader = sqlite.readers.lease().await.expect("a reader");
        let refused = run(&mut reader, "CREATE TABLE t (x INTEGER)").await.expect_err("read only");
        assert!(refused.to_string().contains("readonly"), "{refused}");
    }

    #[tokio::test]
    async fn a_lease_dropped_in_a_transaction_comes_back_rolled_back() {
        let (sqlite, _folder) = file().await;
        let mut lease = sqlite.writer.lease().await.expect("the writer");
        run(&mut lease, "CREATE TABLE t (x INTEGER)").await.expect("a table");
        lease.begin("BEGIN IMMEDIATE").await.expect("a transaction");
        run(&mut lease, "INSERT INTO t VALUES (1)").await.expect("a row");
        drop(lease);
        let mut lease = sqlite.writer.lease().await.expect("the writer, once it is rolled back");
        lease.begin("BEGIN IMMEDIATE").await.expect("no transaction is left open");
        assert_eq!(run(&mut lease, "DELETE FROM t").await.expect("a table"), 0, "the row is not there");
        lease.commit().await.expect("a commit");
    }

    #[tokio::test]
    async fn a_connection_in_doubt_is_replaced() {
        let (sqlite, _folder) = file().await;
        let mut lease = sqlite.writer.lease().await.expect("the writer");
        lease.begin("BEGIN IMMEDIATE").await.expect("a transaction");
        lease.doubt();
        drop(lease);
        assert!(sqlite.writer.idle().is_empty());
        let mut lease = sqlite.writer.lease().await.expect("a new one");
        lease.begin("BEGIN IMMEDIATE").await.expect("the old one's lock is gone");
    }

    #[tokio::test]
    async fn leases_are_bounded_and_end_with_the_close() {
        let (sqlite, _folder) = file().await;
        let held = sqlite.writer.lease().await.expect("the writer");
        let refused = sqlite.writer.lease().await.expect_err("it is taken");
        assert_eq!(refused.kind(), chatward_types::Kind::Unavailable);
        let closing = tokio::spawn({
            let writer = Arc::clone(&sqlite.writer);
            async move { writer.close().await }
        });
        tokio::task::yield_now().await;
        assert!(!closing.is_finished(), "it waits for the one in use");
        drop(held);
        closing.await.expect("no panic");
        assert!(sqlite.writer.lease().await.is_err(), "closed");
    }
}
