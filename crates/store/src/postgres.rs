//! The PostgreSQL connections: which login, which role, which settings.
//!
//! Owns: the pools of the application (`chatward_app`, under row-level security) and of `admin_*` functions
//! (`chatward_admin`, reads across tenants), the connection that migrates, and the refusal of a production login that
//! could become more than it should. Requests never get the administrative pool: only `Store::admin` hands it out.

use crate::config::StoreConfig;
use crate::tx::within_deadline;
use chatward_types::{Error, Result, Secret};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Longest run of a statement, in PostgreSQL's own words; beyond it the server cancels.
const STATEMENT_TIMEOUT: &str = "15s";
/// A connection unused for longer is asked whether it lives before it is handed out.
const PING_AFTER_IDLE: Duration = Duration::from_secs(10);

/// Longest wait for the migrating connection.
const MIGRATION_CONNECT_DEADLINE: Duration = Duration::from_secs(10);

const SET_APP_ROLE: &str = "SET ROLE chatward_app";
const SET_ADMIN_ROLE: &str = "SET ROLE chatward_admin";
/// Roles that a login could take on, itself included.
const STANDING: &str = "SELECT r.rolsuper, r.rolbypassrls,
    COALESCE((SELECT pg_has_role(session_user, o.oid, 'MEMBER') FROM pg_roles o WHERE o.rolname = 'chatward_owner'), false),
    COALESCE((SELECT pg_has_role(session_user, o.oid, 'MEMBER') FROM pg_roles o WHERE o.rolname = 'chatward_admin'), false)
  FROM pg_roles r WHERE r.rolname = session_user";

/// The pools and the way to a migrating connection.
#[derive(Debug, Clone)]
pub(crate) struct Postgres {
    pub(crate) app: PgPool,
    pub(crate) admin: PgPool,
    migrate: Arc<PgConnectOptions>,
    /// Development: the application's login works in all three roles.
    pub(crate) one_login: bool,
}

/// Checks the application's login and prepares the pools. The roles need not be there yet: `migrate` makes them.
pub(crate) async fn open(config: &StoreConfig) -> Result<Postgres> {
    let app = options(&config.url)?;
    let admin = options(config.admin_url.as_ref().unwrap_or(&config.url))?;
    let migrate = options(config.migrate_url.as_ref().unwrap_or(&config.url))?;
    let connecting = async {
        let mut connection = PgConnection::connect_with(&app).await?;
        let standing: (bool, bool, bool, bool) = sqlx::query_as(STANDING).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(standing)
    };
    let (superuser, bypasses, owner, administrator) = within_deadline(connecting).await?;
    if !config.allow_set_role && (superuser || bypasses || owner || administrator) {
        return Err(Error::invalid(
            "database.url: this login is a superuser, bypasses row-level security, or may become chatward_owner or \
             chatward_admin; give the application a login that is a member of chatward_app alone",
        ));
    }
    Ok(Postgres {
        app: pool(config.pool_size, config.acquire_deadline, SET_APP_ROLE, app),
        admin: pool(2, config.acquire_deadline, SET_ADMIN_ROLE, admin),
        migrate: Arc::new(migrate),
        one_login: config.allow_set_role,
    })
}

impl Postgres {
    /// One connection of the migrating login, not yet in the owner's role, with no limit on a statement's run.
    pub(crate) fn migrating_pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(1).acquire_timeout(MIGRATION_CONNECT_DEADLINE).connect_lazy_with(
            PgConnectOptions::clone(&self.migrate).options([("statement_timeout", "0"), ("lock_timeout", "60s")]),
        )
    }
}

fn options(url: &Secret<String>) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url.expose())
        // The parser's message may repeat parts of the URL, and a password is in it.
        .map_err(|_| {
            Error::invalid("database.url: not a PostgreSQL URL of the form postgres://user:password@host/database")
        })?;
    Ok(options
        .application_name("chatward")
        .options([
            ("search_path", "chatward"),
            ("synchronous_commit", "on"),
            ("statement_timeout", STATEMENT_TIMEOUT),
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "30s"),
        ])
        .disable_statement_logging())
}

fn pool(size: u32, acquire_deadline: Duration, role: &'static str, options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(size.max(1))
        .acquire_timeout(acquire_deadline)
        .idle_timeout(Duration::from_secs(600))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > PING_AFTER_IDLE {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move {
                sqlx::query(role).execute(&mut *connection).await?;
                durable(connection).await
            })
        })
        .connect_lazy_with(options)
}

/// A pooler or a role's settings may have overruled the connection's options: better no connection than a lossy one.
async fn durable(connection: &mut PgConnection) -> sqlx::Result<()> {
    let durability: String = sqlx::query_scalar(crate::engine_sql::DURABILITY.postgres).fetch_one(connection).await?;
    if durability == "on" {
        return Ok(());
    }
    Err(sqlx::Error::Protocol(format!("synchronous_commit is {durability}; commits would not be durable")))
}
