//! A fresh database for one test, on either engine, gone when the test ends, also when it panics.
//!
//! Owns: the template database on the PostgreSQL server that ./check starts (migrated once, then copied, which is cheap)
//! and the temporary SQLite files. A test that wants PostgreSQL fails where there is none; it is never skipped.
//! Never touches a database that it did not make.

#![expect(clippy::expect_used, reason = "set-up of a test fails by failing the test")]

use chatward_store::{Engine, Store, StoreConfig, schema_fingerprint};
use chatward_types::{Clock, SystemClock};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// A migrated database and a store on it.
#[derive(Debug)]
pub struct TestDb {
    store: Store,
    config: StoreConfig,
    // Dropped after the store.
    place: Place,
}

#[derive(Debug)]
enum Place {
    Folder(TempDir),
    Server(Database),
}

/// A database on the test server; dropping it drops the database.
#[derive(Debug)]
struct Database {
    name: String,
}

impl TestDb {
    /// A fresh, migrated database.
    pub async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Sqlite => Self::sqlite().await,
            Engine::Postgres => Self::postgres().await,
        }
    }

    /// A SQLite file in a temporary folder.
    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = StoreConfig::development(format!("sqlite://{}/chatward.db", folder.path().display()));
        let store = Store::connect(&config).await.expect("a SQLite file");
        store.migrate().await.expect("the schema");
        Self { store, config, place: Place::Folder(folder) }
    }

    /// A PostgreSQL database copied from the migrated template.
    pub async fn postgres() -> Self {
        let template = template().await;
        let database = Database::create(Some(&template)).await;
        Self::on(database).await
    }

    /// A PostgreSQL database without a schema, for tests of `migrate`. The store is connected, not migrated.
    pub async fn empty_postgres() -> Self {
        Self::on(Database::create(None).await).await
    }

    async fn on(database: Database) -> Self {
        let config = StoreConfig { pool_size: 4, ..StoreConfig::development(database_url(&database.name)) };
        let store = Store::connect(&config).await.expect("the PostgreSQL server that ./check starts");
        Self { store, config, place: Place::Server(database) }
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// What the store was connected with, to connect once more.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// The SQLite file.
    pub fn path(&self) -> Option<PathBuf> {
        match &self.place {
            Place::Folder(folder) => Some(folder.path().join("chatward.db")),
            Place::Server(_) => None,
        }
    }

    /// Everything that the database holds, as bytes to search: the files of SQLite as they are, log and index of the
    /// log included; the rows of PostgreSQL as text, with bytes in hexadecimal.
    pub async fn everything(&self) -> Vec<u8> {
        let Some(path) = self.path() else { return self.every_row().await };
        let files = ["", "-wal", "-shm", "-journal"].map(|end| format!("{}{end}", path.display()));
        files.iter().filter_map(|file| std::fs::read(file).ok()).collect::<Vec<_>>().concat()
    }

    async fn every_row(&self) -> Vec<u8> {
        let mut connection = self.superuser().await;
        let tables: Vec<String> = sqlx::query_scalar(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                 WHERE schemaname <> 'pg_catalog' AND schemaname <> 'information_schema'",
        )
        .fetch_all(&mut connection)
        .await
        .expect("the list of tables");
        let mut text = String::new();
        for table in tables {
            // The names come from the database's own list.
            let rows = format!("SELECT coalesce(string_agg(t::text, E'\\n'), '') FROM {table} t");
            let rows: String =
                sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&mut connection).await.expect("the rows of a table");
            text.push_str(&rows);
            text.push('\n');
        }
        text.into_bytes()
    }

    /// Runs a statement as somebody who got hold of the database, past the store and every fence. Returns the rows touched.
    pub async fn tamper(&self, text: &str) -> u64 {
        match self.path() {
            Some(path) => {
                let options = SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(5));
                let mut file = options.connect().await.expect("the file");
                sqlx::query(AssertSqlSafe(text)).execute(&mut file).await.expect("the change").rows_affected()
            }
            None => {
                let mut superuser = self.superuser().await;
                sqlx::query("SET search_path = chatward").execute(&mut superuser).await.expect("the path");
                sqlx::query(AssertSqlSafe(text)).execute(&mut superuser).await.expect("the change").rows_affected()
            }
        }
    }

    /// A superuser's connection to the PostgreSQL database, past every fence, to look at what the store did.
    pub async fn superuser(&self) -> PgConnection {
        let Place::Server(database) = &self.place else { panic!("SQLite has no superuser") };
        connect(&database_url(&database.name)).await
    }
}

impl Database {
    async fn create(template: Option<&str>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "chatward_test_{}_{}_{}",
            std::process::id(),
            SystemClock.now(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let text = match template {
            Some(template) => format!("CREATE DATABASE {name} TEMPLATE {template}"),
            None => format!("CREATE DATABASE {name}"),
        };
        let mut connection = connect(&server_url()).await;
        // The names are ours: a prefix and numbers.
        sqlx::query(AssertSqlSafe(text)).execute(&mut connection).await.expect("a database for the test");
        Self { name }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let text = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let url = server_url();
        // A thread of its own, since the test's runtime may be shutting down around us.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let mut connection = connect(&url).await;
                sqlx::query(AssertSqlSafe(text)).execute(&mut connection).await.expect("the database goes");
            });
        });
        if dropping.join().is_err() && !std::thread::panicking() {
            panic!("the test's database could not be dropped");
        }
    }
}

/// The migrated database to copy, made by whichever test comes first. A changed migration has another name.
async fn template() -> String {
    let name = format!("chatward_template_{}", schema_fingerprint());
    let mut connection = connect(&server_url()).await;
    // Held by this connection until it closes, so that test processes make it once.
    sqlx::query("SELECT pg_advisory_lock(7233021894460913)").execute(&mut connection).await.expect("the lock");
    let exists: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
        .bind(&name)
        .fetch_one(&mut connection)
        .await
        .expect("the list of databases");
    if !exists {
        // Renamed when it is whole: one that a killed test left half-done is never copied.
        let draft = Database::create(None).await;
        let store = Store::connect(&StoreConfig::development(database_url(&draft.name))).await.expect("a server");
        store.migrate().await.expect("the schema");
        store.close().await;
        sqlx::query(AssertSqlSafe(format!("ALTER DATABASE {} RENAME TO {name}", draft.name)))
            .execute(&mut connection)
            .await
            .expect("the template");
    }
    connection.close().await.expect("a goodbye");
    name
}

async fn connect(url: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(url).expect("a PostgreSQL address").disable_statement_logging();
    PgConnection::connect_with(&options).await.expect("the PostgreSQL server that ./check starts")
}

fn database_url(name: &str) -> String {
    let url = server_url();
    let (server, _) = url.rsplit_once('/').expect("an address that ends in a database");
    format!("{server}/{name}")
}

#[expect(clippy::disallowed_methods, reason = "a test learns its server from ./check, not from a configuration")]
fn server_url() -> String {
    std::env::var("CHATWARD_TEST_POSTGRES_URL").unwrap_or_else(|_| {
        panic!("this test needs PostgreSQL: run ./check, which starts one, or set CHATWARD_TEST_POSTGRES_URL (scripts/postgres.sh)")
    })
}
