//! Schema changes: forward only, embedded, all pending ones in one transaction under our own lock.
//!
//! Owns: the list of migrations, their checksums, the refusals (a database newer than the program, a migration changed
//! after it was applied) and, on PostgreSQL, the roles and the schema that the migrations stand on.
//! Never deletes and never goes back.

use crate::engine_sql::{BEGIN_WRITE, LOCK_MIGRATIONS, MIGRATIONS_TABLE};
use crate::error;
use crate::postgres::Postgres;
use crate::statement::{Statement, execute, row, rows, value};
use crate::store::Pools;
use crate::tx::{self, Connection, Tx};
use chatward_types::{Clock, Error, Result, SystemClock};
use sqlx::postgres::PgPool;

/// What `migrate` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationReport {
    /// The schema's version before; 0 for an empty database.
    pub from: i64,
    /// The schema's version now.
    pub to: i64,
    /// The names of the migrations that ran.
    pub applied: Vec<&'static str>,
}

struct Migration {
    version: i64,
    name: &'static str,
    text: Statement,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "0001_initial",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0001_initial.sql"),
            include_str!("../migrations/postgres/0001_initial.sql"),
        ),
    },
    Migration {
        version: 2,
        name: "0002_widget",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0002_widget.sql"),
            include_str!("../migrations/postgres/0002_widget.sql"),
        ),
    },
    Migration {
        version: 3,
        name: "0003_accounts",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0003_accounts.sql"),
            include_str!("../migrations/postgres/0003_accounts.sql"),
        ),
    },
    Migration {
        version: 4,
        name: "0004_trail",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0004_trail.sql"),
            include_str!("../migrations/postgres/0004_trail.sql"),
        ),
    },
    Migration {
        version: 5,
        name: "0005_users",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0005_users.sql"),
            include_str!("../migrations/postgres/0005_users.sql"),
        ),
    },
    Migration {
        version: 6,
        name: "0006_second_factor",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0006_second_factor.sql"),
            include_str!("../migrations/postgres/0006_second_factor.sql"),
        ),
    },
    Migration {
        version: 7,
        name: "0007_issuers",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0007_issuers.sql"),
            include_str!("../migrations/postgres/0007_issuers.sql"),
        ),
    },
    Migration {
        version: 8,
        name: "0008_keys",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0008_keys.sql"),
            include_str!("../migrations/postgres/0008_keys.sql"),
        ),
    },
    Migration {
        version: 9,
        name: "0009_owners",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0009_owners.sql"),
            include_str!("../migrations/postgres/0009_owners.sql"),
        ),
    },
    Migration {
        version: 10,
        name: "0010_devices",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0010_devices.sql"),
            include_str!("../migrations/postgres/0010_devices.sql"),
        ),
    },
    Migration {
        version: 11,
        name: "0011_master_keys",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0011_master_keys.sql"),
            include_str!("../migrations/postgres/0011_master_keys.sql"),
        ),
    },
    Migration {
        version: 12,
        name: "0012_spent_tokens",
        text: Statement::pair(
            include_str!("../migrations/sqlite/0012_spent_tokens.sql"),
            include_str!("../migrations/postgres/0012_spent_tokens.sql"),
        ),
    },
];

const CREATE_TABLE: Statement = Statement::both(
    "CREATE TABLE IF NOT EXISTS schema_migrations (
        version BIGINT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        checksum TEXT NOT NULL,
        applied_at BIGINT NOT NULL
    )",
);
const APPLIED: Statement = Statement::both("SELECT version, name, checksum FROM schema_migrations ORDER BY version");
const RECORD: Statement =
    Statement::both("INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)");
const VERSION: Statement = Statement::both("SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) FROM schema_migrations");

/// Makes what is missing of roles and schema. Each statement does nothing where its work is done already, so that a
/// login without the right to make roles can migrate once an administrator has made them.
const ROLES: &str = "
DO $roles$
DECLARE
    wanted TEXT;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['chatward_owner', 'chatward_app', 'chatward_admin'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- another node or database was faster
            END;
        END IF;
        IF wanted = 'chatward_owner' AND NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        END IF;
    END LOOP;
END
$roles$;
DO $schema$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'chatward') THEN
        CREATE SCHEMA chatward AUTHORIZATION chatward_owner;
    END IF;
    IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname IN ('chatward_app', 'chatward_admin') AND (rolsuper OR rolbypassrls)) THEN
        RAISE EXCEPTION 'chatward_app and chatward_admin must neither be superusers nor bypass row-level security';
    END IF;
END
$schema$;
SET LOCAL ROLE chatward_owner;
GRANT USAGE ON SCHEMA chatward TO chatward_app, chatward_admin;
";

struct Applied {
    version: i64,
    name: String,
    checksum: String,
}

row!(Applied { version, name, checksum });

/// The version that this program needs.
pub(crate) fn latest_version() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// The version that the database has.
pub(crate) async fn applied_version(tx: &mut Tx) -> Result<i64> {
    Ok(value!(i64, tx, VERSION)?.unwrap_or(0))
}

