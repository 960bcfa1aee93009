//! The handle that everything else hangs on.
//!
//! Owns: connecting, readiness, closing, and the five ways into a transaction: `read` and `write` under an owner,
//! `read_global` and `write_global` for the tables without one, `admin` across owners. Only `admin` uses the
//! administrative pool, and only functions named `admin_*` call it. Never holds SQL of a table.

use crate::append::Writer;
use crate::config::{Engine, Location, StoreConfig};
use crate::engine_sql::{BEGIN_READ, BEGIN_WRITE, DURABILITY, EMPTY_LOG, SET_OWNER};
use crate::master_keys;
use crate::migrate::{self, MigrationReport};
use crate::postgres::{self, Postgres};
use crate::sqlite::{self, Sqlite};
use crate::statement::{Statement, value};
use crate::trail::TrailEntry;
use crate::tx::{self, Tx};
use chatward_types::{Error, OwnerId, Result, Scope};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait of a readiness probe.
const CHECK_DEADLINE: Duration = Duration::from_secs(2);
/// Longest wait for the queue to drain, and then for connections to come back.
const CLOSE_DEADLINE: Duration = Duration::from_secs(15);

/// All records of an installation. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
    /// The record of the audit trail that every transaction of this handle commits with; see `trail.rs`.
    entry: Option<Arc<TrailEntry>>,
    /// The master key that what this handle writes was sealed under; see `master_keys.rs`.
    sealed_under: Option<Arc<str>>,
}

struct Inner {
    pools: Pools,
    writer: Writer,
    /// How often each administrative function was called; as many names as there are functions.
    administrative: Mutex<BTreeMap<&'static str, u64>>,
}

/// The pools, without the writer that uses them.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens the database, making the SQLite file if it is not there. Starts the writer's task, so it needs a runtime.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`] for a URL or a login that will not do,
    /// [`chatward_types::Kind::Unavailable`] where nothing answers.
    pub async fn connect(config: &StoreConfig) -> Result<Self> {
        let pools = match config.location()? {
            Location::Sqlite(path) => {
                Pools::Sqlite(sqlite::open(&path, config.pool_size, config.acquire_deadline).await?)
            }
            Location::Postgres => Pools::Postgres(postgres::open(config).await?),
        };
        let writer = Writer::start(pools.clone(), config.acquire_deadline)?;
        Ok(Self {
            inner: Arc::new(Inner { pools, writer, administrative: Mutex::default() }),
            entry: None,
            sealed_under: None,
        })
    }

    /// Which engine it runs on.
    pub fn engine(&self) -> Engine {
        match self.inner.pools {
            Pools::Sqlite(_) => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Brings the schema up to this program's, under a lock; several nodes may call it at once.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Invalid`] when the database is newer than the program, when an applied migration was
    /// changed since, or when the login may not make the roles.
    pub async fn migrate(&self) -> Result<MigrationReport> {
        migrate::run(&self.inner.pools).await
    }

    /// Readiness: a connection, the right schema, a living writer. Within two seconds, whatever happens.
    ///
    /// # Errors
    /// [`chatward_types::Kind::Unavailable`].
    pub async fn check(&self) -> Result<()> {
        if self.inner.writer.has_ended() {
            return Err(Error::unavailable("the writer's task has ended"));
        }
        let probing = async {
            let mut tx = self.read_global().await?;
            let version = migrate::applied_version(&mut tx).await?;
            tx.commit().await?;
            if version == migrate::latest_version() {
                Ok(())
            } else {
                Err(Error::unavailable(format!("the schema is at version {version}")))
            }
        };
        match tokio::time::timeout(CHECK_DEADLINE, probing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(Error::unavailable(source)),
            Err(_) => Err(Error::unavailable("the database did not answer the readiness probe in time")),
        }
    }

    /// What a commit waits for: `FULL` (SQLite) or `on` (PostgreSQL). Anything else loses acknowledged rows in a crash.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn durability(&self) -> Result<String> {
        let mut tx = self.write_global().await?;
        let word = value!(String, tx, DURABILITY)?.unwrap_or_default();
        tx.commit().await?;
        Ok(word)
    }

    /// Leaves nothing that was erased in the file beside the database either: SQLite's log keeps what stood on a page until
    /// it comes round, which on a quiet server may take weeks. PostgreSQL has nothing to do.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn empty_log(&self) -> Result<()> {
        match &self.inner.pools {
            Pools::Sqlite(sqlite) => sqlite.writer.lease().await?.run(EMPTY_LOG.sqlite).await,
            Pools::Postgres(_) => Ok(()),
        }
    }

    /// Takes no more appends, commits those that wait, closes every connection. Calling it twice is harmless.
    pub async fn close(&self) {
        self.inner.writer.drain(CLOSE_DEADLINE).await;
        let closing = async {
            match &self.inner.pools {
                Pools::Sqlite(sqlite) => {
                    sqlite.readers.close().await;
                    sqlite.writer.close().await;
                }
                Pools::Postgres(postgres) => {
                    tokio::join!(postgres.app.close(), postgres.admin.close());
                }
            }
        };
        if tokio::time::timeout(CLOSE_DEADLINE, closing).await.is_err() {
            tracing::warn!("database connections were still in use at the closing deadline");
        }
    }

    pub(crate) fn writer(&self) -> &Writer {
        &self.inner.writer
    }

    /// Plain reads of one owner's rows.
    pub(crate) async fn read(&self, scope: &Scope) -> Result<Tx> {
        self.inner.pools.read(Some(scope.owner())).await
    }

    /// A transaction on one owner's rows (and on global tables beside them).
    pub(crate) async fn write(&self, scope: &Scope) -> Result<Tx> {
        self.begun(self.inner.pools.write(Some(scope.owner())).await?).await
    }

    /// Plain reads of global tables. In PostgreSQL no tenant's row is visible.
    pub(crate) async fn read_global(&self) -> Result<Tx> {
        self.inner.pools.read(None).await
    }

    /// A transaction on global tables. In PostgreSQL no tenant's row is visible.
    pub(crate) async fn write_global(&self) -> Result<Tx> {
        self.begun(self.inner.pools.write(None).await?).await
    }

    pub(crate) fn with_entry(&self, entry: Arc<TrailEntry>) -> Self {
        Self { entry: Some(entry), ..self.clone() }
    }

    /// The same store for what was sealed under this master key: a transaction of it that would write is refused when another
    /// one wraps by now, so that nothing is ever left under a key that is taken away.
    #[must_use]
    pub fn sealed_under(&self, master_key: &str) -> Self {
        Self { sealed_under: Some(master_key.into()), ..self.clone() }
    }

    async fn begun(&self, mut tx: Tx) -> Result<Tx> {
        if let Some(id) = &self.sealed_under {
            master_keys::expect_current(&mut tx, id).await?;
        }
        Ok(match &self.entry {
            Some(entry) => Tx::Audited(Box::new(tx), Some(Arc::clone(entry))),
            None => tx,
        })
    }

    /// How often each function that reads across owners was called since this was asked last.
    pub fn take_administrative_reads(&self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut *self.administrative()).into_iter().collect()
    }

    fn administrative(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.inner.administrative.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads across owners, for functions named `admin_*` alone. `purpose` is their name, for the log.
    pub(crate) async fn admin(&self, purpose: &'static str) -> Result<Tx> {
        tracing::debug!(purpose, "administrative read across owners");
        *self.administrative().entry(purpose).or_default() += 1;
        match &self.inner.pools {
            Pools::Sqlite(_) => self.inner.pools.read(None).await,
            Pools::Postgres(postgres) => {
                Box::pin(tx::begin(&postgres.admin, BEGIN_READ.postgres)).await.map(Tx::Postgres)
            }
        }
    }
}

