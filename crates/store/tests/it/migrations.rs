//! Migrations: once, forward, and only by a program that knows the database.

use chatward_store::{Engine, Store, StoreConfig};
use chatward_testkit::TestDb;
use chatward_types::Kind;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;

/// A connected store on an empty database, and what keeps that alive.
enum Empty {
    Sqlite(Store, StoreConfig, TempDir),
    Postgres(TestDb),
}

impl Empty {
    async fn new(engine: Engine) -> Self {
        match engine {
            Engine::Postgres => Self::Postgres(TestDb::empty_postgres().await),
            Engine::Sqlite => {
                let folder = tempfile::tempdir().expect("a folder");
                let config = StoreConfig::development(format!("sqlite://{}/new.db", folder.path().display()));
                Self::Sqlite(Store::connect(&config).await.expect("a file"), config, folder)
            }
        }
    }

    fn store(&self) -> &Store {
        match self {
            Self::Sqlite(store, ..) => store,
            Self::Postgres(db) => db.store(),
        }
    }

    fn config(&self) -> &StoreConfig {
        match self {
            Self::Sqlite(_, config, _) => config,
            Self::Postgres(db) => db.config(),
        }
    }

    /// Changes the table of migrations as no program of ours does.
    async fn tamper(&self, text: &'static str) {
        match self {
            Self::Sqlite(_, _, folder) => {
                let mut file = SqliteConnectOptions::new()
                    .filename(folder.path().join("new.db"))
                    .connect()
                    .await
                    .expect("the file");
                sqlx::query(text).execute(&mut file).await.expect("the change");
            }
            Self::Postgres(db) => {
                let mut superuser = db.superuser().await;
                sqlx::query("SET search_path = chatward").execute(&mut superuser).await.expect("the path");
                sqlx::query(text).execute(&mut superuser).await.expect("the change");
            }
        }
    }
}

macro_rules! on_both_empty {
    ($($name:ident: $body:expr;)*) => {$(
        mod $name {
            use super::*;
            #[tokio::test]
            async fn sqlite() { ($body)(Empty::new(Engine::Sqlite).await).await }
            #[tokio::test]
            async fn postgres() { ($body)(Empty::new(Engine::Postgres).await).await }
        }
    )*};
}

on_both_empty! {
    a_second_migration_finds_nothing_to_do: async |empty: Empty| {
        assert_eq!(empty.store().check().await.expect_err("no schema yet").kind(), Kind::Unavailable);
        let first = empty.store().migrate().await.expect("the schema");
        assert_eq!((first.from, first.applied.first()), (0, Some(&"0001_initial")));
        assert!(first.applied.contains(&"0004_trail") && first.applied.contains(&"0008_keys"), "{first:?}");
        empty.store().check().await.expect("ready");
        let second = empty.store().migrate().await.expect("nothing to do");
        assert_eq!((second.from, second.to), (first.to, first.to));
        assert!(second.applied.is_empty());
    };
    nodes_that_start_at_once_migrate_once: async |empty: Empty| {
        let nodes = (0..4).map(|_| async {
            let store = Store::connect(empty.config()).await.expect("a store");
            let report = store.migrate().await.expect("a migration");
            store.close().await;
            report.applied.len()
        });
        let applied: usize = futures_util::future::join_all(nodes).await.into_iter().sum();
        let whole = Empty::new(Engine::Sqlite).await.store().migrate().await.expect("the schema").applied.len();
        assert_eq!(applied, whole, "each once");
        empty.store().check().await.expect("ready");
    };
    a_database_from_the_future_is_refused: async |empty: Empty| {
        empty.store().migrate().await.expect("the schema");
        empty.tamper("INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (9999, '9999_later', 'x', 0)").await;
        let refused = empty.store().migrate().await.expect_err("newer than the program");
        assert_eq!(refused.kind(), Kind::Invalid);
        assert!(refused.public().contains("9999_later") && refused.public().contains("newer"), "{refused}");
        assert_eq!(empty.store().check().await.expect_err("not ours").kind(), Kind::Unavailable);
    };
    a_changed_migration_is_refused: async |empty: Empty| {
        empty.store().migrate().await.expect("the schema");
        empty.tamper("UPDATE schema_migrations SET checksum = 'another' WHERE version = 1").await;
        let refused = empty.store().migrate().await.expect_err("changed since");
        assert_eq!(refused.kind(), Kind::Invalid);
        assert!(refused.public().contains("0001_initial"), "{refused}");
    };
}