/// A word that changes with any migration's text, for tests that keep a migrated database to copy.
pub fn schema_fingerprint() -> String {
    let mut whole = String::from(ROLES);
    for migration in MIGRATIONS {
        whole.push_str(migration.text.postgres);
        whole.push_str(migration.text.sqlite);
    }
    checksum(&whole)
}

/// What a development login needs beside: it works in all three roles itself.
const ONE_LOGIN: &str = "
RESET ROLE;
DO $one_login$
DECLARE
    wanted TEXT;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['chatward_app', 'chatward_admin'] LOOP
        IF NOT pg_has_role(current_user, wanted, 'MEMBER') THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        END IF;
    END LOOP;
END
$one_login$;
SET LOCAL ROLE chatward_owner;
";

pub(crate) async fn run(pools: &Pools) -> Result<MigrationReport> {
    match pools {
        Pools::Sqlite(_) => {
            let mut tx = pools.write(None).await?;
            let report = apply_pending(&mut tx).await?;
            tx.commit().await?;
            Ok(report)
        }
        Pools::Postgres(postgres) => {
            let pool = postgres.migrating_pool();
            let report = migrate_postgres(postgres, &pool).await;
            pool.close().await;
            report
        }
    }
}

async fn migrate_postgres(postgres: &Postgres, pool: &PgPool) -> Result<MigrationReport> {
    let mut tx = Tx::Postgres(tx::begin(pool, BEGIN_WRITE.postgres).await?);
    value!(String, tx, LOCK_MIGRATIONS)?;
    run_text(&mut tx, ROLES).await.map_err(|source| {
        Error::invalid(
            "database.migrate_url: this login can neither make nor use the roles chatward_owner, chatward_app and \
             chatward_admin; let an administrator make them and grant it chatward_owner",
        )
        .with_source(source)
    })?;
    if postgres.one_login {
        run_text(&mut tx, ONE_LOGIN).await?;
    }
    let report = apply_pending(&mut tx).await?;
    tx.commit().await?;
    Ok(report)
}

async fn apply_pending(tx: &mut Tx) -> Result<MigrationReport> {
    if value!(i64, tx, MIGRATIONS_TABLE)? != Some(1) {
        execute!(tx, CREATE_TABLE)?;
    }
    let applied = rows!(Applied, tx, APPLIED)?;
    for done in &applied {
        let known = MIGRATIONS.iter().find(|migration| migration.version == done.version).ok_or_else(|| {
            Error::invalid(format!(
                "the database is newer than this program: it has the migration {}; start the newer program",
                done.name
            ))
        })?;
        if checksum(text_of(known, tx)) != done.checksum {
            return Err(Error::invalid(format!(
                "the migration {} is not the one that made this database; a released migration never changes",
                known.name
            )));
        }
    }
    let from = applied.last().map_or(0, |done| done.version);
    let mut names = Vec::new();
    // By what was applied, not by the highest number: one that was released later may have a lower one.
    let is_pending = |migration: &&Migration| applied.iter().all(|done| done.version != migration.version);
    for pending in MIGRATIONS.iter().filter(is_pending) {
        let text = text_of(pending, tx);
        run_text(tx, text).await?;
        // The stamp is for people who read the table; nothing compares it, so it needs no clock of the caller's.
        execute!(tx, RECORD, pending.version, pending.name, checksum(text), SystemClock.now())?;
        names.push(pending.name);
    }
    Ok(MigrationReport { from, to: latest_version(), applied: names })
}

fn text_of(migration: &Migration, tx: &Tx) -> &'static str {
    match tx {
        Tx::Sqlite(_) => migration.text.sqlite,
        Tx::Postgres(_) => migration.text.postgres,
        Tx::Audited(inner, _) => text_of(migration, inner),
    }
}

/// Runs a text of several statements. No deadline but the server's: a migration may take its time.
async fn run_text(tx: &mut Tx, text: &'static str) -> Result<()> {
    match tx.connection()? {
        Connection::Sqlite(connection) => sqlx::raw_sql(text).execute(connection).await.map(|_| ()),
        Connection::Postgres(connection) => sqlx::raw_sql(text).execute(connection).await.map(|_| ()),
    }
    .map_err(error::from_database)
}

/// FNV-1a over the text, line ends aside. It finds an accident, it does not withstand an attacker.
fn checksum(text: &str) -> String {
    let hash = text
        .bytes()
        .filter(|byte| *byte != b'\r')
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_count_up_and_lead_their_names() {
        assert!(MIGRATIONS.is_sorted_by(|one, next| one.version < next.version));
        for migration in MIGRATIONS {
            assert!(migration.name.starts_with(&format!("{:04}_", migration.version)));
        }
    }

    #[test]
    fn a_checksum_sees_a_changed_letter_but_not_a_changed_line_end() {
        assert_ne!(checksum("CREATE TABLE a"), checksum("CREATE TABLE b"));
        assert_eq!(checksum("a\nb"), checksum("a\r\nb"));
    }
}