impl Pools {
    async fn read(&self, owner: Option<OwnerId>) -> Result<Tx> {
        match self {
            // One statement is consistent by itself, so a reader begins no transaction.
            Self::Sqlite(sqlite) => sqlite.readers.lease().await.map(Tx::Sqlite),
            Self::Postgres(postgres) => Box::pin(begin_postgres(postgres, BEGIN_READ, owner)).await,
        }
    }

    pub(crate) async fn write(&self, owner: Option<OwnerId>) -> Result<Tx> {
        match self {
            Self::Sqlite(sqlite) => {
                let mut lease = sqlite.writer.lease().await?;
                lease.begin(BEGIN_WRITE.sqlite).await?;
                Ok(Tx::Sqlite(lease))
            }
            Self::Postgres(postgres) => Box::pin(begin_postgres(postgres, BEGIN_WRITE, owner)).await,
        }
    }
}

/// Eight kilobytes of waiting for a connection: callers keep it in a box, or each of their futures, down to that of a
/// request that is answered from a cache, would hold and move as much.
async fn begin_postgres(postgres: &Postgres, begin: Statement, owner: Option<OwnerId>) -> Result<Tx> {
    let mut tx = Tx::Postgres(tx::begin(&postgres.app, begin.postgres).await?);
    if let Some(owner) = owner {
        set_owner(&mut tx, owner).await?;
    }
    Ok(tx)
}

/// Says to row-level security whose rows the next statements may touch. Only PostgreSQL listens.
pub(crate) async fn set_owner(tx: &mut Tx, owner: OwnerId) -> Result<()> {
    value!(String, tx, SET_OWNER, owner).map(|_| ())
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("engine", &self.engine()).finish_non_exhaustive()
    }
}
